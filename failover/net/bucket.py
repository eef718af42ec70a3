"""A token bucket: so much at once, and so much a second."""

from __future__ import annotations


class Bucket:
    """Full at its birth."""

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens = burst
        self._filled_at = now

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Whether `amount` more is allowed at `now`; if so, it is gone."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True
