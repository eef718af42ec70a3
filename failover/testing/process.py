"""One life of a simulated computer's program: a real `Member` in a trio run of its own.

Its surroundings are simulated; what it lives in (`Computer`) outlives it. It ends by itself, in order, or by
`crash`: then it is cut off from network and disk at that very moment, and unwinds where nobody sees it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import trio

from failover.errors import Closed, FailoverError
from failover.fitness import Computer as LooksOfComputer
from failover.hosting import Serve
from failover.machine import StateMachine
from failover.member import Member, open_member
from failover.settings import Settings
from failover.storage.contract import Storage
from failover.surroundings import Surroundings
from failover.testing.checkers import Violation
from failover.testing.guest_run import GuestRun, Stuck
from failover.testing.simulated_clock import SimulatedClock
from failover.testing.simulated_disk import ProcessDied
from failover.testing.simulated_writer import SimulatedWriter
from failover.writer import Failed, InlineWriter, Stored, Troubled, Writer

if TYPE_CHECKING:
    from failover.running import Running
    from failover.testing.computer import Computer

UNIX_EPOCH_S = 1_700_000_000.0
Play = Callable[[Member, Random], Awaitable[None]]
"""Plays one member for as long as its process lives: makes requests, looks at the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What runs on every computer."""

    machine: Callable[[], StateMachine]
    serve: Serve | None
    play: Play | None
    settings: Settings


class Process:
    """See the module's docstring."""

    def __init__(self, computer: Computer, program: Program, *, ticket: str | None, found: bool) -> None:
        world = self.world = computer.world
        self.computer = computer
        self.member: Member | None = None
        self.running: Running | None = None
        """The member's parts, as soon as they are put together."""
        self.machine = program.machine()
        self.clock = SimulatedClock(
            world.true_time, world.dice.uniform(0, 1e5), computer.draw_rate(), world.dice.uniform(-1e3, 1e5)
        )
        self.is_alive = True
        self.is_leaving = False
        self.paused_until = 0.0
        self.fuse: int | None = None
        """Crash when so many datagrams and writes have left."""
        self._program = program
        self._ticket, self._found = ticket, found
        self._asleep_since: float | None = None
        self._calls: list[Callable[[], None]] = []
        """What waits for the end of a pause."""
        self._closing: trio.Event | None = None
        self._scope = trio.CancelScope()
        self._writer: SimulatedWriter | None = None
        self._due = float("inf")
        self.socket = world.network.open(computer.number, computer.address)
        self.socket.arrived = self._datagram_arrived
        self.socket.before_send = self._burn
        self.disk = computer.disk.mount()
        self.disk.before_write = self._burn
        self._run = GuestRun(self._live, self.clock.trio_now)
        world.time.after(0.0, self.step)

    # --- inside ---

    async def _live(self) -> None:
        computer, dice = self.computer, self.world.dice
        surroundings = Surroundings(
            clock=self.clock.now,
            unix_time=lambda: UNIX_EPOCH_S + self.world.true_time() + computer.wall_clock_error_s,
            dice=dice.random,
            entropy=dice.randbytes,
            open_writer=self._open_writer,
            look_at_computer=self._look_at_computer,
            open_board=None if self.world.lan is None else self.world.lan.open_for(computer.number),
            resolve=self.world.resolve,
            look_on=self._put_together,
            tends_garbage=False,
        )
        with self._scope:
            async with open_member(
                self.machine,
                storage=self.disk,
                ticket=self._ticket,
                found=self._found,
                serve=self._program.serve,
                name=computer.name,
                settings=self._program.settings,
                transport=self.socket,
                addresses=computer.given,
                surroundings=surroundings,
            ) as member:
                self.member = member
                computer.has_opened = True
                self._closing = trio.Event()
                async with trio.open_nursery() as nursery:
                    if self._program.play is not None:
                        nursery.start_soon(self._play, self._program.play, member)
                    nursery.start_soon(self._close_when_over)
                    await self._closing.wait()
                    nursery.cancel_scope.cancel()

    async def _look_at_computer(self) -> LooksOfComputer:
        await trio.lowlevel.checkpoint()
        return LooksOfComputer(busy_s=0.0, total_s=self.world.true_time())

    async def _close_when_over(self) -> None:
        """A member that was removed, or stopped, is of no use any more."""
        assert self.running is not None and self._closing is not None
        await self.running.life.is_over.wait()
        self._closing.set()

    async def _play(self, play: Play, member: Member) -> None:
        try:
            await play(member, Random(self.world.dice.random()))
        except* Closed:  # in a group, too, if it has a nursery
            pass  # the member stopped: `Stopped` says why

    def _open_writer(self, storage: Storage, stored: Stored, failed: Failed, troubled: Troubled) -> Writer:
        world = self.world
        if self.computer.disk_s is None:
            return InlineWriter(storage, stored)
        self._writer = SimulatedWriter(
            time=world.time,
            dice=world.dice,
            disk=self.computer.disk,
            mounted=self.disk,
            takes_s=self.computer.disk_s,
            call=self.call,
            happened=world.happened,
            stored=stored,
            failed=failed,
            troubled=troubled,
        )
        return self._writer

    def _put_together(self, running: Running) -> None:
        self.running = running
        self.world.looks_on(self)

    # --- time ---

    @property
    def is_running(self) -> bool:
        """Whether the process is alive and not paused."""
        return self.is_alive and self.paused_until <= self.world.true_time()

    def step(self) -> None:
        """Let it do what it can do at this moment."""
        if not self.is_running:
            return
        try:
            self._run.step()
        except Stuck as error:
            raise Violation(f"{self.computer.name}: {error}") from None
        if self._run.is_over or (self.fuse is not None and self.fuse <= 0):
            self._has_ended()
            return
        self.world.stepped(self)
        deadline = self._run.deadline
        if deadline != float("inf"):
            due = self.clock.true_time_at_trio(deadline)
            if due < self._due:
                self._due = due
                self.world.time.at(due, self._is_due)

    def _is_due(self) -> None:
        if self.is_alive and self.world.true_time() >= self._due:
            self._due = float("inf")
            self.step()

    def call(self, callback: Callable[[], None]) -> None:
        """Call into the process; if it is paused, when it goes on."""
        if not self.is_alive:
            return
        self._calls.append(callback)
        if self.is_running:
            self._catch_up()
            self.step()

    def _catch_up(self) -> None:
        """Call what has waited; a process that dies in one call never sees the next."""
        calls, self._calls = self._calls, []
        with self._run.inside():
            try:
                for callback in calls:
                    callback()
            except ProcessDied:
                self.fuse = 0

    def _datagram_arrived(self) -> None:
        if self.is_running:
            with self._run.inside():
                self.socket.wake_reader()
            self.step()

    def _burn(self) -> None:
        if not self.is_alive:
            raise ProcessDied
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise ProcessDied

    # --- what happens to it ---

    def pause(self, seconds: float) -> None:
        """Stop it for a while (SIGSTOP): its clocks go on, and datagrams wait for it."""
        now = self.world.true_time()
        self.paused_until = max(self.paused_until, now + seconds)
        self.world.time.at(self.paused_until, self._goes_on)

    def suspend(self, seconds: float) -> None:
        """Close the lid: as `pause`, but nothing arrives, and trio's clock stands still."""
        self._asleep_since = self._asleep_since or self.world.true_time()
        self.socket.is_deaf = True
        self.pause(seconds)

    def wake(self) -> None:
        """End a pause early."""
        if self.paused_until > self.world.true_time():
            self.paused_until = self.world.true_time()
            self._goes_on()

    def _goes_on(self) -> None:
        if not self.is_running:
            return
        if self._asleep_since is not None:
            self.clock.slept(self.world.true_time() - self._asleep_since)
            self._asleep_since = None
            self.socket.is_deaf = False
        with self._run.inside():
            self.socket.wake_reader()
        self._catch_up()
        self._due = float("inf")
        self.step()

    def close(self) -> None:
        """Have it leave its block: it hands over and stays a member."""
        if self._closing is not None and self.is_running:
            with self._run.inside():
                self._closing.set()
            self.step()
        elif self._closing is None:
            self.crash()  # not open yet: the player kills the window

    def change_rate(self, rate: float) -> None:
        """The clocks run at another rate from now on."""
        self.clock.change_rate(rate)
        self._due = float("inf")
        self.step()

    def carry_out(self, task: Callable[[Member], Awaitable[object]], done: Callable[[Any], None]) -> None:
        """Start a task in it that uses the member; `done(result or FailoverError)` unless it is cancelled."""
        member = self.member
        if member is None or not self.is_running or self._run.is_over:
            return

        async def run() -> None:
            try:
                result: object = await task(member)
            except FailoverError as error:
                result = error
            if self.is_alive:
                self.world.time.after(0.0, lambda: done(result))

        assert self.running is not None
        with self._run.inside():
            try:
                self.running._nursery.start_soon(run)
            except RuntimeError:  # closed meanwhile
                return
        self.step()

    def crash(self) -> None:
        """Kill it at this moment."""
        if self.is_alive:
            self.fuse = None
            with self._run.inside():
                if self._writer is not None:
                    self._writer.crash()
            self._cut_off()
            self._unwind()

    def _cut_off(self) -> None:
        self.is_alive = False
        self.world.network.close(self.socket)
        self.computer.ended(self)

    def _has_ended(self) -> None:
        """It ended by itself, or its fuse burnt down."""
        if not self._run.is_over:
            self.world.happened["crashed in a step"] += 1
            self.crash()
            return
        try:
            self._run.outcome.unwrap()
        except BaseException as error:
            if self.fuse is not None and self.fuse <= 0:
                self.world.happened["crashed in a step"] += 1
                self.crash()
                return
            self._cut_off()
            self.computer.failed(error)
            return
        self.computer.disk.unmount()
        self._cut_off()

    def _unwind(self) -> None:
        """Let what died end in a time of its own, where nobody sees it."""
        with self._run.inside():
            self._scope.cancel()
            if self.running is not None:
                self.running.life.stop(None)
            if self._closing is not None:
                self._closing.set()
        with suppress(ProcessDied):
            self._run.unwind(self.clock.jump_to_trio)
