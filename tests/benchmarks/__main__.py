"""`python -m tests.benchmarks [NAME ...]`: what is promised about speed, measured in one run."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from tests.benchmarks import (
    changes,
    core_speed,
    cost,
    lane,
    net_cost,
    profiling,
    report,
    restart,
    simulator,
    speed,
)
from tests.benchmarks.bench import Bench, Sizes
from tests.benchmarks.children import ChildFailed
from tests.benchmarks.report import Row

BENCHMARKS: dict[str, Callable[[Bench], list[Row]]] = {
    "floor": speed.floors,
    "commit": speed.commits,
    "throughput": speed.throughput,
    "request": speed.requests,
    "kill": changes.kills,
    "hand-over": changes.hand_overs,
    "idle": cost.idle,
    "ten": cost.ten,
    "lane": lane.lane,
    "newcomer": cost.newcomer,
    "restart": restart.restarts,
    "memory": cost.memory,
    "core": core_speed.messages,
    "log-length": core_speed.log_length,
    "net-cost": net_cost.datagrams,
    "simulator": simulator.simulators,
}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", type=click.Choice(tuple(BENCHMARKS)))
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows there.")
@click.option("--markdown", is_flag=True, help="Print the table as docs/explanation/performance.md has it.")
@click.option("--quick", is_flag=True, help="Little of everything, to see that it runs.")
@click.option("--kills", type=click.IntRange(1, 1000), help="How often the host is killed, per storage.")
@click.option(
    "--commits", type=click.IntRange(10_001, 100_000_000), help="After how many memory and restart are looked at."
)
@click.option("--no-rival", is_flag=True, help="Leave PySyncObj out.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="On the disk that is measured; default: the system's folder for temporary files.",
)
@click.option("--profile", is_flag=True, help="Say where the time of a commit goes instead.")
def main(
    names: tuple[str, ...],
    json_file: Path | None,
    markdown: bool,
    quick: bool,
    kills: int | None,
    commits: int | None,
    no_rival: bool,
    folder: Path | None,
    profile: bool,
) -> None:
    """Measure what is named (floor, commit, throughput, request, kill, ...), or everything."""
    errors = Console(stderr=True)
    console = Console() if sys.stdout.isatty() else Console(width=120)
    sizes = Sizes.quick() if quick else Sizes()
    sizes = replace(sizes, kills=kills or sizes.kills, grown_commits=commits or sizes.grown_commits)
    rows: list[Row] = []
    began, failed = time.monotonic(), False
    with tempfile.TemporaryDirectory(dir=folder, prefix="benchmarks-") as place:
        bench = Bench(sizes, Path(place), errors.log, with_rival=not no_rival)
        if profile:
            console.print(profiling.profile(bench), markup=False, highlight=False)
            return
        for name, measure in BENCHMARKS.items():
            if names and name not in names:
                continue
            try:
                rows += measure(bench)
            except ChildFailed as error:
                failed = True
                errors.print(f"{name} failed: {error}", style="red", markup=False)
    if markdown:
        click.echo(report.as_markdown(rows))
    else:
        console.print(report.as_table(rows))
        console.print(f"{time.monotonic() - began:.0f} s")
    if json_file is not None:
        json_file.write_text(report.as_json(rows), encoding="utf-8")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
