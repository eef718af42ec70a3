"""What the players wrote down, judged: was anything lost, done twice, or seen differently by two of them?

Pure: records in, verdict out. A record's fields are those that `records` and `player` write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from demo_game.commands import Accepted, decode_reply_untrusted

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the records say."""

    commands: int
    """Different entries applied."""
    lost: int
    """Answers that a player got, whose order no member applied with that very reply."""
    doubled: int
    """Orders of players that were applied more than once; each has its serial, so no two are alike."""
    digests_agree: bool
    """At every index that two members took a digest at, it was the same; and some were compared."""
    orders_agree: bool
    """At every index, all members applied the same order with the same reply."""


@dataclass(frozen=True, slots=True)
class Applied:
    """One entry as a member applied it."""

    index: int
    term: int
    sender: str
    at: float
    """Cluster time."""
    order: str
    reply: str


def applied(record: Record) -> Applied:
    """Return the entry that an `applied` record tells of."""
    return Applied(*(record[name] for name in ("index", "term", "sender", "at", "order", "reply")))


def judge(records: Mapping[str, Iterable[Record]]) -> Verdict:
    """Compare the records of all players, by name."""
    entries: dict[int, Applied] = {}
    digests: dict[int, set[str]] = {}
    seen: Counter[int] = Counter()
    answers: list[tuple[str, str, str]] = []
    orders_agree = True
    for name, of_player in records.items():
        member = ""
        mine: dict[int, str] = {}
        for record in of_player:
            if record["kind"] == "player":
                member = record["member"]
            elif record["kind"] == "answer":
                assert member, f"{name} got an answer before it said who it is"
                answers.append((member, record["order"], record["reply"]))
            elif record["kind"] == "applied":
                entry = applied(record)
                orders_agree &= entries.setdefault(entry.index, entry) == entry
                if record["digest"]:
                    orders_agree &= mine.setdefault(entry.index, record["digest"]) == record["digest"]
        for index, digest in mine.items():
            digests.setdefault(index, set()).add(digest)
            seen[index] += 1
    did = Counter((e.sender, e.order) for e in entries.values() if e.sender)
    told = {(e.sender, e.order, e.reply) for e in entries.values()}
    compared = max(seen.values(), default=0) > 1
    return Verdict(
        commands=len(entries),
        lost=sum(answer not in told for answer in answers),
        doubled=sum(count > 1 for count in did.values()),
        digests_agree=compared and all(len(values) == 1 for values in digests.values()),
        orders_agree=orders_agree,
    )


def gap_ms(records: Mapping[str, Iterable[Record]], killed: str, at: float, term: int) -> float | None:
    """Return the ms from the kill to the first request that a survivor was told is accepted under a later host.

    Args:
        records: of all players, by name.
        killed: whose process was killed.
        at: when, on the clock that all processes share.
        term: of the tenure that it ended; an answer of that tenure still under way does not count.
    """
    later: set[str] = set()
    answers: list[tuple[float, str]] = []
    for name, of_player in records.items():
        for record in of_player:
            if record["kind"] == "applied" and record["term"] > term:
                later.add(record["order"])
            elif record["kind"] == "answer" and record["time"] > at and name != killed and _accepted(record):
                answers.append((record["time"], record["order"]))
    after = [time for time, order in answers if order in later]
    return (min(after) - at) * 1_000 if after else None


def _accepted(record: Record) -> bool:
    return isinstance(decode_reply_untrusted(bytes.fromhex(record["reply"])), Accepted)
