"""What is there of one transfer on its way in, and the shelf for a snapshot whose transfer broke off.

A batch is held in memory. The chunks of a snapshot go straight to where they belong in its sink, so what one costs
in memory does not grow with it, and what is there outlives the transfer that brought it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from failover.net import frames
from failover.net.frames import CHUNK_SIZE
from failover.net.transfers import SnapshotSink, chunk_count

KEPT_S = 120.0
"""What is there of a snapshot whose transfer broke off is kept for so long, for the next transfer of the same."""
INFINITE = float("inf")


class Arriving:
    """One transfer on its way in."""

    __slots__ = ("_beyond", "ack_at", "below", "count", "size", "started_at", "transfer", "unanswered")

    def __init__(self, opening: frames.Open, now: float) -> None:
        self.transfer, self.size = opening.transfer, opening.size
        self.count = chunk_count(opening.size)
        self.started_at = now
        self.below = 0
        """All chunks before this one are here."""
        self._beyond = 0
        """Those beyond it; bit 0 is `below` + 1."""
        self.unanswered = 0
        self.ack_at = INFINITE

    @property
    def has_gaps(self) -> bool:
        """Whether something came before what precedes it."""
        return self._beyond != 0

    @property
    def is_complete(self) -> bool:
        """Whether all chunks are here."""
        return self.below == self.count

    def has(self, number: int) -> bool:
        """Whether this chunk is here."""
        return number < self.below or bool(number > self.below and self._beyond >> (number - self.below - 1) & 1)

    def take(self, number: int) -> None:
        """This chunk is here now, and was not."""
        if number != self.below:
            self._beyond |= 1 << (number - self.below - 1)
            return
        in_order = (~self._beyond & (self._beyond + 1)).bit_length() - 1  # trailing ones
        self.below += 1 + in_order
        self._beyond >>= in_order + 1

    @property
    def arrived(self) -> tuple[int, int]:
        """What an ACK tells. That all is here it says only when it is known to be right."""
        if self.is_complete:
            return self.count - 1, 0
        return self.below, self._beyond


class ArrivingBatch(Arriving):
    """Held in memory."""

    __slots__ = ("_pieces", "held")

    def __init__(self, opening: frames.Open, now: float) -> None:
        super().__init__(opening, now)
        self._pieces: dict[int, bytes] = {}
        self.held = 0
        """Bytes."""

    def store(self, number: int, data: bytes) -> None:
        """Take a chunk."""
        self._pieces[number] = data
        self.held += len(data)
        self.take(number)

    def content(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces[number] for number in range(self.count))


class ArrivingSnapshot(Arriving):
    """On its way into a sink."""

    __slots__ = ("digest", "header", "is_checked", "sink")

    def __init__(self, opening: frames.Open, header: object, sink: SnapshotSink, now: float) -> None:
        super().__init__(opening, now)
        self.digest = opening.digest
        self.header = header
        self.sink = sink
        self.is_checked = False
        """Whether all is there, and the sink is looking whether it is right."""

    def store(self, number: int, data: bytes) -> None:
        """Take a chunk; may raise OSError."""
        self.sink.write(number * CHUNK_SIZE, data)
        self.take(number)

    def go_on_from(self, kept: Kept) -> None:
        """Another transfer brought this much of it."""
        self.sink.abort()
        self.sink, self.below, self._beyond = kept.sink, kept.below, kept.beyond

    def keep(self, until: float) -> Kept:
        """What is there, for the next transfer."""
        return Kept(self.digest, self.size, self.sink, self.below, self._beyond, until)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is there of a snapshot whose transfer broke off."""

    digest: bytes
    size: int
    sink: SnapshotSink
    below: int
    beyond: int
    until: float


class Shelf:
    """Of all peers together: the snapshots on their way in, and room for one whose transfer broke off.

    A peer could leave rubbish there under another's digest: then the transfer that goes on from it ends with a
    wrong digest, and the next one begins anew.
    """

    __slots__ = ("_kept", "arriving")

    def __init__(self) -> None:
        self._kept: Kept | None = None
        self.arriving: dict[ArrivingSnapshot, Callable[[], None]] = {}
        """Each with what ends its transfer, and puts what is there on the shelf."""

    def put(self, kept: Kept) -> None:
        """Keep this, and nothing else."""
        self.clear()
        self._kept = kept

    def take(self, digest: bytes, size: int, now: float) -> Kept | None:
        """What there is of this content: what was kept, or is just being sent by another peer."""
        self.expire(now)
        for arriving, end in list(self.arriving.items()):
            if (arriving.digest, arriving.size) == (digest, size):
                end()
        kept = self._kept
        if kept is None or (kept.digest, kept.size) != (digest, size):
            return None
        self._kept = None
        return kept

    def expire(self, now: float) -> None:
        """Delete what nobody came for."""
        if self._kept is not None and now >= self._kept.until:
            self.clear()

    def clear(self) -> None:
        """Delete it."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.sink.abort()
