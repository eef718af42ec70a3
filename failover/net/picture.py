"""What `Peers.status()` shows of the others: frozen values, for people and for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from failover.ids import MemberId
from failover.net.addresses import Address
from failover.net.measuring import Traffic
from failover.net.peer import Peer
from failover.net.places import Relayed, kind_of


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One peer, as seen from here."""

    member: MemberId
    name: str
    """As it calls itself; for people only."""
    is_connected: bool
    address: Address | None
    """Where its datagrams go; None if there is no path, or through another member."""
    path: str
    """"lan", "direct" (over the internet), "relayed" (through another member), or "" for none."""
    path_since: float | None
    """When this path was taken, on the clock of `now`; None without one."""
    path_changes: int
    """How often another path took over."""
    round_trip_s: float | None
    """Smoothed; None until measured."""
    round_trip_min_s: float | None
    """The shortest since this member's start: about what the way costs without any queue."""
    round_trip_deviation_s: float
    """How far single ones are from the smoothed, on average."""
    traffic: Traffic
    last_heard: float | None
    """On the clock of `now`."""
    transfers_out: int
    transfers_in: int


@dataclass(frozen=True, slots=True)
class PeersStatus:
    """A frozen picture of the network room."""

    peers: tuple[PeerStatus, ...]
    guests: tuple[MemberId, ...]
    observed_addresses: tuple[Address, ...]
    """How others see this member: what it looks like from outside its router."""
    rolled_back: frozenset[MemberId]
    """Peers refused because their storage was rolled back or copied; they must join anew."""
    dropped: Mapping[str, int]
    """Every datagram, frame and message that was dropped, by reason."""


def picture_of(peer: Peer) -> PeerStatus:
    """How it looks now."""
    round_trip, active = peer.round_trip, peer.paths.active
    return PeerStatus(
        member=peer.member,
        name=peer.name,
        is_connected=peer.is_connected,
        address=None if isinstance(active, Relayed) else active,
        path=kind_of(active),
        path_since=None if active is None else peer.paths.active_since,
        path_changes=peer.paths.switches,
        round_trip_s=round_trip.smoothed_s,
        round_trip_min_s=round_trip.minimum_s if round_trip.smoothed_s is not None else None,
        round_trip_deviation_s=round_trip.deviation_s,
        traffic=peer.channels.traffic(),
        last_heard=peer.last_heard,
        transfers_out=peer.sender.active,
        transfers_in=peer.receiver.active,
    )
