"""Rows, and the three ways to show them: a table, JSON, and Markdown for the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number that was measured in this run."""

    name: str
    value: float
    unit: str
    goal: str | None = None
    """As the design states it, like `<= 80`; None where it states none."""
    floor: float | None = None
    """What the bare machine needed for it in this run."""
    peers: dict[str, float] = field(default_factory=dict)
    """What others needed for the same work in this run."""
    samples: Sequence[float | tuple[float, float]] = ()
    """All that was seen, where a picture is drawn of it (`plots`): numbers in the row's unit, or points."""

    @property
    def holds(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.goal is None:
            return None
        sign, _, limit = self.goal.partition(" ")
        return self.value <= float(limit) if sign == "<=" else self.value >= float(limit)


def at_most(limit: float) -> str:
    """A goal."""
    return f"<= {limit:.4g}"


def at_least(limit: float) -> str:
    """A goal."""
    return f">= {limit:.6g}"


def as_json(rows: Iterable[Row]) -> str:
    """A list of objects with the fields of `Row`."""
    return json.dumps([asdict(row) for row in rows], indent=1) + "\n"


def as_table(rows: Iterable[Row]) -> Table:
    """For a terminal."""
    table = Table()
    table.add_column("what")
    for title in ("value", "unit", "goal", "floor", "PySyncObj"):
        table.add_column(title, justify="left" if title == "unit" else "right")
    for row in rows:
        colour = {None: "", True: "green", False: "red"}[row.holds]
        what, value, *rest = _cells(row)
        table.add_row(what, f"[{colour}]{value}[/]" if colour else value, *rest)
    return table


def as_markdown(rows: Iterable[Row]) -> str:
    """For docs/explanation/performance.md."""
    lines = ["| what | value | unit | goal | floor | PySyncObj |", "| --- | ---: | --- | ---: | ---: | ---: |"]
    for row in rows:
        what, value, *rest = _cells(row)
        lines.append(
            "| " + " | ".join([what, f"**{value}** (missed)" if row.holds is False else value, *rest]) + " |"
        )
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> list[str]:
    floor = "" if row.floor is None else _number(row.floor)
    peer = _number(row.peers["PySyncObj"]) if "PySyncObj" in row.peers else ""
    return [row.name, _number(row.value), row.unit, row.goal or "", floor, peer]


def _number(value: float) -> str:
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
