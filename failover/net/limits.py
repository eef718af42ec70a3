"""How many initiations are computed with: when we are under load, and how much each source and all of them get.

Without load nobody is asked for a cookie. Under load only sources that showed one come this far, so that nobody
can use up what belongs to an address that is not his own.
"""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Callable

from failover.net.bucket import Bucket
from failover.net.places import Place, Relayed

LOAD_PER_S = 20
"""More initiations in a second than this, with a right mac1 and new, are load."""
RATE_ALL, BURST_ALL = 100.0, 200.0
"""Initiations per second that may reach the curve arithmetic, about 200 us each."""
RATE_SOURCE, BURST_SOURCE = 20.0, 60.0
"""Of one source. Not below `LOAD_PER_S`: without load, made-up sources must not use up a member's share."""
SOURCES_MAX = 256


class Load:
    """Whether more than `LOAD_PER_S` came within the last second."""

    __slots__ = ("_moments",)

    def __init__(self) -> None:
        self._moments: deque[float] = deque(maxlen=LOAD_PER_S)

    def one_more(self, now: float) -> bool:
        """Count one; True if it is one too many. Those that are too many count too: load ends with the flood."""
        moments = self._moments
        is_load = len(moments) == LOAD_PER_S and now - moments[0] < 1.0
        moments.append(now)
        return is_load


class Limits:
    """The buckets, of which only the most recent sources have one."""

    __slots__ = ("_all", "_sources")

    def __init__(self) -> None:
        self._all = Bucket(RATE_ALL, BURST_ALL, 0.0)
        self._sources: dict[bytes, Bucket] = {}

    def allow(self, source: Place, now: float, *, has_own_place: Callable[[], bool]) -> str | None:
        """Take one for `source`, or say why not. Who `has_own_place` needs none of what all share."""
        key = network_of(source)
        bucket = self._sources.pop(key, None) or Bucket(RATE_SOURCE, BURST_SOURCE, now)
        self._sources[key] = bucket
        if len(self._sources) > SOURCES_MAX:
            del self._sources[next(iter(self._sources))]
        if not bucket.take(now):
            return "too many from one source"
        if not self._all.take(now) and not has_own_place():
            return "too many in all"
        return None


def network_of(address: Place) -> bytes:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 one, since a home has all of that.

    Of what was passed on it is the relay: whom that names is its word alone.
    """
    if isinstance(address, Relayed):
        return address.relay
    try:
        packed = ipaddress.ip_address(address.ip).packed
    except ValueError:  # of a game's own transport
        return address.ip.encode()
    return packed if len(packed) == 4 else packed[:8]
