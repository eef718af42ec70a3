"""A member in a thread of its own, for programs with their own loop: pyglet, pygame, asyncio, `while True`.

with failover.start_member(Board(), storage="game.db", ticket=ticket, serve=serve, wake=post) as member:
    while running:
        for event in member.poll():
            show(event)
        draw(member.state)
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, TypeVar

import trio

from failover.codes import CODE_S
from failover.errors import Closed, OutcomeUnknown
from failover.events import Event
from failover.generations import Loss
from failover.ids import Epoch, Generation, MemberId
from failover.invites import Invite
from failover.lane import Unreliable, check_unreliable
from failover.machine import StateMachine
from failover.member import Member, open_member
from failover.status import Status
from failover.writer import SWITCH_INTERVAL_S

_T = TypeVar("_T")

TO_SEND_MAX = 256
"""Unreliable sendings on their way to the member's thread; the newest are kept."""


class MemberThread:
    """The same member as `Member`, seen from another thread. Nothing here blocks unless it says so.

    `start_member` makes and opens one. Who may want to give up while it is being opened, such as a player who is
    tired of waiting for a table, makes it from the same options as a dictionary, calls `start` in one thread, and
    `close` in another: `start` then raises `Closed`.

    A future raises what the method of `Member` raises; `OutcomeUnknown` if the member is closed while the call is
    under way, and `Closed` if that was before: then nothing happened.
    """

    def __init__(self, machine: StateMachine, options: dict[str, Any]) -> None:
        self._machine = machine
        self._options = options
        self._opened: Future[Member] = Future()
        self._token: trio.lowlevel.TrioToken | None = None
        self._has_begun = threading.Event()
        """Whether there is a token, or never will be."""
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._to_send: deque[tuple[bytes, MemberId | Literal["host", "all"]]] = deque(maxlen=TO_SEND_MAX)
        self._thread = threading.Thread(target=self._run, name="failover member", daemon=True)

    # --- life ---

    def start(self) -> None:
        """Open the member; blocks until it is open, and raises what `open_member` raises."""
        if sys.getswitchinterval() > SWITCH_INTERVAL_S:
            sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._thread.start()
        try:
            self._opened.result()
        except BaseException:  # Ctrl+C too: nobody else could close it
            self.close()
            raise

    def close(self) -> None:
        """Hand over if this member hosts, stop, and join the thread; blocks for up to two seconds. Idempotent."""
        self._has_begun.wait()
        if self._token is not None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._scope.cancel)
        self._thread.join()

    def __enter__(self) -> MemberThread:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            trio.run(self._main)
            error: BaseException = Closed("this member was closed while it was being opened")
        except BaseException as raised:
            if self._opened.done():
                raise
            error = _only(raised)
        finally:
            self._has_begun.set()
        if not self._opened.done():
            self._opened.set_exception(error)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._has_begun.set()
        with self._scope:
            async with open_member(self._machine, **self._options) as member, trio.open_nursery() as nursery:
                self._nursery = nursery
                self._opened.set_result(member)
                await trio.sleep_forever()

    # --- looking: from any thread, at once ---

    @property
    def _member(self) -> Member:
        return self._opened.result()

    @property
    def id(self) -> MemberId:
        """This member's id."""
        return self._member.id

    @property
    def state(self) -> object:
        """The newest picture of the state, by one reference."""
        return self._member.state

    @property
    def is_host(self) -> bool:
        """Whether this member is host at this very moment."""
        return self._member.is_host

    @property
    def epoch(self) -> Epoch | None:
        """The tenure that runs here, None if this member is not host."""
        return self._member.epoch

    def poll(self) -> list[Event]:
        """Return what happened since the last call."""
        return self._member.poll()

    # --- the unreliable lane: from any thread, at once ---

    def send_unreliable(self, body: bytes, to: MemberId | Literal["host", "all"] = "host") -> None:
        """`Member.send_unreliable`, by way of the member's thread. Never blocks. Dropped if the member is closed,
        or if 256 newer ones wait for that thread; these are not counted.

        Raises:
            UsageError: the size, or nobody to send to.
        """
        check_unreliable(body, to)
        self._to_send.append((body, to))
        assert self._token is not None
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._send_waiting, idempotent=True)

    def poll_unreliable(self) -> list[Unreliable]:
        """`Member.poll_unreliable`."""
        return self._member.poll_unreliable()

    def _send_waiting(self) -> None:
        try:
            while self._to_send:
                self._member.send_unreliable(*self._to_send.popleft())
        except Closed:
            self._to_send.clear()

    # --- calling: each returns a future at once ---

    def request(self, body: bytes, timeout: float | None = None, *, key: bytes | None = None) -> Future[bytes]:
        """`Member.request`. Cancelling the future does not call the request back."""
        return self._call(lambda: self._member.request(body, timeout, key=key))

    def new_key(self) -> bytes:
        """`Member.new_key`, at once, from any thread."""
        return self._member.new_key()

    def invite(self, *, uses: int = 1, expires_s: float = 86_400.0) -> Future[str]:
        """`Member.invite`."""
        return self._call(lambda: self._member.invite(uses=uses, expires_s=expires_s))

    def short_code(self, *, uses: int = 1, valid_s: float = CODE_S, listed: str = "") -> Future[str]:
        """`Member.short_code`. With `listed`, everybody on the LAN may join."""
        return self._call(lambda: self._member.short_code(uses=uses, valid_s=valid_s, listed=listed))

    def relist(self, title: str) -> Future[None]:
        """`Member.relist`."""

        async def relist() -> None:
            self._member.relist(title)

        return self._call(relist)

    def close_short_code(self) -> Future[None]:
        """`Member.close_short_code`."""

        async def close() -> None:
            self._member.close_short_code()

        return self._call(close)

    def invites(self) -> tuple[Invite, ...]:
        """`Member.invites`, at once."""
        return self._member.invites()

    def close_invite(self, invite_id: bytes) -> Future[None]:
        """`Member.close_invite`."""
        return self._call(lambda: self._member.close_invite(invite_id))

    @property
    def fingerprint(self) -> str:
        """`Member.fingerprint`."""
        return self._member.fingerprint

    def admit(self, member: MemberId) -> Future[None]:
        """`Member.admit`, in the member's thread."""

        async def admit() -> None:
            self._member.admit(member)

        return self._call(admit)

    def refuse(self, member: MemberId, reason: str = "") -> Future[None]:
        """`Member.refuse`, in the member's thread."""

        async def refuse() -> None:
            self._member.refuse(member, reason)

        return self._call(refuse)

    def hand_over(self, to: MemberId | None = None) -> Future[None]:
        """`Member.hand_over`."""
        return self._call(lambda: self._member.hand_over(to))

    def read_barrier(self) -> Future[None]:
        """`Member.read_barrier`."""
        return self._call(self._member.read_barrier)

    def remove(self, member: MemberId) -> Future[None]:
        """`Member.remove`."""
        return self._call(lambda: self._member.remove(member))

    def leave(self) -> Future[None]:
        """`Member.leave`."""
        return self._call(self._member.leave)

    def loss(self) -> Future[Loss]:
        """`Member.loss`, in the member's thread."""

        async def look() -> Loss:
            return self._member.loss()

        return self._call(look)

    def continue_alone(self, *, accept_loss: bool = False) -> Future[Loss]:
        """`Member.continue_alone`."""
        return self._call(lambda: self._member.continue_alone(accept_loss=accept_loss))

    def rejoin(self, generation: Generation) -> Future[None]:
        """`Member.rejoin`, in the member's thread."""

        async def rejoin() -> None:
            self._member.rejoin(generation)

        return self._call(rejoin)

    def status(self) -> Future[Status]:
        """`Member.status`, taken in the member's thread."""

        async def take() -> Status:
            return self._member.status()

        return self._call(take)

    def run(self, function: Callable[[Member], Awaitable[_T]]) -> Future[_T]:
        """Run an async function of the `Member` in the member's thread, beside what else runs there.

        It is cancelled when the member closes, and the future then raises `OutcomeUnknown`; `Closed` means that it
        never began. Cancelling the future after it has begun does nothing. The function must not block: heartbeats
        come from the same thread.
        """
        return self._call(lambda: function(self._member))

    def _call(self, function: Callable[[], Awaitable[_T]]) -> Future[_T]:
        future: Future[_T] = Future()

        async def carry_out() -> None:
            try:
                future.set_result(await function())
            except trio.Cancelled:
                words = "this member was closed meanwhile; it may have happened, look at the state"
                future.set_exception(OutcomeUnknown(words))
                raise
            except Exception as error:
                future.set_exception(error)

        def begin() -> None:
            assert self._nursery is not None
            if not future.set_running_or_notify_cancel():
                return
            try:
                self._nursery.start_soon(carry_out)
            except RuntimeError:  # the nursery is closed
                future.set_exception(Closed("this member is closed; nothing happened"))

        try:
            assert self._token is not None
            self._token.run_sync_soon(begin)
        except trio.RunFinishedError:
            future.set_exception(Closed("this member is closed; nothing happened"))
        return future


def _only(error: BaseException) -> BaseException:
    """The one error inside a group of one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def start_member(machine: StateMachine, **options: Any) -> MemberThread:
    """Open a member in a thread of its own and return when it is open; options and errors as `open_member`.

    The machine, `serve` and `wake` run in that thread. Use the result as a context manager, or call `close`.
    """
    member = MemberThread(machine, options)
    member.start()
    return member
