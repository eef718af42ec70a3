"""Sequential models: what one machine that fails never would reply, asked one thing after the other.

A model is the specification, so it is as simple as can be. States are immutable and hashable; `apply` is a
function. `AppendOnlyList` says most about exactly-once: nothing is overwritten, so every effect stays in sight.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from failover.testing.history import Operation


class Model(Protocol):
    """What a history is judged by. Give your own: four small functions."""

    def initial(self) -> Hashable:
        """Return the state before anything happened."""

    def apply(self, state: Any, asked: Any) -> tuple[Hashable, object]:
        """Return the state after `asked`, and its reply. Total and deterministic; `state` is not changed."""

    def changes_nothing(self, asked: Any, reply: object) -> bool:
        """Return whether `asked`, where it has this reply, leaves every state as it is; False if that is not sure.

        The reply may be `ANY_REPLY`.
        """

    def part(self, asked: Any) -> Hashable:
        """Return which part of the state `asked` reads or writes, such as its key; None for all of it.

        Where every operation keeps to one part, each part is judged alone: a history is linearizable exactly when
        that of each part is (locality: Herlihy and Wing 1990, theorem 1), and short ones are judged quickly.
        """


@runtime_checkable
class OnlyGrows(Protocol):
    """A model whose state never goes back, so that replies show when things happened. Saves the search much."""

    def shown_places(self, operations: Collection[Operation]) -> Mapping[int, float]:
        """Return places by the numbers of operations, where replies show them. Only a hint: it may be wrong."""

    def is_too_late(self, state: Any, asked: Any, reply: object) -> bool:
        """Return whether `asked` can never again have this reply, from `state` on. True must be right."""


@dataclass(frozen=True, slots=True)
class Read:
    """Reply with the whole state."""


@dataclass(frozen=True, slots=True)
class Write:
    """Set the register."""

    value: Hashable


@dataclass(frozen=True, slots=True)
class CompareAndSet:
    """Set the register if it holds `expected`; replies whether it did."""

    expected: Hashable
    value: Hashable


@dataclass(frozen=True, slots=True)
class Register:
    """One value: `Write` replies None, `Read` the value, `CompareAndSet` whether it was set."""

    first: Hashable = None

    def initial(self) -> Hashable:
        """The value at the beginning."""
        return self.first

    def apply(self, state: Hashable, asked: Read | Write | CompareAndSet) -> tuple[Hashable, object]:
        """One operation on the value."""
        match asked:
            case Read():
                return state, state
            case Write():
                return asked.value, None
            case CompareAndSet():
                return (asked.value, True) if state == asked.expected else (state, False)

    def changes_nothing(self, asked: Read | Write | CompareAndSet, reply: object) -> bool:
        """A read, and a comparison that failed."""
        return isinstance(asked, Read) or (isinstance(asked, CompareAndSet) and reply is False)

    def part(self, asked: object) -> Hashable:
        """There is one part."""
        return None


@dataclass(frozen=True, slots=True)
class Add:
    """Add to the counter; not less than nothing."""

    amount: int = 1

    def __post_init__(self) -> None:
        assert self.amount >= 0


@dataclass(frozen=True, slots=True)
class Counter:
    """A number that grows: `Add` and `Read` reply the number after it."""

    def initial(self) -> int:
        """Zero."""
        return 0

    def apply(self, state: int, asked: Add | Read) -> tuple[int, int]:
        """One operation on the number."""
        state += asked.amount if isinstance(asked, Add) else 0
        return state, state

    def changes_nothing(self, asked: Add | Read, reply: object) -> bool:
        """A read."""
        return isinstance(asked, Read)

    def part(self, asked: object) -> Hashable:
        """There is one part."""
        return None

    def shown_places(self, operations: Collection[Operation]) -> Mapping[int, float]:
        """The numbers that were replied."""
        return {each.number: each.reply for each in operations if isinstance(each.reply, int)}

    def is_too_late(self, state: int, asked: Add | Read, reply: object) -> bool:
        """The number is larger already."""
        return not isinstance(reply, int | float) or reply < self.apply(state, asked)[0]


@dataclass(frozen=True, slots=True)
class Append:
    """Put an item behind all others; give each its own to see each effect."""

    item: Hashable


class Chain:
    """An immutable list that shares its beginning with those it came from, so that appending costs nothing."""

    __slots__ = ("_before", "_hash", "_item", "length")

    def __init__(self, before: Chain | None = None, item: Hashable = None) -> None:
        self._before = before
        self._item = item
        self.length: int = before.length + 1 if before is not None else 0
        self._hash: int = hash((before._hash, item)) if before is not None else 0

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Chain):
            return NotImplemented
        one: Chain | None = self
        two: Chain | None = other
        while one is not two:
            if one is None or two is None or one._hash != two._hash or one._item != two._item:
                return False
            one, two = one._before, two._before
        return True

    def __repr__(self) -> str:
        items = self.items()
        shown = ", ".join(map(repr, items[-5:]))
        return f"[{'..., ' if len(items) > 5 else ''}{shown}] ({len(items)} items)"

    def _backwards(self) -> Iterator[Hashable]:
        at = self
        while at._before is not None:
            yield at._item
            at = at._before

    def may_become(self, items: tuple[Hashable, ...]) -> bool:
        """Whether `items` is long enough and has the last item where it is here. Says nothing of those before."""
        return self.length <= len(items) and (not self.length or items[self.length - 1] == self._item)

    def items(self) -> tuple[Hashable, ...]:
        """The items, first one first."""
        return tuple(self._backwards())[::-1]


@dataclass(frozen=True, slots=True)
class AppendOnlyList:
    """`Append` replies how many items there are then; `Read` replies all of them, as a tuple."""

    def initial(self) -> Chain:
        """Empty."""
        return Chain()

    def apply(self, state: Chain, asked: Append | Read) -> tuple[Chain, object]:
        """One operation on the list."""
        if isinstance(asked, Read):
            return state, state.items()
        return Chain(state, asked.item), state.length + 1

    def changes_nothing(self, asked: Append | Read, reply: object) -> bool:
        """A read."""
        return isinstance(asked, Read)

    def part(self, asked: object) -> Hashable:
        """There is one part."""
        return None

    def shown_places(self, operations: Collection[Operation]) -> Mapping[int, float]:
        """Where the items stand in the longest list that anybody read, or where the reply puts them."""
        longest: tuple[Hashable, ...] = ()
        for each in operations:
            if isinstance(each.asked, Read) and isinstance(each.reply, tuple) and len(each.reply) > len(longest):
                longest = each.reply
        standing = {item: at for at, item in enumerate(longest, 1)}
        places: dict[int, float] = {}
        for each in operations:
            if isinstance(each.asked, Append) and each.asked.item in standing:
                places[each.number] = standing[each.asked.item]
            elif isinstance(each.asked, Append) and isinstance(each.reply, int):
                places[each.number] = each.reply
        return places

    def is_too_late(self, state: Chain, asked: Append | Read, reply: object) -> bool:
        """The list is longer already, or its last item is another one than was read there."""
        if isinstance(asked, Read):
            return not isinstance(reply, tuple) or not state.may_become(reply)
        return not isinstance(reply, int | float) or reply <= state.length


@dataclass(frozen=True, slots=True)
class Get:
    """Reply with the value of a key, None if there is none."""

    key: Hashable


@dataclass(frozen=True, slots=True)
class Put:
    """Set the value of a key (None: delete it); replies what it was before."""

    key: Hashable
    value: Hashable


@dataclass(frozen=True, slots=True)
class CompareAndPut:
    """Set the value of a key if it is `expected`; replies whether it was."""

    key: Hashable
    expected: Hashable
    value: Hashable


Items = frozenset[tuple[Hashable, Hashable]]


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A dictionary; each key is judged alone."""

    def initial(self) -> Items:
        """Empty."""
        return frozenset()

    def apply(self, state: Items, asked: Get | Put | CompareAndPut) -> tuple[Items, object]:
        """One operation on one key."""
        value = next((value for key, value in state if key == asked.key), None)
        match asked:
            case Get():
                return state, value
            case Put():
                return self._put(state, asked.key, value, asked.value), value
            case CompareAndPut():
                if value != asked.expected:
                    return state, False
                return self._put(state, asked.key, value, asked.value), True

    def changes_nothing(self, asked: Get | Put | CompareAndPut, reply: object) -> bool:
        """A read, and a comparison that failed."""
        return isinstance(asked, Get) or (isinstance(asked, CompareAndPut) and reply is False)

    def part(self, asked: Get | Put | CompareAndPut) -> Hashable:
        """The key."""
        return asked.key

    @staticmethod
    def _put(state: Items, key: Hashable, before: Hashable, after: Hashable) -> Items:
        kept = state - {(key, before)}
        return kept | {(key, after)} if after is not None else kept
