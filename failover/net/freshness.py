"""Which initiations of a peer are new: by incarnation and attempt, never by a clock.

Only what the peer *proved*, with DATA on the channel or with a RESPONSE, moves the bounds. An initiation alone
proves little: whoever holds our own stolen static key can forge one of anybody (key compromise impersonation), and
could lock the real peer out with a number that it will never reach.
"""

from __future__ import annotations

from collections import deque

ACCEPTED_MAX = 8
"""Accepted initiations that are remembered one by one; as many as fit into a few long round trips."""


class Freshness:
    """Of one peer."""

    __slots__ = ("_accepted", "attempt", "incarnation")

    def __init__(self) -> None:
        self.incarnation = 0
        """The newest that the peer proved to have."""
        self.attempt = 0
        """The newest of that incarnation."""
        self._accepted: deque[tuple[int, int]] = deque(maxlen=ACCEPTED_MAX)

    def is_rolled_back(self, incarnation: int, previous: int) -> bool:
        """Whether a newer process does not know of one that we met: its storage was rolled back or copied.

        Every later process of an honest storage knows of the ones before it, so a replayed datagram of an honest
        one cannot look like this: its own incarnation is an old one.
        """
        return incarnation > self.incarnation > previous

    def judge(self, incarnation: int, attempt: int, *, is_at_its_address: bool) -> str | None:
        """Whether the initiation may be accepted: None, or why not.

        An older one than the newest that was proved may be a straggler or a replay; who shows by a mac2 that it
        was sent from where it came from just now gets an answer, which does no harm.
        """
        if incarnation < self.incarnation:
            return "stale incarnation"
        pair = (incarnation, attempt)
        if pair in self._accepted:
            return "stale attempt"
        if pair <= (self.incarnation, self.attempt) and not is_at_its_address:
            return "stale attempt"
        return None

    def accepted(self, incarnation: int, attempt: int) -> None:
        """It was answered."""
        self._accepted.append((incarnation, attempt))

    def proved(self, incarnation: int, attempt: int = 0) -> None:
        """The peer's process is this one, or a later one."""
        self.incarnation, self.attempt = max((self.incarnation, self.attempt), (incarnation, attempt))
