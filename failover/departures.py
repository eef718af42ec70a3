"""Who was a member until not long ago: still answered, so that it hears of it though datagrams get lost.

A departure counts by the directory, which follows what is committed, and never by whom this member happens to
know: one that lags behind must not tell a living member that it has left. While the log may still need its vote,
nobody is told. From who has departed one question is taken, who the members are, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from failover.directory import Directory
from failover.ids import MemberId
from failover.net.addresses import Address

Addresses = tuple[Address, ...]
FAREWELL_S = 600.0
"""Somebody may open the lid after so long, and learn that it was removed meanwhile."""
ANSWERED_MAX = 16


class Departures:
    """See the module's docstring."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._answered: dict[MemberId, tuple[float, Addresses]] = {}
        """Until when, and where it was; the one that went last comes last."""

    def follow(
        self, directory: Directory, before: Mapping[MemberId, Addresses], members: Collection[MemberId]
    ) -> list[MemberId]:
        """Take in what is applied by now; returns who has departed just now.

        Args:
            directory: the newest one.
            before: who counted as a member until now, and where they were.
            members: who counts as one now, by the directory or by the log.
        """
        now = self._clock()
        newly = [member for member in directory.departed if member in before and member not in members]
        answered = {m: at for m, at in self._answered.items() if at[0] > now and m not in members}
        answered |= {member: (now + FAREWELL_S, before[member]) for member in newly}
        self._answered = dict(list(answered.items())[-ANSWERED_MAX:])
        return newly

    @property
    def answered(self) -> dict[MemberId, Addresses]:
        """Who is still answered, and where they were."""
        return {member: addresses for member, (_, addresses) in self._answered.items()}
