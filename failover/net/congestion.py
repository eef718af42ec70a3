"""How many chunks may be under way to one peer: round trips, and a window that learns from loss and delay.

Small messages go outside the window. Batches follow the loss window: slow start, then one chunk more per round
trip, halved at most once per round trip (RFC 5681, QUIC's RFC 9002). Snapshots follow the smaller of it and a
window that shrinks as soon as queues build up (after LEDBAT, RFC 6817): play must not suffer when somebody joins.
"""

from __future__ import annotations

RTO_MIN_S = 0.005
RTO_MAX_S = 1.0
RTO_FIRST_S = 0.2
"""Until a round trip was measured."""
ACK_DELAY_S = 0.005
"""A receiver holds back an acknowledgement at most this long."""
WINDOW_FIRST = 32
WINDOW_MIN = 8
WINDOW_MAX = 1024
"""Chunks; also how far beyond the first missing chunk a receiver keeps what arrives."""
QUEUEING_DELAY_TARGET_S = 0.020
"""Snapshots add no more than about this to the round trip of play."""


class RoundTrip:
    """Smoothed round trip and its deviation (RFC 6298)."""

    __slots__ = ("deviation_s", "minimum_s", "smoothed_s")

    def __init__(self) -> None:
        self.smoothed_s: float | None = None
        self.deviation_s = 0.0
        self.minimum_s = float("inf")

    def sample(self, seconds: float) -> None:
        """One measured round trip, of something that was sent once (Karn's rule)."""
        if seconds < 0:
            return
        self.minimum_s = min(self.minimum_s, seconds)
        if self.smoothed_s is None:
            self.smoothed_s, self.deviation_s = seconds, seconds / 2
            return
        self.deviation_s += (abs(seconds - self.smoothed_s) - self.deviation_s) / 4
        self.smoothed_s += (seconds - self.smoothed_s) / 8

    @property
    def timeout_s(self) -> float:
        """After this long without an answer something was lost."""
        if self.smoothed_s is None:
            return RTO_FIRST_S
        timeout = self.smoothed_s + max(4 * self.deviation_s, 0.001) + ACK_DELAY_S
        return min(max(timeout, RTO_MIN_S), RTO_MAX_S)


class Window:
    """The windows for batches (`size`) and snapshots (`snapshot_size`), in chunks under way together."""

    __slots__ = ("_growing_to", "_shrunk_at", "_snapshot_shrunk_at", "size", "snapshot_size")

    def __init__(self) -> None:
        self.size = float(WINDOW_FIRST)
        self.snapshot_size = float(WINDOW_FIRST)
        self._growing_to = float(WINDOW_MAX)
        self._shrunk_at = float("-inf")
        self._snapshot_shrunk_at = float("-inf")

    def acknowledged(self, count: int) -> None:
        """So many chunks arrived."""
        self.size += count if self.size < self._growing_to else count / self.size
        self.size = min(self.size, WINDOW_MAX)

    def snapshot_acknowledged(self, count: int, queueing_s: float, now: float, round_trip_s: float) -> None:
        """So many chunks of a snapshot arrived, after waiting `queueing_s` in queues on the way."""
        if queueing_s <= QUEUEING_DELAY_TARGET_S:
            gain = count * (1 - queueing_s / QUEUEING_DELAY_TARGET_S)
            self.snapshot_size = min(self.snapshot_size + gain, self.size)
        elif now - self._snapshot_shrunk_at > round_trip_s:
            self._snapshot_shrunk_at = now
            self.snapshot_size = max(self.snapshot_size / 2, WINDOW_MIN)

    def lost(self, now: float, round_trip_s: float) -> None:
        """Something was lost. Losses within one round trip are one event."""
        if now - self._shrunk_at <= round_trip_s:
            return
        self._shrunk_at = now
        self.size = self._growing_to = max(self.size / 2, WINDOW_MIN)
        self.snapshot_size = min(self.snapshot_size, self.size)

    def timed_out(self, now: float) -> None:
        """Nothing came back at all: begin again carefully."""
        self._shrunk_at = now
        self._growing_to = max(self.size / 2, WINDOW_MIN)
        self.size = self.snapshot_size = float(WINDOW_MIN)
