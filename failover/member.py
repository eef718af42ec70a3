"""The parlour: what a game calls. One `Member` is one running copy with one storage.

async with failover.open_member(Board(), storage="game.db", ticket=ticket, serve=serve) as member:
    reply = await member.request(move)
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio

from failover.clock import Clock, system_clock
from failover.directory import Directory
from failover.driver import Driver
from failover.errors import FailoverError, NotHost, OutcomeUnknown, Unreachable, UsageError
from failover.events import Event
from failover.hosting import Serve
from failover.ids import Epoch, MemberId
from failover.inbox import EventQueue, EventReader
from failover.life import Life
from failover.machine import StateMachine
from failover.net.addresses import Address
from failover.net.endpoint import Transport
from failover.net.peers import Secrets
from failover.net.tickets import Contact, Ticket
from failover.nursery import open_hidden_nursery
from failover.opening import NOTE_CLUSTER, Opened, open_identity, open_storage, open_transport
from failover.raft.core import Core
from failover.records import NAME_SIZE_MAX, Depart, Moved, OpenInvite
from failover.replica import Replica
from failover.requests import Requests
from failover.settings import Settings
from failover.status import MemberStatus, Status
from failover.storage.contract import Storage
from failover.wire import WIRE, AskHandOver, Farewell, JoinAccepted
from failover.writer import writer_for

log = logging.getLogger("failover")

CLOSE_S = 1.5
"""Leaving the block waits at most this long for somebody to take over."""
FIRST_STATE_S = 30.0
"""A newcomer gives up waiting for the cluster's state after this long."""
MOVED_AGAIN_S = 1.0
INVITE_ID_SIZE, INVITE_SECRET_SIZE = 16, 32


class Member:
    """This member of its cluster. Made by `open_member`; used from the trio loop that opened it."""

    def __init__(
        self,
        *,
        opened: Opened,
        storage: Storage,
        transport: Transport,
        machine: StateMachine,
        settings: Settings,
        serve: Serve | None,
        clock: Clock,
        dice: Callable[[], float],
        events: EventQueue,
        nursery: trio.Nursery,
    ) -> None:
        me = opened.identity.member
        self.id = me
        """This member's id: the public key that was drawn with its storage."""
        self._opened = opened
        self._storage = storage
        self._transport = transport
        self._settings = settings
        self._clock = clock
        self._events = events
        self._reader = EventReader(events)
        self._pumps: list[trio.CancelScope] = []
        stored = storage.load()
        self._replica = Replica(machine)
        if stored.snapshot is not None:
            self._replica.restore(stored.snapshot.last_index, storage.read_snapshot())
        self._core = Core(
            me,
            timing=settings.timing,
            hard_state=stored.hard_state,
            snapshot=stored.snapshot,
            entries=stored.entries,
            dice=dice,
            now=clock(),
        )
        self._peers = opened.peers
        self._requests = Requests(me, opened.incarnation, self._send_ask)
        self._driver = Driver(
            core=self._core,
            peers=self._peers,
            transport=transport,
            codec=WIRE,
            clock=clock,
        )
        self._life = self._driver.upstairs = Life(
            me=me,
            driver=self._driver,
            replica=self._replica,
            storage=storage,
            requests=self._requests,
            settings=settings,
            serve=serve,
            emit=events.put,
            nursery=nursery,
            clock=clock,
            sync_directory=self._sync_directory,
        )
        self._driver.writer = writer_for(storage, self._driver.stored, self._failed, self._disk_is_troubled)
        self._directory_seen: Directory | None = None
        self._members_seen: frozenset[MemberId] = frozenset()

    # --- state ---

    @property
    def state(self) -> object:
        """The newest picture of the application's state (`StateMachine.view`), by one reference."""
        return self._replica.view

    @property
    def is_host(self) -> bool:
        """Whether this member is host at this very moment, by the caller's own look at the clock."""
        tenure = self._life.hosting.tenure
        return tenure is not None and tenure.is_running()

    @property
    def epoch(self) -> Epoch | None:
        """The tenure that runs here, None if this member is not host."""
        tenure = self._life.hosting.tenure
        return tenure.epoch if tenure is not None and tenure.is_running() else None

    @property
    def address(self) -> Address:
        """Where this member listens first of all."""
        return self._transport.local_addresses[0]

    def status(self) -> Status:
        """A frozen picture of this member and of what it knows of the others."""
        core, directory = self._core, self._replica.directory
        leadership, now = core.leadership, self._clock()
        membership = core.log.membership
        voters = membership.all_voters if membership else frozenset()
        ranked = sorted(voter for voter in voters if voter != core.leader)
        infos = directory.members if directory else {}
        return Status(
            member=self.id,
            name=self._opened.info.name,
            role=core.role.value,
            term=core.term,
            epoch=self.epoch,
            host=core.leader,
            last_log_index=core.log.last_index,
            commit_index=core.commit_index,
            applied_index=core.applied_index,
            durable_index=core.durable_index,
            snapshot_index=core.log.snapshot_index,
            digest=self._replica.machine.digest(),
            members=tuple(
                self._member_status(member, info.name, voters, now) for member, info in sorted(infos.items())
            ),
            next_hosts=tuple(ranked),
            promise_ms=leadership.promise_s(now) * 1_000 if leadership else 0.0,
            timeline=tuple(self._life.watch.timeline),
            dropped=dict(self._peers.counters),
            trouble=self._life.trouble,
        )

    def _member_status(self, member: MemberId, name: str, voters: frozenset[MemberId], now: float) -> MemberStatus:
        heard, round_trip = self._peers.last_heard(member), self._peers.round_trip_s(member)
        return MemberStatus(
            member=member,
            name=name,
            kind="voter" if member in voters else "learner",
            is_host=member == self._core.leader,
            is_connected=member == self.id or (heard is not None and now - heard < 2.0),
            round_trip_ms=round_trip * 1_000 if round_trip is not None else None,
        )

    # --- calls ---

    async def request(self, body: bytes, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # also a promise
        """Ask the host, whoever that is by then, and return the reply.

        Args:
            body: 1 to 65,536 bytes, for the server function, or for `apply` where there is none.
            timeout: seconds; None = `Settings.request_timeout_s`.

        Returns:
            `apply`'s reply. The request took effect exactly once.

        Raises:
            Refused: the server function refused; nothing happened.
            OutcomeUnknown: no answer in time, or this member was closed; it may have happened.
            Closed: this member was closed before; nothing happened.

        Cancelled, it may happen or not, at most once. At most 64 requests of a member are under way; more wait.
        """
        limit = self._settings.request_timeout_s if timeout is None else timeout
        return await self._requests.request(body, timeout_s=limit)

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens, for one reader; ends after `Stopped`. The loop may be left and entered again."""
        return self._reader

    def poll(self) -> list[Event]:
        """Return what happened since the last call; never blocks."""
        return self._events.take()

    async def read_barrier(self) -> None:
        """Return when `state` holds everything that was accepted before this call (a linearizable read).

        Waits as long as there is no host. Cancelling it does nothing.
        """
        self._life.check_open()
        await self._life.read_barrier()

    async def invite(self, *, uses: int = 1, expires_s: float = 86_400.0) -> str:
        """Open an invite and return the ticket for it.

        Args:
            uses: how many members it lets in, 1 to 64.
            expires_s: for how long, in seconds; 0 = for ever.

        Raises:
            OutcomeUnknown: no host in time; ask again.
        """
        if not 1 <= uses <= 64:
            raise UsageError(f"an invite lets in 1 to 64 members, not {uses}")
        expires_at = int(time.time() + expires_s) if expires_s else 0
        invite = OpenInvite(os.urandom(INVITE_ID_SIZE), os.urandom(INVITE_SECRET_SIZE), uses, expires_at)
        await self._life.act(invite)
        await self._life.read_barrier()  # a member that was just resumed does not know the others yet
        return self._ticket(invite).text()

    async def hand_over(self, to: MemberId | None = None) -> None:
        """Have the host hand over to `to`, or to whoever is furthest along; watch `HostChanged`.

        Raises:
            NotHost: there is no host at present, or nobody could take over; nothing happened.
        """
        self._life.check_open()
        core = self._core
        if core.leader is None:
            raise NotHost("there is no host at present")
        if core.leader != self.id:
            self._driver.send(core.leader, AskHandOver(to))
        elif not core.hand_over(to, self._clock()):
            raise NotHost("nobody else can take over now: no other voter is in reach, or a change is in progress")
        self._driver.kick()

    async def remove(self, member: MemberId) -> None:
        """End another member's membership; its keys open nothing afterwards.

        Raises:
            Refused: it is no member, or the only voter.
            OutcomeUnknown: no host in time.
        """
        self._life.check_open()
        await self._life.act(Depart(member))

    async def leave(self) -> None:
        """End this member's own membership for good, handing over first; the storage is of no use afterwards.

        Raises:
            Refused: it is the only voter: close it instead.
            OutcomeUnknown: no host in time; it may happen yet.
        """
        self._life.check_open()
        try:
            await self._life.act(Depart(self.id))
        except OutcomeUnknown:
            if not self._life.was_removed:  # else the farewell came before the answer
                raise
        self._life.stop(None)

    # --- life ---

    async def read(self) -> None:
        """Take in datagrams; the context manager's business, like the next two."""
        await self._guarded(self._driver.read)

    async def keep_time(self) -> None:
        """Meet deadlines."""
        await self._guarded(self._driver.keep_time)

    @trio.lowlevel.enable_ki_protection  # Ctrl+C belongs to the block, never into the middle of a round
    async def _guarded(self, pump: Callable[[], Awaitable[None]]) -> None:
        try:
            with trio.CancelScope() as scope:
                self._pumps.append(scope)
                await pump()
        except Exception as error:
            self._failed(error)

    async def attend(self) -> None:
        """Do what is done now and then: watch the server function, keep the address known."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._life.hosting.watch)
            nursery.start_soon(self._keep_address_known)
            await self._life.is_over.wait()
            for pump in self._pumps:
                pump.cancel()
            nursery.cancel_scope.cancel()

    def begin(self) -> None:
        """Connect to everybody known, and take the first look at the clock."""
        now = self._clock()
        self._sync_directory()
        for other in self._opened.known.members:
            self._peers.connect(other.member, now)
        self._driver.tick_if_due()
        self._driver.round()

    async def state_has_come(self) -> None:
        """A newcomer waits for the log, up to the entry that admitted it."""
        with trio.move_on_after(FIRST_STATE_S):
            while self._replica.directory is None or self.id not in self._replica.directory.members:
                if self._life.error is not None:
                    raise self._life.error
                self._life.check_open()
                await self._life.turned.wait()
            return
        raise Unreachable(
            f"admitted, but the state did not come within {FIRST_STATE_S:g} s; open this storage again to go on"
        )

    async def close(self) -> None:
        """Hand over if this member leads, give up its vote, then stop. Not to be cancelled.

        It stays a member, warm: those who go on need no majority with it, and it votes again when it is back.
        """
        self._core.is_leaving = True
        try:
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_S):
                await self._make_way()
            if not self._life.is_over.is_set():
                self._core.resign(self._clock())
                self._driver.round()
        finally:
            self._life.stop(None)

    async def _make_way(self) -> None:
        life, core = self._life, self._core
        if not life.is_over.is_set() and core.hand_over(None, self._clock()):
            self._driver.kick()
            while core.leadership is not None and not life.is_over.is_set():
                await life.turned.wait()
        while not life.is_over.is_set() and self._is_needed_for_quorum():
            await life.turned.wait()

    def _is_needed_for_quorum(self) -> bool:
        """Whether there is a leader that will take this member's vote away, and has not done so yet.

        Just after a hand-over the new leader is not known yet, but there was one a moment ago.
        """
        core = self._core
        membership = core.log.membership
        if membership is None or self.id not in membership.all_voters or core.leader == self.id:
            return False
        return self._clock() - core.leader_heard_at < self._settings.timing.promise_max_s

    async def writer_closed(self) -> None:
        """Wait until what was given to the disk is on it."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._driver.writer.close)

    # --- inside ---

    def _send_ask(self, host: MemberId, ask: object) -> None:
        self._life.send_ask(host, ask)  # type: ignore[arg-type]

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, FailoverError):
            log.error("member %s stops: %r", self.id.hex()[:8], error, exc_info=error)
        self._life.stop(error)

    def _disk_is_troubled(self, trouble: str) -> None:
        self._life.trouble = trouble

    def _ticket(self, invite: OpenInvite) -> Ticket:
        directory = self._replica.directory
        assert directory is not None
        mine = Contact(self.id, tuple(self._transport.local_addresses)[:4])
        others = [
            Contact(info.member, info.parsed_addresses()[:4])
            for info in directory.members.values()
            if info.member != self.id and info.addresses
        ]
        return Ticket(
            cluster=directory.cluster,
            contacts=(mine, *others[:3]),
            gate=directory.gate,
            invite_id=invite.invite,
            invite_secret=invite.secret,
            expires_at=invite.expires_at,
        )

    def _sync_directory(self) -> None:
        """Tell the net who may talk to us, and note it for the next start."""
        directory, membership = self._replica.directory, self._core.log.membership
        infos = (
            {info.member: info for info in self._opened.known.members} if directory is None else directory.members
        )
        members = {member: info.parsed_addresses() for member, info in infos.items()}
        for member in membership.members if membership else ():
            members.setdefault(member, ())
        members.pop(self.id, None)
        if self._core.leadership is not None and directory is not None:
            for gone in self._members_seen - members.keys():
                self._driver.send(gone, Farewell(self._core.commit_index))
        self._members_seen = frozenset(members)
        self._peers.set_members(members)
        if directory is None or directory is self._directory_seen:
            return
        self._directory_seen = directory
        self._peers.set_invites({invite.invite: invite.secret for invite in directory.invites.values()})
        self._peers.set_secrets((Secrets(directory.secret_epoch, directory.psk, directory.gate),))
        known = JoinAccepted(
            directory.secret_epoch,
            directory.psk,
            directory.gate,
            directory.generation,
            tuple(info for info in directory.members.values() if info.member != self.id),
        )
        note = partial(self._storage.set_note, NOTE_CLUSTER, WIRE.encode(known))
        self._driver.writer.run(note, lambda _: None)

    async def _keep_address_known(self) -> None:
        """After a restart on another port or network, tell the cluster where this member is now."""
        while True:
            directory = self._replica.directory
            if directory is None or self.id not in directory.members:
                await self._life.turned.wait()
            elif directory.members[self.id] == self._opened.info:
                return
            else:
                with suppress(FailoverError):
                    await self._life.act(Moved(self._opened.info))
                await trio.sleep(MOVED_AGAIN_S)


@asynccontextmanager
async def open_member(
    machine: StateMachine,
    *,
    storage: Storage | str | os.PathLike[str] | None = None,
    ticket: str | None = None,
    found: bool = False,
    serve: Serve | None = None,
    name: str = "member",
    bind: str = "0.0.0.0",  # noqa: S104  # the others are on other machines
    port: int = 0,
    settings: Settings | None = None,
    transport: Transport | None = None,
    wake: Callable[[], None] | None = None,
    clock: Clock = system_clock,
    dice: Callable[[], float] | None = None,
) -> AsyncIterator[Member]:
    """Open a member: resume what the storage holds, else join with the ticket, else found a cluster.

    Args:
        machine: the application's state machine, in its first state.
        storage: a file's path, a `Storage`, or None for memory (a member that nobody can resume).
        ticket: what `invite()` returned, for joining; a storage that was admitted before ignores it.
        found: found a cluster if the storage is new and there is no ticket.
        serve: the server function; runs on exactly one member at a time. None proposes every request as it comes.
        name: at most 64 bytes of UTF-8; for people.
        bind: the address to listen on; "0.0.0.0" = all.
        port: the UDP port; 0 = that of the last run, or any free one.
        settings: timings and limits; equal on all members.
        transport: one's own network in place of UDP; what it carries is encrypted all the same.
        wake: called, from the member's thread, when an event was queued.
        clock: seconds, counting suspend.
        dice: draws from [0, 1) for random waits.

    Raises:
        BadTicket, Unreachable, NotAdmitted: joining failed; nothing of it is kept but the member's key.
        StorageInUse, StorageCorrupt, StorageMissing, StorageFailed: see there; nothing was changed.
        PortInUse, BadAddress: the socket could not be opened.

    Leaving the block, also by cancellation, hands over and stays a member; `leave()` ends the membership.
    """
    if not _is_name(name):
        raise UsageError(f"a name has 1 to {NAME_SIZE_MAX} bytes of UTF-8")
    settings = settings or Settings()
    store = open_storage(storage)
    try:
        opened_transport = transport or open_transport(bind, port, store)
        try:
            opened = await open_identity(
                store,
                opened_transport,
                ticket=ticket,
                found=found,
                name=name,
                promise_ceiling_s=settings.timing.promise_ceiling_first_s,
                clock=clock,
            )
            async with open_hidden_nursery() as nursery:
                events = EventQueue(wake)
                member = Member(
                    opened=opened,
                    storage=store,
                    transport=opened_transport,
                    machine=machine,
                    settings=settings,
                    serve=serve,
                    clock=clock,
                    dice=dice or random.random,
                    events=events,
                    nursery=nursery,
                )
                async with _living(member, nursery):
                    if opened.has_joined:
                        await member.state_has_come()
                    yield member
        finally:
            opened_transport.close()
    finally:
        store.close()


@asynccontextmanager
async def _living(member: Member, nursery: trio.Nursery) -> AsyncIterator[None]:
    """Run the member's own tasks around the block. They outlive its cancellation, for the hand-over."""
    tasks = (member.read, member.keep_time, member.attend)
    scopes = [trio.CancelScope(shield=True) for _ in tasks]

    async def run(scope: trio.CancelScope, task: Callable[[], Awaitable[None]]) -> None:
        with scope:
            await task()

    try:
        for scope, task in zip(scopes, tasks, strict=True):
            nursery.start_soon(run, scope, task)
        member.begin()
        yield
    finally:
        try:
            await member.close()
        finally:
            await member.writer_closed()
            for scope in scopes:
                scope.cancel()
            nursery.cancel_scope.cancel()


def _is_name(name: str) -> bool:
    try:
        return 1 <= len(name.encode()) <= NAME_SIZE_MAX
    except UnicodeEncodeError:  # a half of a surrogate pair
        return False
