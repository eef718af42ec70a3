"""The log in memory: the entries since the last compaction, and the membership that each index set.

    base_index <= snapshot_index <= applied_index <= commit_index <= last_index, and durable_index <= last_index

`base_index` is the entry just before the first one held: compacted away, but its term is still known. No method
works in proportion to the length of the log, but for compaction, which pays for what it deletes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from failover.ids import LogIndex, Term
from failover.raft.effects import SnapshotMeta
from failover.raft.membership import Membership
from failover.raft.messages import Entry

ENTRY_OVERHEAD = 64
"""Bytes charged to an entry beside its command, so that empty commands are bounded too."""


def entry_size(entry: Entry) -> int:
    """What an entry counts against windows and bounds, in bytes."""
    return len(entry.command) + ENTRY_OVERHEAD


_COMPACTED = Entry(LogIndex(0), Term(0))
"""Stands where an entry was, until the front of the list is cut off."""


@dataclass(frozen=True, slots=True)
class MembershipAt:
    """A membership and the index of the entry that set it."""

    index: LogIndex
    membership: Membership


class Log:
    """Entries `base_index + 1` to `last_index`, in memory."""

    def __init__(self, snapshot: SnapshotMeta | None, entries: Iterable[Entry]) -> None:
        self.snapshot = snapshot
        """Where the stored snapshot stands."""
        self._memberships: list[MembershipAt] = []
        self.base_index, self.base_term = LogIndex(0), Term(0)
        held = list(entries)
        if snapshot is not None:
            self._memberships.append(MembershipAt(snapshot.membership_index, snapshot.membership))
            self.base_index, self.base_term = snapshot.last_index, snapshot.last_term
        if held and snapshot is not None and held[0].index <= snapshot.last_index:
            # A tail was kept behind the snapshot. The term before its first entry is not stored: give that one up.
            self.base_index, self.base_term = held[0].index, held[0].term
            held = held[1:]
        self._entries: list[Entry] = []
        self._origin = self.base_index
        """The index before that of `_entries[0]`; those up to `base_index` are compacted already."""
        self.last_index = self.base_index
        """The index of the last entry, in memory, durable or not."""
        known = snapshot.membership_index if snapshot else LogIndex(0)
        for entry in held:
            assert entry.index == self.last_index + 1, "a gap in the stored log"
            self._entries.append(entry)
            self.last_index = entry.index
            if entry.membership is not None and entry.index > known:
                self._memberships.append(MembershipAt(entry.index, entry.membership))

    @property
    def last_term(self) -> Term:
        """The term of the last entry."""
        return self._entries[-1].term if self.last_index > self.base_index else self.base_term

    @property
    def snapshot_index(self) -> LogIndex:
        """The last index that the stored snapshot covers."""
        return self.snapshot.last_index if self.snapshot else LogIndex(0)

    @property
    def membership(self) -> Membership | None:
        """The membership in force: the newest one appended. None before the first."""
        return self._memberships[-1].membership if self._memberships else None

    @property
    def membership_index(self) -> LogIndex:
        """The index that set the membership in force."""
        return self._memberships[-1].index if self._memberships else LogIndex(0)

    def membership_at(self, index: LogIndex) -> MembershipAt | None:
        """The membership that was in force once everything up to `index` was appended."""
        return next((at for at in reversed(self._memberships) if at.index <= index), None)

    def membership_in_doubt(self, commit_index: LogIndex) -> Membership | None:
        """The membership before the one in force, as long as it is not known that the change is committed.

        No more than one membership of a log is not committed; after a restart, nobody knows whether the last is.
        """
        if self.membership_index <= commit_index:
            return None
        before = self.membership_at(LogIndex(self.membership_index - 1))
        return before.membership if before is not None else None

    def possible_memberships(self, commit_index: LogIndex) -> tuple[Membership, ...]:
        """The membership in force, and as long as that one may still be dropped, the one before."""
        both = (self.membership, self.membership_in_doubt(commit_index))
        return tuple(each for each in both if each is not None)

    def term_at(self, index: LogIndex) -> Term | None:
        """The term of the entry at `index`; None if it was compacted or is not there."""
        if self.base_index < index <= self.last_index:
            return self._entries[index - self._origin - 1].term
        return self.base_term if index == self.base_index else None

    def is_up_to_date(self, last_index: LogIndex, last_term: Term) -> bool:
        """Whether a log ending so is at least as up to date as this one (Raft, 5.4.1): compared as a pair."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def from_index(self, index: LogIndex, size_max: int) -> tuple[Entry, ...]:
        """Entries from `index` on, up to `size_max` bytes but at least one if there is any."""
        assert index > self.base_index, "compacted entries are asked for"
        offset = index - self._origin - 1
        total = 0
        for end in range(offset, len(self._entries)):
            total += entry_size(self._entries[end])
            if total > size_max and end > offset:
                return tuple(self._entries[offset:end])
        return tuple(self._entries[offset:])

    def between(self, after: LogIndex, upto: LogIndex) -> Sequence[Entry]:
        """Entries `after + 1` to `upto`."""
        assert self.base_index <= after <= upto <= self.last_index
        return self._entries[after - self._origin : upto - self._origin]

    def append(self, entry: Entry) -> None:
        """Put one entry behind the last."""
        is_next = entry.index == self.last_index + 1 and entry.term >= self.last_term
        assert is_next, "an entry out of its place"
        self._entries.append(entry)
        self.last_index = entry.index
        if entry.membership is not None:
            self._memberships.append(MembershipAt(entry.index, entry.membership))

    def truncate_from(self, index: LogIndex) -> None:
        """Drop the entries from `index` on, and the memberships that they set."""
        assert index > self.base_index
        del self._entries[index - self._origin - 1 :]
        self.last_index = LogIndex(index - 1)
        while self._memberships and self._memberships[-1].index >= index:
            self._memberships.pop()

    def compact_to(self, index: LogIndex) -> None:
        """Forget entries up to `index`; the snapshot covers them."""
        assert self.base_index <= index <= self.snapshot_index
        term = self.term_at(index)
        assert term is not None
        self._forget_to(index)
        self.base_index, self.base_term = index, term
        while len(self._memberships) > 1 and self._memberships[1].index <= index:
            self._memberships.pop(0)

    def _forget_to(self, index: LogIndex) -> None:
        """Let go of the entries up to `index`. Cutting them off the list would move all that stay, each time."""
        places = slice(self.base_index - self._origin, index - self._origin)
        self._entries[places] = [_COMPACTED] * (index - self.base_index)
        if 2 * (index - self._origin) >= len(self._entries):
            del self._entries[: index - self._origin]
            self._origin = index

    def restore(self, snapshot: SnapshotMeta) -> None:
        """Take over a snapshot from the leader. A suffix that agrees with it stays (Raft, figure 13, 6)."""
        if self.term_at(snapshot.last_index) == snapshot.last_term:
            self.snapshot = snapshot
            self.compact_to(snapshot.last_index)
            return
        self._entries.clear()
        self.snapshot = snapshot
        self.base_index, self.base_term = snapshot.last_index, snapshot.last_term
        self._origin = self.last_index = self.base_index
        self._memberships = [MembershipAt(snapshot.membership_index, snapshot.membership)]

    def back_up(self, index: LogIndex, term: Term) -> tuple[LogIndex, Term]:
        """The largest place at or before `index` whose term is at most `term`, and its term.

        Both sides of a mismatch step over whole conflicting terms with it, so that probing takes as many
        round trips as there are differing terms, not entries (Raft, end of 5.3).
        """
        low, high = self.base_index, min(index, self.last_index)
        if high <= low:
            return low, self.base_term
        while low < high:  # terms never fall along the log, so bisect
            middle = (low + high + 1) // 2
            found = self.term_at(LogIndex(middle))
            assert found is not None
            low, high = (LogIndex(middle), high) if found <= term else (low, LogIndex(middle - 1))
        at = self.term_at(low)
        assert at is not None
        return low, at
