"""The storage that survives a power failure: one SQLite file.

One call that changes something is one transaction and one sync. Tables: `entry` (the log; what lies before the
record `log_first` was compacted away and waits to be deleted), `record` (single values, each sealed with a
checksum), `chunk` (pieces of snapshots; the record `snapshot` says which pieces are the stored one, so a crash
while a new one is written leaves only pieces that nobody points to).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from zlib import crc32

from failover.errors import Closed, StorageCopied, StorageFailed
from failover.raft.effects import HardState, SnapshotMeta, Write
from failover.raft.messages import Entry
from failover.storage import records
from failover.storage.contract import Identity, SnapshotWriter, Stored
from failover.storage.loading import check_records, find_span, load_entries, read_record
from failover.storage.machine_id import machine_id
from failover.storage.place import pack_place, place_of, unpack_place_untrusted
from failover.storage.span import Span
from failover.storage.sqlite_file import corrupt, open_exclusive, translated

CHUNK_SIZE = 256 * 1024
"""Snapshots are cut into rows of this size; each is one transaction, so that writes wait for one at most."""

CHUNKS_PER_SYNC = 4
"""A snapshot counts only when it is finished, and that syncs all of it. A sync now and then keeps what the next
write of the log has to sync with it below a mebibyte."""

FREED_BYTES, FREED_ENTRIES = 256 * 1024, 1024
"""Of what was compacted away, this much goes with each write, and twice what it brings. All members compact at the
same index, so what that costs delays a commit everywhere: 16 MiB at once took 72 ms."""

_INSERT_ENTRY = "INSERT INTO entry VALUES (?, ?, ?, ?, ?)"
_SYNC_NORMAL = 1
_T = TypeVar("_T")


class SqliteStorage:
    """A `Storage` in the file at `path`.

    Directories are made, and the file is readable by its owner alone. Nobody else can open it meanwhile.

    Args:
        path: the file.
        machine: says the id of this machine, None if it has none: then copies are not found here.

    Raises:
        StorageCopied: another file of this machine holds the original.
        StorageInUse, StorageCorrupt, StorageFailed: as `sqlite_file.open_exclusive` says.
    """

    def __init__(self, path: str | os.PathLike[str], *, machine: Callable[[], bytes | None] = machine_id) -> None:
        self.path = Path(path)
        self._open: sqlite3.Connection | None = open_exclusive(self.path)
        self._writer: _SqliteSnapshotWriter | None = None
        self._garbage: list[int] = []  # chunks that nobody points to any more
        try:
            with translated(self.path):
                check_records(self._connection(), self.path)
                self._span = find_span(self._connection(), self.path)
                self._oldest = self._find_oldest()
                self._judge_place(machine())
        except BaseException:
            self.close()
            raise

    def identity(self) -> Identity | None:
        """See `Storage.identity`."""
        return self._read("identity", records.unpack_identity_untrusted)

    def found(self, identity: Identity, hard_state: HardState) -> None:
        """See `Storage.found`."""
        assert self.identity() is None, "a storage belongs to one identity for ever"
        with self._transaction():
            self._put("identity", records.pack_identity(identity))
            self._put("hard_state", records.pack_hard_state(hard_state))

    def begin_incarnation(self, at_least: int) -> tuple[int, int]:
        """See `Storage.begin_incarnation`."""
        previous = self._read("incarnation", records.unpack_number_untrusted) or 0
        new = max(previous + 1, at_least)
        with self._transaction():
            self._put("incarnation", records.pack_number(new))
        return previous, new

    def load(self) -> Stored:
        """See `Storage.load`."""
        hard_state = self._read("hard_state", records.unpack_hard_state_untrusted) or HardState()
        meta = self.snapshot_meta()
        entries = load_entries(self._connection(), self.path, self._span, meta)
        if self._writer is None and not self._garbage:
            # What a crash left. Not before all was found good: a damaged file stays as it is.
            self._remove_chunks_of_nobody()
        return Stored(hard_state, meta, entries)

    def write(self, batch: tuple[Write, ...]) -> None:
        """See `Storage.write`."""
        span = self._span
        with self._transaction() as connection:
            oldest = self._delete_compacted(batch)
            for write in batch:
                span = span.after_write(write)
                if write.truncate_from is not None:
                    connection.execute("DELETE FROM entry WHERE log_index >= ?", (write.truncate_from,))
                if write.entries:
                    connection.executemany(_INSERT_ENTRY, map(_row, write.entries))
            if span.first != self._span.first:
                self._put("log_first", records.pack_number(span.first))
            hard_states = [write.hard_state for write in batch if write.hard_state is not None]
            if hard_states:
                self._put("hard_state", records.pack_hard_state(hard_states[-1]))
        self._span, self._oldest = span, oldest

    def snapshot_writer(self) -> SnapshotWriter:
        """See `Storage.snapshot_writer`."""
        if self._writer is not None:
            self._writer.abandon()
        with translated(self.path):
            last = self._connection().execute("SELECT max(number) FROM chunk").fetchone()[0]
        self._writer = _SqliteSnapshotWriter(self, (last or 0) + 1)
        return self._writer

    def save_snapshot(self, meta: SnapshotMeta, chunks: Iterable[bytes], *, replaces_log: bool) -> None:
        """See `Storage.save_snapshot`."""
        writer = self.snapshot_writer()
        try:
            for chunk in chunks:
                writer.add(chunk)
            writer.finish(meta, replaces_log=replaces_log)
        except BaseException:
            writer.abandon()
            raise

    def snapshot_meta(self) -> SnapshotMeta | None:
        """See `Storage.snapshot_meta`."""
        snapshot = self._read("snapshot", records.unpack_snapshot_untrusted)
        return snapshot[0] if snapshot else None

    def read_snapshot(self) -> Iterator[bytes]:
        """See `Storage.read_snapshot`."""
        begun_with = self._read("snapshot", records.unpack_snapshot_untrusted)
        if begun_with is None:
            return
        _, first, count = begun_with
        for number in range(first, first + count):
            if self._read("snapshot", records.unpack_snapshot_untrusted) != begun_with:
                raise StorageFailed("a newer snapshot took the place of the one being read; read again")
            yield self._read_chunk(number)

    def get_note(self, key: str) -> bytes | None:
        """See `Storage.get_note`."""
        return self._read(f"note/{key}", bytes)

    def set_note(self, key: str, value: bytes) -> None:
        """See `Storage.set_note`."""
        with self._transaction():
            self._put(f"note/{key}", value)

    def begin_anew(self, hard_state: HardState, notes: Mapping[str, bytes | None]) -> None:
        """See `Storage.begin_anew`."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM entry")
            connection.execute("DELETE FROM chunk")
            connection.execute("DELETE FROM record WHERE name IN ('snapshot', 'log_first')")
            self._put("hard_state", records.pack_hard_state(hard_state))
            for key, value in notes.items():
                if value is None:
                    connection.execute("DELETE FROM record WHERE name = ?", (f"note/{key}",))
                else:
                    self._put(f"note/{key}", value)
        self._span, self._oldest, self._writer, self._garbage = Span(), 1, None, []

    def close(self) -> None:
        """See `Storage.close`. Moves the write-ahead log into the main file, so that one file is left."""
        connection, self._open = self._open, None
        if connection is not None:
            connection.close()

    # --- what the above is made of -----------------------------------------------------------------------

    def _judge_place(self, machine: bytes | None) -> None:
        """Refuse a copy; note where the file is now. A new storage has the note before it has an identity."""
        noted = self._read("place", unpack_place_untrusted)
        now = place_of(self.path, machine, None if noted is None else noted.salt)
        if noted is not None and now.is_copy_of(noted):
            raise StorageCopied(
                f"{self.path}: a copy of a storage in another file of this machine; "
                "move it away and join with a ticket and a new file"
            )
        if now != noted:
            with self._transaction():
                self._put("place", pack_place(now))
            # Who copies the file alone, without its log, shall have the note in it.
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            raise Closed(f"the storage {self.path} is closed")
        return self._open

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what the block does, or nothing of it; afterwards no transaction is open either way."""
        connection = self._connection()
        with translated(self.path):
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite ends it by itself after some errors
                    with suppress(sqlite3.Error):  # the first error is the one to hear about
                        connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _synced(self, at_once: bool) -> Iterator[None]:
        """Unless at once, what the block commits becomes durable with the next commit that is: a power failure
        before that loses it whole (https://www.sqlite.org/pragma.html#pragma_synchronous, NORMAL with a WAL)."""
        connection = self._connection()
        (level,) = connection.execute("PRAGMA synchronous").fetchone()
        if at_once or level <= _SYNC_NORMAL:
            yield
            return
        connection.execute(f"PRAGMA synchronous = {_SYNC_NORMAL}")
        try:
            yield
        finally:
            connection.execute(f"PRAGMA synchronous = {level}")

    def _find_oldest(self) -> int:
        """The first row of the log, compacted or not; where the log begins if there is none."""
        with translated(self.path):
            (oldest,) = self._connection().execute("SELECT min(log_index) FROM entry").fetchone()
        return self._span.first if oldest is None else int(oldest)

    def _delete_compacted(self, batch: tuple[Write, ...]) -> int:
        """Delete some of what was compacted away before; returns what is the oldest row then."""
        if self._oldest >= self._span.first:
            return self._oldest
        brought = [entry for write in batch for entry in write.entries]
        room = FREED_BYTES + 2 * sum(len(entry.command) for entry in brought)
        query = "SELECT log_index, length(command) FROM entry WHERE log_index < ? ORDER BY log_index LIMIT ?"
        upto = 0
        for index, size in self._connection().execute(query, (self._span.first, FREED_ENTRIES + 2 * len(brought))):
            upto, room = index, room - size
            if room <= 0:
                break
        self._connection().execute("DELETE FROM entry WHERE log_index <= ?", (upto,))
        return upto + 1 if upto else self._span.first

    def _put(self, name: str, record: bytes) -> None:
        row = (name, records.seal(record, name))
        self._connection().execute("INSERT OR REPLACE INTO record VALUES (?, ?)", row)

    def _read(self, name: str, unpack_untrusted: Callable[[bytes], _T]) -> _T | None:
        return read_record(self._connection(), self.path, name, unpack_untrusted)

    # --- snapshots ---------------------------------------------------------------------------------------

    def _read_chunk(self, number: int) -> bytes:
        query = "SELECT data, checksum FROM chunk WHERE number = ?"
        with translated(self.path):
            row = self._connection().execute(query, (number,)).fetchone()
        if row is None or not isinstance(row[0], bytes) or row[1] != crc32(row[0], number & 0xFFFFFFFF):
            raise corrupt(self.path, f"damaged (chunk {number} of the snapshot)")
        return row[0]

    def _add_chunk(self, writer: _SqliteSnapshotWriter, number: int, data: bytes) -> None:
        self._require_newest(writer)
        with self._synced(number % CHUNKS_PER_SYNC == 0), self._transaction() as connection:
            row = (number, data, crc32(data, number & 0xFFFFFFFF))
            connection.execute("INSERT INTO chunk VALUES (?, ?, ?)", row)
            # Two old ones go for each new one. All at once, at the end, would hold up commits: measured
            # 50 ms for a snapshot of 16 MiB.
            freed = [(old,) for old in self._garbage[-2:]]
            connection.executemany("DELETE FROM chunk WHERE number = ?", freed)
        del self._garbage[-2:]

    def _finish_snapshot(
        self, writer: _SqliteSnapshotWriter, meta: SnapshotMeta, chunks: range, *, replaces_log: bool
    ) -> None:
        self._require_newest(writer)
        before = self._read("snapshot", records.unpack_snapshot_untrusted)
        stored, old_first, old_count = before or (None, 0, 0)
        if stored and stored.last_index > meta.last_index and not replaces_log:
            writer.abandon()
            return
        matches = self._holds(meta, stored)
        span = self._span.after_snapshot(meta, replaces_log=replaces_log, log_matches=matches)
        with self._transaction() as connection:
            self._put("snapshot", records.pack_snapshot(meta, chunks.start, len(chunks)))
            if replaces_log:
                self._put("log_first", records.pack_number(span.first))
                connection.execute("DELETE FROM entry WHERE log_index > ?", (span.last,))
        self._span, self._writer = span, None
        self._garbage += range(old_first, old_first + old_count)

    def _holds(self, meta: SnapshotMeta, stored: SnapshotMeta | None) -> bool:
        if stored and (stored.last_index, stored.last_term) == (meta.last_index, meta.last_term):
            return True
        query = "SELECT term FROM entry WHERE log_index = ?"
        with translated(self.path):
            row = self._connection().execute(query, (meta.last_index,)).fetchone()
        return row is not None and row[0] == meta.last_term

    def _require_newest(self, writer: _SqliteSnapshotWriter) -> None:
        if self._writer is not writer:
            raise StorageFailed("this snapshot was abandoned, or a newer one was begun")

    def _abandon(self, writer: _SqliteSnapshotWriter, chunks: range) -> None:
        if self._writer is writer:
            self._writer = None
            self._garbage += chunks

    def _remove_chunks_of_nobody(self) -> None:
        """Free the pieces of earlier and unfinished snapshots, a few in each transaction."""
        snapshot = self._read("snapshot", records.unpack_snapshot_untrusted)
        first, count = snapshot[1:] if snapshot else (0, 0)
        query = "SELECT number FROM chunk WHERE number NOT BETWEEN ? AND ?"
        connection = self._connection()
        numbers = connection.execute(query, (first, first + count - 1)).fetchall()
        for start in range(0, len(numbers), 16):
            with self._transaction():
                connection.executemany("DELETE FROM chunk WHERE number = ?", numbers[start : start + 16])


class _SqliteSnapshotWriter:
    """Cuts what it is given into rows, and stores each as soon as it is full."""

    def __init__(self, storage: SqliteStorage, first_chunk: int) -> None:
        self._storage = storage
        self._chunks = range(first_chunk, first_chunk)
        self._pending = bytearray()

    def add(self, chunk: bytes) -> None:
        self._storage._require_newest(self)
        for start in range(0, len(chunk), CHUNK_SIZE):
            held = len(self._pending)
            self._pending += chunk[start : start + CHUNK_SIZE]
            try:
                while len(self._pending) >= CHUNK_SIZE:
                    self._store(CHUNK_SIZE)
            except StorageFailed:
                del self._pending[held:]  # so that it can be added again
                if start:
                    self.abandon()
                raise

    def finish(self, meta: SnapshotMeta, *, replaces_log: bool) -> None:
        if self._pending:
            self._store(len(self._pending))
        self._storage._finish_snapshot(self, meta, self._chunks, replaces_log=replaces_log)

    def abandon(self) -> None:
        self._pending.clear()
        self._storage._abandon(self, self._chunks)

    def _store(self, size: int) -> None:
        self._storage._add_chunk(self, self._chunks.stop, bytes(self._pending[:size]))
        del self._pending[:size]
        self._chunks = range(self._chunks.start, self._chunks.stop + 1)


def _row(entry: Entry) -> tuple[int, int, bytes, bytes | None, int]:
    membership = None if entry.membership is None else records.pack_membership(entry.membership)
    checksum = records.entry_checksum(entry.index, entry.term, entry.command, membership)
    return entry.index, entry.term, entry.command, membership, checksum
