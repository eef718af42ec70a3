"""The unreliable lane: what is not worth a commit, such as positions at 60 Hz, stamped with the tenure it is of.

Theory of operation. A member *follows* the tenure of the newest term in which it heard a leader; it only goes up.
What it sends carries this epoch, and a receiver delivers only what carries the very epoch that it follows itself.
So once a member has heard of a new host, nothing that belongs to the old one reaches its application any more,
however long it was on its way; and what waits for the application when the epoch changes is thrown away. What the
server function sends is marked, and the mark counts from the leader of that term alone.

Everything may be lost: in the network, above the rate (`net/lane.py`), where sender and receiver do not follow the
same tenure yet, and where the application does not take what waits (the newest are kept). All of it is counted.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Literal, NamedTuple

import trio

from failover.driver import Driver
from failover.errors import NotHost, UsageError
from failover.host import Tenure
from failover.ids import MEMBER_ID_SIZE, Epoch, MemberId, Term
from failover.interrupts import unbroken
from failover.net import frames
from failover.net.frames import UNRELIABLE_SIZE_MAX, Way
from failover.replica import Replica

WAITING_MAX = 1024
"""Of each of the two queues: that of the member's application, and that of the server function."""

To = MemberId | Literal["host", "all"]
"""To whom a member sends."""
HostTo = MemberId | Literal["all"]
"""To whom a server function sends."""


class Unreliable(NamedTuple):
    """Something that came over the unreliable lane."""

    sender: MemberId
    """Who sent it, authenticated."""
    epoch: Epoch
    """The tenure that it is of: sender and receiver both follow it."""
    is_from_host: bool
    """Whether the server function of that tenure sent it, and not just some member."""
    body: bytes
    """1 to 1,024 bytes; treat them like everything that other players' machines send."""


class Waiting:
    """What has arrived and was not taken yet; filled by the member's thread, emptied from any."""

    __slots__ = ("_arrived", "_counters", "_items", "_reader_waits")

    def __init__(self, counters: Counter[str]) -> None:
        self._items: deque[Unreliable] = deque(maxlen=WAITING_MAX)
        self._counters = counters
        self._arrived = trio.Event()
        self._reader_waits = False

    def put(self, item: Unreliable) -> None:
        """One more; if nobody takes them, the oldest goes."""
        if len(self._items) == WAITING_MAX:
            self._counters["lane: not taken in time"] += 1
        self._items.append(item)
        if self._reader_waits:
            self.wake()

    def void(self) -> None:
        """They are of a tenure that is over."""
        if self._items:
            self._counters["lane: older epoch"] += len(self._items)
            self._items.clear()

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._reader_waits = False
        self._arrived.set()

    def take(self) -> list[Unreliable]:
        """All, oldest first."""
        taken, items = [], self._items
        try:
            while items:
                taken.append(items.popleft())
        except IndexError:  # voided meanwhile, by the member's thread
            pass
        return taken

    def take_one(self) -> Unreliable | None:
        """The oldest, None if there is none."""
        return self._items.popleft() if self._items else None

    async def wait(self) -> None:
        """Until there may be something."""
        if not self._reader_waits:
            self._arrived, self._reader_waits = trio.Event(), True
        await self._arrived.wait()


class Lane:
    """One member's end of the lane: tells what to send from what to drop."""

    def __init__(
        self,
        *,
        me: MemberId,
        driver: Driver,
        replica: Replica,
        tenure: Callable[[], Tenure | None],
        is_over: Callable[[], bool],
    ) -> None:
        self._me = me
        self._driver = driver
        self._replica = replica
        self._tenure = tenure
        self._is_over = is_over
        self._counters = driver.peers.counters
        self._term = Term(0)
        self._leader: MemberId | None = None
        """Of the term that this member follows; it may be gone by now."""
        self.for_member = Waiting(self._counters)
        self.for_host = Waiting(self._counters)
        driver.peers.lane.received = self.received

    @property
    def epoch(self) -> Epoch | None:
        """The tenure that this member follows; None before it has heard of one."""
        directory = self._replica.directory
        return Epoch(directory.generation, self._term) if directory is not None and self._term else None

    def leader_is(self, leader: MemberId | None, term: Term) -> None:
        """The core follows somebody (else), or nobody at the moment."""
        if leader is None or term <= self._term:
            return
        self._leader, self._term = leader, term
        self.for_member.void()
        self.for_host.void()

    # --- out ---

    def member_sends(self, body: bytes, to: To) -> None:
        """See `Member.send_unreliable`."""
        check_unreliable(body, to)
        epoch = self.epoch
        if epoch is None:
            self._counters["lane: no host"] += 1
        elif to == "host":
            self._send_to_host(epoch, body)
        else:
            self._send(epoch, Way.MEMBER, body, self._others() if to == "all" else (to,))

    def host_sends(self, epoch: Epoch, body: bytes, to: HostTo) -> None:
        """See `Host.send_unreliable`."""
        check_unreliable(body, to, ("all",))
        self._send(epoch, Way.FROM_HOST, body, (*self._others(), self._me) if to == "all" else (to,))

    def _send_to_host(self, epoch: Epoch, body: bytes) -> None:
        host = self._driver.core.leader
        if host is None:
            self._counters["lane: no host"] += 1
        elif host == self._me:
            self._deliver_to_host(epoch, body, self._me)
        else:
            self._send(epoch, Way.TO_HOST, body, (host,))

    def _send(self, epoch: Epoch, way: Way, body: bytes, to: tuple[MemberId, ...]) -> None:
        if to and to[-1] == self._me:
            to = to[:-1]
            if epoch == self.epoch:
                self.for_member.put(Unreliable(self._me, epoch, way is Way.FROM_HOST, body))
        if to:
            self._driver.send_unreliable(to, frames.unreliable(way, epoch.generation, epoch.term, body))

    def _others(self) -> tuple[MemberId, ...]:
        directory = self._replica.directory
        assert directory is not None
        return tuple(member for member in directory.members if member != self._me)

    # --- in ---

    def received(self, sender: MemberId, item: frames.Unreliable) -> None:
        """Somebody sent this. Deliver it, or drop and count it."""
        epoch = self.epoch
        if epoch is None or item.generation != epoch.generation:
            self._counters["lane: no such epoch"] += 1
        elif item.term != epoch.term:
            self._counters["lane: older epoch" if item.term < epoch.term else "lane: newer epoch"] += 1
        elif sender in self._driver.departed:
            self._counters["lane: not a member"] += 1
        elif item.way is Way.TO_HOST:
            self._deliver_to_host(epoch, item.body, sender)
        elif item.way is Way.FROM_HOST and sender != self._leader:
            self._counters["lane: not from the host"] += 1
        else:
            self.for_member.put(Unreliable(sender, epoch, item.way is Way.FROM_HOST, item.body))

    def _deliver_to_host(self, epoch: Epoch, body: bytes, sender: MemberId) -> None:
        tenure = self._tenure()
        if tenure is None or tenure.epoch != epoch or not tenure.is_running():
            self._counters["lane: not host"] += 1
        else:
            self.for_host.put(Unreliable(sender, epoch, False, body))

    # --- readers ---

    def host_reader(self, tenure: Tenure) -> HostReader:
        """See `Host.unreliable`."""
        return HostReader(self.for_host, tenure)

    def member_reader(self) -> MemberReader:
        """See `Member.unreliable`."""
        return MemberReader(self.for_member, self._is_over)

    def stop(self) -> None:
        """The member is no more: let readers see it."""
        self.for_member.wake()
        self.for_host.wake()


@unbroken
class MemberReader:
    """Takes one at a time; ends when the member has stopped."""

    def __init__(self, waiting: Waiting, is_over: Callable[[], bool]) -> None:
        self._waiting = waiting
        self._is_over = is_over

    def __aiter__(self) -> MemberReader:
        return self

    async def __anext__(self) -> Unreliable:
        await trio.lowlevel.checkpoint_if_cancelled()
        while (item := self._waiting.take_one()) is None:
            if self._is_over():
                raise StopAsyncIteration
            await self._waiting.wait()
        return item


@unbroken
class HostReader:
    """Takes one at a time for the server function of one tenure, and refuses when that is over."""

    def __init__(self, waiting: Waiting, tenure: Tenure) -> None:
        self._waiting = waiting
        self._tenure = tenure

    def __aiter__(self) -> HostReader:
        return self

    async def __anext__(self) -> Unreliable:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._tenure.check()
        while (item := self._waiting.take_one()) is None:
            await self._waiting.wait()
            self._tenure.check()
        if item.epoch != self._tenure.epoch:
            raise NotHost("the tenure is over")
        return item


def check_unreliable(body: object, to: object, words: tuple[str, ...] = ("host", "all")) -> None:
    """Refuse what can never be sent."""
    if not isinstance(body, bytes) or not 1 <= len(body) <= UNRELIABLE_SIZE_MAX:
        raise UsageError(f"what goes over the unreliable lane is 1 to {UNRELIABLE_SIZE_MAX} bytes")
    if to not in words and not (isinstance(to, bytes) and len(to) == MEMBER_ID_SIZE):
        raise UsageError(f"{to!r:.60} is nobody to send to: a member's id, or one of {', '.join(words)}")
