"""Oracles for single rules of the protocol: each finds at once what else would show only after several accidents.

What must be on a disk before it is said; what a leader may commit; how a membership may follow another; what a
snapshot may hold; what a read must have seen; how much a member may keep in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from failover.ids import LogIndex, MemberId, Term
from failover.raft.effects import HardState, SnapshotMeta
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendResponse,
    Entry,
    HeartbeatResponse,
    Message,
    VoteResponse,
)
from failover.raft.timing import Timing
from failover.testing.checkers import Violation

WRITES_MAX = 4096
"""What a disk that hangs for seconds may owe: a write for each round with something to store."""


def stored_before_said(member: MemberId, to: MemberId, message: Message, disk: HardState) -> None:
    """Demand that what a message says is on the sender's disk when it leaves (Raft, figure 2: persistent state).

    Args:
        member: the sender.
        to: the receiver.
        message: of any kind; answers that grant something are looked at.
        disk: the sender's durable state.
    """
    match message:
        case VoteResponse() if message.granted:
            if (disk.term, disk.voted_for) != (message.request_term, to) and disk.term <= message.request_term:
                raise Violation(f"{member!r} says that it votes for {to!r}, and holds {disk}")
        case HeartbeatResponse() if message.promise_s > 0:
            if message.promise_s > disk.promise_ceiling_s:
                raise Violation(f"{member!r} promises {message.promise_s:.3f} s, and holds {disk}")
            if message.term > disk.term:
                raise Violation(f"{member!r} promises in term {message.term}, and holds {disk}")
        case AppendResponse() if message.success and message.term > disk.term:
            raise Violation(f"{member!r} follows in term {message.term}, and holds {disk}")


class OwnTermCommits:
    """A leader commits by counting in its own term only (Raft, 5.4.2 and figure 8)."""

    def __init__(self) -> None:
        self._at_first: dict[tuple[MemberId, int, Term], LogIndex] = {}

    def leads(self, member: MemberId, life: int, term: Term, commit_index: LogIndex, at: Term | None) -> None:
        """`member` leads `term` and has committed up to `commit_index`, an entry of term `at`."""
        if commit_index > self._at_first.setdefault((member, life, term), commit_index) and at != term:
            raise Violation(f"{member!r} commits {commit_index} of term {at} by counting in term {term}")


class OrderOfMemberships:
    """One membership follows another by the rules: voters change through a joint one alone (Raft, 6)."""

    def __init__(self, founding: Membership) -> None:
        self._at: list[tuple[LogIndex, Membership]] = [(LogIndex(1), founding)]
        self._seen = LogIndex(1)
        self._last_term = Term(1)

    def applied(self, entries: Iterable[Entry]) -> None:
        """Some member applies these."""
        for entry in entries:
            if entry.index != self._seen + 1:
                continue  # seen before
            self._seen = entry.index
            if entry.membership is not None:
                self._follows(entry, entry.membership)
            self._last_term = entry.term

    def _follows(self, entry: Entry, after: Membership) -> None:
        before = self._at[-1][1]
        if entry.term != self._last_term:
            raise Violation(f"{entry} is the first of its term: what is committed was not known yet")
        if before.outgoing:
            is_right = not after.outgoing and after.voters == before.voters
        else:
            is_right = after.outgoing == before.voters or (not after.outgoing and after.voters == before.voters)
        if not is_right:
            raise Violation(f"{after} at {entry.index} follows {before}")
        self._at.append((entry.index, after))

    def snapshot(self, member: MemberId, meta: SnapshotMeta) -> None:
        """`member` takes or is given a snapshot that says this."""
        index, membership = next(at for at in reversed(self._at) if at[0] <= meta.last_index)
        if meta.last_index <= self._seen and (meta.membership_index, meta.membership) != (index, membership):
            raise Violation(f"{member!r} has {meta}, committed was {membership} at {index}")


class Reads:
    """A linearizable read sees all that was done when it was asked for (dissertation, 6.4)."""

    def answered(self, member: MemberId, index: LogIndex, done_at_asking: int) -> None:
        """`member` says that having applied `index` is enough; somebody had applied so many when it was asked."""
        if index < done_at_asking:
            raise Violation(f"{member!r} reads at {index} what had come to {done_at_asking} before it was asked")


class Sizes:
    """What a member keeps in memory beside its log is bounded, however long it runs and whatever comes.

    It looks at every collection of every object that can be reached from the core; one that is not named here may
    hold something for each member and no more.
    """

    def __init__(self, timing: Timing, members_max: int) -> None:
        self._each_member = 4 * members_max + 8
        self._bounds = {
            "Lease._sent": 256,
            "Following._early": 64,
            "Progress._in_flight": timing.window_messages,
            "Writing._pending": WRITES_MAX,
            "Log._memberships": timing.snapshot_entries,
        }
        self.largest: dict[str, int] = {}

    def look_at(self, member: MemberId, core: object) -> None:
        """Measure `core` and what hangs on it."""
        reached: list[object] = [core]
        known = {id(core)}
        while reached:
            thing = reached.pop()
            for name, value in _attributes(thing):
                if isinstance(value, list | dict | set | deque):
                    self._measure(member, f"{type(thing).__name__}.{name}", value)
                    inner: Iterable[object] = value.values() if isinstance(value, dict) else ()
                else:
                    inner = (value,)
                for each in inner:
                    if _is_of_the_core(each) and id(each) not in known:
                        known.add(id(each))
                        reached.append(each)

    def _measure(
        self, member: MemberId, name: str, collection: Sequence[object] | dict[object, object] | set[object]
    ) -> None:
        size = len(collection)
        self.largest[name] = max(size, self.largest.get(name, 0))
        if name in ("Log._entries", "Writing._entries"):
            return  # the log itself: bounded by snapshots and by what may be uncommitted
        if size > self._bounds.get(name, self._each_member):
            raise Violation(f"{member!r} keeps {size} in {name}")


def _is_of_the_core(thing: object) -> bool:
    kind = type(thing)
    return kind.__module__.startswith("failover.raft.") and (
        hasattr(thing, "__dict__") or hasattr(kind, "__slots__")
    )


def _attributes(thing: object) -> list[tuple[str, object]]:
    if hasattr(thing, "__dict__"):
        return list(vars(thing).items())
    return [(name, getattr(thing, name)) for name in getattr(type(thing), "__slots__", ()) if hasattr(thing, name)]
