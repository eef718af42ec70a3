"""A disk that outlives the processes of its computer: the real storage code on it, and what a crash leaves.

Either a `MemoryStorage`, whose object is the disk, or a `SqliteStorage` on a real file: then a crash copies the
files as they lie, and the next process opens the copy, with the real recovery. A process gets it as `Mounted`; a
process that died has no hold on it any more, whatever it still tries.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from failover.errors import StorageFailed
from failover.ids import LogIndex, Term
from failover.raft.effects import HardState, SnapshotMeta, Write
from failover.storage.contract import Identity, SnapshotWriter, Storage, Stored
from failover.storage.memory import MemoryStorage
from failover.storage.sqlite import SqliteStorage
from failover.testing.checkers import Violation
from failover.testing.simulated_member import Disk


class ProcessDied(BaseException):
    """The process ends here, in the middle of what it does: no handler of `Exception` may go on."""


class SimulatedDisk:
    """One computer's disk.

    Args:
        directory: where to keep a real file; None = in memory.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._number = 0
        self._memory = MemoryStorage() if directory is None else None
        self._mounted: Mounted | None = None
        self.durable = Disk(HardState())
        """What was made durable, kept apart from the storage that is under test."""
        self.is_full = False
        self.stalled_until = 0.0
        """The disk does nothing before this true time."""

    @property
    def _path(self) -> Path:
        assert self._directory is not None
        return self._directory / f"{self._number}.db"

    def mount(self) -> Mounted:
        """Open it for a new process, and look whether all is there that was made durable."""
        assert self._mounted is None, "one process at a time"
        real: Storage
        if self._memory is not None:
            real = self._memory
        else:
            # After a crash the files go on as copies: what is simulated is another life of the same ones.
            real = SqliteStorage(self._path, machine=lambda: None)
            # What is simulated here is the loss of power; the real disk need not be waited for.
            real._connection().execute("PRAGMA synchronous = OFF")
        self._compare(real.load())
        self._mounted = Mounted(self, real)
        return self._mounted

    def unmount(self) -> None:
        """The process ended in order."""
        if self._mounted is not None:
            self._mounted.real.close()
            self._mounted = None

    def crash(self) -> None:
        """The process is gone, or the power: the files stay as they lie."""
        mounted, self._mounted = self._mounted, None
        if mounted is None:
            return
        mounted.is_dead = True
        if self._directory is not None:
            before = self._path
            self._number += 1
            for suffix in ("", "-wal"):
                lies = before.with_name(before.name + suffix)
                if lies.exists():
                    shutil.copyfile(lies, self._path.with_name(self._path.name + suffix))
            mounted.real.close()
            for suffix in ("", "-wal", "-shm"):
                before.with_name(before.name + suffix).unlink(missing_ok=True)

    def holds(self, index: LogIndex, term: Term) -> bool:
        """Whether this entry is durable here, or covered by the snapshot."""
        return self.durable.holds(index, term)

    def _compare(self, found: Stored) -> None:
        disk = self.durable
        entries = [(index, entry.term, entry.command) for index, entry in disk.entries.items()]
        if (
            found.hard_state != disk.hard_state
            or found.snapshot != disk.snapshot
            or [(entry.index, entry.term, entry.command) for entry in found.entries] != entries
        ):
            raise Violation(f"the storage gave back {found}, made durable was {disk}")


class Mounted:
    """The disk in the hands of one process: a `Storage`."""

    def __init__(self, disk: SimulatedDisk, real: Storage) -> None:
        self.real = real
        self.is_dead = False
        self.before_write: Callable[[], None] = lambda: None
        """Called before anything is changed; may raise `ProcessDied`."""
        self.tears_after: int | None = None
        """The process stops after so many more pieces of a snapshot, in the middle of it."""
        self._disk = disk

    def _check(self) -> None:
        if self.is_dead:
            raise ProcessDied

    def _changes(self) -> None:
        self._check()
        self.before_write()
        if self._disk.is_full:
            raise StorageFailed("there is no room left on the simulated disk")

    def _changes_snapshot(self) -> None:
        self._changes()
        if self.tears_after is not None:
            if self.tears_after == 0:
                raise ProcessDied
            self.tears_after -= 1

    def identity(self) -> Identity | None:
        """See `Storage.identity`."""
        self._check()
        return self.real.identity()

    def found(self, identity: Identity, hard_state: HardState) -> None:
        """See `Storage.found`."""
        self._changes()
        self.real.found(identity, hard_state)
        self._disk.durable.hard_state = hard_state

    def begin_incarnation(self, at_least: int) -> tuple[int, int]:
        """See `Storage.begin_incarnation`."""
        self._changes()
        return self.real.begin_incarnation(at_least)

    def load(self) -> Stored:
        """See `Storage.load`."""
        self._check()
        return self.real.load()

    def write(self, batch: tuple[Write, ...]) -> None:
        """See `Storage.write`."""
        self._changes()
        self.real.write(batch)
        for write in batch:
            self._disk.durable.write(write)

    def snapshot_writer(self) -> SnapshotWriter:
        """See `Storage.snapshot_writer`."""
        self._changes()
        return _MountedSnapshotWriter(self, self.real.snapshot_writer())

    def save_snapshot(self, meta: SnapshotMeta, chunks: Iterable[bytes], *, replaces_log: bool) -> None:
        """See `Storage.save_snapshot`."""
        writer = self.snapshot_writer()
        for chunk in chunks:
            writer.add(chunk)
        writer.finish(meta, replaces_log=replaces_log)

    def snapshot_meta(self) -> SnapshotMeta | None:
        """See `Storage.snapshot_meta`."""
        self._check()
        return self.real.snapshot_meta()

    def read_snapshot(self) -> Iterator[bytes]:
        """See `Storage.read_snapshot`."""
        self._check()
        return self.real.read_snapshot()

    def get_note(self, key: str) -> bytes | None:
        """See `Storage.get_note`."""
        self._check()
        return self.real.get_note(key)

    def set_note(self, key: str, value: bytes) -> None:
        """See `Storage.set_note`."""
        self._changes()
        self.real.set_note(key, value)

    def begin_anew(self, hard_state: HardState, notes: Mapping[str, bytes | None]) -> None:
        """See `Storage.begin_anew`."""
        self._changes()
        self.real.begin_anew(hard_state, notes)
        self._disk.durable = Disk(hard_state)

    def close(self) -> None:
        """See `Storage.close`; the computer unmounts its disk when the process has ended."""


class _MountedSnapshotWriter:
    """A snapshot on its way to the disk: a `SnapshotWriter`."""

    def __init__(self, mounted: Mounted, real: SnapshotWriter) -> None:
        self._mounted, self._real = mounted, real

    def add(self, chunk: bytes) -> None:
        """See `SnapshotWriter.add`."""
        self._mounted._changes_snapshot()
        self._real.add(chunk)

    def finish(self, meta: SnapshotMeta, *, replaces_log: bool) -> None:
        """See `SnapshotWriter.finish`."""
        self._mounted._changes_snapshot()
        self._real.finish(meta, replaces_log=replaces_log)
        self._mounted._disk.durable.save_snapshot(meta, replaces_log=replaces_log)

    def abandon(self) -> None:
        """See `SnapshotWriter.abandon`."""
        self._mounted._check()
        self._real.abandon()
