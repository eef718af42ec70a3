"""What the server function holds while it runs: the `Host`, and the requests that it is given.

A tenure is one run as host. Every method looks at the lease in the thread that calls it: a process that was
paused finds all of them refused from the moment it wakes, even before it is told.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import trio

from failover.errors import NotHost, OutcomeUnknown, UsageError
from failover.ids import Epoch, LogIndex, MemberId
from failover.interrupts import unbroken
from failover.records import COMMAND_SIZE_MAX, Caller, Mark

if TYPE_CHECKING:
    from failover.lane import Lane, Unreliable

WAITING_MAX = 1024
"""Requests that wait for the server function; more are dropped, and their senders ask again."""
AHEAD_MAX = 4096
"""Commands proposed and not applied; `Request.propose` waits beyond that."""


class Desk(Protocol):
    """What a tenure needs from the driver."""

    def propose(self, command: bytes, caller: Caller | None, mark: Mark | None) -> LogIndex | None:
        """Append a command; None if the tenure is over."""

    def next_index(self) -> LogIndex:
        """Where the next command would stand."""

    def refuse(self, caller: Caller, reason: str) -> None:
        """Tell a caller that its request was refused before anything happened."""

    def view(self) -> object:
        """The newest picture of the state."""

    def cluster_time(self) -> float:
        """Cluster seconds now."""


@dataclass(slots=True)
class Tenure:
    """One run as host, as the threads see it. The driver moves `lease_until`; nobody else writes."""

    epoch: Epoch
    clock: Callable[[], float]
    desk: Desk
    lease_until: float
    """On this member's clock; -inf once the tenure is over."""
    lane: Lane
    waiting: deque[Request] = field(default_factory=deque)
    """Requests that the server function has not taken yet."""
    arrived: trio.Event = field(default_factory=trio.Event)
    taken_at: float = 0.0
    """When the server function last took a request, or had none to take."""
    alive_at: float | None = None
    """When it last said that it lives; None = it never did."""
    commits: dict[LogIndex, Commit] = field(default_factory=dict)
    """Who waits for which entry."""
    over: trio.Event = field(default_factory=trio.Event)
    ahead: int = 0
    """Commands proposed and not applied yet."""
    room: trio.Event | None = None

    def is_running(self) -> bool:
        """Whether the lease holds at this very moment, by the caller's own look at the clock."""
        return self.clock() < self.lease_until

    def check(self) -> None:
        """Refuse if the tenure is over."""
        if not self.is_running():
            raise NotHost("the tenure is over; nothing happened")

    def end(self) -> None:
        """The tenure is over, now and for good: whoever waits may or may not have got his way."""
        self.lease_until = -math.inf
        self.over.set()
        self.waiting.clear()
        for commit in self.commits.values():
            commit.done.set()
        self.commits.clear()
        self.made_room()

    def made_room(self) -> None:
        """Commands were applied: whoever waits to propose may go on."""
        if self.room is not None:
            self.room.set()
            self.room = None


@dataclass(slots=True)
class Commit:
    """Somebody waits for an entry to be applied."""

    done: trio.Event = field(default_factory=trio.Event)
    reply: bytes | None = None


@unbroken
class Request:
    """A request of some member to this host. One request, at most one command."""

    __slots__ = ("_is_answered", "_tenure", "body", "caller", "mark")

    def __init__(self, tenure: Tenure, caller: Caller, body: bytes, mark: Mark | None = None) -> None:
        self._tenure = tenure
        self._is_answered = False
        self.caller = caller
        self.mark = mark
        self.body = body
        """What the member sent."""

    @property
    def sender(self) -> MemberId:
        """The authenticated member that asks."""
        return self.caller.member

    async def propose(self, command: bytes | None = None) -> None:
        """Append a command in answer to this request; its reply goes back when it is applied.

        Args:
            command: 1 to 65,536 bytes; None = the request's own body.

        Raises:
            NotHost: the tenure is over; nothing happened here, and the member asks the next host.
            UsageError: the request was proposed or refused before.

        Returns when appended, so that many travel together; waits only while very much is not applied yet.
        Cancelled before it returns, nothing was appended.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        tenure = self._tenure
        while (
            tenure.ahead >= AHEAD_MAX or propose(tenure, self.body if command is None else command, self) is None
        ):
            tenure.check()
            if tenure.room is None:
                tenure.room = trio.Event()
            await tenure.room.wait()

    def refuse(self, reason: str) -> None:
        """Answer that nothing will be done. Without refusal or proposal the member asks again.

        Raises:
            NotHost: the tenure is over.
            UsageError: the request was proposed or refused before.
        """
        self.check_unanswered()
        self._tenure.check()
        self._tenure.desk.refuse(self.caller, reason[:200])
        self._is_answered = True

    def check_unanswered(self) -> None:
        """Refuse a second answer: who was told no must never see it done."""
        if self._is_answered:
            raise UsageError("this request was proposed or refused before; one request, one command")

    def answered(self) -> None:
        """It was proposed: its reply goes back when that is applied."""
        self._is_answered = True


def propose(tenure: Tenure, command: bytes, answering: Request | None) -> LogIndex | None:
    """Append a command of this tenure, or say clearly that it did not happen; None if too much is under way."""
    if not isinstance(command, bytes) or not 1 <= len(command) <= COMMAND_SIZE_MAX:
        raise UsageError(f"a command is 1 to {COMMAND_SIZE_MAX} bytes")
    if answering is not None:
        answering.check_unanswered()
    tenure.check()
    caller, mark = (answering.caller, answering.mark) if answering else (None, None)
    index = tenure.desk.propose(command, caller, mark)
    if index is None:
        tenure.check()
        return None
    if answering is not None:
        answering.answered()
    tenure.ahead += 1
    return index


@unbroken
class Host:
    """This member is the host, for as long as its tenure lasts."""

    def __init__(self, tenure: Tenure, me: MemberId) -> None:
        self._tenure = tenure
        self.id = me
        """This member."""

    @property
    def epoch(self) -> Epoch:
        """The fencing token of this tenure."""
        return self._tenure.epoch

    @property
    def state(self) -> object:
        """The newest picture of the application's state (`StateMachine.view`).

        Raises:
            NotHost: the tenure is over; somebody else may have changed the state since.
        """
        view = self._tenure.desk.view()
        self._tenure.check()
        return view

    @property
    def time(self) -> float:
        """Cluster seconds now: never backwards, standing still while there is no host."""
        return self._tenure.desk.cluster_time()

    def is_running(self) -> bool:
        """Whether the tenure goes on at this moment; from any thread."""
        return self._tenure.is_running()

    def alive(self) -> None:
        """Say that the server function lives. Once called, it must be called again within `Settings.alive_s`.

        Raises:
            NotHost: the tenure is over.
        """
        self._tenure.check()
        self._tenure.alive_at = self._tenure.clock()

    def requests(self) -> AsyncIterator[Request]:
        """Yield the members' requests in the order of their arrival, each once in this tenure.

        Ends only by cancellation, with the tenure. A request that is taken and neither proposed nor refused is
        asked again by its sender, and yielded again by the next host only. Several tasks may share the work.

        Raises:
            NotHost: the tenure is over.
        """
        return _Requests(self._tenure)

    def propose(self, command: bytes, answering: Request | None = None) -> LogIndex:
        """Append a command; returns its index at once, before it is stored or committed anywhere.

        Args:
            command: 1 to 65,536 bytes.
            answering: the request whose sender gets the reply.

        Raises:
            NotHost: the tenure is over, or too much waits for a quorum; nothing happened.
            UsageError: the request was proposed or refused before.
        """
        index = propose(self._tenure, command, answering)
        if index is None:
            raise NotHost("the tenure is over, or too much waits for a quorum; nothing happened")
        return index

    def send_unreliable(self, body: bytes, to: MemberId | Literal["all"] = "all") -> None:
        """Send what is not worth a commit, such as all positions, 60 times a second; see `Member.send_unreliable`.

        Args:
            body: 1 to 1,024 bytes.
            to: "all" members, also the one on this machine, whose window wants it as well; or one member.

        It arrives marked as from the host, only on members that follow this very tenure.

        Raises:
            NotHost: the tenure is over; nothing was sent.
            UsageError: the size, or nobody to send to.
        """
        self._tenure.check()
        self._tenure.lane.host_sends(self._tenure.epoch, body, to)

    def poll_unreliable(self) -> list[Unreliable]:
        """Return what members sent to the host of this tenure since the last call, oldest first; never blocks.

        Raises:
            NotHost: the tenure is over.
        """
        taken = self._tenure.lane.for_host.take()
        self._tenure.check()
        return taken

    def unreliable(self) -> AsyncIterator[Unreliable]:
        """Yield what members send to the host of this tenure, each to one reader.

        Ends only by cancellation, with the tenure. The last 1,024 wait for a reader that is slow.

        Raises:
            NotHost: the tenure is over.
        """
        return self._tenure.lane.host_reader(self._tenure)

    async def commit(self, command: bytes) -> bytes:
        """Append a command and wait until it is applied here; returns `apply`'s reply.

        When this has returned, every later host has the entry.

        Raises:
            NotHost: the tenure was over before; nothing happened.
            OutcomeUnknown: the tenure ended meanwhile; it may have happened or not.

        Cancelled, it may have happened or not.
        """
        tenure = self._tenure
        expected = tenure.desk.next_index()  # alone and in memory, it is applied before `propose` returns
        commit = tenure.commits[expected] = Commit()
        try:
            index = self.propose(command)
        except BaseException:
            tenure.commits.pop(expected, None)
            raise
        assert index == expected
        await commit.done.wait()
        if commit.reply is None or not tenure.is_running():
            raise OutcomeUnknown("the tenure ended before the command was known to be applied")
        return commit.reply


@unbroken
class _Requests:
    """No generator: one that is left in the middle would be the garbage collector's to unwind."""

    def __init__(self, tenure: Tenure) -> None:
        self._tenure = tenure

    def __aiter__(self) -> _Requests:
        return self

    async def __anext__(self) -> Request:
        tenure = self._tenure
        await trio.lowlevel.checkpoint_if_cancelled()
        while not tenure.waiting:
            tenure.check()
            if tenure.arrived.is_set():
                tenure.arrived = trio.Event()
            await tenure.arrived.wait()
        request = tenure.waiting.popleft()
        tenure.taken_at = tenure.clock()
        tenure.check()
        return request
