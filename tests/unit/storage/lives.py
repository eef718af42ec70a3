"""One storage's whole life, step by step, and what it holds after each: for tests that end it in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from failover.ids import ClusterId, LogIndex, MemberId, Term
from failover.raft.effects import HardState, SnapshotMeta, Write
from failover.raft.membership import Membership
from failover.raft.messages import Entry
from failover.storage.contract import Identity
from failover.storage.sqlite import CHUNK_SIZE, SqliteStorage

Step = Callable[[SqliteStorage], object]
IDENTITY = Identity(MemberId(b"m" * 32), b"k" * 32, ClusterId(b"c" * 16))


def _entries(first: int, last: int, term: int = 1) -> tuple[Entry, ...]:
    return tuple(
        Entry(LogIndex(index), Term(term), b"%d in %d" % (index, term)) for index in range(first, last + 1)
    )


def _append(first: int, last: int, term: int = 1) -> tuple[Write, ...]:
    return (Write(first, entries=_entries(first, last, term)),)


def _meta(index: int, term: int) -> SnapshotMeta:
    return SnapshotMeta(LogIndex(index), Term(term), Membership(frozenset({MemberId(b"m" * 32)})), LogIndex(1))


class _Piece:
    """A step that adds a piece to the snapshot under way."""

    def __init__(self, held: list[Any], content: bytes) -> None:
        self._held, self._content = held, content

    def __call__(self, storage: SqliteStorage) -> None:
        self._held[-1].add(self._content)


def pieces(life: list[Step]) -> list[Step]:
    """The steps that are not durable when they return: all others are."""
    return [step for step in life if isinstance(step, _Piece)]


def _snapshot_in_pieces(index: int, term: int, *, replaces_log: bool) -> list[Step]:
    """The pieces as a member adds them, with a write of the log in between."""
    held: list[Any] = []
    return [
        lambda storage: held.append(storage.snapshot_writer()),
        _Piece(held, bytes([index]) * CHUNK_SIZE),
        lambda storage: storage.set_note("meanwhile", b"%d" % index),
        _Piece(held, b"x" * CHUNK_SIZE),
        lambda storage: held[-1].finish(_meta(index, term), replaces_log=replaces_log),
    ]


def steps() -> list[Step]:
    """Founding, joining, appending, truncating, snapshots in pieces, compaction, notes, new runs."""
    return [
        lambda storage: storage.begin_incarnation(1000),
        lambda storage: storage.found(IDENTITY, HardState(Term(0), None, 0.1)),
        lambda storage: storage.set_note("cluster", b"secrets" * 50),
        lambda storage: storage.write((Write(1, HardState(Term(1), MemberId(b"v" * 32), 0.1)),)),
        lambda storage: storage.write(_append(1, 40)),
        lambda storage: storage.write((*_append(41, 60), *_append(61, 80, term=2))),
        lambda storage: storage.write((Write(2, HardState(Term(3)), LogIndex(71), _entries(71, 75, 3)),)),
        *_snapshot_in_pieces(50, 1, replaces_log=False),
        lambda storage: storage.write((Write(3, compact_to=LogIndex(45)),)),
        lambda storage: storage.write(_append(76, 120, term=3)),
        lambda storage: storage.begin_incarnation(0),
        *_snapshot_in_pieces(90, 4, replaces_log=True),  # of another history: all of the log goes
        lambda storage: storage.write(_append(91, 100, term=4)),
        *_snapshot_in_pieces(95, 4, replaces_log=True),
        lambda storage: storage.write((Write(4, HardState(Term(5)), None, _entries(101, 140, 5)),)),
        lambda storage: storage.set_note("met", b"m" * 64),
        lambda storage: storage.set_note("met", b"n" * 128),
    ]


def held_by(storage: SqliteStorage) -> tuple[object, ...]:
    """All that anybody can read in it."""
    stored = storage.load()
    snapshot = b"".join(storage.read_snapshot())
    notes = tuple(storage.get_note(name) for name in ("cluster", "meanwhile", "met"))
    count = storage._connection().execute("SELECT sealed FROM record WHERE name = 'incarnation'").fetchone()
    return storage.identity(), stored.hard_state, stored.snapshot, stored.entries, snapshot, notes, count
