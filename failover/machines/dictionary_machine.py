"""The replicated dictionary's state machine: conditions and writes on several keys at once, all or nothing.

It holds bytes. Every change is one command: keys that must have certain values (or be absent), and keys that get
new ones (or are deleted). `set`, `delete` and `compare_and_set` are its small cases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar, cast

import failover
from failover.machines.changes import DONE, FULL, MALFORMED, UNMET, Hub, reply
from failover.machines.chunks import Chunks, in_pieces
from failover.machines.coding import DEFAULT_KEYS, DEFAULT_VALUES, Codec, Reader, Sum, number, sized
from failover.machines.tree import Tree, differences

K = TypeVar("K")
V = TypeVar("V")

KEY_SIZE_MAX = 1_024
"""Bytes of a coded key."""
VALUE_SIZE_MAX = 60_000
"""Bytes of a coded value."""
KEYS_MAX = 256
"""Keys in the conditions of a transaction, and as many in its writes."""
ENTRY_COST = 100
"""Each key counts so many bytes beside its own: what Python needs for it."""
SIZE_MAX = 64 * 1024 * 1024
MARK_SIZE = 16

_FORMAT = b"failover dictionary 1\n"


class Absent(Enum):
    """See `ABSENT`."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent.ABSENT
"""In place of a value: the key is not there, or is to be deleted. (None is a value like any other.)"""


@dataclass(frozen=True, slots=True)
class Change(Generic[K, V]):
    """One key that has another value than before."""

    key: K
    before: V | Absent
    after: V | Absent


@dataclass(frozen=True, slots=True)
class Command:
    """What a member asks for, in bytes."""

    conditions: tuple[tuple[bytes, bytes], ...]
    """Keys, and marks of the values that they must have (`mark`)."""
    writes: tuple[tuple[bytes, bytes | None], ...]
    """Keys and their new values; None deletes."""

    def encode(self) -> bytes:
        """Its bytes."""
        parts = [number(len(self.conditions), 2)]
        parts += [sized(key) + marked for key, marked in self.conditions]
        parts.append(number(len(self.writes), 2))
        parts += [sized(key) + (b"\0" if value is None else b"\1" + sized(value)) for key, value in self.writes]
        return b"".join(parts)


def decode_untrusted(data: bytes) -> Command:
    """Read a command. Raises MalformedBytes, and nothing else."""
    reader = Reader(data)
    conditions = tuple(
        (reader.sized_untrusted(KEY_SIZE_MAX), reader.take_untrusted(MARK_SIZE))
        for _ in range(reader.number_untrusted(2, KEYS_MAX))
    )
    writes = tuple(
        (
            reader.sized_untrusted(KEY_SIZE_MAX),
            reader.sized_untrusted(VALUE_SIZE_MAX) if reader.number_untrusted(1, 1) else None,
        )
        for _ in range(reader.number_untrusted(2, KEYS_MAX))
    )
    reader.end_untrusted()
    return Command(conditions, writes)


def mark(value: bytes | None) -> bytes:
    """What stands for a value in a condition; for a key that is not there, zeros."""
    return bytes(MARK_SIZE) if value is None else hashlib.blake2b(value, digest_size=MARK_SIZE).digest()


class Picture(Mapping[K, V], Generic[K, V]):
    """The dictionary as it was at one moment: a mapping that never changes, for any thread.

    Keys come in the order of their bytes. Values are decoded anew at each look: a list that you change is yours.
    What a codec cannot decode, because another program wrote it, raises `MalformedBytes` when it is looked at.
    """

    __slots__ = ("_keys", "_values", "hub", "index", "tree")

    def __init__(self, tree: Tree[bytes], index: int, keys: Codec[K], values: Codec[V], hub: Hub) -> None:
        self.tree = tree
        self.index = index
        """The place in the log of the last command that it holds."""
        self.hub = hub
        self._keys = keys
        self._values = values

    def __getitem__(self, key: K) -> V:
        value = self.tree.get(self.encode_key(key))
        if value is None:
            raise KeyError(key)
        return self._values.decode(value)

    def __iter__(self) -> Iterator[K]:
        return (self._keys.decode(key) for key, _ in self.tree.items())

    def __len__(self) -> int:
        return len(self.tree)

    def __contains__(self, key: object) -> bool:
        return self.tree.get(self.encode_key(cast(K, key))) is not None

    def __repr__(self) -> str:
        return f"<Picture of {len(self)} keys at index {self.index}>"

    def changes_since(self, before: Picture[K, V]) -> Iterator[Change[K, V]]:
        """Yield what differs, in the order of the keys; the work follows the number of changes."""
        for key, old, new in differences(before.tree, self.tree):
            yield Change(self._keys.decode(key), self.decode_value(old), self.decode_value(new))

    def encode_key(self, key: K) -> bytes:
        """The bytes of a key. UsageError: it is no key, or too long."""
        data = self._keys.encode(key)
        if len(data) > KEY_SIZE_MAX:
            raise failover.UsageError(f"a key has at most {KEY_SIZE_MAX} bytes, not {len(data)}")
        return data

    def encode_value(self, value: V | Absent) -> bytes | None:
        """The bytes of a value. UsageError: it is none, or too long."""
        if isinstance(value, Absent):
            return None
        data = self._values.encode(value)
        if len(data) > VALUE_SIZE_MAX:
            raise failover.UsageError(f"a value has at most {VALUE_SIZE_MAX} bytes, not {len(data)}")
        return data

    def decode_value(self, data: bytes | None) -> V | Absent:
        """A value, or `ABSENT`."""
        return ABSENT if data is None else self._values.decode(data)


class DictionaryMachine(Generic[K, V]):
    """The replicated dictionary as a `failover.StateMachine`; give it to `open_member`, then use `Dictionary`.

    Args:
        keys: codec of the keys; `TEXT`, `PLAIN`, `RAW` or one of your own.
        values: codec of the values.
        size_max: bytes of all keys and values, with 100 for each key; equal on all members.
    """

    def __init__(
        self,
        keys: Codec[K] = DEFAULT_KEYS,
        values: Codec[V] = DEFAULT_VALUES,
        *,
        size_max: int = SIZE_MAX,
    ) -> None:
        self._keys, self._values = keys, values
        self._size_max = size_max
        self._hub = Hub()
        self._tree: Tree[bytes] = Tree()
        self._sum = Sum()
        self._size = 0
        self._index = 0

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """Carry out one command if its conditions hold; nothing of it otherwise."""
        self._index = context.index
        try:
            asked = decode_untrusted(command)
        except failover.MalformedBytes:
            return reply(MALFORMED, self._index)
        if any(mark(self._tree.get(key)) != marked for key, marked in asked.conditions):
            return reply(UNMET, self._index)
        writes = dict(asked.writes)  # of a key that is named twice, the last write counts
        growth = sum(_cost(key, value) - _cost(key, self._tree.get(key)) for key, value in writes.items())
        if growth > 0 and self._size + growth > self._size_max:
            return reply(FULL, self._index)
        for key, value in writes.items():
            self._write(key, value)
        self._size += growth
        return reply(DONE, self._index)

    def view(self) -> Picture[K, V]:
        """Return the present picture: one reference, since what it is made of never changes."""
        self._hub.tell()
        return Picture(self._tree, self._index, self._keys, self._values, self._hub)

    def snapshot(self) -> Iterator[bytes]:
        """Yield all keys and values, 64 KiB at a time."""
        return in_pieces(_parts(self._index, self._tree))

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Take over what `snapshot` wrote. MalformedBytes: it did not write this; nothing was changed."""
        entries = _Entries(chunks)
        self._tree = Tree.from_sorted(entries.read())
        self._sum, self._size, self._index = entries.sum, entries.size, entries.index

    def digest(self) -> bytes:
        """Return 16 bytes of the contents and of the index; the same work for any size."""
        return self._sum.digest(number(self._index))

    def _write(self, key: bytes, value: bytes | None) -> None:
        before = self._tree.get(key)
        if before is not None:
            self._sum.take_away(key, before)
        if value is None:
            self._tree = self._tree.without(key)
        else:
            self._tree = self._tree.put(key, value)
            self._sum.add(key, value)


def _cost(key: bytes, value: bytes | None) -> int:
    return 0 if value is None else len(key) + len(value) + ENTRY_COST


# --- snapshots ---


def _parts(index: int, tree: Tree[bytes]) -> Iterator[bytes]:
    yield _FORMAT + number(index) + number(len(tree))
    for key, value in tree.items():
        yield b"".join((len(key).to_bytes(2, "big"), len(value).to_bytes(2, "big"), key, value))


class _Entries:
    """Reads a snapshot."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._source = Chunks(chunks, _FORMAT)
        self.index = self._source.number()
        self.size = 0
        self.sum = Sum()

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values."""
        source, last = self._source, None
        for _ in range(source.number()):
            sizes = source.take(4)
            key = source.take(int.from_bytes(sizes[:2], "big"))
            value = source.take(int.from_bytes(sizes[2:], "big"))
            source.check(last is None or key > last, "not in order")
            last = key
            self.sum.add(key, value)
            self.size += _cost(key, value)
            yield key, value
        source.end()
