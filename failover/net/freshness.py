"""Which initiations of a peer are new: by incarnation and attempt, never by a clock.

Only what the peer *proved*, with DATA on the channel or with a RESPONSE, moves the bounds. An initiation alone
proves little: whoever holds our own stolen static key can forge one of anybody (key compromise impersonation), and
could lock the real peer out with a number that it will never reach.
"""

from __future__ import annotations

from collections import deque

from failover.net.runs import NO_RUN, Run

ACCEPTED_MAX = 8
"""Accepted initiations that are remembered one by one; as many as fit into a few long round trips."""


class Freshness:
    """Of one peer."""

    __slots__ = ("_accepted", "_before", "attempt", "run")

    def __init__(self, run: Run = NO_RUN) -> None:
        self.run = run
        """The newest that the peer proved to be."""
        self.attempt = 0
        """The newest of that run."""
        self._before = (0, 0)
        """The run that was the newest before it, and its newest attempt."""
        self._accepted: deque[tuple[int, int]] = deque(maxlen=ACCEPTED_MAX)

    @property
    def incarnation(self) -> int:
        """Of the newest run."""
        return self.run.incarnation

    def is_rolled_back(self, run: Run, previous: int) -> bool:
        """Whether a process does not know of one that we met: its storage was rolled back or copied.

        Every later process of an honest storage knows of the ones before it, so a replayed datagram of an honest
        one cannot look like this: its own incarnation is an old one.
        """
        if run.incarnation == self.incarnation:
            return run.seal != self.run.seal
        return run.incarnation > self.incarnation > previous

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

    def is_to_be_told(self, run: Run, previous: int, attempt: int) -> bool:
        """Whether this is the initiation of a copy, or of a storage that was copied; once for each."""
        if (run.incarnation, attempt) in self._accepted:
            return False
        return self.is_rolled_back(run, previous) or self._outlived(run.incarnation, attempt)

    def _outlived(self, incarnation: int, attempt: int) -> bool:
        """Whether the run before the newest still makes initiations: two processes use one storage or its copy.

        A straggler or a replay of that run may look like this, too, but once each: an answer to it reaches nobody
        who could read it.
        """
        if incarnation == 0 or incarnation != self._before[0] or attempt <= self._before[1]:
            return False
        self._before = (incarnation, attempt)
        return True

    def accepted(self, incarnation: int, attempt: int) -> None:
        """It was answered."""
        self._accepted.append((incarnation, attempt))

    def proved(self, run: Run, attempt: int = 0) -> None:
        """The peer's process is this one, or a later one."""
        if run.incarnation > self.incarnation:
            self._before = (self.incarnation, self.attempt)
            self.run, self.attempt = run, attempt
        elif run.incarnation == self.incarnation:
            self.attempt = max(self.attempt, attempt)
