"""Reading a whole log back, quickly, and believing none of it unchecked."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from failover.errors import MalformedBytes
from failover.raft.effects import SnapshotMeta
from failover.raft.messages import Entry
from failover.storage import records
from failover.storage.span import Span


def load_entries(connection: sqlite3.Connection, span: Span, meta: SnapshotMeta | None) -> tuple[Entry, ...]:
    """Return all entries in their order.

    Raises:
        MalformedBytes: a gap, an impossible value, a wrong checksum, or a log that does not fit the snapshot.
    """
    with _without_collector():
        entries = tuple(_entries_untrusted(connection, span.first))
    if span.first + len(entries) != span.last + 1:
        raise MalformedBytes(f"{len(entries)} entries instead of those from {span.first} to {span.last}")
    if meta and entries and span.first <= meta.last_index:
        term = entries[meta.last_index - span.first].term
        if term != meta.last_term:
            raise MalformedBytes(f"the snapshot ends in term {meta.last_term}, the log there has term {term}")
    return entries


def _entries_untrusted(connection: sqlite3.Connection, first: int) -> Iterator[Entry]:
    expected, term_before = first, 0
    query = "SELECT log_index, term, command, membership, checksum FROM entry ORDER BY log_index"
    for index, term, command, packed, checksum in connection.execute(query):
        if index != expected:
            raise MalformedBytes(f"entry {expected} is missing")
        try:
            whole = records.entry_checksum(index, term, command, packed) == checksum and term >= term_before
        except TypeError:  # a value of another type than the column's
            whole = False
        if not whole:
            raise MalformedBytes(f"entry {index} is not what was written")
        membership = None if packed is None else records.unpack_membership_untrusted(packed)
        yield Entry(index, term, command, membership)
        expected, term_before = index + 1, term


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
