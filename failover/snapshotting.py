"""Snapshots on their way: from the machine to the storage, from the storage to a peer, and back.

The pump never waits for one. The machine gives its state in pieces, between which play goes on; disk work is
done by the writer in small steps, between which the log is written; what comes from a peer goes to a temporary
file first. All members take their snapshots at the same indices, so what a snapshot costs, it costs everywhere
at once: when each was one long job of the writer, commits waited for it on every member.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, TypeVar, cast

import trio

from failover.driver import Driver
from failover.errors import StorageFailed
from failover.ids import LogIndex, MemberId, Term
from failover.interrupts import unbroken
from failover.pieces import PieceWatch
from failover.raft.effects import SnapshotMeta
from failover.raft.messages import InstallSnapshot
from failover.replica import Replica
from failover.storage.contract import SnapshotWriter, Storage

IN_MEMORY_MAX = 4 * 1024 * 1024
"""Larger ones go to a temporary file."""
PIECE = 256 * 1024
"""What one job of the writer stores or reads: a write of the log waits for no more than this."""
WAITING_MAX = 4 * 1024 * 1024
"""Bytes of a snapshot from a peer that wait for a slow disk; more is not taken, and comes again."""
HASHED_AT_ONCE = 4 * 1024 * 1024
"""In one job of the writer: some milliseconds."""
COPIED_AT_ONCE = 1024 * 1024
"""In one job of the writer: reading costs no sync."""
RESTORED_AT_ONCE = 64 * 1024
"""The pump has a turn before each: a machine written in Python takes some milliseconds for so many bytes."""
COPY_TRIES = 3
"""A snapshot that makes way for a newer one while it is read is read again so often."""
COPY_KEPT_S = 60.0
"""The file of a snapshot that was sent stays so long: a transfer that breaks off goes on from it."""

_T = TypeVar("_T")
_Step = Callable[[SnapshotWriter], None]


class Spool(tempfile.SpooledTemporaryFile[bytes]):
    """Small in memory, large on disk; goes with whoever holds it last: a transfer may end in many ways."""

    def __init__(self) -> None:
        super().__init__(max_size=IN_MEMORY_MAX)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """A full disk may say so once more, when the rest is written; nobody wants that any more."""
        with suppress(OSError):
            super().close()


class FileSource:
    """A snapshot in a temporary file, for sending (`SnapshotSource`)."""

    def __init__(self, file: IO[bytes], size: int, digest: bytes) -> None:
        self._file = file
        self.size = size
        self.digest = digest

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` on."""
        self._file.seek(offset)
        return self._file.read(size)


class FileSink:
    """Where a snapshot from a peer goes (`SnapshotSink`): a temporary file, which the writer writes."""

    def __init__(self, run: Callable[[Callable[[], object], Callable[[object], None]], None]) -> None:
        self._run = run
        self._file = Spool()
        self._size = 0
        self._pieces: list[tuple[int, bytes]] = []
        self._pieces_size = 0
        self._waiting_size = 0
        """Bytes that the writer was given and has not written yet."""
        self._found = hashlib.sha256()
        self._hashed = 0
        """How far, in bytes. In order, as most pieces come, they are hashed while they are written."""
        self._error: OSError | None = None
        self._outcome: object = None
        self._is_aborted = False

    @property
    def is_busy(self) -> bool:
        """Whether the disk is behind by more than what may be held for it."""
        return self._waiting_size >= WAITING_MAX

    def write(self, offset: int, data: bytes) -> None:
        """Take a piece; a job of the writer has many."""
        if self._error is not None:
            raise self._error
        self._pieces.append((offset, data))
        self._pieces_size += len(data)
        self._size = max(self._size, offset + len(data))
        if self._pieces_size >= PIECE:
            self._flush()

    def finish(self, digest: bytes) -> None:
        """Write the rest, then hash what has not been, in steps."""
        self._flush()
        self._look(digest)

    def _look(self, digest: bytes) -> None:
        def step() -> None:
            self._file.seek(self._hashed)
            data = self._file.read(HASHED_AT_ONCE)
            self._hash(data)
            if not data and self._hashed < self._size:
                raise OSError("the temporary file was cut short")
            self._file.flush()  # what is read back was written; of the rest a full disk may say so only now

        def done(_: object) -> None:
            if self._error is not None or self._is_aborted:
                return
            if self._hashed < self._size:
                self._look(digest)
            else:
                self._outcome = self._file if hmac.compare_digest(self._found.digest(), digest) else False

        self._carry_out(step, done)

    def _hash(self, data: bytes) -> None:
        self._found.update(data)
        self._hashed += len(data)

    def outcome(self) -> object:
        """None, False, or the file."""
        if self._error is not None:
            raise self._error
        return self._outcome

    def abort(self) -> None:
        """Throw it away, after what the writer is doing to it."""
        self._is_aborted = True
        self._pieces.clear()
        self._run(self._file.close, lambda _: None)

    def _flush(self) -> None:
        pieces, size = sorted(self._pieces), self._pieces_size
        self._pieces, self._pieces_size = [], 0
        self._waiting_size += size

        def write() -> None:
            for offset, data in pieces:
                self._file.seek(offset)
                self._file.write(data)
                if offset == self._hashed:
                    self._hash(data)

        def written(_: object) -> None:
            self._waiting_size -= size

        self._carry_out(write, written)

    def _carry_out(self, job: Callable[[], None], done: Callable[[object], None]) -> None:
        """A temporary folder that is full ends this transfer; it says nothing about the member's storage."""

        def guarded() -> None:
            if self._error is None and not self._is_aborted:
                try:
                    job()
                except OSError as error:
                    self._error = error

        self._run(guarded, done)


@dataclass(frozen=True, slots=True)
class _Copy:
    """The stored snapshot in a file of its own, so that a newer one may take its place meanwhile."""

    meta: SnapshotMeta
    source: FileSource


@unbroken
class Snapshots:
    """One member's snapshots."""

    def __init__(
        self,
        driver: Driver,
        replica: Replica,
        storage: Storage,
        nursery: trio.Nursery,
        *,
        restored: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._driver = driver
        self._replica = replica
        self._storage = storage
        self._nursery = nursery
        self._restored = restored
        self._failed = failed
        self._storing = trio.Lock()
        """Held by whoever stores one: a storage takes one at a time, and beginning another abandons the first."""
        self._received_count = 0
        """Snapshots from a leader: one of our own that is being stored meanwhile makes way."""
        self.watch = PieceWatch(driver.clock)
        self._copying = trio.Lock()
        self._copy: _Copy | None = None
        driver.peers.set_open_sink(self.open_sink)

    # --- taking ---

    def take(self) -> None:
        """Take one at the applied index: the view is frozen now, its pieces come while play goes on."""
        core = self._driver.core
        index = self._replica.applied_index
        at, term = core.log.membership_at(index), core.log.term_at(index)
        assert at is not None and term is not None
        meta = SnapshotMeta(LogIndex(index), term, at.membership, at.index)
        try:
            with self.watch.piece():
                pieces = self._replica.snapshot()
        except Exception as error:
            self._failed(error)
        else:
            self._nursery.start_soon(self._collect, meta, self.watch.timed(pieces))

    async def _collect(self, meta: SnapshotMeta, pieces: Iterator[bytes]) -> None:
        received_before = self._received_count
        try:
            stored = await self._store(
                meta,
                _blocks(pieces),
                replaces_log=False,
                makes_way=lambda: self._received_count > received_before,
            )
        except Exception as error:  # the application's: without snapshots the log would grow for ever
            self._failed(error)
            return
        self._driver.snapshot_stored(meta if stored else None)

    # --- sending ---

    def send(self, member: MemberId) -> None:
        """Send the stored one."""
        # The term is that of the decision to send it: meanwhile another member may lead another term.
        self._nursery.start_soon(self._send, member, self._driver.core.term)

    async def _send(self, member: MemberId, term: Term) -> None:
        async with self._copying:
            copy = await self._copied()
        if copy is None:
            self._driver.snapshot_failed(member)
            return
        meta, source = copy.meta, copy.source
        header = InstallSnapshot(
            term, meta.last_index, meta.last_term, meta.membership, meta.membership_index, source.size
        )
        self._driver.peers.send_snapshot(member, header, source, self._driver.clock())
        self._driver.kick()  # its first datagrams have deadlines

    async def _copied(self) -> _Copy | None:
        """The stored snapshot in a file; one file serves all who need it."""
        for _ in range(COPY_TRIES):
            meta = await self._on_disk(self._storage.snapshot_meta)
            if meta is None:
                return None
            if self._copy is not None and self._copy.meta == meta:
                return self._copy
            self._copy = None
            file, digest, pieces = Spool(), hashlib.sha256(), self._storage.read_snapshot()
            copy_more = partial(_copy_some, pieces, file, digest)
            while (size := await self._on_disk(copy_more)) == COPIED_AT_ONCE:
                pass
            if size is not None:
                self._copy = _Copy(meta, FileSource(file, file.tell(), digest.digest()))
                self._nursery.start_soon(self._forget, self._copy)
                return self._copy
        return None

    async def _forget(self, copy: _Copy) -> None:
        await trio.sleep(COPY_KEPT_S)
        if self._copy is copy:
            self._copy = None

    # --- receiving ---

    def open_sink(self, member: MemberId, header: object, size: int) -> FileSink | None:
        """Take what announces itself as a snapshot, nothing else."""
        return FileSink(self._driver.writer.run) if isinstance(header, InstallSnapshot) else None

    def install(self, meta: SnapshotMeta, received: object) -> None:
        """Store what a leader sent, then restore the machine from it."""
        self._received_count += 1
        self._nursery.start_soon(self._install, meta, cast(IO[bytes], received))

    async def _install(self, meta: SnapshotMeta, file: IO[bytes]) -> None:
        await self._store(meta, _steps(file), replaces_log=True)
        file.seek(0)
        chunks = self._driver.between(iter(partial(file.read, RESTORED_AT_ONCE), b""))
        try:
            self._replica.restore(meta.last_index, chunks)
        except Exception as error:  # half of a state is none; or it is of rules that this program does not know
            self._failed(error)
            return
        file.close()
        self._restored()
        self._driver.snapshot_installed()

    def keep(self, meta: SnapshotMeta, received: object) -> None:
        """Store what a leader sent, as it is; the log behind it stays."""
        self._received_count += 1
        self._nursery.start_soon(self._keep, meta, cast(IO[bytes], received))

    async def _keep(self, meta: SnapshotMeta, file: IO[bytes]) -> None:
        await self._store(meta, _steps(file), replaces_log=False)
        file.close()
        self._driver.snapshot_stored(meta)

    # --- what the above is made of ---

    async def _store(
        self,
        meta: SnapshotMeta,
        steps: Iterable[_Step | None],
        *,
        replaces_log: bool,
        makes_way: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Store a snapshot step by step; None among the steps lets play go on. False if it made way."""
        async with self._storing:
            writer = await self._on_disk(self._storage.snapshot_writer)
            for step in steps:
                if makes_way():
                    await self._on_disk(writer.abandon)
                    return False
                if step is None:
                    await trio.lowlevel.checkpoint()
                else:
                    await self._on_disk(partial(step, writer))
            await self._on_disk(partial(writer.finish, meta, replaces_log=replaces_log))
            return True

    async def _on_disk(self, job: Callable[[], _T]) -> _T:
        """Have the writer do it between two writes of the log. Never returns if the disk is damaged."""
        done, results = trio.Event(), list[_T]()

        def take(result: object) -> None:
            results.append(cast(_T, result))
            done.set()

        self._driver.writer.run(job, take)
        await done.wait()
        return results[0]


def _blocks(pieces: Iterator[bytes]) -> Iterator[_Step | None]:
    """The machine's pieces, cut anew; after each of them play goes on."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= PIECE:
            yield partial(_add, bytes(held[:PIECE]))
            del held[:PIECE]
        yield None
    if held:
        yield partial(_add, bytes(held))


def _add(block: bytes, writer: SnapshotWriter) -> None:
    writer.add(block)


def _steps(file: IO[bytes]) -> Iterator[_Step]:
    """A file's content. Each step says where it reads: a full disk makes the writer repeat it."""
    for offset in range(0, file.seek(0, io.SEEK_END), PIECE):
        yield partial(_add_from, file, offset)


def _add_from(file: IO[bytes], offset: int, writer: SnapshotWriter) -> None:
    file.seek(offset)
    writer.add(file.read(PIECE))


def _copy_some(pieces: Iterator[bytes], file: IO[bytes], digest: hashlib._Hash) -> int | None:
    """Copy and hash some.

    Returns:
        `COPIED_AT_ONCE` if there may be more, less if not, None if a newer snapshot took its place.
    """
    copied = 0
    try:
        while copied < COPIED_AT_ONCE and (piece := next(pieces, b"")):
            file.write(piece)
            digest.update(piece)
            copied += len(piece)
    except StorageFailed:
        return None
    return min(copied, COPIED_AT_ONCE)
