"""Small running measurements: smoothed round trips, slowly decaying maxima, shares. Pure arithmetic."""

from __future__ import annotations

import math


class RoundTrip:
    """A smoothed round-trip time and its deviation, in seconds (the estimator of RFC 6298)."""

    def __init__(self, first_guess_s: float) -> None:
        self.smoothed_s = first_guess_s
        self.deviation_s = first_guess_s / 2
        self.is_measured = False
        """Whether there was a sample, or all is a guess."""

    def add(self, sample_s: float) -> None:
        """Take in one measured round trip."""
        if not self.is_measured:
            self.is_measured = True
            self.smoothed_s, self.deviation_s = sample_s, sample_s / 2
            return
        self.deviation_s += (abs(sample_s - self.smoothed_s) - self.deviation_s) / 4
        self.smoothed_s += (sample_s - self.smoothed_s) / 8

    def patience_s(self, least_s: float) -> float:
        """How long to wait for an answer before sending again."""
        return max(least_s, 2 * self.smoothed_s, self.smoothed_s + 4 * self.deviation_s)


class DecayingMax:
    """The largest recent sample, forgotten by halves."""

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._value = 0.0
        self._at = -math.inf

    def add(self, sample: float, now: float) -> None:
        """Take in one sample."""
        self._value = max(sample, self.value(now))
        self._at = now

    def value(self, now: float) -> float:
        """The maximum as it stands now; 0 before the first sample."""
        if self._value == 0.0:
            return 0.0
        return self._value * math.exp2(-max(0.0, now - self._at) / self._half_life_s)


class MissedRounds:
    """How often a round of heartbeats finds no quorum, forgotten by halves; and for how many in a row to allow."""

    def __init__(self, half_life_s: float, risk: float) -> None:
        self._half_life_s = half_life_s
        self._log_risk = math.log(risk)
        self._reached_at = -math.inf
        self._rounds = 0.0
        self._gaps = 0.0

    def reached(self, sent_at: float, interval_s: float) -> None:
        """A quorum has now answered what was sent at that moment; rounds are sent at this interval."""
        if sent_at == math.inf:
            return  # a leader alone is a quorum at all times
        gap_s, self._reached_at = sent_at - self._reached_at, max(sent_at, self._reached_at)
        if not 0.0 < gap_s < math.inf:
            return
        kept = math.exp2(-gap_s / self._half_life_s)
        self._rounds = kept * self._rounds + gap_s / interval_s
        # However long a gap is, it counts once: a stall says little about the links.
        self._gaps = kept * self._gaps + (gap_s > 1.5 * interval_s)

    def to_allow_for(self) -> float:
        """So many rounds, each missing with the measured probability, miss one after the other at the risk only.

        At least 1, which is what there must be where nothing is ever lost. A single gap shows no habit.
        """
        if self._gaps <= 1.0:
            return 1.0
        share = min(0.5, (self._gaps - 1.0) / self._rounds)
        return max(1.0, self._log_risk / math.log(share))
