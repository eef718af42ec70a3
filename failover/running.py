"""One member at work: builds its parts, runs their tasks around the application's block, ends them in order."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from failover.codes import CodeDesk
from failover.copies import RunNotes
from failover.driver import Driver
from failover.errors import FailoverError, NotAdmitted, Unreachable
from failover.finding import Finding
from failover.fitness import Fitness, FitnessWatch
from failover.hosting import Serve
from failover.ids import MemberId
from failover.inbox import EventQueue
from failover.interrupts import unbroken
from failover.life import Life
from failover.line import Line
from failover.machine import StateMachine
from failover.naming import NameBook
from failover.neighbours import Neighbours
from failover.net.endpoint import CountsLosses, Transport, UdpTransport
from failover.net.zeroconf_board import ZeroconfBoard
from failover.opening import Opened, is_on_loopback
from failover.raft.core import Core
from failover.raft.leaving import is_needed
from failover.replica import Replica
from failover.requests import Requests
from failover.settings import Settings
from failover.storage.contract import Storage
from failover.surroundings import Surroundings
from failover.whereabouts import Whereabouts
from failover.wire import WIRE, Ask, KeyedAsk

log = logging.getLogger("failover")

CLOSE_S = 1.5
"""Leaving the block waits at most this long for somebody to take over."""
HAND_OVER_AGAIN_S = 0.02
FIRST_STATE_S = 30.0
"""A newcomer gives up if nothing of the cluster's state comes for this long."""
FIRST_STATE_LOOK_S = 1.0


@unbroken
class Running:
    """The parts of one member, put together. `Member` shows what of it is for the application."""

    def __init__(
        self,
        *,
        opened: Opened,
        storage: Storage,
        transport: Transport,
        line: Line,
        machine: StateMachine,
        settings: Settings,
        serve: Serve | None,
        fitness: Fitness | None,
        surroundings: Surroundings,
        events: EventQueue,
        nursery: trio.Nursery,
    ) -> None:
        me = self.id = opened.identity.member
        self.opened = opened
        self.settings = settings
        clock = self.clock = surroundings.clock
        self.surroundings = surroundings
        self.events = events
        self._nursery = nursery
        self._pumps: list[trio.CancelScope] = []
        stored = storage.load()
        self.replica = Replica(machine, surroundings.level)
        if stored.snapshot is not None:
            self.replica.restore(stored.snapshot.last_index, storage.read_snapshot())
        self.core = Core(
            me,
            timing=settings.timing,
            hard_state=stored.hard_state,
            snapshot=stored.snapshot,
            entries=stored.entries,
            dice=surroundings.dice,
            now=clock(),
        )
        self.peers = opened.peers
        self.peers.lane.limit(settings.unreliable_peer_bytes_per_s, settings.unreliable_bytes_per_s)
        self._line = line
        self.driver = Driver(core=self.core, peers=self.peers, transport=line.transport, codec=WIRE, clock=clock)
        names = NameBook(surroundings.resolve, clock, allow_loopback=is_on_loopback(transport))
        self.neighbours = Neighbours(opened, self.driver, self.replica, storage.set_note, stored.entries, names)
        self.whereabouts = Whereabouts(opened, transport, self.peers, self.replica, clock)
        self.requests = Requests(me, opened.incarnation, self._send_ask)
        self.life = self.driver.upstairs = Life(
            me=me,
            driver=self.driver,
            replica=self.replica,
            storage=storage,
            requests=self.requests,
            settings=settings,
            serve=serve,
            emit=events.put,
            nursery=nursery,
            surroundings=surroundings,
            neighbours=self.neighbours,
            version=opened.known.version,
        )
        self._fitness = FitnessWatch(
            own=fitness,
            look=surroundings.look_at_computer,
            round_trips_s=self._round_trips_s,
            stall_s=lambda: self.core.lateness.value(clock()),
            set_hint=self.core.fitness.set_hint,
        )
        self.driver.writer = surroundings.open_writer(
            storage, self.driver.stored, self._failed, self._disk_is_troubled
        )
        self.run_notes = RunNotes(self.peers.runs, self.driver.writer, storage.set_note, self.life.stop)
        self.codes = CodeDesk(surroundings, nursery, _lan_side(transport))
        self.finding = self._open_finding(transport)
        if surroundings.look_on is not None:
            surroundings.look_on(self)

    def _open_finding(self, transport: Transport) -> Finding | None:
        """How this member looks for others on its LAN; not at all over a game's own network."""
        open_board = self.surroundings.open_board
        if open_board is None and isinstance(transport, UdpTransport):
            open_board = ZeroconfBoard
        if open_board is None or not self.settings.lan_discovery:
            return None
        finding = Finding(
            me=self.id,
            surroundings=self.surroundings,
            open_board=open_board,
            bind=_lan_side(transport),
            peers=self.peers,
            members=lambda: self.neighbours.members,
            addresses=lambda: tuple(transport.local_addresses),
            is_loopback=is_on_loopback(transport),
            found=self.neighbours.sync,
        )
        self.neighbours.heard_at = finding.addresses_of
        return finding

    @asynccontextmanager
    async def around_block(self) -> AsyncIterator[None]:
        """Run the member's own tasks around the block. They outlive its cancellation, for the hand-over."""
        tasks = (self._read, self._keep_time, self._attend)
        scopes = [trio.CancelScope(shield=True) for _ in tasks]
        with self._little_garbage():
            try:
                for scope, task in zip(scopes, tasks, strict=True):
                    self._nursery.start_soon(self._shielded, scope, task)
                self._begin()
                if self.opened.has_joined:
                    await self._state_has_come()
                yield
            finally:
                try:
                    await self._close()
                finally:
                    with trio.CancelScope(shield=True):
                        await self.driver.writer.close()
                    for scope in scopes:
                        scope.cancel()
                    self._nursery.cancel_scope.cancel()

    @contextmanager
    def _little_garbage(self) -> Iterator[None]:
        """Have the garbage collector leave alone what is there already.

        It stops everything while it looks at all that lives, up to 30 ms beside busy processes. A lease has 50.
        """
        if not self.surroundings.tends_garbage:
            yield
            return
        gc.collect()
        gc.freeze()
        try:
            yield
        finally:
            gc.unfreeze()

    # --- tasks ---

    async def _shielded(self, scope: trio.CancelScope, task: Callable[[], Awaitable[None]]) -> None:
        with scope:
            await task()

    async def _read(self) -> None:
        await self._guarded(self.driver.read)

    async def _keep_time(self) -> None:
        await self._guarded(self.driver.keep_time)

    async def _guarded(self, pump: Callable[[], Awaitable[None]]) -> None:
        try:
            with trio.CancelScope() as scope:
                self._pumps.append(scope)
                await pump()
        except Exception as error:
            self._failed(error)

    async def _attend(self) -> None:
        """Do what is done now and then: watch the server function, keep the address known."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.life.hosting.watch)
            nursery.start_soon(self._fitness.run)
            nursery.start_soon(self._keep_whereabouts_known)
            nursery.start_soon(self.neighbours.ask_who_is_there)
            nursery.start_soon(self.life.generations.keep_telling)
            nursery.start_soon(self.neighbours.names.keep_asking, self.neighbours.names_of_missing, self._named)
            if self.finding is not None:
                nursery.start_soon(self.finding.run)
            await self.life.is_over.wait()
            for pump in self._pumps:
                pump.cancel()
            nursery.cancel_scope.cancel()

    async def _keep_whereabouts_known(self) -> None:
        async def turned() -> None:
            await self.life.turned.park()

        await self.whereabouts.keep_known(self.life.act, turned)

    # --- beginning and end ---

    def _begin(self) -> None:
        """Connect to everybody known, and take the first look at the clock."""
        now = self.clock()
        if self.opened.rejoined is not None:
            self.events.put(self.opened.rejoined)
        self.neighbours.sync()
        for other in self.neighbours.members:
            self.peers.connect(other, now)
        self.driver.round(is_due=True)

    async def _state_has_come(self) -> None:
        """A newcomer waits for the log, up to the entry that admitted it; as long as something of it comes."""
        until, applied = trio.current_time() + FIRST_STATE_S, self.replica.applied_index
        while self.replica.directory is None or self.id not in self.replica.directory.members:
            if self.life.error is not None:
                raise self.life.error
            if self.life.was_removed:
                raise NotAdmitted("removed again before its first state had come; ask for a new ticket")
            self.life.check_open()
            with trio.move_on_after(FIRST_STATE_LOOK_S):
                await self.life.turned.park()
            if self.replica.applied_index > applied or self.peers.is_receiving:
                until, applied = trio.current_time() + FIRST_STATE_S, self.replica.applied_index
            elif trio.current_time() > until:
                raise Unreachable(
                    f"admitted, but nothing of the state came for {FIRST_STATE_S:g} s; "
                    "open this storage again to go on"
                )

    async def _close(self) -> None:
        """Hand over if this member leads, give up its vote, then stop. Not to be cancelled.

        It stays a member, warm: those who go on need no majority with it, and it votes again when it is back.
        """
        self.codes.close()
        self.life.wish_to_go(1)
        try:
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_S):
                await self._make_way()
            if not self.life.is_over.is_set():
                self.core.resign(self.clock())
                self.driver.round()
        finally:
            self.life.stop(None)

    async def _make_way(self) -> None:
        life, core = self.life, self.core
        while not life.is_over.is_set() and core.leadership is not None:
            if not core.leadership.succession.has_somebody(self.clock()):
                return
            core.hand_over(None, self.clock())  # not at once, if a change of the voters is in progress
            self.driver.kick()
            with trio.move_on_after(HAND_OVER_AGAIN_S):
                await life.turned.park()
        while not life.is_over.is_set() and is_needed(core, self.clock()):
            await life.turned.park()

    # --- what the parts call ---

    def dropped(self) -> dict[str, int]:
        """What the net dropped and the transport lost, by reason."""
        transport = self._line.transport
        lost = dict(transport.counters) if isinstance(transport, CountsLosses) else {}
        found = dict(self.finding.dropped) if self.finding is not None else {}
        return dict(self.peers.counters) | lost | dict(self.codes.dropped) | found | self._line.dropped()

    def _named(self, member: MemberId) -> None:
        """A name server says where a member may be."""
        self.neighbours.sync()
        self.peers.hurry(member, self.clock())

    def _round_trips_s(self) -> list[float]:
        """To the others, as far as they were measured."""
        membership = self.core.log.membership
        members = membership.members if membership else frozenset()
        trips = (self.peers.round_trip_s(member) for member in sorted(members) if member != self.id)
        return [trip for trip in trips if trip is not None]

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, FailoverError):
            log.error("member %s stops: %r", self.id.hex()[:8], error, exc_info=error)
        self.life.stop(error)

    def _send_ask(self, host: MemberId, ask: Ask | KeyedAsk) -> None:
        self.life.send_ask(host, ask)  # made after the requests, which it needs

    def _disk_is_troubled(self, trouble: str) -> None:
        self.life.trouble = trouble


def _lan_side(transport: Transport) -> str:
    """The IPv4 address on which short codes are given: the member's own, or all."""
    bound = transport.address.ip if isinstance(transport, UdpTransport) else ""
    if bound in ("::1", "127.0.0.1"):
        return "127.0.0.1"
    return "0.0.0.0" if not bound or ":" in bound else bound  # noqa: S104  # the word for "all"
