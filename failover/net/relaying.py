"""Passing on what members that do not reach each other have to say: one hop, for current members, within a rate.

The channel is between the two ends; the member in between sees who they are and how much they send.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from failover.ids import MemberId
from failover.net import frames
from failover.net.bucket import Bucket
from failover.net.channel import DATAGRAM_SIZE_MAX
from failover.net.places import Place, Relayed, short_id

if TYPE_CHECKING:
    from failover.net.context import Context
    from failover.net.peer import Peer

RELAYS_MAX = 2
"""Common members through which one peer is tried."""
REFUSED_S = 2.0
"""A member that could not pass on to a peer is not asked again for so long."""
REFUSALS_MAX = 256
BYTES_PER_S, BURST_BYTES = 512 * 1024.0, 256 * 1024.0
"""What is passed on for one member, per second and at once."""
OVERHEAD_SIZE = 76
"""Of each datagram that is passed on: the frame and its datagram, and what the system puts around it."""


class Relaying:
    """One per `Peers`; both what this member asks of others, and what it does for them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._members: dict[bytes, Peer] = {}
        self._refused: dict[Relayed, float] = {}
        """Until when."""
        self._buckets: dict[MemberId, Bucket] = {}
        self.passed_on = 0
        """Datagrams."""

    def set_members(self, peers: Iterable[Peer]) -> None:
        """The current members: for nobody else is anything passed on."""
        self._members = {short_id(peer.member): peer for peer in peers}
        self._buckets = {
            member: bucket for member, bucket in self._buckets.items() if short_id(member) in self._members
        }

    # For this member.

    def ways_to(self, peer: Peer, now: float) -> list[Relayed]:
        """Through whom the peer may be reached, the nearest first."""
        wanted = short_id(peer.member)
        if self._members.get(wanted) is not peer:
            return []
        ways = [
            (other.round_trip.smoothed_s or 1.0, Relayed(other.member, wanted))
            for other in self._members.values()
            if other is not peer and other.paths.is_direct and other.is_connected
        ]
        return [way for _, way in sorted(ways) if self._refused.get(way, now) <= now][:RELAYS_MAX]

    def send(self, datagram: bytes, place: Relayed, now: float) -> None:
        """Have a common member pass on a datagram."""
        assert len(datagram) <= DATAGRAM_SIZE_MAX
        relay = self._members.get(short_id(place.relay))
        if relay is None or not relay.paths.is_direct:
            self._context.counters["relay: out of reach"] += 1
            return
        relay.emit(frames.relay(frames.PASS_ON, place.member, datagram), now, matters=True, is_relaying=True)

    def refused(self, relay: MemberId, frame: frames.RelayRefused, now: float) -> None:
        """That member does not reach the other one either."""
        self._refused = {way: until for way, until in self._refused.items() if until > now}
        if len(self._refused) < REFUSALS_MAX:
            self._refused[Relayed(relay, frame.member)] = now + REFUSED_S

    # For others.

    def received(self, sender: Peer, frame: frames.Relay, source: Place, now: float) -> None:
        """A RELAY of that peer, in a datagram that came from `source`."""
        counters = self._context.counters
        if isinstance(source, Relayed):
            counters["relay: second hop"] += 1
        elif short_id(sender.member) not in self._members:
            counters["relay: not for a member"] += 1
        elif frame.direction == frames.PASSED_ON:
            self._context.take_in(frame.datagram, Relayed(sender.member, frame.member), now)
        else:
            self._pass_on(sender, frame, now)

    def _pass_on(self, sender: Peer, frame: frames.Relay, now: float) -> None:
        bucket = self._buckets.get(sender.member)
        if bucket is None:
            bucket = self._buckets[sender.member] = Bucket(BYTES_PER_S, BURST_BYTES, now)
        if not bucket.take(now, len(frame.datagram) + OVERHEAD_SIZE):  # a refusal is an answer too
            self._context.counters["relay: over the rate"] += 1
            return
        target = self._members.get(frame.member)
        if target is None or target is sender or not (target.paths.is_direct and target.is_connected):
            self._context.counters["relay: cannot pass on"] += 1
            sender.emit(frames.relay_refused(frame.member), now)
            return
        self.passed_on += 1
        content = frames.relay(frames.PASSED_ON, short_id(sender.member), frame.datagram)
        target.emit(content, now, matters=True, is_relaying=True)
