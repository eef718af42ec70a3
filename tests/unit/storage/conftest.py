"""A storage of each kind that can be opened again, and short names for what is stored in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode leaves `sys.path` alone

from failover.ids import ClusterId, LogIndex, MemberId, Term
from failover.raft.effects import HardState, SnapshotMeta, Write
from failover.raft.membership import Membership
from failover.raft.messages import Entry
from failover.storage.contract import Identity, Storage
from failover.storage.memory import MemoryStorage
from failover.storage.sqlite import SqliteStorage


class Shelf:
    """One storage, put away and taken out again."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.storage: Storage = self._open()

    def _open(self) -> Storage:
        return SqliteStorage(self._path) if self._path else MemoryStorage()

    def reopen(self) -> Storage:
        """Close it, and return it as the next process would find it."""
        self.storage.close()
        if self._path:
            self.storage = self._open()
        return self.storage


class Samples:
    """Values to store, by short names."""

    identity = Identity(MemberId(b"m" * 32), b"k" * 32, ClusterId(b"c" * 16))
    membership = Membership(
        voters=frozenset({MemberId(b"b" * 32), MemberId(b"a" * 32)}),
        outgoing=frozenset({MemberId(b"a" * 32), MemberId(b"d" * 32)}),
        learners=frozenset({MemberId(b"e" * 32)}),
        learners_next=frozenset({MemberId(b"d" * 32)}),
        witnesses=frozenset({MemberId(b"a" * 32), MemberId(b"e" * 32)}),
    )

    @staticmethod
    def entry(index: int, term: int = 1, command: bytes | None = None) -> Entry:
        text = b"%d in %d" % (index, term) if command is None else command
        return Entry(LogIndex(index), Term(term), text)

    @classmethod
    def entries(cls, first: int, last: int, term: int = 1) -> tuple[Entry, ...]:
        return tuple(cls.entry(index, term) for index in range(first, last + 1))

    @classmethod
    def append(cls, first: int, last: int, term: int = 1) -> tuple[Write, ...]:
        return (Write(first, entries=cls.entries(first, last, term)),)

    @classmethod
    def meta(cls, last_index: int, last_term: int = 1) -> SnapshotMeta:
        return SnapshotMeta(LogIndex(last_index), Term(last_term), cls.membership, LogIndex(1))

    hard_state = HardState(Term(7), MemberId(b"v" * 32), 0.4)


@pytest.fixture
def samples() -> type[Samples]:
    return Samples


@pytest.fixture(params=["memory", "sqlite"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path / "game.db" if request.param == "sqlite" else None)
    yield made
    made.storage.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "game.db"
