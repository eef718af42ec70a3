"""What a run is judged by: the history of its clients, the states of its members, the tenures of its hosts.

The judges see notes alone, and know nothing of what was done to anybody.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from failover.testing import KeyValue, Result, Violation, check_linearizable, check_order
from tests.processes.torture.histories import Name, Row, as_history
from tests.processes.torture.notes import read_notes

STEPS_FIRST, STEPS_EACH = 500_000, 40
"""Effort of the search for a linearization, in all and for each operation."""
SHOWN_MAX = 5
"""Of violations of one kind."""


@dataclass
class Verdict:
    """What the judges say."""

    violations: list[str] = field(default_factory=list)
    """In words; those beyond some of each kind are only counted."""
    counts: dict[str, int] = field(default_factory=dict)
    """Of each kind."""

    def count(self, kind: str, found: Iterable[str]) -> None:
        """Add what was found of a kind; nothing is a finding too."""
        words = list(found)
        self.counts[kind] = self.counts.get(kind, 0) + len(words)
        self.violations += [f"{kind}: {each}" for each in words[:SHOWN_MAX]]

    @property
    def total(self) -> int:
        """How many violations there are."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Tenure:
    """When a tenure ran for certain, in nanoseconds of true time."""

    who: str
    term: int
    since: int
    until: int


def judge(rows: list[Row], books: dict[str, Any], folder: Path, verdict: Verdict) -> None:
    """Judge a run: `books` are the last states, by the names of the workers; none, if it came to no end."""
    judge_tenures(tenures_in(folder), verdict)
    judge_news(folder, verdict)
    if books:
        judge_states(rows, books, verdict)
    judge_order(rows, books, verdict)


def judge_states(rows: list[Row], books: dict[str, Any], verdict: Verdict) -> None:
    """All states are equal; each acknowledged operation is in all of them, and none is there twice."""
    lost: dict[Name, str] = {}
    doubled: dict[Name, str] = {}
    unasked: dict[Name, str] = {}
    back: dict[int, str] = {}
    digests = {book["digest"] for book in books.values()}
    values = {json.dumps(book["values"], sort_keys=True) for book in books.values()}
    if len(digests) != 1 or len(values) != 1:
        verdict.count("diverged", [f"the last states differ: {sorted(books)}"])
    asked = {_name(row) for row in rows}
    for who, book in books.items():
        places = places_in(book)
        for row in rows:
            held = places.get(_name(row))
            if row["ok"] and row["via"] == "log" and held != row["place"]:
                lost.setdefault(_name(row), f"was acknowledged at {row['place']}, {who} has it at {held}")
        doubled |= {(client, number): f"once more at {at}" for client, number, at in book["again"]}
        unasked |= {name: f"{who} has it" for name in places if name not in asked}
        back |= dict.fromkeys(book["epochs_back"], f"in the state of {who}")
    for kind, found in (("lost", lost), ("doubled", doubled), ("unasked", unasked), ("epochs back", back)):
        verdict.count(kind, (f"{what} {text}" for what, text in found.items()))


def judge_order(rows: list[Row], books: dict[str, Any], verdict: Verdict) -> None:
    """The history is linearizable; the order of the log is a linearization of it.

    The first judge believes no place. Where it gives up, the second decides: an order that fits is a proof.
    """
    places = places_in(next(iter(books.values()))) if books else {}
    history = as_history(rows, places)
    found = check_linearizable(history, KeyValue(), steps_max=STEPS_FIRST + STEPS_EACH * len(rows))
    verdict.count("not linearizable", [found.explanation] if found.result is Result.VIOLATED else [])
    misplaced = []
    if books:  # else nobody knows where those operations stand that were answered to nobody
        try:
            check_order(history, KeyValue())
        except Violation as violation:
            misplaced.append(str(violation))
    elif found.result is Result.UNDECIDED:
        misplaced.append(found.explanation)
    verdict.count("order of the log", misplaced)


def judge_tenures(tenures: list[Tenure], verdict: Verdict) -> None:
    """No two ran at one moment, and a term has one."""
    overlaps, latest = [], None
    for each in sorted(tenures, key=lambda tenure: tenure.since):
        if latest is not None and each.since <= latest.until:
            both_ms = (min(each.until, latest.until) - each.since) / 1e6
            overlaps.append(f"for {both_ms:.1f} ms {each} and {latest}")
        if latest is None or each.until > latest.until:
            latest = each
    verdict.count("two hosts", overlaps)
    owners: dict[int, set[str]] = {}
    for each in tenures:
        owners.setdefault(each.term, set()).add(each.who)
    verdict.count("two hosts", (f"of term {term}: {sorted(who)}" for term, who in owners.items() if len(who) > 1))


def judge_news(folder: Path, verdict: Verdict) -> None:
    """What no member may ever say of itself."""
    for path in sorted(folder.glob("*.news")):
        bad = (note for note in read_notes(path) if note["kind"] != "trouble")
        verdict.count("bad news", (f"{path.stem}: {note['kind']} {note['text']}" for note in bad))


def tenures_in(folder: Path) -> list[Tenure]:
    """Each with the longest time that was noted of it."""
    found: dict[tuple[str, int], Tenure] = {}
    for path in sorted(folder.glob("*.tenures")):
        for note in read_notes(path):
            found[path.stem, note["term"]] = Tenure(path.stem, **note)
    return list(found.values())


def longest_gap_s(rows: list[Row], windows: Iterable[tuple[int, int]]) -> float:
    """The longest time within one of these windows in which nothing was accepted anywhere, in seconds."""
    heard = sorted(row["ret"] for row in rows if row["ok"])
    longest = 0
    for since, until in windows:
        moments = [since, *(moment for moment in heard if since < moment < until), until]
        longest = max(longest, *(after - before for before, after in itertools.pairwise(moments)))
    return longest / 1e9


def places_in(book: dict[str, Any]) -> dict[Name, int]:
    """Where each operation took effect, in the state of one member."""
    return {
        (client, number): place
        for client, places in book["places"].items()
        for number, place in enumerate(places)
        if place
    }


def _name(row: Row) -> Name:
    return row["client"], row["number"]
