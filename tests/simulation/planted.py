"""Bugs for the checkers to find: each is put into the core for a while, and must be found within a few seeds.

Most are bugs that other Rafts had, or nearly had here. A bug stands beside the kind of run in which it shows, and
how many seeds it may take. `NoProgress` does not count as found: it does not say what is wrong.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from failover.ids import LogIndex
from failover.raft import election, lease
from failover.raft.applying import Applying
from failover.raft.core import Core
from failover.raft.effects import HardState, StopReason
from failover.raft.election import Election
from failover.raft.following import Following
from failover.raft.handing_over import Succession
from failover.raft.leadership import Leadership
from failover.raft.lease import Promise
from failover.raft.log import Log
from failover.raft.membership import Membership
from failover.raft.messages import AppendResponse, Heartbeat
from failover.raft.quorum import majority
from failover.raft.replication import Replication
from failover.raft.standing import Standing
from failover.raft.writing import Writing
from failover.testing.checkers import NoProgress, OneVotePerTerm, Violation
from failover.testing.core_rules import CoreRules
from failover.testing.plan import Plan
from failover.testing.stack_trial import StackTrial
from failover.testing.trial import Trial

Patch = pytest.MonkeyPatch
SEEDS_MAX = 60
WHOLE_MEMBERS = "whole members"


@dataclass(frozen=True)
class Bug:
    """A mutation of the core."""

    plant: Callable[[Patch], None]
    kind: str
    """Of the runs that look for it; "whole members" = of the other simulator."""
    options: dict[str, Any] = field(default_factory=dict)
    """For a run of whole members."""

    def run(self, seed: int) -> None:
        """Run one seed of the kind of run that looks for it."""
        if self.kind == WHOLE_MEMBERS:
            StackTrial(seed, **self.options).run()
        else:
            Trial(seed, plan=Plan.draw(seed, self.kind)).run()

    @property
    def name(self) -> str:
        return self.plant.__name__


BUGS: list[Bug] = []


def shows_in(kind: str) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def note(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        BUGS.append(Bug(plant, kind))
        return plant

    return note


# --- promises and the lease ---


@shows_in("race")
def lease_outlasts_promise(patch):
    patch.setattr(lease, "LEASE_FRACTION", 1.1)


@shows_in("slow answers")
def lease_is_counted_from_the_answer(patch):
    answered = Leadership.heartbeat_answered

    def count_late(self, sender, message, now):
        if message.round in self.lease._sent:
            self.lease._sent[message.round] = now
        answered(self, sender, message, now)

    patch.setattr(Leadership, "heartbeat_answered", count_late)


@shows_in("ordinary")
def heartbeats_sent_are_never_forgotten(patch):
    def begin_round(self, now):
        self.round += 1
        self._sent[self.round] = now
        return self.round

    patch.setattr(lease.Lease, "begin_round", begin_round)


@shows_in("race")
def restart_forgets_promises(patch):
    born = Promise.__init__

    def forget(self, ceiling_s, restarted_at):
        born(self, ceiling_s, restarted_at)
        self._restart_until = -math.inf

    patch.setattr(Promise, "__init__", forget)


@shows_in("race")
def votes_while_promised(patch):
    patch.setattr(election, "barred_until", lambda core, now: -math.inf)


@shows_in("relay")
def release_voids_all_promises(patch):
    patch.setattr(Promise, "void", lambda self, release: self._until.clear())


@shows_in("ordinary")
def ceiling_is_raised_without_storing_it(patch):
    raise_ceiling = Promise.raise_ceiling

    def forget(self, asked_s, max_s):
        if raise_ceiling(self, asked_s, max_s):
            self.ceiling_s = self.ceiling_written_s
        return False

    patch.setattr(Promise, "raise_ceiling", forget)


# --- votes and terms ---


@shows_in("duel")
def vote_is_not_stored(patch):
    patch.setattr(Core, "_hard_state", lambda self: HardState(self.term, None, self.promise.ceiling_written_s))


@shows_in("ordinary")
def term_is_not_stored_before_an_answer(patch):
    follow = Core.become_follower

    def forget(self, term, leader, now):
        changed = self.writing._hard_state_changed
        follow(self, term, leader, now)
        self.writing._hard_state_changed = changed

    patch.setattr(Core, "become_follower", forget)


@shows_in("duel")
def votes_are_counted_per_answer(patch):
    answer = Election.answer

    def count(self, sender, message, now):
        self.yes = getattr(self, "yes", 1) + message.granted
        if self.yes >= majority(len(self._membership.all_voters)):
            self._core.standing.won(now)
        else:
            answer(self, sender, message, now)

    patch.setattr(Election, "answer", count)


@shows_in("duel")
def pre_votes_count_as_votes(patch):
    answered = Standing.answered

    def mix(self, stage, sender, message, now):
        stage = self.election.stage if self.election is not None else stage
        answered(self, stage, sender, message, now)

    patch.setattr(Standing, "answered", mix)


@shows_in("half sent")
def log_is_not_compared(patch):
    patch.setattr(Log, "is_up_to_date", lambda self, index, term: True)


@shows_in("half sent")
def logs_are_compared_by_index_alone(patch):
    patch.setattr(Log, "is_up_to_date", lambda self, index, term: index >= self.last_index)


# --- the log ---


@shows_in("half sent")
def old_terms_are_committed_by_counting(patch):
    def advance(self, now):
        index = LogIndex(int(self._core.log.membership.agreed(self.match_index)))
        if index > self._core.commit_index:
            self._core.commit(index)
            self.notice_at = min(self.notice_at, now)

    patch.setattr(Replication, "advance_commit", advance)


@shows_in("race")
def leader_counts_what_its_disk_does_not_hold(patch):
    match_index = Replication.match_index

    def eager(self, member):
        return self._core.log.last_index if member == self._core.me else match_index(self, member)

    patch.setattr(Replication, "match_index", eager)


@shows_in("half sent")
def follower_answers_before_its_disk_holds_it(patch):
    after_store = Core.send_after_store

    def at_once(self, to, message):
        (self.send_now if isinstance(message, AppendResponse) else lambda *a: after_store(self, *a))(to, message)

    patch.setattr(Core, "send_after_store", at_once)


@shows_in("ordinary")
def truncates_matching_suffix(patch):
    take = Following._take

    def eager(self, message):
        log, core = self._core.log, self._core
        matches = log.term_at(message.prev_log_index) == message.prev_log_term
        first = max(message.prev_log_index, core.commit_index) + 1
        if matches and message.entries and first <= log.last_index:
            core.truncate_from(LogIndex(first))
        return take(self, message)

    patch.setattr(Following, "_take", eager)


@shows_in("half sent")
def durable_index_survives_truncation(patch):
    truncate = Writing.truncate_from

    def keep(self, index):
        durable, pending = self.durable_index, [write.last_index for write in self._pending]
        truncate(self, index)
        self.durable_index = durable
        for write, last in zip(self._pending, pending, strict=True):
            write.last_index = last

    patch.setattr(Writing, "truncate_from", keep)


@shows_in("half sent")
def heartbeats_commit_what_was_not_matched(patch):
    send_now = Core.send_now

    def eager(self, to, message):
        if isinstance(message, Heartbeat):
            message = replace(message, commit_index=self.commit_index)
        send_now(self, to, message)

    patch.setattr(Core, "send_now", eager)


@shows_in("ordinary")
def applies_what_is_not_committed(patch):
    next_entries = Applying.next_entries
    patch.setattr(Applying, "next_entries", lambda self, commit_index: next_entries(self, self._log.last_index))


@shows_in("ordinary")
def early_appends_outlive_their_term(patch):
    patch.setattr(Following, "forget_early", lambda self: None)


# --- membership and snapshots ---


@shows_in("ordinary")
def membership_counts_when_committed(patch):
    commit = Core.commit

    def remember(self, index):
        commit(self, index)
        self.log.committed = self.commit_index

    def membership(self):
        at = self.membership_at(max(getattr(self, "committed", 0), self.snapshot_index, 1))
        return at.membership if at else None

    patch.setattr(Core, "commit", remember)
    patch.setattr(Log, "membership", property(membership))


@shows_in("ordinary")
def joint_membership_counts_the_new_half_alone(patch):
    patch.setattr(Membership, "halves", lambda self: (self.voters,))


@shows_in("ordinary")
def snapshot_holds_an_uncommitted_membership(patch):
    patch.setattr(Log, "membership_at", lambda self, index: self._memberships[-1])


@shows_in("ordinary")
def snapshot_outruns_the_disk(patch):
    is_due = Applying.snapshot_is_due
    patch.setattr(Applying, "snapshot_is_due", lambda self, durable_index: is_due(self, self.applied_index))


# --- the host ---


@shows_in("half sent")
def hosts_before_own_no_op(patch):
    def may_host(self, now):
        ready = not self.has_hosted and self.handing_over is None
        return ready and self.lease.usable_until(self.membership) > now

    patch.setattr(Leadership, "may_host", may_host)


@shows_in("half sent")
def hosts_before_everything_is_applied(patch):
    def may_host(self, now):
        ready = not self.has_hosted and self.handing_over is None and self.is_settled
        return ready and self.lease.usable_until(self.membership) > now

    patch.setattr(Leadership, "may_host", may_host)


@shows_in("ordinary")
def second_tenure_in_a_term(patch):
    step_down = Core.step_down

    def keep_leading(self, now, reason=StopReason.LEASE_LOST):
        if reason is not StopReason.LEASE_LOST or self.tenure is None:
            step_down(self, now, reason)
            return
        if self._tenure.end():
            self.out.stop_host = reason
        self.leadership.has_hosted = False
        self.leadership.lease._held = False
        self.leadership.lease._first_due = now + 5

    patch.setattr(Core, "step_down", keep_leading)


@shows_in("relay")
def release_before_the_host_has_stopped(patch):
    patch.setattr(Core, "host_is_stopped", property(lambda self: True))


@shows_in("relay")
def hands_over_to_who_lacks_entries(patch):
    patch.setattr(Succession, "_has_all", lambda self, member: True)


# --- reads ---


@shows_in("race")
def reads_are_answered_after_the_lease(patch):
    def read(self, now):
        return self.commit_index if self.leadership is not None and self.leadership.is_settled else None

    patch.setattr(Core, "read_index", read)


@shows_in("half sent")
def reads_are_answered_before_the_own_no_op(patch):
    patch.setattr(Core, "read_index", lambda self, now: self.commit_index if self.leadership is not None else None)


def bugs_of_whole_members() -> list[Bug]:
    """Those of the upper layers, which stand beside their test."""
    from tests.simulation import test_stack_planted_bugs as above

    return [Bug(plant, WHOLE_MEMBERS, above.KIND_OF_RUN.get(plant, {})) for plant in above.BUGS]


@dataclass(frozen=True)
class Found:
    """What became of a planted bug."""

    seeds: int
    """How many were run until it was found, or in vain."""
    seconds: float
    how: str | None
    """The first line of what a checker said; None if none said anything."""


def look_for(bug: Bug, seeds_max: int = SEEDS_MAX, *, by_effect: bool = False) -> Found:
    """Plant the bug, run seeds until a checker or an assert of the core finds something, and take it out again.

    Args:
        bug: which.
        seeds_max: how many seeds it may take.
        by_effect: nobody watches the rules; only what comes of breaking one can be found.
    """
    began = time.monotonic()
    with Patch.context() as patch:
        bug.plant(patch)
        if by_effect:
            patch.setattr(CoreRules, "decides", lambda *_: None)
            patch.setattr(CoreRules, "sends", lambda *_: None)
            patch.setattr(OneVotePerTerm, "is_elected", lambda *_: None)
        for seed in range(seeds_max):
            try:
                bug.run(seed)
            except NoProgress:
                continue
            except (Violation, AssertionError) as found:
                how = str(found).partition("\n")[0] or f"an assert of the core: {_where(found)}"
                return Found(seed + 1, time.monotonic() - began, how)
    return Found(seeds_max, time.monotonic() - began, None)


def _where(error: BaseException) -> str:
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return "" if at is None else at.tb_frame.f_code.co_name
