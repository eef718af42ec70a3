"""What passed between this member and one peer, and how much of it was lost. Counted by the channels as they seal
and open, for next to nothing; added up only when somebody looks.

Loss needs no question to the peer: a channel's counters rise by one per datagram, so a counter that the replay
window has not seen is a datagram that was sealed there and never arrived here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from failover.net.channel import HEADER_SIZE, TAG_SIZE, Channel

SEALED_EXTRA_SIZE = HEADER_SIZE + TAG_SIZE
LOSS_SAMPLE_MIN = 32
"""With fewer datagrams than this, one that is late would look like a bad network."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """DATA of one peer since this member's start, without handshakes; sizes without the header of UDP."""

    datagrams_out: int = 0
    bytes_out: int = 0
    """Sealed; what left over two paths at once counts once."""
    datagrams_in: int = 0
    bytes_in: int = 0
    """Authentic and new; doubles are counted as `data: replayed or too old`."""
    handshakes: int = 0
    """Channels made, by either side: the first, one every two minutes, and one after each silence."""
    loss: float | None = None
    """Share of the last thousand or so datagrams of the peer that never arrived; None until there are enough."""


class Meter:
    """One per peer: what its channels counted that are no more."""

    __slots__ = ("_bytes_in", "_bytes_out", "_datagrams_in", "_datagrams_out", "handshakes")

    def __init__(self) -> None:
        self._datagrams_out = self._bytes_out = self._datagrams_in = self._bytes_in = 0
        self.handshakes = 0

    def close(self, channel: Channel) -> None:
        """A channel ends; what it counted stays."""
        self._datagrams_out += channel.counter
        self._bytes_out += channel.bytes_sealed + channel.counter * SEALED_EXTRA_SIZE
        self._datagrams_in += channel.datagrams_opened
        self._bytes_in += channel.bytes_opened + channel.datagrams_opened * SEALED_EXTRA_SIZE

    def traffic(self, living: Iterable[Channel]) -> Traffic:
        """All together."""
        sums = Meter()
        sums._datagrams_out, sums._bytes_out = self._datagrams_out, self._bytes_out
        sums._datagrams_in, sums._bytes_in = self._datagrams_in, self._bytes_in
        seen = expected = 0
        for channel in living:
            sums.close(channel)
            seen_here, expected_here = channel.arrived()
            seen, expected = seen + seen_here, expected + expected_here
        return Traffic(
            datagrams_out=sums._datagrams_out,
            bytes_out=sums._bytes_out,
            datagrams_in=sums._datagrams_in,
            bytes_in=sums._bytes_in,
            handshakes=self.handshakes,
            loss=1 - seen / expected if expected >= LOSS_SAMPLE_MIN else None,
        )
