"""Which part of the log a storage holds, and which writes may follow: the rules that all storages share.

    0 <= snapshot_index <= last            a snapshot never reaches beyond the log that it stands in
    1 <= first <= snapshot_index + 1       what is not in the log is in the snapshot
    first <= last + 1                      with equality when no entry is stored

A broken rule is a mistake of the layers above, hence an assert; nothing has been written by then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from failover.ids import LogIndex
from failover.raft.effects import SnapshotMeta, Write


@dataclass(frozen=True, slots=True)
class Span:
    """From the first to the last entry that is stored."""

    first: int = 1
    last: int = 0
    snapshot_index: int = 0
    """How far the stored snapshot reaches; 0 without one."""

    def __post_init__(self) -> None:
        assert 0 <= self.snapshot_index <= self.last, self
        assert 1 <= self.first <= self.snapshot_index + 1, self

    def after_write(self, write: Write) -> Span:
        """Return what is held after `write`, in its order: truncate, append, compact."""
        first, last = self.first, self.last
        if write.truncate_from is not None:
            assert write.truncate_from > self.snapshot_index, "what a snapshot covers is committed: it stays"
            last = min(last, write.truncate_from - 1)
        if write.entries:
            assert write.entries[0].index == last + 1, "entries follow directly on what is stored"
            last += len(write.entries)
            assert write.entries[-1].index == last, "entries are consecutive"
        if write.compact_to is not None:
            assert write.compact_to <= self.snapshot_index, "only what the stored snapshot covers may go"
            first = max(first, write.compact_to + 1)
        return Span(first, last, self.snapshot_index)

    def after_snapshot(self, meta: SnapshotMeta, *, replaces_log: bool, log_matches: bool) -> Span:
        """Return what is held once the snapshot of `meta` is stored.

        Args:
            meta: where it stands.
            replaces_log: as in `Storage.save_snapshot`.
            log_matches: whether the log, or the snapshot before, holds (`last_index`, `last_term`).
        """
        assert meta.last_index >= self.snapshot_index, "a snapshot never goes back"
        if not replaces_log:
            assert meta.last_index <= self.last, "one's own snapshot covers only what is durable"
            return replace(self, snapshot_index=meta.last_index)
        last = self.last if log_matches else meta.last_index
        return Span(LogIndex(meta.last_index + 1), last, meta.last_index)
