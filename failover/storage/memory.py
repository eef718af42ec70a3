"""A storage that lives as long as its object: for tests, the simulator and games that nobody resumes.

It keeps the contract but for one word: *durable* means "as long as somebody holds the object". `close`
forgets nothing, so a simulated restart goes on with the same object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from failover.errors import StorageFailed
from failover.raft.effects import HardState, SnapshotMeta, Write
from failover.raft.messages import Entry
from failover.storage.contract import Identity, SnapshotWriter, Stored
from failover.storage.span import Span


class MemoryStorage:
    """A `Storage` in memory."""

    def __init__(self) -> None:
        self._identity: Identity | None = None
        self._incarnation = 0
        self._hard_state = HardState()
        self._span = Span()
        self._entries: list[Entry] = []
        self._snapshot: tuple[SnapshotMeta, tuple[bytes, ...]] | None = None
        self._writer: _MemorySnapshotWriter | None = None
        self._notes: dict[str, bytes] = {}

    def identity(self) -> Identity | None:
        """See `Storage.identity`."""
        return self._identity

    def found(self, identity: Identity, hard_state: HardState) -> None:
        """See `Storage.found`."""
        assert self._identity is None, "a storage belongs to one identity for ever"
        self._identity, self._hard_state = identity, hard_state

    def begin_incarnation(self, at_least: int) -> tuple[int, int]:
        """See `Storage.begin_incarnation`."""
        previous = self._incarnation
        self._incarnation = max(previous + 1, at_least)
        return previous, self._incarnation

    def load(self) -> Stored:
        """See `Storage.load`."""
        return Stored(self._hard_state, self.snapshot_meta(), tuple(self._entries))

    def write(self, batch: tuple[Write, ...]) -> None:
        """See `Storage.write`."""
        span = self._span
        for write in batch:
            span = span.after_write(write)  # the whole batch is judged before any of it is carried out
        for write in batch:
            self._write_one(write)
        self._span = span

    def snapshot_writer(self) -> SnapshotWriter:
        """See `Storage.snapshot_writer`."""
        self._writer = _MemorySnapshotWriter(self)
        return self._writer

    def save_snapshot(self, meta: SnapshotMeta, chunks: Iterable[bytes], *, replaces_log: bool) -> None:
        """See `Storage.save_snapshot`."""
        writer = self.snapshot_writer()
        for chunk in chunks:
            writer.add(chunk)
        writer.finish(meta, replaces_log=replaces_log)

    def snapshot_meta(self) -> SnapshotMeta | None:
        """See `Storage.snapshot_meta`."""
        return self._snapshot[0] if self._snapshot else None

    def read_snapshot(self) -> Iterator[bytes]:
        """See `Storage.read_snapshot`."""
        begun_with = self._snapshot
        for chunk in begun_with[1] if begun_with else ():
            if self._snapshot is not begun_with:
                raise StorageFailed("a newer snapshot took the place of the one being read; read again")
            yield chunk

    def get_note(self, key: str) -> bytes | None:
        """See `Storage.get_note`."""
        return self._notes.get(key)

    def set_note(self, key: str, value: bytes) -> None:
        """See `Storage.set_note`."""
        self._notes[key] = bytes(value)

    def begin_anew(self, hard_state: HardState, notes: Mapping[str, bytes | None]) -> None:
        """See `Storage.begin_anew`."""
        self._hard_state = hard_state
        self._span, self._entries, self._snapshot, self._writer = Span(), [], None, None
        for key, value in notes.items():
            if value is None:
                self._notes.pop(key, None)
            else:
                self._notes[key] = bytes(value)

    def close(self) -> None:
        """Do nothing: whoever keeps the object keeps what it holds."""

    def _write_one(self, write: Write) -> None:
        if write.hard_state is not None:
            self._hard_state = write.hard_state
        if write.truncate_from is not None:
            del self._entries[max(0, write.truncate_from - self._first()) :]
        self._entries.extend(write.entries)
        if write.compact_to is not None:
            del self._entries[: max(0, write.compact_to + 1 - self._first())]

    def _first(self) -> int:
        return self._entries[0].index if self._entries else self._span.last + 1

    def _finish_snapshot(
        self, writer: _MemorySnapshotWriter, meta: SnapshotMeta, chunks: list[bytes], *, replaces_log: bool
    ) -> None:
        self._require_newest(writer)
        self._writer = None
        stored = self.snapshot_meta()
        if stored and stored.last_index > meta.last_index and not replaces_log:
            return
        place = (meta.last_index, meta.last_term)
        at = meta.last_index - self._first()
        matches = (0 <= at < len(self._entries) and self._entries[at].term == meta.last_term) or (
            stored is not None and (stored.last_index, stored.last_term) == place
        )
        self._span = self._span.after_snapshot(meta, replaces_log=replaces_log, log_matches=matches)
        self._entries = [entry for entry in self._entries if self._span.first <= entry.index <= self._span.last]
        self._snapshot = (meta, tuple(chunks))

    def _require_newest(self, writer: _MemorySnapshotWriter) -> None:
        if self._writer is not writer:
            raise StorageFailed("this snapshot was abandoned, or a newer one was begun")

    def _abandon(self, writer: _MemorySnapshotWriter) -> None:
        if self._writer is writer:
            self._writer = None


class _MemorySnapshotWriter:
    """Collects chunks until the snapshot is finished."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage
        self._chunks: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        self._storage._require_newest(self)
        if chunk:
            self._chunks.append(bytes(chunk))

    def finish(self, meta: SnapshotMeta, *, replaces_log: bool) -> None:
        self._storage._finish_snapshot(self, meta, self._chunks, replaces_log=replaces_log)

    def abandon(self) -> None:
        self._chunks.clear()
        self._storage._abandon(self)
