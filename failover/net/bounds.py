"""Markers for `typing.Annotated` that bound a field of a message: the codec enforces them when it decodes.

body: Annotated[bytes, MaxSize(65_536)]
seat: Annotated[int, Range(0, 9)]
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MaxSize:
    """At most so many bytes, characters or items."""

    size: int


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`, both included, for whole numbers and for seconds alike."""

    low: float
    high: float


INT_MAX = 2**63 - 1
"""Largest whole number of a field without a `Range`: what SQLite and every other language can hold."""
BYTES_SIZE_MAX = 1 << 20
"""Bytes or characters of a field without a `MaxSize`: one batch."""
TUPLE_ITEMS_MAX = 65_536
FROZENSET_ITEMS_MAX = 64
DEPTH_MAX = 16
"""Nesting of arrays in one message; ours reach 5."""
