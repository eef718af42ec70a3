"""How fast chunks may leave for one peer: round trips, a window, and a pace.

Small messages go outside of it, so what counts is the queue that transfers build up on the way, mostly in
somebody's router: play waits in it. The window is therefore led by delay, as FAST TCP does it (Wei, Jin, Low and
Hegde 2006, equation 4): once per round trip it becomes `window * base / round trip + share`, so that it settles
where `share` chunks of it lie in the queue, from any distance within a few round trips. Three things differ.

- The share grows with the square root of the rate (as in BBR and Copa, fast flows may queue more): two transfers
  over one bottleneck still come out even, and a slow line has no long queue.
- The first milliseconds of delay count as none. They are the scheduling of two computers, not a queue.
- What a round trip is counts by its shortest sample (Copa's "standing" round trip, Arun and Balakrishnan 2018), so
  jitter is no queue. `base` is the shortest of the last ten to twenty seconds; and every ten seconds the window is
  halved for one round trip, so that who came late to a full queue sees the empty one too (LEDBAT++, BBR).

Loss counts only where it is heavy: a radio link that loses one datagram in fifty is not full. Start-up doubles
the window per round trip until a queue shows (HyStart, RFC 9406). Chunks leave spread over the round trip, in
bursts of a few, so that a small buffer on the way survives.
"""

from __future__ import annotations

import math

RTO_MIN_S = 0.005
RTO_MAX_S = 1.0
RTO_FIRST_S = 0.2
"""Until a round trip was measured."""
ACK_DELAY_S = 0.005
"""A receiver holds back an acknowledgement at most this long."""
WINDOW_FIRST = 8
WINDOW_MIN = 4
BATCH_WINDOW_MIN = 16
WINDOW_MAX = 4096
"""Chunks; also how far beyond the first missing chunk a receiver keeps what arrives."""
QUEUE_IGNORED_S = 0.004
"""A delay up to this above `base` is no queue."""
QUEUE_SHARE = 0.2
"""Times the square root of the rate (chunks a second): 7 chunks at 10 Mbit/s, 2 at 1 Mbit/s."""
STEP = 0.5
"""How much of the way to its new value the window goes in one round trip."""
BASE_KEPT_S = 10.0
DRAIN, DRAIN_ROUND_TRIPS = 1 / 4, 2.0
"""So much of the window is used for so long, after start-up and every `BASE_KEPT_S`."""
HEAVY_LOSS = 0.1
"""Of the chunks of a round trip; the window then shrinks to what came through."""
LOSS_SAMPLE_MIN = 24
"""Chunks without which there is no telling."""
STARTUP_SAMPLES = 4
"""So many round trips, one after the other, must show a queue before start-up ends."""
GROWTH = 1 / 8
"""Where no queue shows at all, the window grows by this part of itself."""
PACE_GAIN = 1.25
PACE_GAIN_STARTUP = 1.5
"""Times the window per round trip."""
PACE_UNMEASURED_S = 0.001
BURST_MIN, BURST_MAX = 8, 64
BURST_S = 0.002
"""Chunks that may leave at once: what is due in this time, within these bounds."""


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

    @property
    def reordering_s(self) -> float:
        """Who left so much earlier than another that has arrived is lost, not late (RFC 8985, and the jitter)."""
        return max((self.smoothed_s or 0.0) / 4, 4 * self.deviation_s, 0.001)


class Controller:
    """See the module's docstring. All times are seconds on the clock of `now`."""

    __slots__ = (
        "_acked",
        "_base_before_s",
        "_base_now_s",
        "_base_until",
        "_credit",
        "_credit_at",
        "_drain_until",
        "_is_full",
        "_lost",
        "_queued_samples",
        "_round_ends",
        "_standing_s",
        "is_starting",
        "round_trip",
        "window",
    )

    def __init__(self) -> None:
        self.round_trip = RoundTrip()
        """Of chunks and their acknowledgements, queues and delays included; `timeout_s` comes from it."""
        self.window = float(WINDOW_FIRST)
        """Chunks of a snapshot that may be under way."""
        self.is_starting = True
        self._base_before_s = self._base_now_s = math.inf
        self._base_until = -math.inf
        self._drain_until = -math.inf
        self._round_ends = -math.inf
        self._standing_s = math.inf
        self._queued_samples = 0
        self._acked = self._lost = 0
        self._is_full = False
        """Whether the window was used in this round: one that is not says nothing by being acknowledged."""
        self._credit = float(BURST_MIN)
        self._credit_at = -math.inf

    @property
    def base_s(self) -> float:
        """The shortest round trip of late; infinite before the first."""
        return min(self._base_before_s, self._base_now_s)

    def room(self, now: float, *, is_snapshot: bool) -> float:
        """Chunks that may be under way. Play waits for a batch, so batches go on where a snapshot stops."""
        window = max(self.window * DRAIN, WINDOW_MIN) if now < self._drain_until else self.window
        return window if is_snapshot else max(2 * window, BATCH_WINDOW_MIN)

    # What came of the chunks.

    def acknowledged(self, count: int, round_trip_s: float | None, under_way: int, now: float) -> None:
        """So many chunks arrived, of `under_way`; None: no round trip that is known to be one."""
        self._acked += count
        self._is_full |= under_way >= self.window / 2
        if round_trip_s is not None and round_trip_s >= 0:
            self.round_trip.sample(round_trip_s)
            self._note_base(round_trip_s, now)
            self._standing_s = min(self._standing_s, round_trip_s)
            if self.is_starting:
                self._start_up(count, round_trip_s, now)
        if now >= self._round_ends:
            self._end_round(now)

    def lost(self, count: int) -> None:
        """So many chunks were lost."""
        self._lost += count

    def timed_out(self) -> None:
        """Nothing at all came back, again and again: begin anew, carefully."""
        self.is_starting = False
        self.window = float(WINDOW_MIN)

    def moved(self) -> None:
        """Another path: what was the shortest round trip there is no measure here."""
        self.round_trip = RoundTrip()
        self._base_before_s = self._base_now_s = math.inf
        self._standing_s = math.inf

    def _note_base(self, round_trip_s: float, now: float) -> None:
        if now >= self._base_until:
            is_first = self._base_until == -math.inf
            self._base_before_s = self._base_now_s if now < self._base_until + BASE_KEPT_S else math.inf
            self._base_now_s = math.inf
            self._base_until = now + BASE_KEPT_S
            if not is_first and not self.is_starting:
                self._drain(now)
        self._base_now_s = min(self._base_now_s, round_trip_s)

    def _drain(self, now: float) -> None:
        """Let the queue run empty, and look how long the way is then."""
        self._drain_until = now + DRAIN_ROUND_TRIPS * (self.round_trip.smoothed_s or 0.0)

    def _start_up(self, count: int, round_trip_s: float, now: float) -> None:
        """Half as many again in each round trip, until a queue shows; what was sent beyond that drains."""
        if self._is_full:
            self.window = min(self.window + count / 2, WINDOW_MAX)
        has_queue = round_trip_s > self.base_s * 9 / 8 + QUEUE_IGNORED_S
        self._queued_samples = self._queued_samples + 1 if has_queue else 0
        if self._queued_samples >= STARTUP_SAMPLES:
            self.is_starting = False
            self.window = max(self.window * (self.base_s + QUEUE_IGNORED_S) / round_trip_s, WINDOW_MIN)
            self._drain(now)

    def _end_round(self, now: float) -> None:
        if self._has_heavy_loss():
            self.is_starting = False
        elif self._standing_s < math.inf and not self.is_starting:
            self._steer()
        self._standing_s, self._is_full = math.inf, False
        self._round_ends = now + (self.round_trip.smoothed_s or RTO_FIRST_S)

    def _has_heavy_loss(self) -> bool:
        """Whether so much was lost of late that the window had to shrink to what comes through."""
        if self._acked + self._lost < LOSS_SAMPLE_MIN:
            return False
        part = self._lost / (self._acked + self._lost)
        self._acked = self._lost = 0
        if part <= HEAVY_LOSS:
            return False
        self.window = max(self.window * (1 - part), WINDOW_MIN)
        return True

    def _steer(self) -> None:
        base_s = self.base_s + QUEUE_IGNORED_S
        if self._standing_s > base_s:
            wanted = self.window * base_s / self._standing_s + QUEUE_SHARE * math.sqrt(self.window / base_s)
        else:
            wanted = self.window * (1 + GROWTH / STEP)
        if wanted < self.window or self._is_full:
            self.window = min(max(self.window + STEP * (wanted - self.window), WINDOW_MIN), WINDOW_MAX)

    # The pace.

    def _interval_s(self) -> float:
        smoothed_s = self.round_trip.smoothed_s
        if smoothed_s is None:
            return PACE_UNMEASURED_S
        return smoothed_s / (self.window * (PACE_GAIN_STARTUP if self.is_starting else PACE_GAIN))

    def may_leave(self, now: float) -> int:
        """How many chunks may leave at this moment; `left` says how many did."""
        interval_s = max(self._interval_s(), 1e-6)
        burst = min(max(BURST_MIN, BURST_S / interval_s), BURST_MAX)
        self._credit = min(self._credit + max(0.0, now - self._credit_at) / interval_s, burst)
        self._credit_at = now
        return int(self._credit)

    def left(self, count: int) -> None:
        """So many chunks left."""
        self._credit -= count

    def next_at(self, now: float) -> float:
        """When the next ones may; not sooner than a timer is worth."""
        return now + max(self._interval_s() * (1 - self._credit), BURST_S / 2)
