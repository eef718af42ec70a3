"""Letting members in: the member's side (a guest asks) and the newcomer's side (it holds a ticket)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import trio

from failover.confirming import fingerprint
from failover.copies import found_out
from failover.directory import Directory
from failover.errors import FailoverError, NotAdmitted, Refused, Unreachable
from failover.ids import MemberId
from failover.interrupts import unbroken
from failover.line import Line
from failover.net.custom import NamedTransport, name_of
from failover.net.endpoint import Transport
from failover.net.frames import MESSAGE_SIZE_MAX
from failover.net.peers import Peers
from failover.net.tickets import Contact
from failover.nursery import open_hidden_nursery
from failover.records import Admit, AdmitWitness, MemberInfo
from failover.requests import Undecided
from failover.wire import WIRE, JoinAccepted, JoinAsWitness, JoinPending, JoinRefused, JoinRequest

log = logging.getLogger("failover")

GUESTS_MAX = 16
UNREACHABLE_AFTER_S = 5.0
ADMITTED_WITHIN_S = 30.0
CONFIRMED_WITHIN_S = 900.0
"""A newcomer waits no longer for people to decide, however many hosts ask them."""
REASON_SIZE_MAX = 200
ASK_AGAIN_S = 0.25
"""A lost answer costs this long; asking twice admits once."""


@unbroken
class Admission:
    """The member's side: brings a guest's wish before the host, and its answer back."""

    def __init__(
        self,
        peers: Callable[[], Peers],
        directory: Callable[[], Directory | None],
        ask: Callable[[Admit], Awaitable[bytes]],
        nursery: trio.Nursery,
        clock: Callable[[], float],
    ) -> None:
        self._peers = peers
        self._directory = directory
        self._ask = ask
        self._nursery = nursery
        self._clock = clock
        self._under_way: set[MemberId] = set()

    def guest_asks(self, guest: MemberId, request: JoinRequest) -> None:
        """A guest asks, maybe not for the first time."""
        directory = self._directory()
        if directory is not None and guest in directory.members:
            self._accept(guest, directory)
        elif guest not in self._under_way and len(self._under_way) < GUESTS_MAX:
            self._under_way.add(guest)
            self._nursery.start_soon(self._bring_before_host, guest, request)

    async def _bring_before_host(self, guest: MemberId, request: JoinRequest) -> None:
        info = MemberInfo(guest, request.name, request.addresses[:8], request.versions)
        kind = AdmitWitness if isinstance(request, JoinAsWitness) else Admit
        try:
            await self._ask(kind(info, request.invite))
        except Refused as error:
            self._peers().send_to_guest(guest, JoinRefused(str(error)[:REASON_SIZE_MAX]), self._clock())
        except Undecided:
            self._peers().send_to_guest(guest, JoinPending(), self._clock())
        except FailoverError:
            pass  # the guest asks again
        else:
            directory = self._directory()
            if directory is not None and guest in directory.members:
                self._accept(guest, directory)
        finally:
            self._under_way.discard(guest)

    def _accept(self, guest: MemberId, directory: Directory) -> None:
        answer = JoinAccepted(
            directory.secrets[:1],
            directory.generation,
            tuple(info for info in directory.members.values() if info.member != guest),
            directory.version,
            directory.level,
        )
        while len(WIRE.encode(answer)) > MESSAGE_SIZE_MAX:  # the log brings the others
            answer = replace(answer, members=answer.members[:-1])
        self._peers().send_to_guest(guest, answer, self._clock())


@dataclass(slots=True)
class _Heard:
    """What a newcomer has heard up to now."""

    connected_at: float
    """When a contact was last there; at first, the beginning."""
    pending_at: float
    """When somebody last said that the application is being asked; at first, the beginning."""
    is_pending: bool = False
    answer: JoinAccepted | JoinRefused | None = None


async def ask_to_join(
    peers: Peers,
    line: Line,
    contacts: Sequence[Contact],
    invite: tuple[bytes, bytes] | None,
    request: JoinRequest,
    clock: Callable[[], float],
) -> JoinAccepted:
    """The newcomer's side: turn to all of these until somebody answers.

    Args:
        peers: with the gate of those contacts among its secrets.
        line: where datagrams pass.
        contacts: members of the cluster.
        invite: its id and its secret; None for who is a member, or was one.
        request: what is asked of them.
        clock: the member's.

    Raises:
        NotAdmitted: the cluster said no.
        StorageCopied: a member has met a later run of this one.
        Unreachable: nobody answered at all, or there was no host for too long.
    """
    began = clock()
    heard = _Heard(began, began)
    with trio.CancelScope() as scope:
        async with open_hidden_nursery() as nursery:
            nursery.start_soon(_take_in, peers, line.transport, heard, scope, clock)
            for contact in contacts:
                peers.connect_as_guest(contact.member, contact.addresses, invite, clock())
            while True:
                connected = [c.member for c in contacts if peers.is_connected(c.member)]
                for contact_id in connected:
                    peers.send_as_guest(contact_id, request, clock())
                if connected:
                    heard.connected_at = clock()
                if peers.runs.later is not None:
                    raise found_out()
                _check_patience(heard, contacts, line.real, began, clock())
                for _ in range(int(ASK_AGAIN_S / 0.01)):
                    await trio.sleep(0.01)
                    if clock() >= peers.deadline:
                        peers.tick(clock())
                    if not connected and any(peers.is_connected(c.member) for c in contacts):
                        break
    if isinstance(heard.answer, JoinRefused):
        raise NotAdmitted(f"the cluster did not admit this member: {heard.answer.reason}")
    assert heard.answer is not None
    return heard.answer


def _check_patience(
    heard: _Heard, contacts: Sequence[Contact], transport: Transport, began: float, now: float
) -> None:
    """Raises Unreachable where waiting has no sense any more."""
    if now - heard.connected_at > UNREACHABLE_AFTER_S:
        _raise_unreachable(contacts, transport)
    if now - heard.pending_at > ADMITTED_WITHIN_S:
        raise Unreachable(
            f"members answered, but nobody could admit this one within {ADMITTED_WITHIN_S:g} s: "
            "too few of them are there to have a host; try again when they are"
        )
    if now - began > CONFIRMED_WITHIN_S:
        raise Unreachable(f"nobody confirmed this member within {CONFIRMED_WITHIN_S:g} s; try again")


_NEWEST = "it is of no use if a member was removed, or more than three have left, since it was made"
"""Nobody answers who does not know the secrets of an epoch that still counts (`directory.EPOCHS_MAX`)."""


def _raise_unreachable(contacts: Sequence[Contact], transport: Transport) -> None:
    """Say at which addresses nobody answered."""
    addresses = [address for contact in contacts for address in contact.addresses]
    if isinstance(transport, NamedTransport):
        names = ", ".join(repr(name_of(address)) for address in addresses)
        raise Unreachable(
            f"nobody answered under the names {names} within {UNREACHABLE_AFTER_S:g} s; check that the game still "
            f"runs, that the ticket is the newest ({_NEWEST}) and that its members use this kind of transport, too"
        )
    raise Unreachable(
        f"nobody answered at {', '.join(map(str, addresses))} within {UNREACHABLE_AFTER_S:g} s; "
        f"check that the game still runs, that the ticket is the newest ({_NEWEST}) and that no firewall drops UDP"
    )


@unbroken
async def _take_in(
    peers: Peers, transport: Transport, heard: _Heard, scope: trio.CancelScope, clock: Callable[[], float]
) -> None:
    while True:
        await transport.wait_readable()
        while (datagram := transport.receive_nowait()) is not None:
            peers.datagram_received(datagram[0], datagram[1], clock())
        messages: Sequence[tuple[MemberId, object]] = tuple(peers.guest_inbox)
        peers.guest_inbox.clear()
        for _, message in messages:
            if isinstance(message, JoinRefused) or (isinstance(message, JoinAccepted) and message.secrets):
                heard.answer = message
                scope.cancel()
            elif isinstance(message, JoinPending):
                heard.pending_at = clock()
                if not heard.is_pending:
                    heard.is_pending = True
                    log.info("waiting to be let in; this member's fingerprint is %s", fingerprint(peers.member))
