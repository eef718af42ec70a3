"""What a replicated queue consists of, and the picture of it that everybody may look at."""

from __future__ import annotations

from dataclasses import dataclass

from failover.machines.changes import Hub
from failover.machines.coding import Codec, number, sized
from failover.machines.tree import Tree


@dataclass(frozen=True, slots=True)
class Item:
    """Something that was put."""

    number: int
    """The index of the command that put it: larger than all before it."""
    topic: bytes
    body: bytes

    def fact(self) -> tuple[bytes, bytes, bytes]:
        """What of it counts in the digest."""
        return number(self.number), self.topic, self.body


@dataclass(frozen=True, slots=True)
class Taker:
    """One process of one member that takes items. Its key is the index of the command that made it."""

    member: bytes
    hold_us: int
    """It may be silent for so long."""
    until_us: int
    """If it is not heard until then, in cluster time, it is gone."""

    def encode(self) -> bytes:
        """Its bytes."""
        return sized(self.member, 1) + number(self.hold_us) + number(self.until_us)


def place(topic: bytes, item: int = 0) -> bytes:
    """Where an item stands among the ready ones: topic by topic, first put first."""
    return sized(topic, 1) + number(item)


class State:
    """Everything. The trees are never written to, so a copy of the references is a frozen state."""

    __slots__ = ("counts", "held", "index", "ready", "takers", "time_us")

    def __init__(self) -> None:
        self.index = 0
        self.time_us = 0
        self.ready: Tree[Item] = Tree()
        """By `place`."""
        self.counts: Tree[int] = Tree()
        """How many are ready, by topic; a topic with none is not there."""
        self.held: Tree[Item] = Tree()
        """By the taker's key and the item's number."""
        self.takers: Tree[Taker] = Tree()

    def copy(self) -> State:
        """The same, frozen."""
        other = State()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def first(self, topic: bytes) -> Item | None:
        """The ready item of a topic that was put first."""
        start = sized(topic, 1)
        key, item = next(self.ready.items(start), (b"", None))
        return item if key.startswith(start) else None

    def unready(self, item: Item) -> None:
        """It is ready no more."""
        self.ready = self.ready.without(place(item.topic, item.number))
        count = self.counts.get(item.topic)
        assert count is not None
        self.counts = self.counts.put(item.topic, count - 1) if count > 1 else self.counts.without(item.topic)


class QueuePicture:
    """The queue as it was at one moment; never changes, for any thread."""

    __slots__ = ("_state", "hub", "values")

    def __init__(self, state: State, values: Codec[object], hub: Hub) -> None:
        self._state = state.copy()
        self.values = values
        """The codec of the items."""
        self.hub = hub

    @property
    def index(self) -> int:
        """The place in the log of the last command that it holds."""
        return self._state.index

    @property
    def time_us(self) -> int:
        """Cluster time of that command, in microseconds."""
        return self._state.time_us

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics with items that are ready, in order."""
        return tuple(topic.decode("utf-8", "replace") for topic, _ in self._state.counts.items())

    def waiting(self, topic: str) -> int:
        """How many items of a topic are ready."""
        return self._state.counts.get(topic.encode("utf-8", "surrogatepass")) or 0

    @property
    def ready_count(self) -> int:
        """How many items are ready."""
        return len(self._state.ready)

    @property
    def held_count(self) -> int:
        """How many are held by somebody."""
        return len(self._state.held)

    @property
    def takers(self) -> tuple[tuple[bytes, Taker], ...]:
        """Who takes items, by their keys."""
        return tuple(self._state.takers.items())

    def holds_any(self, taker: bytes) -> bool:
        """Whether this taker holds something."""
        key, _ = next(self._state.held.items(taker), (b"", None))
        return key.startswith(taker)

    def holds(self, taker: bytes, item: int) -> bool:
        """Whether this taker holds this item."""
        return self._state.held.get(taker + number(item)) is not None

    def __repr__(self) -> str:
        return f"<QueuePicture of {self.ready_count} ready and {self.held_count} held items at index {self.index}>"
