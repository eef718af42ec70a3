"""What every storage promises. One suite of tests (`tests/unit/storage`) runs over all of them.

The verbs say when: *after `write` returned, its content is durable*; a crash before that leaves either all of
it or nothing of it. Calls come from one thread at a time, not always the same thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from failover.ids import ClusterId, MemberId
from failover.raft.effects import HardState, SnapshotMeta, Write
from failover.raft.messages import Entry


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this storage is. Written once, when the storage is made; kept for ever."""

    member: MemberId
    """The public key."""
    private_key: bytes
    """The 32 raw bytes of the X25519 private key."""
    cluster: ClusterId
    """The cluster that the storage belongs to."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a storage holds when it is opened."""

    hard_state: HardState
    snapshot: SnapshotMeta | None
    entries: tuple[Entry, ...]
    """Consecutive, from the first that was kept to the last."""


class SnapshotWriter(Protocol):
    """A snapshot on its way into a storage, piece by piece; other calls may come between two pieces."""

    def add(self, chunk: bytes) -> None:
        """Take the next bytes. Chunks may be cut anew: what comes back is the same bytes in the same order.

        Raises:
            StorageFailed: the disk refused, and a chunk of at most 256 KiB may be added again when the cause is
                gone; or the snapshot was abandoned or a newer one begun.
        """
        ...

    def finish(self, meta: SnapshotMeta, *, replaces_log: bool) -> None:
        """Put this snapshot in place of the stored one (see `Storage.save_snapshot`); durable on return."""
        ...

    def abandon(self) -> None:
        """Throw away what was added. Idempotent, and nothing after `finish`."""
        ...


class Storage(Protocol):
    """One member's durable memory.

    Any method may raise `StorageFailed` (the disk refused: nothing of this call is stored, everything before
    it is, and the call may be repeated when the cause is gone) or `StorageCorrupt` (damage was found). A call
    that breaks the rules of `span.py` is a mistake of the caller: an assert fails, and nothing is written.
    """

    def identity(self) -> Identity | None:
        """Return who this storage is, None for a new one."""
        ...

    def found(self, identity: Identity, hard_state: HardState) -> None:
        """Make a new storage belong to `identity`; durable on return. Asserts that it is new."""
        ...

    def begin_incarnation(self, at_least: int) -> tuple[int, int]:
        """Draw the number of this run: `max(stored + 1, at_least)`; durable on return.

        Returns:
            (the previous incarnation, 0 for the first run; the new one).
        """
        ...

    def load(self) -> Stored:
        """Return everything that `write` and `save_snapshot` stored."""
        ...

    def write(self, batch: tuple[Write, ...]) -> None:
        """Carry out the writes in their order, in one transaction; durable on return."""
        ...

    def snapshot_writer(self) -> SnapshotWriter:
        """Begin a snapshot that is stored in pieces, so that writes can go on meanwhile.

        One at a time: beginning another abandons the first. A crash before `finish` leaves the stored
        snapshot as it was.
        """
        ...

    def save_snapshot(self, meta: SnapshotMeta, chunks: Iterable[bytes], *, replaces_log: bool) -> None:
        """Store a snapshot in place of the last one; durable on return, all or nothing.

        Args:
            meta: where it stands.
            chunks: its bytes; taken one at a time, so that a large one never has to fit in memory.
            replaces_log: True for a snapshot from another member: all stored entries go in the same
                transaction, unless the log holds (`last_index`, `last_term`): then only those up to it.
                False for one's own: the log stays (`Write.compact_to` shortens it), and a snapshot older than
                the stored one, overtaken by one from another member, is left aside.
        """
        ...

    def snapshot_meta(self) -> SnapshotMeta | None:
        """Return where the stored snapshot stands, None if there is none."""
        ...

    def read_snapshot(self) -> Iterator[bytes]:
        """Yield the bytes of the stored snapshot; nothing if there is none.

        Raises:
            StorageFailed: between two pieces a newer snapshot took its place; read again.
        """
        ...

    def get_note(self, key: str) -> bytes | None:
        """Return what `set_note` stored last under `key`."""
        ...

    def set_note(self, key: str, value: bytes) -> None:
        """Store a small value of the layers above (addresses, secrets of joining); durable on return."""
        ...

    def begin_anew(self, hard_state: HardState, notes: Mapping[str, bytes | None]) -> None:
        """Forget the log and the snapshot, but not who this is; durable on return, all or nothing.

        Args:
            hard_state: in place of the stored one.
            notes: set in the same transaction; None deletes one.
        """
        ...

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        ...
