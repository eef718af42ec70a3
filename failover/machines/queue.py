"""The replicated queue, as trio programs hold it: put, get once, done.

`get` waits on this member's own picture, and asks the host only when there is something; two that ask for the
same item are told apart by the order of the log. Behind the handle a task says from time to time that this process
still holds what it holds, and looks for takers that are gone.

async with failover.machines.open_queue(storage="jobs.db", found=True) as queue:
    await queue.put("mail", {"to": "ann"})
    async with await queue.get("mail") as item:
        send(item.value)
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

import trio

import failover
from failover.machines import queue_machine
from failover.machines.changes import (
    DONE,
    FULL,
    NO_TAKER,
    NOT_HELD,
    NOTHING,
    Full,
    NotHeld,
    read_reply,
    wait_for_index,
    wait_until,
)
from failover.machines.coding import DEFAULT_VALUES, Codec, Reader, number, sized
from failover.machines.queue_machine import BODY_SIZE_MAX, SIZE_MAX, TOPIC_SIZE_MAX, QueueMachine, encode
from failover.machines.queue_state import QueuePicture
from failover.nursery import open_hidden_nursery

T = TypeVar("T")

HOLD_S = 30.0
TEND_S = 1.0
"""Between two looks at who holds what."""
OVERDUE_S = 2.0
"""Handles beside the host leave it so long to notice that a taker is gone."""
BYE_S = 1.0
"""Leaving the block waits so long, at most, for what was held to be given back."""


class Item:
    """Something that was taken: this process has it alone until it is done, given back, or this process is gone.

    As a context manager it is done at the end of the block, and given back if the block raises.
    """

    __slots__ = ("_is_over", "_queue", "_taker", "body", "number", "topic")

    def __init__(self, queue: Queue, taker: bytes, topic: str, item: int, body: bytes) -> None:
        self._queue = queue
        self._taker = taker
        self._is_over = False
        self.topic = topic
        self.number = item
        """Rises from item to item; the same when it is given out again."""
        self.body = body
        """The item's bytes."""

    @property
    def value(self) -> Any:
        """What was put. MalformedBytes: another program put something that the codec cannot read."""
        return self._queue.picture.values.decode(self.body)

    @property
    def is_held(self) -> bool:
        """Whether this process still has it, as far as this member knows."""
        return not self._is_over and self._queue.picture.holds(self._taker, self.number)

    async def done(self) -> None:
        """The work is done: nobody gets it again. Waits as long as there is no host.

        Raises:
            NotHeld: it was not this process's any more; somebody else may have got it, too.
            Closed, OutcomeUnknown: the member was closed, before or meanwhile.

        Cancelled, it may happen or not; call it again to know.
        """
        self._check()
        await self._queue.finish(self._taker, self.number)
        self._is_over = True

    async def give_back(self) -> None:
        """Have it given out again, at its old place. Raises as `done`; cancelled, it happens all the same."""
        self._check()
        self._is_over = True  # from now on this process may have taken it anew, and that is not for this object
        await self._queue.give_back(self._taker, self.number)

    def _check(self) -> None:
        if self._is_over:
            raise NotHeld(f"item {self.number} was done or given back before")

    async def __aenter__(self) -> Item:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.done()
            return
        with trio.CancelScope(shield=True), trio.move_on_after(BYE_S), suppress(failover.FailoverError):
            await self.give_back()

    def __repr__(self) -> str:
        return f"<Item {self.number} of {self.topic!r}>"


class _Errand(Generic[T]):
    """Something that is asked in a task of the handle, and goes on when the caller is cancelled."""

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.result: T | None = None
        self._error: Exception | None = None

    async def run(self, function: Callable[[], Awaitable[T]]) -> None:
        """Do it, and keep what comes of it."""
        try:
            self.result = await function()
        except failover.FailoverError as error:
            self._error = error
        except trio.Cancelled:  # the handle is left while somebody outside of its block waits
            self._error = failover.Closed("the queue was left; what was taken is given back")
            raise
        finally:
            self.ended.set()

    async def wait(self) -> T | None:
        """Wait for what comes of it."""
        await self.ended.wait()
        if self._error is not None:
            raise self._error
        return self.result


class Queue:
    """See the module's docstring. Made by `open_queue` or `use_queue`; a member has one, shared by its tasks."""

    def __init__(self, member: failover.Member, nursery: trio.Nursery, hold_s: float) -> None:
        self.member = member
        self._nursery = nursery
        self._hold_s = hold_s
        self._taker: bytes | None = None
        self._introducing = trio.Lock()
        self._renewed_at = -math.inf
        self._time_seen = (0, -math.inf)
        self._is_left = False

    @property
    def picture(self) -> QueuePicture:
        """The queue as this member knows it now: how many wait, and where."""
        return cast(QueuePicture, self.member.state)

    # --- putting and getting ---

    async def put(self, topic: str, value: Any, *, timeout: float | None = None) -> int:  # noqa: ASYNC109  # a promise
        """Put something behind all else in a topic; returns its number.

        Args:
            topic: at most 255 bytes of UTF-8; it need not be made before.
            value: what the codec takes, at most 60,000 bytes.
            timeout: seconds; None = `Settings.request_timeout_s`.

        Raises:
            UsageError: no topic, no value, or too large; nothing happened.
            Full: there is no room; nothing happened.
            OutcomeUnknown: no answer in time; it may have been put, once, or may be yet.

        Cancelled, it may be put or not, at most once. Of several calls at once any may be first.
        """
        body = self.picture.values.encode(value)
        if len(body) > BODY_SIZE_MAX:
            raise failover.UsageError(f"an item has at most {BODY_SIZE_MAX} bytes, not {len(body)}")
        command = encode(queue_machine.PUT, _topic(topic), sized(body))
        code, index, rest = read_reply(await self.member.request(command, timeout))
        if code == FULL:
            raise Full("the queue is full: get and finish something first")
        await self._seen(index)
        return rest.number_untrusted()

    async def get(self, topic: str) -> Item:
        """Wait until a topic has something, and take the oldest. It goes to nobody else while this process lives.

        It waits through changes of host, and as long as there is no host. Cancelling it loses nothing: what had
        been taken already is given back.

        Raises:
            UsageError: no topic.
            Closed: the member was closed, before or meanwhile; what it had taken is given out again.
        """
        coded = _topic(topic)
        while True:
            self._check()
            await wait_until(self.member, self.picture.hub, lambda: self._is_left or self.picture.waiting(topic))
            self._check()
            item = await self._take(topic, coded)
            if item is not None:
                return item

    async def _take(self, topic: str, coded: bytes) -> Item | None:
        """Ask on the handle's own behalf: whatever becomes of the caller, somebody must hear the answer."""
        errand = self._begin(partial(self._ask_as_taker, topic, coded))
        try:
            return await errand.wait()
        except trio.Cancelled:
            self._nursery.start_soon(self._return, errand)
            raise

    async def _return(self, errand: _Errand[Item | None]) -> None:
        await errand.ended.wait()
        if errand.result is not None:
            with suppress(failover.FailoverError):
                await errand.result.give_back()

    def _begin(self, function: Callable[[], Awaitable[T]]) -> _Errand[T]:
        self._check()
        errand = _Errand[T]()
        self._nursery.start_soon(errand.run, function)
        return errand

    async def _ask_as_taker(self, topic: str, coded: bytes) -> Item | None:
        while True:
            try:
                taker = await self._introduced()
                code, index, rest = await self._ask(encode(queue_machine.TAKE, taker, coded))
            except failover.OutcomeUnknown:
                raise failover.Closed("this member is closed; what it had taken is given out again") from None
            if code == NO_TAKER:
                self._forgotten(taker)
                continue
            # Somebody else was quicker, or the item is ours: either way it must not look as if it were ready.
            await self._seen(index)
            self.member.check_open()
            if code == NOTHING:
                return None
            self._renewed_at = trio.current_time()
            number_, body = rest.number_untrusted(), rest.rest()
            return Item(self, taker, topic, number_, body)

    async def finish(self, taker: bytes, item: int) -> None:
        """See `Item.done`."""
        await self._let_go(queue_machine.FINISH, taker, item)

    async def give_back(self, taker: bytes, item: int) -> None:
        """See `Item.give_back`."""
        await self._begin(partial(self._let_go, queue_machine.BACK, taker, item)).wait()

    async def _let_go(self, kind: int, taker: bytes, item: int) -> None:
        code, index, _ = await self._ask(encode(kind, taker, number(item)))
        if code == NOT_HELD:
            raise NotHeld(f"item {item} is not held by this process any more")
        await self._seen(index)

    async def _seen(self, index: int) -> None:
        """Wait until this member's own picture holds what a reply spoke of."""
        await wait_for_index(self.member, self.picture.hub, lambda: self.picture.index, index)

    async def _ask(self, command: bytes, timeout_s: float = math.inf) -> tuple[int, int, Reader]:
        return read_reply(await self.member.request(command, timeout_s))

    # --- being a taker ---

    async def _introduced(self) -> bytes:
        """This process's key as a taker. An earlier process of this member is forgotten with it."""
        async with self._introducing:
            self._check()
            if self._taker is None:
                hold_us = round(self._hold_s * 1_000_000)
                code, index, rest = await self._ask(encode(queue_machine.HELLO, number(hold_us)))
                if code == FULL:
                    most = queue_machine.TAKERS_MAX
                    raise Full(f"{most} processes take from this queue already; close one, then ask again")
                await self._seen(index)
                self._taker, self._renewed_at = rest.take_untrusted(8), trio.current_time()
            return self._taker

    def _check(self) -> None:
        if self._is_left:
            raise failover.Closed("this queue was left; open it again")

    def _forgotten(self, taker: bytes) -> None:
        if self._taker == taker:
            self._taker = None

    async def tend(self) -> None:
        """Take over from an earlier process of this member; then keep what is held, and look for who is gone."""
        with suppress(failover.FailoverError):
            await self.member.read_barrier()
            if any(taker.member == self.member.id for _, taker in self.picture.takers):
                await self._introduced()
        while True:
            await trio.sleep(min(TEND_S, self._hold_s / 4))
            try:
                await self._renew()
                await self._tidy()
            except failover.Closed:
                return
            except failover.FailoverError:  # no host for now
                continue

    async def _renew(self) -> None:
        taker = self._taker
        if taker is None or trio.current_time() < self._renewed_at + self._hold_s / 3:
            return
        if self.picture.holds_any(taker):
            code, _, _ = await self._ask(encode(queue_machine.RENEW, taker), self._hold_s / 3)
            if code == DONE:
                self._renewed_at = trio.current_time()
            else:
                self._forgotten(taker)

    async def _tidy(self) -> None:
        """Have takers forgotten that have left, or whose time is up while nobody else asks for anything."""
        picture, now = self.picture, trio.current_time()
        if picture.time_us != self._time_seen[0]:
            self._time_seen = (picture.time_us, now)
        takers = [(key, taker) for key, taker in picture.takers if picture.holds_any(key)]
        if not takers:
            return
        members = {each.member for each in self.member.status().members}
        gone = [key for key, taker in takers if taker.member not in members][: queue_machine.GONE_MAX]
        time_s = picture.time_us / 1_000_000 + now - self._time_seen[1]
        due_s = min(taker.until_us for _, taker in takers) / 1_000_000
        if not self.member.is_host:
            gone, due_s = [], due_s + OVERDUE_S
        if gone or time_s > due_s:
            await self._ask(encode(queue_machine.TIDY, number(len(gone), 1), *gone), self._hold_s / 3)

    async def say_goodbye(self) -> None:
        """Give back what is held, if there is a host to hear it."""
        self._is_left = True
        self.picture.hub.tell()
        taker = self._taker
        if taker is not None:
            with trio.CancelScope(shield=True), trio.move_on_after(BYE_S), suppress(failover.FailoverError):
                await self._ask(encode(queue_machine.BYE, taker))


def _topic(topic: str) -> bytes:
    try:
        coded = topic.encode()
    except (AttributeError, UnicodeEncodeError):
        raise failover.UsageError("a topic is text") from None
    if len(coded) > TOPIC_SIZE_MAX:
        raise failover.UsageError(f"a topic has at most {TOPIC_SIZE_MAX} bytes, not {len(coded)}")
    return sized(coded, 1)


@asynccontextmanager
async def use_queue(member: failover.Member, *, hold_s: float = HOLD_S) -> AsyncIterator[Queue]:
    """Use the queue that is the state of a member; leaving the block gives back what is held.

    Args:
        member: opened with a `QueueMachine`.
        hold_s: an item that is held is given out again when this process was not heard for so long, in cluster
            time; 1 to 3,600. A process that lives says so by itself, so this is no limit to the work.

    Raises:
        UsageError: the member's state is no queue, or it has a `Queue` already.
    """
    picture = member.state
    if not isinstance(picture, QueuePicture):
        raise failover.UsageError("the machine of this member is no QueueMachine")
    if not queue_machine.HOLD_MIN_S <= hold_s <= queue_machine.HOLD_MAX_S:
        raise failover.UsageError(f"hold_s = {hold_s} must be 1 to 3600 seconds")
    if picture.hub.is_used:
        raise failover.UsageError("this member's queue is in use: share that Queue among your tasks")
    picture.hub.is_used = True
    try:
        async with open_hidden_nursery() as nursery:
            queue = Queue(member, nursery, hold_s)
            nursery.start_soon(queue.tend)
            try:
                yield queue
            finally:
                await queue.say_goodbye()
                nursery.cancel_scope.cancel()
    finally:
        picture.hub.is_used = False


@asynccontextmanager
async def open_queue(
    *,
    values: Codec[Any] = DEFAULT_VALUES,
    size_max: int = SIZE_MAX,
    hold_s: float = HOLD_S,
    **options: Any,
) -> AsyncIterator[Queue]:
    """Open a member whose state is a queue: `open_member` and `use_queue` in one step.

    Args:
        values: codec of the items: `PLAIN`, `TEXT` (str), `RAW` (bytes) or one of your own.
        size_max: bytes of all items and their topics, with 300 for each item; 64 MiB unless said otherwise.
        hold_s: see `use_queue`.
        options: as for `open_member`: storage, ticket, found, and so on; and its errors.

    The codec and `size_max` must be equal on all members.
    """
    async with (
        failover.open_member(QueueMachine(values, size_max=size_max), **options) as member,
        use_queue(member, hold_s=hold_s) as queue,
    ):
        yield queue
