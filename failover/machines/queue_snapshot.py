"""A replicated queue's state as a snapshot, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from failover.machines.chunks import Chunks, in_pieces
from failover.machines.coding import number, sized
from failover.machines.queue_state import Item, State, Taker, place
from failover.machines.tree import Tree

V = TypeVar("V")

_FORMAT = b"failover queue 1\n"


def pieces(state: State) -> Iterator[bytes]:
    """Yield the whole state, which nobody changes any more."""
    return in_pieces(_parts(state))


def _parts(state: State) -> Iterator[bytes]:
    yield _FORMAT + number(state.index) + number(state.time_us)
    for tree in (state.takers, state.ready, state.held):
        yield number(len(tree))
    for key, taker in state.takers.items():
        yield key + taker.encode()
    for _, item in state.ready.items():
        yield _coded(item)
    for key, item in state.held.items():
        yield key[:8] + _coded(item)


def _coded(item: Item) -> bytes:
    return number(item.number) + sized(item.topic, 1) + sized(item.body)


def read(chunks: Iterable[bytes]) -> State:
    """Read what `pieces` yielded. Raises MalformedBytes for anything else."""
    source, state = Chunks(chunks, _FORMAT), State()
    state.index, state.time_us = source.number(), source.number()
    takers, ready, held = source.number(), source.number(), source.number()
    state.takers = Tree.from_sorted(_rising(_takers(source, takers), source))
    state.ready = Tree.from_sorted(_rising(_ready(source, ready), source))
    state.held = Tree.from_sorted(_rising(_held(source, held), source))
    source.end()
    counts: dict[bytes, int] = {}
    for _, item in state.ready.items():
        counts[item.topic] = counts.get(item.topic, 0) + 1
    state.counts = Tree.from_sorted(sorted(counts.items()))
    return state


def _takers(source: Chunks, count: int) -> Iterator[tuple[bytes, Taker]]:
    for _ in range(count):
        key = source.take(8)
        yield key, Taker(source.take(source.number(1)), source.number(), source.number())


def _ready(source: Chunks, count: int) -> Iterator[tuple[bytes, Item]]:
    for _ in range(count):
        item = _item(source)
        yield place(item.topic, item.number), item


def _held(source: Chunks, count: int) -> Iterator[tuple[bytes, Item]]:
    for _ in range(count):
        key, item = source.take(8), _item(source)
        yield key + number(item.number), item


def _item(source: Chunks) -> Item:
    return Item(source.number(), source.take(source.number(1)), source.take(source.number(2)))


def _rising(pairs: Iterator[tuple[bytes, V]], source: Chunks) -> Iterator[tuple[bytes, V]]:
    last = b""
    for key, value in pairs:
        source.check(key > last, "not in order")
        last = key
        yield key, value
