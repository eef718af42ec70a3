"""Getting in with a ticket: a newcomer, or a member whose secrets nobody answers any more."""

from __future__ import annotations

import logging
from dataclasses import replace

from failover.admission import ask_to_join
from failover.clock import Clock
from failover.directory import EPOCHS_MAX
from failover.errors import MalformedBytes, StorageCorrupt, Unreachable
from failover.ids import SecretKey
from failover.line import Line
from failover.net.peers import Peers, Secrets
from failover.net.tickets import Ticket
from failover.wire import WIRE, JoinAccepted, JoinRequest

log = logging.getLogger("failover")

NOTE_CLUSTER = "cluster"
"""Secrets and addresses as known last: what a member needs to find the others again. A coded `JoinAccepted`."""
NOTE_TICKET = "ticket"
"""The id of the invite with which this storage got in last: the same ticket again is no news."""


def known_cluster(note: bytes | None) -> JoinAccepted | None:
    """What a storage last knew, by its `NOTE_CLUSTER`; None if it was in no cluster. Raises StorageCorrupt."""
    if note is None:
        return None
    try:
        known = WIRE.decode_untrusted(note)
    except MalformedBytes as error:
        raise StorageCorrupt(
            f"the storage's note of the cluster is damaged ({error}); nothing was changed"
        ) from None
    assert isinstance(known, JoinAccepted)
    return known


def gate_of(ticket: Ticket) -> Secrets:
    """A guest knows the gate alone."""
    return Secrets(0, SecretKey(bytes(32)), SecretKey(ticket.gate))


def with_news(ticket: Ticket, known: JoinAccepted, last_invite: bytes | None) -> Ticket | None:
    """The ticket with those contacts that the storage knows, if it is of another time than what the storage knows.
    `last_invite` is its `NOTE_TICKET`.

    A member that slept through more departures than there are epochs that stay good has no secrets with which
    anybody would answer it; with a new ticket it gets new ones, as the member that it is. It believes nobody but
    members: anybody can write a ticket that names himself.
    """
    if last_invite == ticket.invite_id or any(each.gate == ticket.gate for each in known.secrets):
        return None
    members = {info.member for info in known.members}
    contacts = tuple(contact for contact in ticket.contacts if contact.member in members)
    if not contacts:
        log.warning("the ticket names nobody whom this storage knows; going on without it")
        return None
    return replace(ticket, contacts=contacts)


async def get_in(
    peers: Peers, line: Line, ticket: Ticket, request: JoinRequest, known: JoinAccepted | None, clock: Clock
) -> JoinAccepted:
    """Ask with the ticket; what is known after that.

    Raises:
        NotAdmitted, StorageCopied: see `ask_to_join`.
        Unreachable: nobody let this newcomer in; a member (`known`) goes on with what it knows.
    """
    peers.set_secrets((gate_of(ticket),))
    invite = ticket.invite_id, ticket.invite_secret
    try:
        told = await ask_to_join(peers, line, ticket.contacts, invite, request, clock)
    except Unreachable as error:
        if known is None:
            raise
        log.warning("the ticket was of no use (%s); going on with what the storage knows", error)
        told = known
    peers.disconnect_as_guest()
    if known is not None and told is not known:
        told = replace(told, secrets=(*told.secrets, *known.secrets)[:EPOCHS_MAX])
    peers.set_secrets(told.secrets)
    return told
