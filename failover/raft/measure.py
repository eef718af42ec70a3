"""Small running measurements: smoothed round trips and slowly decaying maxima. Pure arithmetic."""

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
