"""Reading a whole log back, quickly, and believing none of it unchecked."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from failover.errors import MalformedBytes
from failover.ids import Term
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
        try:
            entries = tuple(_entries_untrusted(connection, span.first))
        except TypeError as error:
            raise MalformedBytes("an entry has a value of an impossible type") from error
    if span.first + len(entries) != span.last + 1:
        raise MalformedBytes(f"{len(entries)} entries instead of those from {span.first} to {span.last}")
    if meta and entries and span.first <= meta.last_index:
        term = entries[meta.last_index - span.first].term
        if term != meta.last_term:
            raise MalformedBytes(f"the snapshot ends in term {meta.last_term}, the log there has term {term}")
    return entries


def _entries_untrusted(connection: sqlite3.Connection, first: int) -> list[Entry]:
    """Return the entries; a TypeError means a value of another type than its column's.

    One flat loop with `records.entry_checksum` written out: for a million entries each call within it costs
    a tenth of a second, and a member that restarts is waited for.
    """
    entries: list[Entry] = []
    expected, term_before, mark = first, Term(0), 0
    query = "SELECT log_index, term, command, membership, checksum FROM entry ORDER BY log_index"
    for index, term, command, packed, checksum in connection.execute(query):
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
