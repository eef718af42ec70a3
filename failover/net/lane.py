"""The unreliable lane, this side of the socket: what the application may send beside the library, and how much.

Two token buckets bound it, one per peer and one for all that leaves: a path or an uplink that the lane fills
would make heartbeats late, and a late heartbeat costs the game its host. So what is above the rate is dropped
here, before it can stand in a queue in front of anything, and counted. Nothing waits, nothing is sent again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from failover.ids import MemberId
from failover.net.channel import HEADER_SIZE, TAG_SIZE
from failover.net.frames import Unreliable

if TYPE_CHECKING:
    from failover.net.peer import Peer

OVERHEAD_SIZE = HEADER_SIZE + TAG_SIZE + 28
"""Bytes of a datagram beside its frame: those of DATA, of UDP and of IPv4."""
BURST_S = 0.125
"""What was not sent for so long may leave at once: a program that stuttered catches up, and no buffer on the way
is filled for longer than the fraction of it that the lane may take."""
BURST_SIZE_MIN = 4_096
"""Some full datagrams, however low the rate."""

Received = Callable[[MemberId, Unreliable], None]


class Bucket:
    """So many bytes a second, and at once what was not used for `BURST_S`."""

    __slots__ = ("_burst", "_filled_at", "_left", "_rate")

    def __init__(self, bytes_per_s: float) -> None:
        self._rate = bytes_per_s
        self._burst = self._left = max(bytes_per_s * BURST_S, BURST_SIZE_MIN) if bytes_per_s else 0.0
        self._filled_at = 0.0

    def has(self, size: int, now: float) -> bool:
        """Whether so many bytes may leave now."""
        if now > self._filled_at:
            self._left = min(self._burst, self._left + (now - self._filled_at) * self._rate)
            self._filled_at = now
        return self._left >= size

    def take(self, size: int) -> None:
        """They leave."""
        self._left -= size


class Lane:
    """One per `Peers`."""

    __slots__ = ("_all", "_buckets", "_counters", "_peer_rate", "_turn", "received")

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._buckets: dict[MemberId, Bucket] = {}
        self._turn = 0
        self.received: Received = lambda member, item: None
        """Called with all that members sent, as it comes."""
        self.limit(0, 0)

    def limit(self, peer_bytes_per_s: float, all_bytes_per_s: float) -> None:
        """Set how much may leave for one peer, and for all; 0 until then."""
        self._peer_rate = peer_bytes_per_s
        self._all = Bucket(all_bytes_per_s)
        self._buckets.clear()

    def forget(self, member: MemberId) -> None:
        """It is no member any more."""
        self._buckets.pop(member, None)

    def send(self, peers: Sequence[Peer], frame: bytes, now: float) -> None:
        """Send a frame to each of these, as far as the rate allows; what does not leave now is lost."""
        size = len(frame) + OVERHEAD_SIZE
        # Whoever came first would always be served where there is not enough for all.
        self._turn = turn = (self._turn + 1) % len(peers) if peers else 0
        for peer in (*peers[turn:], *peers[:turn]):
            bucket = self._buckets.get(peer.member)
            if bucket is None:
                bucket = self._buckets[peer.member] = Bucket(self._peer_rate)
            if not (bucket.has(size, now) and self._all.has(size, now)):
                self._counters["lane: over the rate"] += 1
            elif not peer.is_connected or not peer.emit(frame, now):
                self._counters["lane: not connected"] += 1
                peer.handshaking.wanted(now)
                if peer.channels.sending is None:
                    peer.handshaking.start(now)
            else:
                bucket.take(size)
                self._all.take(size)
