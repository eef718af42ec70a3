"""From committed to applied to snapshotted: what is handed out for applying, and when the log is cut short.

snapshot_index <= applied_index <= handed_out <= commit_index
"""

from __future__ import annotations

from collections.abc import Iterable

from failover.ids import LogIndex
from failover.raft.effects import SnapshotMeta
from failover.raft.log import Log, entry_size
from failover.raft.messages import Entry
from failover.raft.timing import Timing

ENTRIES_AT_ONCE = 256
"""Applying may not keep the pump from heartbeats: at 10 us an entry this takes a few milliseconds."""


class Applying:
    """The path of committed entries to the state machine."""

    def __init__(self, log: Log, timing: Timing) -> None:
        self._log = log
        self._timing = timing
        self.applied_index = log.snapshot_index
        """The machine has applied everything up to here."""
        self._handed_out = log.snapshot_index
        self._bytes_since_snapshot = 0
        self._snapshot_under_way = False
        self.uncommitted_bytes = self._tail_bytes()
        """What was appended and not handed out yet."""

    def appended(self, entry: Entry) -> None:
        """Count an entry of the tail that is not committed yet."""
        self.uncommitted_bytes += entry_size(entry)

    def dropped(self, entries: Iterable[Entry]) -> None:
        """Take entries out of the tail that conflicted with a leader's."""
        self.uncommitted_bytes -= sum(map(entry_size, entries))

    def _tail_bytes(self) -> int:
        return sum(map(entry_size, self._log.between(self._handed_out, self._log.last_index)))

    def next_entries(self, commit_index: LogIndex) -> tuple[Entry, ...]:
        """Hand out what is committed, once each, a bounded number at a time."""
        if self._handed_out >= commit_index:
            return ()
        upto = min(commit_index, LogIndex(self._handed_out + ENTRIES_AT_ONCE))
        entries = tuple(self._log.between(self._handed_out, upto))
        self._handed_out = upto
        size = sum(map(entry_size, entries))
        self._bytes_since_snapshot += size
        self.uncommitted_bytes -= size
        return entries

    def has_more(self, commit_index: LogIndex) -> bool:
        """Whether something committed was not handed out yet."""
        return self._handed_out < commit_index

    def applied(self, index: LogIndex) -> None:
        """The machine has applied everything up to `index`."""
        assert self.applied_index <= index <= self._handed_out
        self.applied_index = index

    @property
    def has_grown(self) -> bool:
        """Whether enough was applied since the last snapshot for another one."""
        grown = self.applied_index - self._log.snapshot_index
        return grown >= self._timing.snapshot_entries or (
            self._bytes_since_snapshot >= self._timing.snapshot_bytes and grown > 0
        )

    def snapshot_is_due(self, durable_index: LogIndex) -> bool:
        """Whether a snapshot is to be taken now; it is under way then."""
        # What is snapshotted must be durable in the log first: a snapshot may not outrun its entries.
        if not self.has_grown or self._snapshot_under_way or durable_index < self.applied_index:
            return False
        self._snapshot_under_way = True
        self._bytes_since_snapshot = 0
        return True

    def snapshot_stored(self, meta: SnapshotMeta | None) -> LogIndex | None:
        """A snapshot is durable (None: it failed); returns up to where the log may be compacted."""
        self._snapshot_under_way = False
        if meta is None or meta.last_index <= self._log.snapshot_index:
            return None  # failed, or overtaken by one from the leader
        assert meta.last_index <= self.applied_index
        self._log.snapshot = meta
        upto = self._kept_after(meta.last_index)
        if upto <= self._log.base_index:
            return None
        self._log.compact_to(upto)
        return upto

    def _kept_after(self, last_index: LogIndex) -> LogIndex:
        """The last entry that need not stay behind a snapshot up to `last_index`."""
        log, timing = self._log, self._timing
        upto = max(LogIndex(last_index - timing.kept_entries), log.base_index)
        size = 0
        for entry in reversed(log.between(upto, last_index)):
            size += entry_size(entry)
            if size > timing.kept_bytes:
                return entry.index
        return upto

    def restored(self, index: LogIndex) -> None:
        """The machine was restored from a leader's snapshot."""
        self.applied_index = self._handed_out = index
        self._bytes_since_snapshot = 0
        self.uncommitted_bytes = self._tail_bytes()  # what lies behind a leader's snapshot is not committed yet
