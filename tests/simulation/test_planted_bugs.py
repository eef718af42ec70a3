"""The checkers are tested too: each of these bugs must be found within a few seeds.

Four more are rarer than a few seeds (committing by counting old terms, a release that voids other terms' promises,
a vote that is not stored, a lease counted from the answer); the statement tests of `tests/unit/raft` find those.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from failover.ids import LogIndex
from failover.raft import election, lease
from failover.raft.core import Core
from failover.raft.following import Following
from failover.raft.leadership import Leadership
from failover.raft.lease import Promise
from failover.raft.log import Log
from failover.raft.writing import Writing
from failover.testing.checkers import NoProgress, Violation
from failover.testing.schedule import Plan
from failover.testing.trial import Trial

SEEDS_MAX = 60
Plant = Callable[[pytest.MonkeyPatch], None]


def lease_outlasts_promise(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lease, "LEASE_FRACTION", 1.1)


def restart_forgets_promises(patch: pytest.MonkeyPatch) -> None:
    born = Promise.__init__

    def forget(self, ceiling_s, restarted_at):
        born(self, ceiling_s, restarted_at)
        self._restart_until = -math.inf

    patch.setattr(Promise, "__init__", forget)


def votes_while_promised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(election, "barred_until", lambda core, now: -math.inf)


def truncates_matching_suffix(patch: pytest.MonkeyPatch) -> None:
    take = Following._take

    def eager(self, message):
        log, core = self._core.log, self._core
        matches = log.term_at(message.prev_log_index) == message.prev_log_term
        first = max(message.prev_log_index, core.commit_index) + 1
        if matches and message.entries and first <= log.last_index:
            core.truncate_from(LogIndex(first))
        return take(self, message)

    patch.setattr(Following, "_take", eager)


def durable_index_survives_truncation(patch: pytest.MonkeyPatch) -> None:
    truncate = Writing.truncate_from

    def keep(self, index):
        durable, pending = self.durable_index, [write.last_index for write in self._pending]
        truncate(self, index)
        self.durable_index = durable
        for write, last in zip(self._pending, pending, strict=True):
            write.last_index = last

    patch.setattr(Writing, "truncate_from", keep)


def hosts_before_own_no_op(patch: pytest.MonkeyPatch) -> None:
    def may_host(self, now):
        ready = not self.has_hosted and self.handing_over is None
        return ready and self.lease.usable_until(self.membership) > now

    patch.setattr(Leadership, "may_host", may_host)


def membership_counts_when_committed(patch: pytest.MonkeyPatch) -> None:
    commit = Core.commit

    def remember(self, index):
        commit(self, index)
        self.log.committed = self.commit_index

    def membership(self):
        at = self.membership_at(max(getattr(self, "committed", 0), self.snapshot_index, 1))
        return at.membership if at else None

    patch.setattr(Core, "commit", remember)
    patch.setattr(Log, "membership", property(membership))


def log_is_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Log, "is_up_to_date", lambda self, index, term: True)


PLANTED: tuple[Plant, ...] = (
    lease_outlasts_promise,
    restart_forgets_promises,
    votes_while_promised,
    truncates_matching_suffix,
    durable_index_survives_truncation,
    hosts_before_own_no_op,
    membership_counts_when_committed,
    log_is_not_compared,
)
RACES = (lease_outlasts_promise, restart_forgets_promises, votes_while_promised)


def seeds_until_found(plant: Plant, patch: pytest.MonkeyPatch) -> int | None:
    plant(patch)
    for seed in range(SEEDS_MAX):
        plan = Plan.race(random.Random(seed)) if plant in RACES else Plan.draw(seed)
        try:
            Trial(seed, plan=plan).run()
        except NoProgress:
            continue  # a finding too, but it does not say what is wrong
        except (Violation, AssertionError):  # a checker, or the core's own assert
            return seed
    return None


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant, monkeypatch):
    found = seeds_until_found(plant, monkeypatch)
    assert found is not None, f"not within {SEEDS_MAX} seeds"
