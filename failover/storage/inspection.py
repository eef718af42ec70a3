"""Looking into a storage that nobody has open, without changing a byte of it: for people, not for members."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from failover.ids import ClusterId, LogIndex, MemberId
from failover.raft.effects import HardState, SnapshotMeta
from failover.raft.membership import Membership
from failover.storage import records
from failover.storage.loading import check_records, find_span, load_entries, read_record
from failover.storage.machine_id import machine_id
from failover.storage.place import place_of, unpack_place_untrusted
from failover.storage.sqlite_file import open_read_only, translated


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a storage holds; no secrets but in `notes`."""

    member: MemberId | None
    """Whose it is; None if it never founded or joined."""
    cluster: ClusterId | None
    """The cluster that it belongs to."""
    incarnation: int
    """How often it was opened by a member, or more."""
    hard_state: HardState
    snapshot: SnapshotMeta | None
    snapshot_size: int
    """Bytes."""
    first: LogIndex
    """The first entry; above `last` if there is none."""
    last: LogIndex
    entries_size: int
    """Bytes of all commands."""
    membership: Membership | None
    """The newest that is stored, committed or not."""
    file_size: int
    """Bytes on disk, with the write-ahead log."""
    place: str
    """Whether it is where it was opened last: "here", "copied" from another file of this machine, "elsewhere"
    (moved or copied from another machine or file system), or "unknown"."""
    notes: dict[str, bytes] = field(repr=False)
    """What the layers above keep there, by name; some of it is secret, and shall not be shown."""


def inspect_storage(path: str | os.PathLike[str]) -> Inspection:
    """Read and check everything in the storage at `path`.

    Raises:
        StorageInUse: a member has it open; ask the running program for its status instead.
        StorageCorrupt: damaged, or not one of ours; the message says what was found.
        StorageFailed: it is not there, or cannot be read.
    """
    file = Path(path)
    with closing(open_read_only(file)) as connection, translated(file):
        check_records(connection, file)
        identity = read_record(connection, file, "identity", records.unpack_identity_untrusted)
        snapshot = read_record(connection, file, "snapshot", records.unpack_snapshot_untrusted)
        meta = snapshot[0] if snapshot else None
        span = find_span(connection, file)
        entries = load_entries(connection, file, span, meta)
        memberships = [entry.membership for entry in entries if entry.membership is not None]
        size = "SELECT coalesce(sum(length(data)), 0) FROM chunk WHERE number BETWEEN ? AND ?"
        chunks = (snapshot[1], snapshot[1] + snapshot[2] - 1) if snapshot else (0, -1)
        wal = file.with_name(file.name + "-wal")
        return Inspection(
            member=identity.member if identity else None,
            cluster=identity.cluster if identity else None,
            incarnation=read_record(connection, file, "incarnation", records.unpack_number_untrusted) or 0,
            hard_state=read_record(connection, file, "hard_state", records.unpack_hard_state_untrusted)
            or HardState(),
            snapshot=meta,
            snapshot_size=connection.execute(size, chunks).fetchone()[0],
            first=LogIndex(span.first),
            last=LogIndex(span.last),
            entries_size=sum(len(entry.command) for entry in entries),
            membership=memberships[-1] if memberships else meta.membership if meta else None,
            place=_place(connection, file),
            notes=_notes(connection, file),
            file_size=file.stat().st_size + (wal.stat().st_size if wal.exists() else 0),
        )


def _place(connection: sqlite3.Connection, file: Path) -> str:
    noted = read_record(connection, file, "place", unpack_place_untrusted)
    if noted is None:
        return "unknown"
    now = place_of(file, machine_id(), noted.salt)
    if now.is_copy_of(noted):
        return "copied"
    return "here" if now == noted else "elsewhere"


def _notes(connection: sqlite3.Connection, file: Path) -> dict[str, bytes]:
    query = "SELECT name FROM record WHERE name LIKE 'note/%' ORDER BY name"
    names = [str(name) for (name,) in connection.execute(query).fetchall()]
    found = {name.removeprefix("note/"): read_record(connection, file, name, bytes) for name in names}
    return {name: value for name, value in found.items() if value is not None}
