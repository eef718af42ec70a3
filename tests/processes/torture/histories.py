"""The history of a run, put together from the notes of all lives of all workers.

It believes nothing: a call without return is an operation that may have happened, whoever was killed meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from failover.testing import CompareAndPut, Get, History, Put
from tests.processes.torture.notes import read_notes

FIELDS = ("client", "number", "key", "op", "arg", "arg2", "via", "out", "ok", "unknown", "place", "call", "ret")
Row = dict[str, Any]
"""One operation: see `FIELDS`. Times are nanoseconds of CLOCK_MONOTONIC; `ret` is None where nothing was heard."""
Name = tuple[str, int]
"""Of an operation: its client and number."""


def join(folder: Path) -> list[Row]:
    """All operations, in the order of asking."""
    rows: dict[Name, Row] = {}
    for path in sorted(folder.glob("*.history")):
        for note in read_notes(path):
            name = note["client"], note["number"]
            if "call" in note:
                assert name not in rows, f"two calls of {name}"
                rows[name] = dict.fromkeys(FIELDS) | {"ok": False, "unknown": True} | note
            else:
                rows[name] |= {"unknown": False} | note
    return sorted(rows.values(), key=lambda row: row["call"])


def write(rows: Iterable[Row], path: Path) -> None:
    """Keep it, a JSON line for each operation."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def as_history(rows: list[Row], places: Mapping[Name, int]) -> History:
    """For the judges. Of what nobody heard the end of, `places` says where it took effect, if it did."""
    history, numbers = History(), {}
    for now_ns, is_end, at in sorted(_moments(rows)):
        row, now = rows[at], now_ns / 1e9
        if not is_end:
            numbers[at] = history.begin(row["client"], _asked(row), now)
        elif row["ok"]:
            history.replied(numbers[at], row["out"], now, place=row["place"])
        elif row["unknown"]:
            history.unknown(numbers[at], now)
        else:
            history.refused(numbers[at], now)
    for at, row in enumerate(rows):
        place = places.get((row["client"], row["number"]))
        if row["unknown"] and place is not None:
            history.placed(numbers[at], place)
    return history


def _moments(rows: list[Row]) -> Iterable[tuple[int, bool, int]]:
    """Beginnings and ends. Of one nanosecond the beginnings come first: then nobody is called too late."""
    for at, row in enumerate(rows):
        yield row["call"], False, at
        if row["ret"] is not None:
            yield row["ret"], True, at


def _asked(row: Row) -> Get | Put | CompareAndPut:
    match row["op"]:
        case "w":
            return Put(row["key"], row["arg"])
        case "cas":
            return CompareAndPut(row["key"], row["arg"], row["arg2"])
    return Get(row["key"])
