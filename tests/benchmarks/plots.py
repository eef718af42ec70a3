"""`python -m tests.benchmarks.plots ROWS.json FOLDER`: the pictures of docs/explanation/performance.md.

Drawn from the samples in the rows of earlier runs, so that measuring and drawing do not disturb each other.
Several files of rows may be given; of rows with the same name the last counts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt  # it asks for a display unless told otherwise before

from tests.benchmarks.changes import PHASES

STORAGES = ("memory", "SQLite")
KILL = "kill -9 of the host to the next accepted request"
PHASE_COLOURS = {"silence": "#9aa5b1", "election": "#d9822b", "lease": "#7b5ea7", "apply": "#2f7f6f"}
PHASE_TITLES = {
    "silence": "silence: nobody knows yet",
    "election": "election",
    "lease": "waiting for the lease",
    "apply": "the first request, answered",
}
COLOURS = {"memory": "#2f7f6f", "SQLite": "#d9822b", "the host": "#2f7f6f", "a follower": "#7b5ea7"}
GOALS_MS = {"p50": 80, "p99": 150, "worst": 300}

Rows = dict[str, dict[str, Any]]


def failovers(rows: Rows) -> plt.Figure:
    """Each failover is a column, the shortest first, made of its phases."""
    figure, plots = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for plot, storage in zip(plots, STORAGES, strict=True):
        parts = [rows[f"{KILL}, {storage}, of that {phase}, p50"]["samples"] for phase in PHASES]
        columns = sorted(zip(*parts, strict=True), key=sum)
        below = [0.0] * len(columns)
        for phase, heights in zip(PHASES, zip(*columns, strict=True), strict=True):
            places = range(1, len(columns) + 1)
            plot.bar(places, heights, 1.0, below, color=PHASE_COLOURS[phase], label=PHASE_TITLES[phase])
            below = [low + height for low, height in zip(below, heights, strict=True)]
        plot.axhline(GOALS_MS["p50"], color="#444", linewidth=0.8, linestyle="--")
        plot.text(1, GOALS_MS["p50"] + 2, "goal of the median", fontsize=8, color="#444")
        plot.set_title(f"{storage}, {len(columns)} failovers", fontsize=10)
        plot.set_xlabel("failovers, the shortest first")
        plot.margins(x=0)
    plots[0].set_ylabel("ms since the host was killed")
    figure.legend(*plots[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def commits(rows: Rows) -> plt.Figure:
    """How many commits took how long, beside what the bare machine needs."""
    figure, plot = plt.subplots(figsize=(9, 3.4), layout="constrained")
    for storage in STORAGES:
        row = rows[f"commit, one at a time, {storage}, p50"]
        took = sorted(row["samples"])
        shares = [(number + 1) / len(took) * 100 for number in range(len(took))]
        plot.plot(took, shares, color=COLOURS[storage], label=storage)
        plot.axvline(row["floor"], color=COLOURS[storage], linestyle=":", label=f"{storage}: the floor, p50")
    plot.set_xscale("log")
    plot.xaxis.set_major_formatter("{x:,.0f}")
    plot.set_xlabel("microseconds from host.commit to its reply")
    plot.set_ylabel("% of commits took no longer")
    plot.legend(frameon=False)
    return figure


def memory(rows: Rows) -> plt.Figure:
    """Resident memory over the number of commits."""
    figure, plot = plt.subplots(figsize=(9, 3.0), layout="constrained")
    for who in ("the host", "a follower"):
        (row,) = [r for n, r in rows.items() if n.startswith(f"memory of {who} after") and len(r["samples"]) > 1]
        plot.plot(*zip(*row["samples"], strict=True), color=COLOURS[who], marker="o", label=who)
    plot.set_xscale("log")
    plot.set_ylim(0, 1.1 * plot.dataLim.ymax)
    plot.xaxis.set_major_formatter("{x:,.0f}")
    plot.set_xlabel("commits")
    plot.set_ylabel("MiB resident")
    plot.legend(frameon=False)
    return figure


PICTURES = {"failovers": failovers, "commits": commits, "memory": memory}


def read(files: Sequence[Path]) -> Rows:
    """All rows by their names."""
    return {row["name"]: row for file in files for row in json.loads(file.read_text(encoding="utf-8"))}


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(files: tuple[Path, ...], folder: Path) -> None:
    """Draw the pictures of the performance page into FOLDER, from FILES that the benchmarks wrote (`--json`)."""
    rows = read(files)
    folder.mkdir(parents=True, exist_ok=True)
    mpl.rcParams |= {"svg.hashsalt": "failover", "axes.spines.top": False, "axes.spines.right": False}
    for name, draw in PICTURES.items():
        try:
            figure = draw(rows)
        except (KeyError, ValueError) as error:
            raise click.ClickException(
                f"{name}: the rows lack what it shows ({error}); run that benchmark"
            ) from error
        path = folder / f"{name}.svg"
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        click.echo(path)


if __name__ == "__main__":
    main()
