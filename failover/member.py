"""The parlour: what a game calls. One `Member` is one running copy with one storage.

async with failover.open_member(Board(), storage="game.db", ticket=ticket, serve=serve) as member:
    reply = await member.request(move)
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import trio

from failover import codes
from failover.codes import CODE_S, INVITE_LONGER_S
from failover.confirming import fingerprint
from failover.errors import NotHost, OutcomeUnknown, UsageError
from failover.events import Event, JoinRequested
from failover.fitness import Fitness
from failover.generations import Loss
from failover.hosting import Serve
from failover.ids import Epoch, Generation, MemberId
from failover.inbox import EventQueue, EventReader
from failover.interrupts import unbroken
from failover.invites import Invite, open_invites
from failover.lane import Unreliable
from failover.levels import versions_of
from failover.line import held_line
from failover.machine import StateMachine
from failover.net.addresses import Address
from failover.net.endpoint import Transport
from failover.net.tickets import Ticket
from failover.nursery import open_hidden_nursery
from failover.opaque import Opaque
from failover.opening import check_given, check_stored, open_identity, open_storage, open_transport, real_ticket
from failover.picturing import picture_of
from failover.records import USES_MAX, CloseInvite, Depart, OpenInvite
from failover.running import Running
from failover.settings import Settings
from failover.status import Status
from failover.storage.contract import Storage
from failover.surroundings import Surroundings
from failover.wire import AskHandOver

log = logging.getLogger("failover")

INVITE_ID_SIZE, INVITE_SECRET_SIZE = 16, 32


@unbroken
class Member:
    """This member of its cluster. Made by `open_member`; used from the trio loop that opened it."""

    def __init__(self, running: Running, address: Address) -> None:
        self.id = running.id
        """This member's id: the public key that was drawn with its storage."""
        self.address = address
        """Where this member listens first of all."""
        self._running = running
        self._life = running.life
        self._core = running.core
        self._reader = EventReader(running.events)

    # --- state ---

    @property
    def state(self) -> object:
        """The newest picture of the application's state (`StateMachine.view`), by one reference."""
        return self._running.replica.view

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

    def status(self) -> Status:
        """A frozen picture of this member and of what it knows of the others."""
        return picture_of(self._running, self.epoch)

    # --- calls ---

    async def request(
        self,
        body: bytes,
        timeout: float | None = None,  # noqa: ASYNC109  # also a promise
        *,
        key: bytes | None = None,
    ) -> bytes:
        """Ask the host, whoever that is by then, and return the reply.

        Args:
            body: 1 to 65,536 bytes, for the server function, or for `apply` where there is none.
            timeout: seconds; None = `Settings.request_timeout_s`.
            key: 1 to 64 bytes that name this request, such as `new_key` gives. Who asks with it again, also after
                a restart from the same storage, gets the same reply, and nothing is done twice. New keys must be
                above this member's earlier ones, as bytes. The largest 256 are kept, and 4 MiB of the replies of
                all members; a key that is not above those forgotten is never carried out.

        Returns:
            `apply`'s reply. The request took effect exactly once.

        Raises:
            Refused: the server function refused; nothing happened.
            OutcomeUnknown: no answer in time, or this member was closed, or the key is past the horizon; it may
                have happened.
            NotHost: there was nobody to ask in all the time; nothing happened.
            Closed: this member was closed before; nothing happened.
            UsageError: a wrong size, or this key was used for another body; nothing happened.

        Cancelled, it may happen or not, at most once. At most 64 requests of a member are under way; more wait.
        """
        limit = self._running.settings.request_timeout_s if timeout is None else timeout
        return await self._running.requests.request(body, timeout_s=limit, key=key)

    def new_key(self) -> bytes:
        """Make a key for `request`, above all keys that this member made before, also in earlier runs.

        Keep it where it survives a crash before you ask with it. It is good for this member's storage alone.
        """
        return self._running.requests.new_key()

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens, for one reader; ends after `Stopped`. The loop may be left and entered again."""
        return self._reader

    def poll(self) -> list[Event]:
        """Return what happened since the last call; never blocks."""
        return self._running.events.take()

    def send_unreliable(self, body: bytes, to: MemberId | Literal["host", "all"] = "host") -> None:
        """Send what is not worth a commit, such as this player's position, 60 times a second. Never blocks.

        Args:
            body: 1 to 1,024 bytes; with everything around it that is one datagram.
            to: the "host": its server function, on this machine too; "all" other members; or one member.

        It carries the epoch of the tenure that this member follows, and is delivered only where the very same
        tenure is followed: nothing that belongs to an earlier host comes after what belongs to a later one.

        Not promised: that it arrives, or arrives once, or in order. It is dropped, and counted in
        `status().dropped` (reasons that begin with "lane:"), where there is no host, no connection to the
        receiver yet, or `Settings.unreliable_peer_bytes_per_s` is used up.

        Raises:
            UsageError: the size, or nobody to send to.
            Closed: this member is closed.
        """
        self._life.check_open()
        self._life.lane.member_sends(body, to)

    def poll_unreliable(self) -> list[Unreliable]:
        """Return what was sent to this member since the last call, oldest first; never blocks; from any thread.

        The newest 1,024 are kept, and none of a tenure that is over. What is sent to the "host" does not come
        here but to `Host.poll_unreliable`, and `wake` is not called for any of it.
        """
        return self._life.lane.for_member.take()

    def unreliable(self) -> AsyncIterator[Unreliable]:
        """Yield what is sent to this member, each to one reader; ends when the member has stopped.

        The same as `poll_unreliable`, for those who would rather wait. Cancelling it loses nothing, and the loop
        may be left and entered again.
        """
        return self._life.lane.member_reader()

    def check_open(self) -> None:
        """Raise `Closed` if this member is closed or has stopped."""
        self._life.check_open()

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
            UsageError: the number of uses.
        """
        if not 1 <= uses <= USES_MAX:
            raise UsageError(f"an invite lets in 1 to {USES_MAX} members, not {uses}")
        world = self._running.surroundings
        expires_at = int(world.unix_time() + expires_s) if expires_s else 0
        invite = OpenInvite(world.entropy(INVITE_ID_SIZE), world.entropy(INVITE_SECRET_SIZE), uses, expires_at)
        await self._life.act(invite)
        with trio.move_on_after(self._running.settings.request_timeout_s) as in_time:
            await self._life.read_barrier()  # a member that was just resumed does not know the others yet
        if in_time.cancelled_caught:
            raise OutcomeUnknown("no host in time; ask again")
        return self._running.neighbours.ticket(invite, self._running.whereabouts.info()).text()

    async def short_code(self, *, uses: int = 1, valid_s: float = CODE_S, listed: str = "") -> str:
        """Open a short code, such as K7QF-3MDA: read aloud and typed on the same LAN, it is as good as a ticket.

        A member has one code open at a time; this one takes the place of the last. While it is open, this member
        answers strangers on its LAN, who learn that it has a code open, and may guess once in five seconds.

        Args:
            uses: how many members it lets in, 1 to 64.
            valid_s: for how long, in seconds, at most a day.
            listed: a title, for `failover.listed_games`: whoever on the LAN asks for open games is told it, **and
                the code, so everybody there may join**. Control and invisible characters go; at most 96 bytes of
                UTF-8 may be left. "" = nobody is told anything.

        Raises:
            OutcomeUnknown: no host in time; ask again.
            PortInUse, Unreachable: no socket for it; use a ticket.
            UsageError: the number of uses, the time, or the title.
        """
        title = codes.check(uses, valid_s, listed)
        ticket = await self.invite(uses=uses, expires_s=valid_s + INVITE_LONGER_S)
        self._life.check_open()
        invite = Ticket.parse(ticket).invite_id
        desk, replica = self._running.codes, self._running.replica
        return desk.open(ticket, uses, valid_s, lambda: replica.knows_invite(invite), title)

    def relist(self, title: str) -> None:
        """Change the title of the code that is listed, such as to "Ada · 2 of 4 seats"; who asks next is told it.

        Where that code was used up or too old meanwhile, nothing happens: it is not listed any more.

        Raises:
            UsageError: the newest code was opened without `listed`, or closed, or there was none; or the title.
            Closed: this member is closed.
        """
        self._life.check_open()
        self._running.codes.relist(title)

    def close_short_code(self) -> None:
        """Close the code that is open, if one is; who has its ticket already may still join."""
        self._running.codes.close()

    def invites(self) -> tuple[Invite, ...]:
        """The invites that are open, as far as this member knows by now, oldest first."""
        return open_invites(self._running.replica.directory, self._running.surroundings.unix_time())

    async def close_invite(self, invite_id: bytes) -> None:
        """Close an invite for good (`Invite.id`): who still holds its ticket gets no answer. Closed ones stay so.

        Raises:
            OutcomeUnknown: no host in time; ask again.
        """
        self._life.check_open()
        await self._life.act(CloseInvite(invite_id))

    @property
    def fingerprint(self) -> str:
        """This member's key in 16 letters and digits, to compare by voice with what others see of it."""
        return fingerprint(self.id)

    @property
    def joiners(self) -> tuple[JoinRequested, ...]:
        """Who waits here for `admit` or `refuse`, who asked first comes first; empty unless this member hosts."""
        return self._life.hosting.changing.confirming.waiting

    def admit(self, member: MemberId) -> None:
        """Let a joiner in (`JoinRequested`); `MemberJoined` follows. Nothing happens if it does not wait any more.

        Raises:
            NotHost: this member does not host any more; the next host asks anew.
        """
        self._decide(member, is_yes=True)

    def refuse(self, member: MemberId, reason: str = "") -> None:
        """Refuse a joiner: it gets `NotAdmitted` with the reason, to 160 characters. It may try again after 30 s.

        Raises:
            NotHost: this member does not host any more; the next host asks anew.
        """
        self._decide(member, is_yes=False, reason=reason)

    def _decide(self, member: MemberId, *, is_yes: bool, reason: str = "") -> None:
        if not self.is_host:
            raise NotHost("another member hosts by now, and asks anew")
        self._life.hosting.changing.confirming.answer(member, is_yes=is_yes, reason=reason)

    async def hand_over(self, to: MemberId | None = None) -> None:
        """Have the host hand over to `to`, or to whoever is furthest along; watch `HostChanged`.

        It waits a second for its target to catch up and for a change of membership to end; then it is given up.

        Raises:
            NotHost: there is no host at present, or nobody could take over; nothing happened.
        """
        self._life.check_open()
        core = self._core
        if core.leader is None:
            raise NotHost("there is no host at present")
        if core.leader != self.id:
            self._running.driver.send(core.leader, AskHandOver(to))
        elif not core.hand_over(to, self._running.clock()):
            raise NotHost("nobody else can take over now: no other voter that may host is in reach")
        self._running.driver.kick()

    def loss(self) -> Loss:
        """What `continue_alone` would give up now, as far as this member knows. Nothing happens."""
        return self._life.generations.loss()

    async def continue_alone(self, *, accept_loss: bool = False) -> Loss:
        """Go on without a quorum, because people decided so: this member alone becomes the cluster, and its host.

        For two players of whom one crashed for good, after `QuorumLost`. All that this member holds stays. What
        the others accepted and it does not hold is lost to it, and it cannot know all of that. If the others play
        on somewhere, there are two games from now on; they never mix (`GenerationMet`).

        Args:
            accept_loss: whether to go on though something is known to be lost; ask people first, with `loss()`.

        Returns:
            What was given up. This member hosts by then, unless that takes longer than
            `Settings.request_timeout_s`.

        Raises:
            Refused: there is a host, or a quorum may be in reach; nothing happened.
            LossNotAccepted: something is known to be lost; nothing happened.

        Cancelled, it has happened.
        """
        self._life.check_open()
        loss = self._life.generations.begin(accept_loss=accept_loss)
        with trio.move_on_after(self._running.settings.request_timeout_s):
            while not self.is_host:
                await self._life.turned.park()
                self._life.check_open()
        return loss

    def rejoin(self, generation: Generation) -> None:
        """Give this member's generation up for another one that it has met (`GenerationMet`); no way back.

        `Stopped` follows, with `Superseded`. Open the storage again: what only this member had is kept in a file
        beside it (`Rejoined` says where), and it joins the other generation, as the member that it was.

        Raises:
            UsageError: no member of that generation was met.
            Refused: a quorum there went on without this member, which cannot come back with another past.
            Closed: this member is closed.
        """
        self._life.check_open()
        self._life.generations.rejoin(generation)

    async def remove(self, member: MemberId) -> None:
        """End another member's membership for good: from then on nothing is taken from it.

        All open invites are closed with it, since it knows them; the secrets of all members are changed.
        If it is out of reach, it hears of its removal when it is back, within ten minutes.

        Raises:
            Refused: it is no member, or the only voter.
            OutcomeUnknown: no host in time.
        """
        self._life.check_open()
        await self._life.act(Depart(member))

    async def leave(self) -> None:
        """End this member's own membership for good, handing over first; the storage is of no use afterwards.

        It returns once the others need it no more, even if they crash at this moment; if they fall silent, after
        `Settings.request_timeout_s`.

        Raises:
            Refused: it is the only voter: close it instead.
            OutcomeUnknown: no host in time; it may happen yet.
        """
        self._life.check_open()
        await self._life.leave()


@unbroken
@asynccontextmanager
async def open_member(
    machine: StateMachine,
    *,
    storage: Storage | str | os.PathLike[str] | None = None,
    ticket: str | None = None,
    found: bool = False,
    serve: Serve | None = None,
    name: str = "member",
    bind: str = "::",
    port: int = 0,
    addresses: Sequence[str] = (),
    settings: Settings | None = None,
    transport: Transport | None = None,
    wake: Callable[[], None] | None = None,
    fitness: Fitness | None = None,
    surroundings: Surroundings | None = None,
) -> AsyncIterator[Member]:
    """Open a member: resume what the storage holds, else join with the ticket, else found a cluster.

    Args:
        machine: the application's state machine, in its first state.
        storage: a file's path, a `Storage`, or None for memory (a member that nobody can resume).
        ticket: what `invite()` or `short_code()` returned, for joining. A storage that was admitted before ignores
            it, unless it was away while four members or more went: then a new ticket lets it back in as the member
            that it is (a ticket, not a short code).
        found: found a cluster if the storage is new and there is no ticket.
        serve: the server function; runs on exactly one member at a time. None proposes every request as it comes.
        name: at most 64 bytes of UTF-8; for people.
        bind: the address to listen on; "::" = all, of IPv6 and of IPv4; "0.0.0.0" = all of IPv4.
        port: the UDP port; 0 = that of the last run, or any free one.
        addresses: where else others may reach this member, for tickets and for the others: "203.0.113.5:7777",
            "[2001:db8::1]:7777", "game.example.org:7777" (all addresses of the name, asked for again and again, so
            they may change); at most 4, of them 2 names.
        settings: timings and limits; equal on all members.
        transport: one's own network in place of UDP; what it carries is encrypted all the same.
        wake: called, from the member's thread, when an event was queued.
        fitness: the game's own word on how fit this computer is to host, 1 to 255, larger is fitter, 0 = not
            known; called every few seconds, must return at once. None: measured (`failover.fitness`).
        surroundings: clock, dice and the like; None = the real ones.

    Raises:
        BadTicket, Unreachable, NotAdmitted: joining failed; nothing of it is kept but the member's key.
        WrongVersion: this program does not know the rules that the cluster plays; nothing was changed.
        StorageInUse, StorageCorrupt, StorageFailed: see there; nothing was changed.
        StorageMissing: there is nothing to resume, no ticket and no `found`; what was made is an empty file.
        StorageCopied: the storage is a copy or an old backup. Where that is found out later, by another member,
            it is the error of the event `Stopped`.
        PortInUse, BadAddress: the socket could not be opened, or one of `addresses` is none.
        MachineFailed: the machine could not be restored from the storage.
        BadSettings: a file that `settings.net` asks for cannot be made.

    A stored state is restored before anything else in this thread runs on: 64 MiB in about a second, as fast as
    the machine is. A program that must not stand still for that uses `start_member`.

    For the whole process, `sys.setswitchinterval` is lowered to 0.1 ms where there is a thread for the disk or for
    the member, and what is there already is kept out of garbage collections until the block is left (`gc.freeze`,
    so that no collection costs a heartbeat); `Surroundings(tends_garbage=False)` leaves the collector alone.

    Leaving the block, also by cancellation, hands over and stays a member; `leave()` ends the membership. Ctrl+C
    ends the block in the same good order, and `KeyboardInterrupt` comes out of `trio.run`, in a group where the
    program has a nursery: `except* KeyboardInterrupt` around `trio.run` takes both. It is put off while the
    library, the machine or the server function runs, until the program waits for something; so it cannot break a
    loop there that never ends.
    """
    given = check_given(name, addresses)
    settings, surroundings = settings or Settings(), surroundings or Surroundings()
    store = open_storage(storage)
    try:
        versions = versions_of(machine, surroundings.level)
        check_stored(store, versions)
        opened_transport = transport or open_transport(bind, port, store)
        with held_line(opened_transport, settings.net, surroundings) as line:
            opened = await open_identity(
                store,
                opened_transport,
                line,
                ticket=await real_ticket(ticket, store, bind, surroundings),
                found=found,
                name=name,
                versions=versions,
                promise_ceiling_s=settings.timing.promise_ceiling_first_s,
                surroundings=surroundings,
                given=given,
                is_witness=isinstance(machine, Opaque),
            )
            async with open_hidden_nursery() as nursery:
                running = Running(
                    opened=opened,
                    storage=store,
                    transport=opened_transport,
                    line=line,
                    machine=machine,
                    settings=settings,
                    serve=serve,
                    fitness=fitness,
                    surroundings=surroundings,
                    events=EventQueue(wake),
                    nursery=nursery,
                )
                async with running.around_block():
                    yield Member(running, opened_transport.local_addresses[0])
    finally:
        store.close()
