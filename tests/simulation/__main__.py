"""Many seeded runs by hand: `python -m tests.simulation --seeds 1000`; `--seed 17 --trace` shows one.

Exits with 0 if nothing failed and, from 200 seeds on, everything that must go wrong in so many runs did go wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from tests.simulation import calm
from tests.simulation.levels import CALM, LEVELS, Variation
from tests.simulation.running import Mixture, Run, last_lines, run_all, run_seed
from tests.simulation.showing import CONSOLE, Tally, show_failure, show_planted
from tests.simulation.shrinking import shrink

SEED_MAX = 10**9


def main() -> int:
    """Do what the command line says; returns the exit status."""
    if any(word.startswith("--calm-hours") for word in sys.argv):
        return calm.main(sys.argv[1:])
    arguments = parse()
    if arguments.planted:
        return 0 if show_planted() else 1
    variation = Variation(arguments.seconds, names(arguments.without), names(arguments.calm), arguments.members)
    if arguments.trace:
        return show_trace(arguments, variation)
    tally = Tally(variation)
    ends = time.monotonic() + 60 * arguments.minutes if arguments.minutes is not None else None
    seeds, first = chosen_seeds(arguments)
    levels = [level for name, level in LEVELS.items() if arguments.level in (name, "both")]
    try:
        for run in run_all(Mixture(levels, seeds, first), variation, arguments.jobs, ends):
            tally.add(run)
            if run.failure is not None:
                show_failure(run, variation, last_lines(run.level, run.seed, variation))
                if arguments.shrink:
                    show_smallest(run, variation)
            tally.progress()
    except KeyboardInterrupt:
        CONSOLE.print("interrupted; until then:")
    tally.table()
    missing = tally.missing()
    for what in missing:
        CONSOLE.print(f"never occurred: {what}", style="red")
    if arguments.json is not None:
        tally.write(arguments.json)
    return 1 if tally.failures or missing else 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", help="how many, or A..B with both ends included (100)")
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--minutes", type=float, help="run new seeds for so long")
    parser.add_argument(
        "--level",
        choices=[*LEVELS, "both"],
        help="cores alone, whole members, or both in turns (both; with --seed: core)",
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--shrink", action="store_true", help="make each failing run smaller")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the sums there")
    parser.add_argument("--planted", action="store_true", help="look for planted bugs, to test the checkers")
    parser.add_argument("--trace", action="store_true", help="print all that happens in one seed")
    parser.add_argument("--from", dest="since", type=float, default=0.0, help="trace from this second on")
    parser.add_argument("--seconds", type=float, help="of storm in each run")
    parser.add_argument("--without", default="", help="strokes that never come, with commas between")
    parser.add_argument("--calm", default="", help=f"of {', '.join(CALM)}: what is well")
    parser.add_argument(
        "--calm-hours",
        metavar="N",
        help="another thing: hours in which nothing fails but datagrams; --calm-hours 1 --help says more",
    )
    parser.add_argument("--members", type=int, help="how many there are at first, at most")
    arguments = parser.parse_args()
    if arguments.level is None:
        arguments.level = "both" if arguments.seed is None else "core"
    if arguments.trace and arguments.seed is None:
        parser.error("--trace shows one seed: give --seed too")
    if arguments.trace and arguments.level == "both":
        parser.error("--trace shows one level: give --level core or --level stack")
    known = {stroke for level in LEVELS.values() for stroke in level.strokes}
    for given, allowed in ((arguments.without, known), (arguments.calm, set(CALM))):
        if unknown := names(given) - allowed:
            parser.error(f"no such thing: {', '.join(sorted(unknown))}; there are {', '.join(sorted(allowed))}")
    return arguments


def names(text: str) -> frozenset[str]:
    """Split at commas."""
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def chosen_seeds(arguments: argparse.Namespace) -> tuple[range | None, int]:
    """The seeds to run; without end, from a first one on, where only the time is given."""
    if arguments.seed is not None:
        return range(arguments.seed, arguments.seed + 1), 0
    if arguments.seeds is None and arguments.minutes is not None:
        first = random.SystemRandom().randrange(SEED_MAX // 1000) * 1000
        CONSOLE.print(f"new seeds, from {first} on")
        return None, first
    first_seed, dots, last_seed = (arguments.seeds or "100").partition("..")
    return (range(int(first_seed), int(last_seed) + 1) if dots else range(int(first_seed))), 0


def show_trace(arguments: argparse.Namespace, variation: Variation) -> int:
    """Print what happens in one run."""

    def show(line: str) -> None:
        if float(line.split(maxsplit=1)[0]) >= arguments.since:
            print(line)

    trial = LEVELS[arguments.level].make(arguments.seed, variation, show)
    try:
        print(trial.run())
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        return 1
    return 0


def show_smallest(run: Run, variation: Variation) -> None:
    """Shrink a failing run and print the smallest that fails in the same way."""
    assert run.failure is not None
    smallest = shrink(run.level, run.seed, run.failure, start=variation, say=CONSOLE.print)
    again = run_seed(run.level, run.seed, smallest)
    CONSOLE.print("the smallest:")
    show_failure(again, smallest, last_lines(run.level, run.seed, smallest))


if __name__ == "__main__":
    sys.exit(main())
