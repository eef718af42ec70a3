"""What many runs were worth: lines of progress, the table of faults, and the same as JSON."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.simulation.levels import LEVELS, Variation
from tests.simulation.planted import BUGS, SEEDS_MAX, Found, bugs_of_whole_members, look_for
from tests.simulation.running import Run

PROGRESS_EVERY_S = 5.0
LINE_MAX = 220
CONSOLE = Console(highlight=False, soft_wrap=True)


@dataclass
class Tally:
    """Sums over all runs so far."""

    variation: Variation
    began: float = field(default_factory=time.monotonic)
    runs: Counter[str] = field(default_factory=Counter)
    happened: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in LEVELS})
    simulated_s: float = 0.0
    tenures: int = 0
    committed: int = 0
    elected_s: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in LEVELS})
    failures: list[Run] = field(default_factory=list)
    _said: float = 0.0

    @property
    def seeds(self) -> int:
        """How many have run."""
        return sum(self.runs.values())

    @property
    def wall_s(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    def add(self, run: Run) -> None:
        """Count one more."""
        self.runs[run.level] += 1
        self.happened[run.level] += run.happened
        self.simulated_s += run.simulated_s
        if run.failure is not None:
            self.failures.append(run)
        if run.outcome is not None:
            self.tenures += run.outcome.tenures
            self.committed += run.outcome.committed
            self.elected_s[run.level].append(run.outcome.elected_s)

    def progress(self) -> None:
        """Say how far it is, every few seconds."""
        if self.wall_s - self._said < PROGRESS_EVERY_S:
            return
        self._said = self.wall_s
        CONSOLE.print(
            f"{self.wall_s:6.0f} s: {self.seeds} seeds, {self.seeds / self.wall_s:.1f}/s, "
            f"{self.simulated_s / self.wall_s:.0f} simulated s per s, {len(self.failures)} failed"
        )

    def missing(self) -> list[str]:
        """What should have occurred in so many runs, and did not."""
        return [
            f"{level.name}: {what}"
            for level in LEVELS.values()
            if self.seeds >= 200 and self.runs[level.name] >= level.seeds_to_occur
            for what in level.must_occur
            if what not in self.variation.without and not self.happened[level.name][what]
        ]

    def table(self) -> None:
        """Print what happened how often, and the sums."""
        for name, number in self.runs.items():
            table = Table("what happened", "how often", "per run", title=f"{number} runs, {name}")
            for what, times in sorted(self.happened[name].items()):
                table.add_row(what, str(times), f"{times / number:.2f}")
            CONSOLE.print(table)
            if elected := sorted(self.elected_s[name]):
                middle, late = elected[len(elected) // 2], elected[len(elected) * 99 // 100]
                CONSOLE.print(f"elected: p50 {middle:.3f} s, p99 {late:.3f} s, longest {elected[-1]:.3f} s")
        CONSOLE.print(
            f"{self.seeds} seeds in {self.wall_s:.0f} s, {self.simulated_s / 3600:.2f} simulated hours, "
            f"{self.simulated_s / self.wall_s:.0f} simulated s per s, {self.tenures} tenures, "
            f"{self.committed} committed, {len(self.failures)} failed"
        )

    def write(self, path: Path) -> None:
        """Write the same as JSON."""
        kinds = Counter(run.failure.kind for run in self.failures if run.failure is not None)
        document = {
            "seeds": self.seeds,
            "seeds_by_level": dict(self.runs),
            "simulated_seconds": round(self.simulated_s, 3),
            "wall_seconds": round(self.wall_s, 3),
            "faults": dict(sorted(sum(self.happened.values(), Counter[str]()).items())),
            "missing_faults": self.missing(),
            "violations": sum(number for kind, number in kinds.items() if kind != "NoProgress"),
            "two_hosts": kinds["TwoHosts"],
            "failures": [
                {
                    "level": run.level,
                    "seed": run.seed,
                    "kind": run.failure.kind,
                    "text": run.failure.text,
                    "command": run.command(self.variation),
                }
                for run in self.failures
                if run.failure is not None
            ],
        }
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def show_failure(run: Run, variation: Variation, lines: list[str]) -> None:
    """Print what failed, what came just before, and how to see it again."""
    assert run.failure is not None
    CONSOLE.print(f"\n{run.level} seed {run.seed}: {run.failure.kind}", markup=False)
    for line in lines:
        CONSOLE.print(f"  {line[:LINE_MAX]}", markup=False)
    CONSOLE.print(f"  {run.failure.text[: 10 * LINE_MAX]}", markup=False)
    CONSOLE.print(f"replay: {run.command(variation)} --trace\n", markup=False)


def show_planted() -> bool:
    """Look for every planted bug and print the table; returns whether all were found."""
    table = Table("planted bug", "kind of run", "seeds", "s", "what a checker said")
    found: list[Found] = []
    bugs = [*BUGS, *bugs_of_whole_members()]
    for bug in bugs:
        found.append(look_for(bug))
        last = found[-1]
        said = escape((last.how or "NOT FOUND")[:90])
        table.add_row(bug.name.replace("_", " "), bug.kind, str(last.seeds), f"{last.seconds:.1f}", said)
        CONSOLE.print(f"{len(found)} of {len(bugs)}: {bug.name}", markup=False)
    CONSOLE.print(table)
    number = sum(each.how is not None for each in found)
    seconds = sum(each.seconds for each in found)
    CONSOLE.print(f"{number} of {len(bugs)} found, each within {SEEDS_MAX} seeds, in {seconds:.0f} s")
    return number == len(bugs)
