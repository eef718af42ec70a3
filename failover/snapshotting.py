"""Snapshots on their way: from the machine to the storage, from the storage to a peer, and back.

The pump never waits for one. The machine gives its state in pieces, between which play goes on; disk work is
done by the writer; what comes from a peer goes to a temporary file first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import IO

import trio

from failover.driver import Driver
from failover.ids import LogIndex, MemberId
from failover.raft.effects import SnapshotMeta
from failover.raft.messages import InstallSnapshot
from failover.replica import Replica
from failover.storage.contract import Storage

IN_MEMORY_MAX = 4 * 1024 * 1024
"""Larger ones go to a temporary file."""
PIECE = 256 * 1024


class Spool(tempfile.SpooledTemporaryFile[bytes]):
    """Small in memory, large on disk; goes with whoever holds it last: a transfer may end in many ways."""

    def __init__(self) -> None:
        super().__init__(max_size=IN_MEMORY_MAX)

    def __del__(self) -> None:
        self.close()


class FileSource:
    """A snapshot in a temporary file, for sending (`SnapshotSource`)."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` on."""
        self._file.seek(offset)
        return self._file.read(size)


class FileSink:
    """Where a snapshot from a peer goes (`SnapshotSink`)."""

    def __init__(self) -> None:
        self._file = Spool()

    def write(self, data: bytes) -> None:
        """The next piece."""
        self._file.write(data)

    def finish(self) -> IO[bytes]:
        """All is there: the file, at its beginning."""
        self._file.seek(0)
        return self._file

    def abort(self) -> None:
        """Throw it away."""
        self._file.close()


def open_sink(member: MemberId, header: object, size: int) -> FileSink | None:
    """Take what announces itself as a snapshot, nothing else."""
    return FileSink() if isinstance(header, InstallSnapshot) else None


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

    def take(self) -> None:
        """Take one at the applied index: the view is frozen now, its pieces come while play goes on."""
        core = self._driver.core
        index = self._replica.applied_index
        at, term = core.log.membership_at(index), core.log.term_at(index)
        assert at is not None and term is not None
        meta = SnapshotMeta(LogIndex(index), term, at.membership, at.index)
        self._nursery.start_soon(self._collect, meta, self._replica.snapshot())

    async def _collect(self, meta: SnapshotMeta, pieces: Iterator[bytes]) -> None:
        file = Spool()
        try:
            for piece in pieces:
                file.write(piece)
                await trio.lowlevel.checkpoint()
        except Exception as error:  # the application's: without snapshots the log would grow for ever
            file.close()
            self._failed(error)
            return
        except trio.Cancelled:
            file.close()
            raise

        def store() -> None:
            file.seek(0)
            self._storage.save_snapshot(meta, _pieces(file), replaces_log=False)

        def stored(_: object) -> None:
            file.close()
            self._driver.snapshot_stored(meta)

        self._driver.writer.run(store, stored)

    def send(self, member: MemberId) -> None:
        """Send the stored one; it is copied to a file first, so that a newer one may take its place meanwhile."""

        term = self._driver.core.term

        def copy() -> tuple[SnapshotMeta, FileSource] | None:
            meta = self._storage.snapshot_meta()
            if meta is None:
                return None
            file = Spool()
            for chunk in self._storage.read_snapshot():
                file.write(chunk)
            return meta, FileSource(file, file.tell())

        def copied(result: object) -> None:
            if not isinstance(result, tuple):
                self._driver.snapshot_failed(member)
                return
            meta: SnapshotMeta = result[0]
            source: FileSource = result[1]
            header = InstallSnapshot(
                term,  # of the decision to send it: meanwhile another member may lead another term
                meta.last_index,
                meta.last_term,
                meta.membership,
                meta.membership_index,
                source.size,
            )
            self._driver.peers.send_snapshot(member, header, source, self._driver.clock())

        self._driver.writer.run(copy, copied)

    def install(self, meta: SnapshotMeta, received: object) -> None:
        """Store what a leader sent, then restore the machine from it."""
        file: IO[bytes] = received  # type: ignore[assignment]

        def store() -> None:
            file.seek(0)
            self._storage.save_snapshot(meta, _pieces(file), replaces_log=True)

        def stored(_: object) -> None:
            file.seek(0)
            self._replica.restore(meta.last_index, _pieces(file))
            file.close()
            self._restored()
            self._driver.snapshot_installed()

        self._driver.writer.run(store, stored)

    def keep(self, meta: SnapshotMeta, received: object) -> None:
        """Store what a leader sent, as it is; the log behind it stays."""
        file: IO[bytes] = received  # type: ignore[assignment]

        def store() -> None:
            file.seek(0)
            self._storage.save_snapshot(meta, _pieces(file), replaces_log=False)

        def stored(_: object) -> None:
            file.close()
            self._driver.snapshot_stored(meta)

        self._driver.writer.run(store, stored)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece
