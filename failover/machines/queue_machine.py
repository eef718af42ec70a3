"""The replicated queue's state machine: topics of items, who holds which, and until when.

An item is ready, or held by one taker, or gone. A taker is one process of one member; it says for how long it may
be silent, in cluster time. One that is silent for longer, says goodbye, or is succeeded by a newer process of the
same member is forgotten, and what it held is ready again, at its old place. So an item is given to one taker at a
time, in the order in which it was put, and to another one only if its taker is gone or gave it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import failover
from failover.machines.changes import (
    DONE,
    FULL,
    MALFORMED,
    NO_TAKER,
    NOT_HELD,
    NOTHING,
    Hub,
    reply,
)
from failover.machines.coding import DEFAULT_VALUES, Codec, Reader, Sum, number
from failover.machines.queue_snapshot import pieces, read
from failover.machines.queue_state import Item, QueuePicture, State, Taker, place

TOPIC_SIZE_MAX = 255
"""Bytes of a topic's name in UTF-8."""
BODY_SIZE_MAX = 60_000
"""Bytes of a coded item."""
ITEM_COST = 300
"""Each item counts so many bytes beside its own: what Python needs for it."""
SIZE_MAX = 64 * 1024 * 1024
HOLD_MIN_S, HOLD_MAX_S = 1.0, 3_600.0
TAKERS_MAX = 256
GONE_MAX = 64
"""Takers that one command may report as gone."""

PUT, HELLO, TAKE, FINISH, BACK, RENEW, TIDY, BYE = range(1, 9)


def encode(kind: int, *parts: bytes) -> bytes:
    """A command."""
    return number(kind, 1) + b"".join(parts)


class QueueMachine:
    """The replicated queue as a `failover.StateMachine`; give it to `open_member`, then use `use_queue`.

    Args:
        values: codec of the items: `PLAIN`, `TEXT`, `RAW` or one of your own.
        size_max: bytes of all items and their topics, with 300 for each item; equal on all members.
    """

    def __init__(self, values: Codec[object] = DEFAULT_VALUES, *, size_max: int = SIZE_MAX) -> None:
        self._values = values
        self._size_max = size_max
        self._hub = Hub()
        self._state = State()
        self._sum = Sum()
        self._size = 0
        self._due_us = 0
        """Nobody's time is up before; a hint, and no part of the state."""
        self._kinds: dict[int, Callable[[Reader, bytes], bytes]] = {
            PUT: self._put,
            HELLO: self._hello,
            TAKE: self._take,
            FINISH: self._finish,
            BACK: self._give_back,
            RENEW: self._renew,
            TIDY: self._tidy,
            BYE: self._bye,
        }

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """Forget the takers whose time is up, then carry out one command."""
        state = self._state
        state.index = context.index
        state.time_us = max(state.time_us, round(context.time * 1_000_000))
        self._forget_the_silent()
        reader = Reader(command)
        try:
            kind = reader.number_untrusted(1)
            if kind not in self._kinds:
                raise failover.MalformedBytes("no command of this version")
            return self._kinds[kind](reader, context.sender or b"")
        except failover.MalformedBytes:  # raised before anything was changed
            return self._reply(MALFORMED)

    def view(self) -> QueuePicture:
        """Return the present picture: a few references, since what it is made of never changes."""
        self._hub.tell()
        return QueuePicture(self._state, self._values, self._hub)

    def snapshot(self) -> Iterator[bytes]:
        """Yield all items and takers, 64 KiB at a time."""
        return pieces(self._state.copy())

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Take over what `snapshot` wrote. MalformedBytes: it did not write this; nothing was changed."""
        self._state = read(chunks)
        self._sum, self._size, self._due_us = Sum(), 0, 0
        for _, item in self._state.ready.items():
            self._count(item)
        for key, item in self._state.held.items():
            self._count(item)
            self._sum.add(key)
        for key, taker in self._state.takers.items():
            self._sum.add(key, taker.encode())

    def digest(self) -> bytes:
        """Return 16 bytes of the contents, the index and the time; the same work for any size."""
        return self._sum.digest(number(self._state.index), number(self._state.time_us))

    # --- the commands: each reads all of itself, then changes something ---

    def _put(self, reader: Reader, sender: bytes) -> bytes:
        topic = _topic_untrusted(reader)
        body = reader.sized_untrusted(BODY_SIZE_MAX)
        reader.end_untrusted()
        item = Item(self._state.index, topic, body)
        if self._size + _cost(item) > self._size_max:
            return self._reply(FULL)
        self._count(item)
        self._make_ready(item)
        return self._reply(DONE, number(item.number))

    def _hello(self, reader: Reader, sender: bytes) -> bytes:
        hold_us = reader.number_untrusted(8, round(HOLD_MAX_S * 1_000_000))
        reader.end_untrusted()
        state = self._state
        for key, taker in state.takers.items():  # of the picture before: what is forgotten does not disturb it
            if taker.member == sender:
                self._forget(key)
        if len(state.takers) >= TAKERS_MAX:
            return self._reply(FULL)
        hold_us = max(hold_us, round(HOLD_MIN_S * 1_000_000))
        key = number(state.index)
        self._set_taker(key, Taker(sender, hold_us, state.time_us + hold_us))
        return self._reply(DONE, key)

    def _take(self, reader: Reader, sender: bytes) -> bytes:
        key, topic = reader.take_untrusted(8), _topic_untrusted(reader)
        reader.end_untrusted()
        if not self._heard(key, sender):
            return self._reply(NO_TAKER)
        item = self._state.first(topic)
        if item is None:
            return self._reply(NOTHING)
        self._state.unready(item)
        held = key + number(item.number)
        self._state.held = self._state.held.put(held, item)
        self._sum.add(held)
        return self._reply(DONE, number(item.number) + item.body)

    def _finish(self, reader: Reader, sender: bytes) -> bytes:
        item = self._let_go(reader, sender)
        if item is None:
            return self._reply(NOT_HELD)
        self._size -= _cost(item)
        self._sum.take_away(*item.fact())
        return self._reply(DONE)

    def _give_back(self, reader: Reader, sender: bytes) -> bytes:
        item = self._let_go(reader, sender)
        if item is None:
            return self._reply(NOT_HELD)
        self._make_ready(item)
        return self._reply(DONE)

    def _renew(self, reader: Reader, sender: bytes) -> bytes:
        key = reader.take_untrusted(8)
        reader.end_untrusted()
        return self._reply(DONE if self._heard(key, sender) else NO_TAKER)

    def _tidy(self, reader: Reader, sender: bytes) -> bytes:
        """Somebody says who has left. Members are believed: one that lies could as well take everything itself."""
        gone = [reader.take_untrusted(8) for _ in range(reader.number_untrusted(1, GONE_MAX))]
        reader.end_untrusted()
        for key in gone:
            self._forget(key)
        return self._reply(DONE)

    def _bye(self, reader: Reader, sender: bytes) -> bytes:
        key = reader.take_untrusted(8)
        reader.end_untrusted()
        if self._heard(key, sender):
            self._forget(key)
        return self._reply(DONE)

    # --- what they are made of ---

    def _reply(self, code: int, more: bytes = b"") -> bytes:
        return reply(code, self._state.index, more)

    def _count(self, item: Item) -> None:
        self._size += _cost(item)
        self._sum.add(*item.fact())

    def _make_ready(self, item: Item) -> None:
        state = self._state
        state.ready = state.ready.put(place(item.topic, item.number), item)
        state.counts = state.counts.put(item.topic, (state.counts.get(item.topic) or 0) + 1)

    def _let_go(self, reader: Reader, sender: bytes) -> Item | None:
        """The item that the command names, if its taker holds it; then it holds it no more."""
        key, item_number = reader.take_untrusted(8), reader.take_untrusted(8)
        reader.end_untrusted()
        if not self._heard(key, sender):
            return None
        item = self._state.held.get(key + item_number)
        if item is not None:
            self._release(key + item_number)
        return item

    def _release(self, held: bytes) -> None:
        self._state.held = self._state.held.without(held)
        self._sum.take_away(held)

    def _heard(self, key: bytes, sender: bytes) -> bool:
        """Whether there is this taker, and it is the sender's; then its time begins anew."""
        taker = self._state.takers.get(key)
        if taker is None or taker.member != sender:
            return False
        self._sum.take_away(key, taker.encode())
        self._set_taker(key, Taker(sender, taker.hold_us, self._state.time_us + taker.hold_us))
        return True

    def _set_taker(self, key: bytes, taker: Taker) -> None:
        self._state.takers = self._state.takers.put(key, taker)
        self._sum.add(key, taker.encode())
        self._due_us = min(self._due_us, taker.until_us)

    def _forget_the_silent(self) -> None:
        state = self._state
        if state.time_us < self._due_us:
            return
        for key, taker in state.takers.items():
            if taker.until_us <= state.time_us:
                self._forget(key)
        # With nobody here this is 0, so that whoever comes first is looked at.
        self._due_us = min((taker.until_us for _, taker in state.takers.items()), default=0)

    def _forget(self, key: bytes) -> None:
        """The taker is no more; all that it held is ready again."""
        taker = self._state.takers.get(key)
        if taker is None:
            return
        self._state.takers = self._state.takers.without(key)
        self._sum.take_away(key, taker.encode())
        for held, item in self._state.held.items(key):
            if not held.startswith(key):
                break
            self._release(held)
            self._make_ready(item)


def _topic_untrusted(reader: Reader) -> bytes:
    return reader.sized_untrusted(TOPIC_SIZE_MAX, 1)


def _cost(item: Item) -> int:
    return len(item.topic) + len(item.body) + ITEM_COST
