"""Oracles for whole members: they see what the applications and the requesters see, never the faults."""

from __future__ import annotations

from collections.abc import Iterable

from failover.events import BecomeHost, Event, StopHost, Stopped
from failover.ids import Epoch, LogIndex, MemberId, Term
from failover.raft.messages import (
    HandOver,
    Heartbeat,
    HeartbeatResponse,
    Message,
    Release,
    VoteRequest,
    VoteResponse,
)
from failover.records import Caller
from failover.testing.checkers import TwoHosts, Violation

CallerKey = tuple[MemberId, int, int] | tuple[MemberId, bytes]
"""A request: its sender, session and number; or its sender and the key, which outlives the session."""


class OneTenure:
    """At any instant of true time at most one tenure runs, each by its own clock; an epoch has at most one."""

    def __init__(self) -> None:
        self._begun: dict[Epoch, MemberId] = {}

    @property
    def tenures(self) -> int:
        """How many there were."""
        return len(self._begun)

    def begins(self, member: MemberId, epoch: Epoch) -> None:
        """A tenure begins."""
        if epoch in self._begun:
            raise Violation(f"a second tenure in {epoch}")
        if any(epoch.term <= other.term for other in self._begun if other.generation == epoch.generation):
            raise Violation(f"a tenure of {epoch} begins after one of a later term")
        self._begun[epoch] = member

    def run(self, running: Iterable[tuple[MemberId, Epoch]]) -> None:
        """These tenures run at this instant: `Host` methods are accepted."""
        hosts = list(running)
        if len(hosts) > 1:
            raise TwoHosts(f"{len(hosts)} hosts at one instant: {hosts}")


HEARTBEATS_KEPT = 4_000
RELIED_ON = 0.9
"""A leader relies on a promise of P for 0.81 P of its own clock, which may be 10 % slow."""


class PromisesKept:
    """Who promised a leader to help nobody else does not, while the leader may rely on it.

    Counted in true time from the sending of the heartbeat, as the lease is; unless the leader released it.
    """

    def __init__(self) -> None:
        self._sent: dict[tuple[MemberId, Term, int], float] = {}
        """When each of the last heartbeats left: of whom, in which term, of which round."""
        self._promised: dict[MemberId, dict[Release, float]] = {}
        """Until when each member's promises may be relied on."""
        self._released: set[Release] = set()
        self.kept = 0
        """How many votes were given that a promise might have forbidden."""

    def says(self, sender: MemberId, to: MemberId, message: Message, now: float) -> None:
        """`sender` puts a message on the network."""
        match message:
            case Heartbeat():
                self._sent[sender, message.term, message.round] = now
                if len(self._sent) > HEARTBEATS_KEPT:
                    del self._sent[next(iter(self._sent))]
            case HeartbeatResponse() if message.promise_s > 0:
                self._promises(sender, Release(to, message.term), message)
            case HandOver():
                self._released.add(message.release)
            case VoteRequest():
                self._helps(sender, sender, message.term, now)
            case VoteResponse() if message.granted:
                self._helps(sender, to, message.term, now)

    def _promises(self, member: MemberId, holder: Release, message: HeartbeatResponse) -> None:
        sent = self._sent.get((holder.leader, holder.term, message.round))
        if sent is not None:
            promised = self._promised.setdefault(member, {})
            promised[holder] = max(promised.get(holder, 0.0), sent + RELIED_ON * message.promise_s)

    def _helps(self, member: MemberId, candidate: MemberId, term: Term, now: float) -> None:
        """Only to lead in a later term: what waited for the disk while the holder won its own comes too late."""
        promised = self._promised.get(member, {})
        for holder, until in list(promised.items()):
            if until <= now:
                del promised[holder]
            elif holder.leader != candidate and holder.term < term and holder not in self._released:
                raise Violation(
                    f"{member.hex()[:8]} helps {candidate.hex()[:8]} at {now:.6f}, and promised "
                    f"{holder.leader.hex()[:8]} in term {holder.term} to help nobody until {until:.6f}"
                )
        self.kept += 1


class Once:
    """A request is carried out once, and its sender gets the reply of that one time."""

    def __init__(self) -> None:
        self._index: dict[CallerKey, LogIndex] = {}
        self._reply: dict[CallerKey, bytes] = {}
        self.answered = 0

    def carried_out(self, caller: Caller, index: LogIndex, key: bytes | None = None) -> None:
        """The machine of some member carries out this request's command, at this index."""
        which = _which(caller.member, caller.session, caller.number, key)
        known = self._index.setdefault(which, index)
        if known != index:
            raise Violation(f"request {_text(which)} was carried out at {known} and again at {index}")

    def replied(self, caller: Caller, reply: bytes, key: bytes | None = None) -> None:
        """The machine's reply to it."""
        which = _which(caller.member, caller.session, caller.number, key)
        known = self._reply.setdefault(which, reply)
        if known != reply:
            raise Violation(f"request {_text(which)} had the replies {known!r} and {reply!r}")

    def answers(self, member: MemberId, session: int, number: int, reply: bytes, key: bytes | None = None) -> None:
        """The sender gets this reply."""
        which = _which(member, session, number, key)
        self.answered += 1
        if which not in self._reply:
            raise Violation(f"request {_text(which)} got a reply and was never carried out")
        if self._reply[which] != reply:
            raise Violation(f"request {_text(which)} got {reply!r}, not {self._reply[which]!r}")


def _which(member: MemberId, session: int, number: int, key: bytes | None) -> CallerKey:
    return (member, session, number) if key is None else (member, key)


def _text(which: CallerKey) -> str:
    member, *rest = which
    return "/".join((member.hex()[:8], *map(repr, rest)))


class SameStates:
    """Members that have applied the same entries are in the same state."""

    def __init__(self) -> None:
        self._digests: dict[LogIndex, bytes] = {}

    def is_at(self, member: MemberId, index: LogIndex, digest: bytes) -> None:
        """`member` has applied everything up to `index`."""
        known = self._digests.setdefault(index, digest)
        if known != digest:
            raise Violation(f"{member.hex()[:8]} has another state at {index} than the others")


class EventsInOrder:
    """What one process's application hears of its own tenures: begin and end in turn, epochs rising, one end."""

    def __init__(self) -> None:
        self._running: Epoch | None = None
        self._last: Epoch | None = None
        self._is_over = False

    def hears(self, event: Event, epoch_now: Epoch | None) -> None:
        """An event was queued while the member's own tenure was `epoch_now`."""
        if self._is_over:
            raise Violation(f"{event} after Stopped")
        match event:
            case BecomeHost():
                if self._running is not None:
                    raise Violation(f"{event} while {self._running} was not ended")
                if self._last is not None and event.epoch.term <= self._last.term:
                    raise Violation(f"{event} after {self._last}")
                self._running = self._last = event.epoch
            case StopHost():
                if self._running != event.epoch:
                    raise Violation(f"{event} while {self._running} ran")
                if epoch_now is not None:
                    raise Violation(f"{event} while Host methods are still accepted")
                self._running = None
            case Stopped():
                if self._running is not None:
                    raise Violation(f"Stopped while {self._running} was not ended")
                self._is_over = True
