"""Reading back what a file holds, quickly, and believing none of it unchecked."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from zlib import crc32

from failover.errors import MalformedBytes
from failover.ids import Term
from failover.raft.effects import SnapshotMeta
from failover.raft.messages import Entry
from failover.storage import records
from failover.storage.span import Span
from failover.storage.sqlite_file import corrupt, translated

_RECORD_NAMES = {"identity", "hard_state", "incarnation", "snapshot", "log_first", "place"}
_T = TypeVar("_T")


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    with translated(path):
        try:
            yield
        except MalformedBytes as error:
            raise corrupt(path, f"damaged ({error})") from error


def read_record(
    connection: sqlite3.Connection, path: Path, name: str, unpack_untrusted: Callable[[bytes], _T]
) -> _T | None:
    """Return what is kept under `name`, None if nothing is."""
    with _damage_named(path):
        row = connection.execute("SELECT sealed FROM record WHERE name = ?", (name,)).fetchone()
        return None if row is None else unpack_untrusted(records.unseal_untrusted(row[0], name))


def check_records(connection: sqlite3.Connection, path: Path) -> None:
    """Read every record once: one whose name was damaged would otherwise only seem never written."""
    with _damage_named(path):
        names = set()
        for name, sealed in connection.execute("SELECT name, sealed FROM record").fetchall():
            if not isinstance(name, str) or not (name in _RECORD_NAMES or name.startswith("note/")):
                raise MalformedBytes("a record of unknown name")
            records.unseal_untrusted(sealed, name)
            names.add(name)
        if "identity" in names and "hard_state" not in names:
            raise MalformedBytes("an identity without term and vote")
        snapshot = read_record(connection, path, "snapshot", records.unpack_snapshot_untrusted)
        if snapshot:
            _, first, count = snapshot
            query = "SELECT count(*) FROM chunk WHERE number BETWEEN ? AND ?"
            if connection.execute(query, (first, first + count - 1)).fetchone()[0] != count:
                raise MalformedBytes("pieces of the snapshot are missing")


def find_span(connection: sqlite3.Connection, path: Path) -> Span:
    """Return which part of the log is there, as far as its ends say. Rows before it wait to be deleted."""
    with _damage_named(path):
        said = read_record(connection, path, "log_first", records.unpack_number_untrusted)
        query = "SELECT min(log_index), max(log_index) FROM entry WHERE log_index >= ?"
        first, last = connection.execute(query, (said or 0,)).fetchone()
        snapshot = read_record(connection, path, "snapshot", records.unpack_snapshot_untrusted)
        snapshot_index = snapshot[0].last_index if snapshot else 0
        if first is None:
            first, last = snapshot_index + 1, snapshot_index
        if said is not None and said != first:
            raise MalformedBytes(f"the log begins at {first} instead of {said}")
        try:
            return Span(first, last, snapshot_index)
        except AssertionError as error:
            text = f"the log from {first} to {last} does not fit the snapshot at {snapshot_index}"
            raise MalformedBytes(text) from error


def load_entries(
    connection: sqlite3.Connection, path: Path, span: Span, meta: SnapshotMeta | None
) -> tuple[Entry, ...]:
    """Return all entries in their order.

    Raises:
        StorageCorrupt: a gap, an impossible value, a wrong checksum, or a log that does not fit the snapshot.
    """
    with _damage_named(path), _without_collector():
        try:
            entries = tuple(_entries_untrusted(connection, span.first))
        except TypeError as error:
            raise MalformedBytes("an entry has a value of an impossible type") from error
        if span.first + len(entries) != span.last + 1:
            raise MalformedBytes(f"{len(entries)} entries instead of those from {span.first} to {span.last}")
        if meta and entries and span.first <= meta.last_index:
            term = entries[meta.last_index - span.first].term
            if term != meta.last_term:
                raise MalformedBytes(f"the snapshot ends in term {meta.last_term}, the log there in term {term}")
    return entries


def _entries_untrusted(connection: sqlite3.Connection, first: int) -> list[Entry]:
    """Return the entries; a TypeError means a value of another type than its column's.

    One flat loop with `records.entry_checksum` written out: for a million entries each call within it costs
    a tenth of a second, and a member that restarts is waited for.
    """
    entries: list[Entry] = []
    expected, term_before, mark = first, Term(0), 0
    query = (
        "SELECT log_index, term, command, membership, checksum FROM entry WHERE log_index >= ? ORDER BY log_index"
    )
    for index, term, command, packed, checksum in connection.execute(query, (first,)):
        if term != term_before:
            if term < term_before:
                raise MalformedBytes(f"entry {index} has a lower term than the one before")
            term_before, mark = term, records.term_mark(term)
        found = crc32(command, (index * records.INDEX_FACTOR + mark) & 0xFFFFFFFF)
        membership = None
        if packed is not None:
            found = crc32(packed, found)
        if found != checksum or index != expected:
            raise MalformedBytes(f"entry {expected} is missing or not what was written")
        if packed is not None:
            membership = records.unpack_membership_untrusted(packed)
        entries.append(Entry(index, term, command, membership))
        expected += 1
    return entries


@contextmanager
def _without_collector() -> Iterator[None]:
    """Make a million objects without looking for cycles among them again and again; there are none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
