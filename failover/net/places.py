"""Places: where a datagram may be sent to. An address, or a member that passes it on to the one it is for.

What others claim to be their address is a candidate only: `is_fair` says which claims are tried at all, so that
nobody turns members against a third party, or against what listens on their own machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from failover.ids import MemberId
from failover.net.addresses import Address, ip_of

SHORT_ID_SIZE = 12
"""Bytes of a member's id that name it to a relay: with them a relayed datagram still fits into 1,200 bytes."""
LOW_PORT = 1024
_BROADCAST = ipaddress.ip_address("255.255.255.255")


def short_id(member: MemberId) -> bytes:
    """The start of a member's id. Whoever wants another member with the same start must try 2**96 keys."""
    return member[:SHORT_ID_SIZE]


class Relayed(NamedTuple):
    """To, or from, a member by way of a common member."""

    relay: MemberId
    member: bytes
    """The other end's `short_id`."""

    def __str__(self) -> str:
        return f"through {self.relay.hex()[:8]}"


Place = Address | Relayed


def is_in_anothers_name(source: Place, member: MemberId) -> bool:
    """Whether a relay says that a datagram of this member comes from somebody else."""
    return type(source) is Relayed and source.member != short_id(member)


def kind_of(place: Place | None) -> str:
    """In one word, for people: "lan", "direct" (over the internet), "relayed", or "" for none."""
    if place is None:
        return ""
    if isinstance(place, Relayed):
        return "relayed"
    return "direct" if ipaddress.ip_address(place.ip).is_global else "lan"


def is_fair(claimed: Address, own: Iterable[Address]) -> bool:
    """Whether to send anything to an address because somebody said that a member is there.

    Never to multicast or broadcast. To loopback only from a machine that has nothing else, or it could be made to
    talk to itself; to a port below 1024 only if this member listens on one too.
    """
    ip = ip_of(claimed)
    mine = [(ip_of(address), address.port) for address in own]
    if mine and all(each.version != ip.version for each, _ in mine):
        return False  # no way from here to there
    if ip.is_multicast or ip.is_unspecified or ip == _BROADCAST or claimed.port == 0:
        return False
    if ip.is_loopback and not all(each.is_loopback for each, _ in mine):
        return False
    return claimed.port >= LOW_PORT or any(port < LOW_PORT for _, port in mine)
