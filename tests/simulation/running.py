"""Runs many seeds, in this process or in several, and keeps what came of each."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context

from failover.testing.simulated_disk import ProcessDied
from failover.testing.trial import Outcome
from tests.simulation.levels import LEVELS, Level, Variation

LAST_LINES = 15


@dataclass(frozen=True)
class Failure:
    """A run that found something."""

    kind: str
    """The exception's class."""
    text: str

    def is_like(self, other: Failure | None) -> bool:
        """Whether it is the same thing, as far as its words say: numbers and members may differ."""
        return other is not None and (self.kind, self._words()) == (other.kind, other._words())

    def _words(self) -> list[str]:
        plain = "".join(letter if letter.isalpha() else " " for letter in self.text.partition("\n")[0][:120])
        return [word for word in plain.split() if len(word) > 1][:6]


@dataclass(frozen=True)
class Run:
    """One seed at one level, and what came of it."""

    level: str
    seed: int
    wall_s: float
    outcome: Outcome | None
    failure: Failure | None
    simulated_s: float
    happened: Counter[str]

    def command(self, variation: Variation) -> str:
        """What repeats it exactly."""
        return f"python -m tests.simulation --level {self.level} --seed {self.seed}{variation.options()}"


def run_seed(level: str, seed: int, variation: Variation) -> Run:
    """Run one seed; whatever it raises is a finding."""
    began = time.monotonic()
    outcome = failure = None
    trial = LEVELS[level].make(seed, variation, None)
    try:
        outcome = trial.run()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # `ProcessDied` is none that a server function could catch by mistake
        failure = Failure(type(error).__name__, str(error))
    simulation = getattr(trial, "simulation", None)
    happened = getattr(simulation, "happened", Counter())
    simulated_s = outcome.simulated_s if outcome is not None else 0.0
    return Run(level, seed, time.monotonic() - began, outcome, failure, simulated_s, Counter(happened))


def last_lines(level: str, seed: int, variation: Variation) -> list[str]:
    """Run a seed again, for the last that happened in it."""
    lines: deque[str] = deque(maxlen=LAST_LINES)
    with suppress(Exception, ProcessDied):
        LEVELS[level].make(seed, variation, lines.append).run()
    return list(lines)


@dataclass
class Mixture:
    """Which seed comes next: levels take turns so that each gets its share of the time."""

    levels: list[Level]
    seeds: range | None
    """None = without end."""
    first: int
    given_s: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)
    mean_s: dict[str, float] = field(default_factory=lambda: {"core": 0.3, "stack": 1.0})
    """How long a run takes, as far as is known."""

    def __iter__(self) -> Iterator[tuple[str, int]]:
        while self.seeds is None or sum(self.given.values()) < len(self.seeds):
            level = min(self.levels, key=lambda level: self.given_s[level.name])
            number = self.given[level.name]
            self.given[level.name] += 1
            self.given_s[level.name] += self.mean_s[level.name]
            yield level.name, self.first + number if self.seeds is None else self.seeds[number]

    def finished(self, run: Run) -> None:
        """Learn how long a run of this level takes."""
        self.mean_s[run.level] = 0.9 * self.mean_s[run.level] + 0.1 * run.wall_s


def run_all(mixture: Mixture, variation: Variation, jobs: int, ends: float | None) -> Iterator[Run]:
    """Run the seeds of a mixture and yield each as it is done; begin none after `ends` on the monotonic clock."""

    def is_time_over() -> bool:
        return ends is not None and time.monotonic() >= ends

    seeds = iter(mixture)
    if jobs == 1:
        for level, seed in seeds:
            run = run_seed(level, seed, variation)
            mixture.finished(run)
            yield run
            if is_time_over():
                return
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running: set[Future[Run]] = set()
        while True:
            while len(running) < 2 * jobs and not is_time_over() and (following := next(seeds, None)):
                running.add(pool.submit(run_seed, *following, variation))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                mixture.finished(future.result())
                yield future.result()
