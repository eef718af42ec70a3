"""Who is fittest to host: the leader's order of the members, and what each member knows of it.

The order decides nothing. A rank delays a member's own candidacy by a few milliseconds, so that the fittest of the
voters with the newest logs stands first; it is asked by no vote, and no member is refused for it. (Others let
priorities refuse, and had elections that nobody could win: NuRaft#661, #270, #436.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from failover.ids import MemberId
from failover.raft.membership import Membership
from failover.raft.messages import HINT_MAX, UNKNOWN_HINT, Ranked

HINT_STEP = 16
"""A hint counts anew when it has moved by so much: noise below that reorders nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One member, as its leader sees it. What orders the members, and what the autopilot decides from."""

    member: MemberId
    hint: int = UNKNOWN_HINT
    is_witness: bool = False
    is_ready: bool = True
    """It is in reach and holds (nearly) the whole log."""
    is_steady: bool = True
    """It has been ready for long enough to be given a vote."""
    is_gone: bool = False
    """It has been silent for so long that its vote is better given to another."""
    is_leaving: bool = False
    """It is about to close."""
    stands_last: bool = False
    """Its server function failed lately."""


def fittest_first(seen: Iterable[Seen], voters: Collection[MemberId]) -> tuple[Seen, ...]:
    """Order the members: who would be the best next host, and who would be the last to choose."""

    def place(each: Seen) -> tuple[bool, bool, bool, bool, int, MemberId]:
        is_last = each.is_leaving or each.stands_last
        return each.member not in voters, each.is_witness, is_last, not each.is_ready, -each.hint, each.member

    return tuple(sorted(seen, key=place))


class Ranking:
    """The leader's order, as it changes with time. Dies with the leader's role."""

    def __init__(self, me: MemberId, told: Iterable[Ranked]) -> None:
        """Begin with the hints that the last leader told: the first order is better than none."""
        self._me = me
        self._hints = {each.member: each.hint for each in told}
        self.order: tuple[Ranked, ...] = ()
        """Everybody, the fittest first."""
        self._ranks: dict[MemberId, int] = {}

    def settled(self, member: MemberId, hint: int | None) -> int:
        """The hint that counts: the last that differed enough from the one before. None: it said nothing yet."""
        known = self._hints.get(member, UNKNOWN_HINT)
        if hint is None or (UNKNOWN_HINT not in (known, hint) and abs(hint - known) < HINT_STEP):
            return known
        self._hints[member] = hint
        return hint

    def look(self, seen: Collection[Seen], voters: Collection[MemberId]) -> bool:
        """Order them anew; returns whether the order or a hint has changed."""
        order = tuple(Ranked(each.member, each.hint) for each in fittest_first(seen, voters))
        if order == self.order:
            return False
        self.order = order
        others = [each.member for each in order if each.member in voters and each.member != self._me]
        self._ranks = {member: rank for rank, member in enumerate(others)}
        self._hints = {each.member: each.hint for each in order}
        return True

    def rank(self, member: MemberId) -> int | None:
        """How many voters stand before it if this leader falls silent; None: it has no vote."""
        return self._ranks.get(member)


class Fitness:
    """What a member knows of all this, whatever its role."""

    def __init__(self) -> None:
        self.hint = UNKNOWN_HINT
        """How fit this member is, by the word of the layer above."""
        self.rank: int | None = None
        """This member's rank, as the last leader said; None: not known, so it stands last."""
        self.told: tuple[Ranked, ...] = ()
        """The whole order, as the last leader told it; its own, if this member leads."""

    def set_hint(self, hint: int) -> None:
        """Take in how fit this member is: 1 to HINT_MAX, larger is fitter; 0 = unknown."""
        assert UNKNOWN_HINT <= hint <= HINT_MAX
        self.hint = hint

    def hints(self) -> dict[MemberId, int]:
        """Of everybody, as the leader counts them."""
        return {each.member: each.hint for each in self.told}

    def next_hosts(self, membership: Membership | None, leader: MemberId | None) -> tuple[MemberId, ...]:
        """Who would stand first if `leader` fell silent, as far as it told."""
        places = {each.member: place for place, each in enumerate(self.told)}
        voters = membership.all_voters - membership.witnesses - {leader} if membership else frozenset()
        return tuple(sorted(voters, key=lambda voter: (places.get(voter, len(places)), voter)))


class Dwell:
    """How long the same has been so without a break."""

    def __init__(self) -> None:
        self._what: object = None
        self._since = 0.0

    def lasts_s(self, what: object, now: float) -> float:
        """Note that `what` is so now; returns for how long. None is never so, and lasts for 0 seconds."""
        if what is None or what != self._what:
            self._what, self._since = what, now
        return now - self._since
