"""`python -m tests.exploration --json FILE`: explore every model, then find every planted bug.

`--model NAME` explores one, `--planted` looks for the bugs only, `--story NAME` tells how one of them, or what is
broken in a model, comes about. Exits with 1 if a guarantee is broken or a planted bug is not found.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.exploration.model import Model
from tests.exploration.models import BY_NAME, MODELS
from tests.exploration.planted import PLANTED, Planted
from tests.exploration.search import Found, Search
from tests.exploration.story import tell

PLANTED_STATES_MAX = 3_000_000


@dataclass
class Report:
    """What is written to the file."""

    models: list[dict[str, object]]
    planted: list[dict[str, object]]
    states: int = 0
    violations: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing is broken and every planted bug was found."""
        return not self.violations and all(bug["found"] for bug in self.planted)


def explore(model: Model, states_max: int | None) -> tuple[Search, Found]:
    """Search one model."""
    search = Search(model)
    return search, search.run(states_max or model.states_max)


def find(bug: Planted, states_max: int | None = None) -> tuple[Search, Found]:
    """Look for one planted bug."""
    with bug.plant():
        search = Search(bug.model)
        return search, search.run(states_max or PLANTED_STATES_MAX)


def explore_all(models: list[Model], states_max: int | None, report: Report) -> None:
    """Explore the models, one line each."""
    for model in models:
        search, found = explore(model, states_max)
        report.models.append(
            {
                "name": model.name,
                "states": found.states,
                "depth": found.depth,
                "seconds": round(found.seconds, 1),
                "violations": int(found.broken is not None),
                "complete": found.is_complete,
            }
        )
        report.states += found.states
        report.violations += found.broken is not None
        extent = "all of it" if found.is_complete else "as far as the limit"
        print(
            f"{model.name:10} {found.states:9,} states, depth {found.depth:2}, {extent}, {_speed(found)}",
            flush=True,
        )
        if found.broken is not None:
            print(*tell(search.cluster, found), sep="\n", flush=True)


def find_all(report: Report, states_max: int | None) -> None:
    """Find the planted bugs, one line each."""
    for bug in PLANTED:
        _, found = find(bug, states_max)
        is_found = found.broken is not None
        report.planted.append(
            {
                "name": bug.name,
                "found": is_found,
                "depth": found.depth,
                "states": found.states,
                "seconds": round(found.seconds, 1),
            }
        )
        what = f"found after {found.depth} steps: {found.broken}" if is_found else "NOT FOUND"
        print(f"{bug.name}: {what} ({found.states:,} states, {_speed(found)})", flush=True)


def _speed(found: Found) -> str:
    return f"{found.seconds:.0f} s, {found.states / max(found.seconds, 0.001):,.0f} states/s"


def story(name: str, states_max: int | None) -> int:
    """Tell one; returns the exit status."""
    bug = next((bug for bug in PLANTED if bug.name == name), None)
    if bug is None:
        search, found = explore(BY_NAME[name], states_max)
        if found.broken is None:
            print(f"nothing is broken in {found.states:,} states")
            return 0
        print(*tell(search.cluster, found), sep="\n")
        return 1
    with bug.plant():
        search, found = find(bug, states_max)
        if found.broken is None:
            print(f"not found in {found.states:,} states")
            return 1
        print(*tell(search.cluster, found), sep="\n")
        return 0


def main() -> int:
    """Explore as asked; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.exploration", description=__doc__)
    names = [*BY_NAME, *(bug.name for bug in PLANTED)]
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was seen")
    parser.add_argument("--model", choices=BY_NAME, help="only this one, without the planted bugs")
    parser.add_argument("--states", type=int, metavar="N", help="limit for each search")
    parser.add_argument("--planted", action="store_true", help="only the planted bugs")
    parser.add_argument(
        "--story", choices=names, metavar="NAME", help="tell a planted bug, or a model's violation"
    )
    arguments = parser.parse_args()
    if arguments.story:
        return story(arguments.story, arguments.states)
    report = Report([], [])
    if not arguments.planted:
        models = [BY_NAME[arguments.model]] if arguments.model else list(MODELS)
        explore_all(models, arguments.states, report)
    if not arguments.model:
        find_all(report, arguments.states)
    print(f"{report.states:,} states, {report.violations} violations")
    if arguments.json:
        arguments.json.write_text(json.dumps(vars(report), indent=2) + "\n", encoding="utf-8")
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
