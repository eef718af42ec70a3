"""What is made of many measured times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that at least this part of the values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def summary(values: Sequence[float], scale: float = 1.0) -> dict[str, float]:
    """Return p50, p99 and the worst, times `scale`."""
    return {
        "count": len(values),
        "p50": percentile(values, 0.5) * scale,
        "p99": percentile(values, 0.99) * scale,
        "worst": max(values) * scale,
    }


def longest_gap(moments: Sequence[float], start: float, end: float) -> float:
    """Return the longest time without any of `moments` between `start` and `end`, ends included."""
    inside = [start, *sorted(m for m in moments if start < m < end), end]
    return max(b - a for a, b in pairwise(inside))
