"""The replicated queue for programs with their own loop: what asks the host returns a future.

with failover.machines.start_queue(storage="jobs.db", found=True) as queue:
    queue.put("mail", {"to": "ann"}).result(10)
    item = queue.get("mail").result()
    send(item.value)
    queue.done(item).result(10)
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, cast

import trio

import failover
from failover.machines.coding import DEFAULT_VALUES, Codec
from failover.machines.queue import BYE_S, HOLD_S, Item, Queue, use_queue
from failover.machines.queue_machine import SIZE_MAX, QueueMachine
from failover.machines.queue_state import QueuePicture


class QueueThread:
    """The same as `Queue`, over a `MemberThread`. Nothing blocks; errors are those of `Queue`, in the futures."""

    def __init__(self, member: failover.MemberThread, queue: Queue) -> None:
        self.member = member
        self._queue = queue

    @property
    def picture(self) -> QueuePicture:
        """The queue as this member knows it now; from any thread, at once."""
        return cast(QueuePicture, self.member.state)

    def put(self, topic: str, value: Any, *, timeout: float | None = None) -> Future[int]:
        """`Queue.put`. Of several that are under way any may be first: wait for one if the order counts."""
        return self.member.run(lambda _: self._queue.put(topic, value, timeout=timeout))

    def get(self, topic: str, *, timeout: float = float("inf")) -> Future[Item | None]:
        """`Queue.get`; None if nothing came within `timeout` seconds.

        Cancelling the future does not call it back: what comes is held all the same. Give a `timeout` instead.
        If the member is closed meanwhile, `OutcomeUnknown`: what was taken is given out again.
        """

        async def get(_: failover.Member) -> Item | None:
            with trio.move_on_after(timeout):
                return await self._queue.get(topic)
            return None

        return self.member.run(get)

    def done(self, item: Item) -> Future[None]:
        """`Item.done`."""
        return self.member.run(lambda _: item.done())

    def give_back(self, item: Item) -> Future[None]:
        """`Item.give_back`."""
        return self.member.run(lambda _: item.give_back())


@contextmanager
def start_queue(
    *,
    values: Codec[Any] = DEFAULT_VALUES,
    size_max: int = SIZE_MAX,
    hold_s: float = HOLD_S,
    **options: Any,
) -> Iterator[QueueThread]:
    """Open a member whose state is a queue in a thread of its own; see `open_queue` and `start_member`."""
    with failover.start_member(QueueMachine(values, size_max=size_max), **options) as member:
        opened: Future[Queue] = Future()
        closing = trio.Event()

        async def live(opened_member: failover.Member) -> None:
            try:
                async with use_queue(opened_member, hold_s=hold_s) as queue:
                    opened.set_result(queue)
                    await closing.wait()
            except failover.UsageError as error:
                opened.set_exception(error)

        async def close(_: failover.Member) -> None:
            closing.set()

        living = member.run(live)
        try:
            yield QueueThread(member, opened.result())
        finally:
            member.run(close)
            living.exception(2 * BYE_S)  # it waits for the host for `BYE_S` at most
