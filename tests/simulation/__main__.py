"""`python -m tests.simulation --seeds 0..999`: many seeded runs by hand; `--seed 17 --trace` shows one."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from failover.testing.trial import STORMY_S, Outcome, Trial


def main() -> int:
    """Run the seeds; returns how many failed, at most 100."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--seeds", default="0..99", help="a range, both ends included")
    parser.add_argument("--seconds", type=float, default=STORMY_S, help="of storm in each run")
    parser.add_argument("--trace", action="store_true", help="print every round of every member")
    parser.add_argument("--from", dest="since", type=float, default=0.0, help="trace only from this second on")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("..")
    seeds = [arguments.seed] if arguments.seed is not None else range(int(first), int(last or first) + 1)

    def show(line: str) -> None:
        if float(line.split(maxsplit=1)[0]) >= arguments.since:
            print(line)

    began, failed, outcomes = time.monotonic(), 0, []
    for seed in seeds:
        try:
            trial = Trial(seed, stormy_s=arguments.seconds, trace=show if arguments.trace else None)
            outcomes.append(trial.run())
        except Exception as error:  # all of them are findings
            failed += 1
            if len(seeds) == 1:
                print(trial.plan)
                raise
            print(
                f"python -m tests.simulation --seed {seed}   # {type(error).__name__}: {str(error)[:300]}",
                flush=True,
            )
    report(outcomes, time.monotonic() - began)
    return min(failed, 100)


def report(outcomes: list[Outcome], took_s: float) -> None:
    """Say what the runs were worth."""
    if not outcomes:
        return
    happened: Counter[str] = Counter()
    for outcome in outcomes:
        happened += outcome.happened
    elected = sorted(outcome.elected_s for outcome in outcomes)
    agreed = sorted(outcome.agreed_s for outcome in outcomes)
    print(
        f"{len(outcomes)} runs well, {sum(o.simulated_s for o in outcomes) / 3600:.2f} simulated h, {took_s:.0f} s"
    )
    print(f"{sum(o.tenures for o in outcomes)} tenures, {sum(o.committed for o in outcomes)} committed")
    for name, times in (("elected", elected), ("agreed", agreed)):
        print(
            f"{name}: p50 {times[len(times) // 2]:.3f} p99 {times[len(times) * 99 // 100]:.3f} max {times[-1]:.3f}"
        )
    print(", ".join(f"{what} {number}" for what, number in sorted(happened.items())))


if __name__ == "__main__":
    sys.exit(main())
