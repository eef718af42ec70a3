"""Makes a failing run smaller while it fails in the same way: a shorter storm, less bad luck, fewer members."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.levels import CALM, LEVELS, Variation
from tests.simulation.running import Failure, run_seed

SHORTER = (0.25, 0.5, 0.7, 0.85, 0.95)
SECONDS_MIN = 0.5


def smaller(level: str, seed: int, variation: Variation) -> Iterator[Variation]:
    """Yield what is one step smaller, the largest steps first."""
    seconds = variation.seconds or LEVELS[level].stormy_s
    for part in SHORTER:
        if seconds * part >= SECONDS_MIN:
            yield replace(variation, seconds=round(seconds * part, 2))
    members = variation.members or LEVELS[level].members(seed)
    for fewer in range(1, members):
        yield replace(variation, members=fewer)
    strokes = [stroke for stroke in LEVELS[level].strokes if stroke not in variation.without]
    half = len(strokes) // 2
    for some in (strokes[:half], strokes[half:]) if half > 1 else ():
        yield replace(variation, without=variation.without | frozenset(some))
    for calm in CALM:
        if calm not in variation.calm:
            yield replace(variation, calm=variation.calm | {calm})
    for stroke in strokes:
        yield replace(variation, without=variation.without | {stroke})


def shrink(
    level: str,
    seed: int,
    failure: Failure,
    *,
    start: Variation,
    say: Callable[[str], None],
    limit_s: float = 300.0,
) -> Variation:
    """Return the smallest variation found in which the seed still fails in the same way.

    Every smaller run draws its dice anew from there on, so a step that loses the failure may be one that only
    shook it: steps are tried again after each success.
    """
    best, ends, goes_on = start, time.monotonic() + limit_s, True
    while goes_on:
        goes_on = False
        for candidate in smaller(level, seed, best):
            if time.monotonic() > ends:
                say("no more time for shrinking")
                return best
            run = run_seed(level, seed, candidate)
            if failure.is_like(run.failure):
                best, goes_on = candidate, True
                say(f"still fails with{best.options()}")
                break
    return best
