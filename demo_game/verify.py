"""Is a replay in order, and are two of them the same game? Everything in them is computed anew.

What it proves: no part of this file was changed by itself, and by the rules its orders lead to these tables and
dice. What it does not: that they are the orders that were given. Whoever computes all claims anew can make another
game that is in order by itself; but it is another game than the one in the other players' files (`compare`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from demo_game.replay import (
    LINK_SIZE,
    BadReplay,
    Claim,
    Entry,
    Replay,
    digest_untrusted,
    end_of_chain,
    first_of_chain,
    is_due,
    names_of,
    next_of_chain,
    tables,
)
from demo_game.table import Phase, Table


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one replay, played again."""

    problem: str
    """The first thing that is not in order; empty if it is verified."""
    index: int | None
    """Of the entry where that was found; None if it is about no single one."""
    table: Table
    """At the end, or where the problem was found."""
    entries: int
    """Played again so far."""
    host_changes: int
    """How often another member became host."""
    digest: bytes
    """Of the table, as computed here; empty if there was none to be had."""

    @property
    def is_right(self) -> bool:
        """Whether all is in order."""
        return not self.problem

    @property
    def rounds(self) -> int:
        """Rounds begun."""
        return self.table.position.round if self.table.position else 0

    @property
    def is_over(self) -> bool:
        """Whether the game has ended."""
        return self.table.phase is Phase.OVER


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two replays have in common."""

    common: int
    """Entries that are in both, and the same, with the same table after each."""
    problem: str
    """Why they are not the same game; empty if they are."""


class _Wrong(Exception):
    """This is not in order."""


def verify(replay: Replay) -> Finding:
    """Play a replay again and compare everything it claims; stops at the first difference."""
    table, count, host_changes = replay.start, 0, 0
    entry: Entry | None = None
    try:
        chain = first_of_chain(table)
        _check(Claim(chain[:LINK_SIZE], digest_untrusted(table)), replay.claims[0])
        for claim, (now, after, _) in zip(replay.claims[1:], tables(replay), strict=True):
            _check_order(entry, now)
            entry = now
            digest = digest_untrusted(after) if is_due(now, table, after) else b""
            chain = next_of_chain(chain, now, digest)
            _check(Claim(chain[:LINK_SIZE], digest), claim)
            host_changes += after.host != table.host
            table, count = after, count + 1
        entry = None
        _check_end(replay, chain, table)
    except (_Wrong, BadReplay) as problem:
        if isinstance(problem, BadReplay):
            return Finding(str(problem), None, table, count, host_changes, b"")
        where = f"entry {entry.index}" if entry else "the end" if count else "the start"
        return Finding(f"{where}: {problem}", entry.index if entry else None, table, count, host_changes, b"")
    return Finding("", None, table, count, host_changes, replay.digest)


def _check_order(before: Entry | None, now: Entry) -> None:
    if before is not None and now.index <= before.index:
        raise _Wrong("it does not come after the one before it")
    if before is not None and now.time_ms < before.time_ms:
        raise _Wrong("its time is before that of the entry before it")


def _check(computed: Claim, claimed: Claim) -> None:
    if computed.digest != claimed.digest:
        raise _Wrong("the table is another than claimed")
    if computed.link != claimed.link:
        raise _Wrong("it is not what was written")


def _check_end(replay: Replay, chain: bytes, last: Table) -> None:
    names, digest = names_of(last), digest_untrusted(last)
    if replay.names != names:
        raise _Wrong("the names are not those of the players")
    if replay.digest != digest:
        raise _Wrong("the table is another than claimed")
    if replay.seal != end_of_chain(chain, names, digest, is_cut=replay.is_cut):
        raise _Wrong("it is not what was written")


def compare(one: Replay, other: Replay) -> Comparison:
    """Compare two verified replays where both have entries: each entry, and the table after it.

    Two members need not have the same of a game: one may have come later, or saved earlier.
    """
    low = max(each.entries[0].index for each in (one, other))
    high = min(each.entries[-1].index for each in (one, other))
    if low > high:
        return Comparison(0, "they have no entry in common")
    both = [[(e, t) for e, t, _ in tables(each) if low <= e.index <= high] for each in (one, other)]
    for count, (ours, theirs) in enumerate(zip_longest(*both)):
        if ours != theirs:
            index = min(each[0].index for each in (ours, theirs) if each)
            return Comparison(count, f"they differ at entry {index}")
    return Comparison(len(both[0]), "")
