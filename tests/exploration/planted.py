"""The explorer is tested too: each of these bugs must be found, and the shortest way to it is its story."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from failover.ids import LogIndex
from failover.raft import election, lease
from failover.raft.core import Core
from failover.raft.leadership import Leadership
from failover.raft.lease import Promise
from failover.raft.log import Log
from failover.raft.messages import VoteRequest, VoteResponse
from failover.raft.replication import Replication
from tests.exploration.model import Model
from tests.exploration.models import BY_NAME

Plant = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Planted:
    """A bug, and the model in which it shows."""

    plant: Plant
    model: Model

    @property
    def name(self) -> str:
        """What the bug is called."""
        return self.plant.__name__


def lease_of_95_percent() -> AbstractContextManager[object]:
    """0.95 P on a slow clock is longer than P on a fast one."""
    return patch.object(lease, "LEASE_FRACTION", 0.95)


def release_before_the_function_stopped() -> AbstractContextManager[object]:
    """The old host's server function still unwinds when the promises to it are void."""
    return patch.object(Core, "host_is_stopped", property(lambda self: self.tenure is None))


def latest_promise_wins() -> AbstractContextManager[object]:
    """A short promise after a long one cuts the long one."""

    def grant(self, holder, asked_s, now):
        granted = min(asked_s, self.ceiling_s)
        self._until[holder] = now + granted
        return granted

    return patch.object(Promise, "grant", grant)


def restart_forgets_promises() -> AbstractContextManager[object]:
    """A restarted member does not wait out what it may have promised."""
    born = Promise.__init__

    def forget(self, ceiling_s, restarted_at):
        born(self, ceiling_s, restarted_at)
        self._restart_until = -math.inf

    return patch.object(Promise, "__init__", forget)


def vote_leaves_before_it_is_stored() -> AbstractContextManager[object]:
    """A vote that a crash undoes, and that counted already."""
    return _sent_at_once(VoteResponse)


def membership_counts_when_committed() -> AbstractContextManager[object]:
    """The followers that have not heard of the commit go on with the old quorums."""
    commit = Core.commit

    def remember(self, index):
        commit(self, index)
        self.log.committed = self.commit_index

    def membership(self):
        at = self.membership_at(max(self.__dict__.setdefault("committed", 1), 1))
        return at.membership if at else None

    return _both(patch.object(Core, "commit", remember), patch.object(Log, "membership", property(membership)))


def lease_counts_from_the_answer() -> AbstractContextManager[object]:
    """The promise began when it was granted, not when its answer came."""
    heard = Leadership.heartbeat_answered

    def late(self, sender, message, now):
        if message.round in self.lease._sent:
            self.lease._sent[message.round] = now
        heard(self, sender, message, now)

    return patch.object(Leadership, "heartbeat_answered", late)


def release_voids_every_promise() -> AbstractContextManager[object]:
    """A late release of an old term voids what was promised in a later one."""
    return patch.object(Promise, "void", lambda self, release: self._until.clear())


def commits_by_counting_old_terms() -> AbstractContextManager[object]:
    """Figure 8 of the paper."""

    def advance(self, now):
        index = LogIndex(int(self._core.log.membership.agreed(self.match_index)))
        if index > self._core.commit_index:
            self._core.commit(index)

    return patch.object(Replication, "advance_commit", advance)


def votes_while_promised() -> AbstractContextManager[object]:
    """A promise bars nobody from voting."""
    return patch.object(election, "barred_until", lambda core, now: -math.inf)


def log_is_not_compared() -> AbstractContextManager[object]:
    """Whoever asks gets the vote."""
    return patch.object(Log, "is_up_to_date", lambda self, index, term: True)


def promise_exceeds_the_durable_ceiling() -> AbstractContextManager[object]:
    """A higher ceiling is used before it is on the disk."""

    def grant(self, holder, asked_s, now):
        self._until[holder] = max(self._until.get(holder, 0.0), now + asked_s)
        return asked_s

    return patch.object(Promise, "grant", grant)


def votes_are_asked_for_before_the_log_is_durable() -> AbstractContextManager[object]:
    """What a vote was given to is lost in a crash, and the vote is not."""
    return _sent_at_once(VoteRequest)


def deposed_host_votes_at_once() -> AbstractContextManager[object]:
    """... while its server function unwinds."""
    return patch.object(Promise, "bars_until", Promise.until)


def witness_hosts() -> AbstractContextManager[object]:
    """Permission to host does not ask who has an application."""
    return patch.object(Core, "is_witness", property(lambda self: False))


PLANTED = (
    Planted(votes_are_asked_for_before_the_log_is_durable, BY_NAME["disk"]),
    Planted(membership_counts_when_committed, BY_NAME["joint"]),
    Planted(lease_of_95_percent, BY_NAME["promises"]),
    Planted(release_before_the_function_stopped, BY_NAME["release"]),
    Planted(latest_promise_wins, BY_NAME["promises"]),
    Planted(restart_forgets_promises, BY_NAME["restart"]),
    Planted(promise_exceeds_the_durable_ceiling, BY_NAME["restart"]),
    Planted(lease_counts_from_the_answer, BY_NAME["promises"]),
    Planted(votes_while_promised, BY_NAME["promises"]),
    Planted(deposed_host_votes_at_once, BY_NAME["deposed"]),
    Planted(log_is_not_compared, BY_NAME["log"]),
    Planted(vote_leaves_before_it_is_stored, BY_NAME["votes"]),
    Planted(witness_hosts, BY_NAME["witness"]),
)


@contextmanager
def _both(first: AbstractContextManager[object], second: AbstractContextManager[object]) -> Iterator[None]:
    with first, second:
        yield


def _sent_at_once(kind: type) -> AbstractContextManager[object]:
    send = Core.send_after_store

    def at_once(self, to, message):
        if isinstance(message, kind):
            self.send_now(to, message)
        else:
            send(self, to, message)

    return patch.object(Core, "send_after_store", at_once)
