"""`simulate`: a game's author tests his own failover, on his own machine, in seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from failover.hosting import Serve
from failover.machine import StateMachine
from failover.settings import Settings
from failover.testing.checkers import Violation
from failover.testing.faults import Faults
from failover.testing.process import Play, Program
from failover.testing.stack_simulation import StackSimulation
from failover.testing.stack_trial import STORMY_S, StackTrial
from failover.testing.trial import Outcome

LINES_SHOWN = 25
"""Of what happened last, in a violation's text."""


@dataclass(slots=True)
class Report:
    """What all runs of `simulate` were worth."""

    runs: int = 0
    simulated_s: float = 0.0
    tenures: int = 0
    """How often somebody became host."""
    committed: int = 0
    """Entries of the log, the library's own included."""
    happened: Counter[str] = field(default_factory=Counter)
    """What went wrong, and what came of it: crashes, cuts, elections, snapshots, members that joined and left."""

    def add(self, outcome: Outcome) -> None:
        """Count one more run."""
        self.runs += 1
        self.simulated_s += outcome.simulated_s
        self.tenures += outcome.tenures
        self.committed += outcome.committed
        self.happened += outcome.happened

    def __str__(self) -> str:
        faults = ", ".join(f"{what} {number}" for what, number in sorted(self.happened.items()))
        return (
            f"{self.runs} runs well, {self.simulated_s:.0f} simulated seconds, {self.tenures} tenures, "
            f"{self.committed} entries; {faults}"
        )


def simulate(
    machine: Callable[[], StateMachine],
    *,
    serve: Serve | None = None,
    play: Play | None = None,
    check: Callable[[Any], None] | None = None,
    members: int = 3,
    witness: bool = False,
    seeds: Iterable[int] = range(10),
    seconds: float = STORMY_S,
    settings: Settings | None = None,
    faults: Faults | None = None,
    trace: Callable[[str], None] | None = None,
) -> Report:
    """Run a game on several simulated computers, while everything goes wrong that can.

    Each run follows from its seed alone, in virtual time: processes crash, pause, leave and come back, links break
    in one direction or both, disks are slow, full, or lose what was not durable at a crash, clocks run fast and
    slow, members join and are removed. Afterwards a quorum is well: it must have a host and agree within a minute.
    The first seed runs twice, to see whether your code is deterministic.

    Args:
        machine: makes a state machine in its first state, such as its class.
        serve: the server function; None proposes every request as it comes.
        play: plays one member: an async function of the `Member` and a `random.Random`, cancelled when the process
            ends. What it raises is a violation, but for `Closed`.
        check: called with the state machine of each well member at the end; raises if it is not as it should be.
        members: how many there are at first.
        witness: whether there is a witness besides (`failover.open_witness`).
        seeds: one run for each.
        seconds: of virtual time in which things go wrong, in each run.
        settings: as for `open_member`.
        faults: what may go wrong; None draws other faults for each seed.
        trace: called with a line for all that happens, such as `print`.

    Returns:
        What the runs exercised.

    Raises:
        Violation: a guarantee was broken, by the library or by the game. The text has the seed, the last that
            happened, and the line that replays it (`settings` and `faults` in it are those that were given).

    Your code must draw from `play`'s dice, wait with `trio.sleep`, and look at no clock but `host.time` and
    `context.time`; threads and sockets have no place in virtual time.

    Example:
        >>> import failover.testing
        >>> report = failover.testing.simulate(Board, serve=serve, play=play, seeds=range(20))  # doctest: +SKIP
    """
    program = Program(machine=machine, serve=serve, play=play, settings=settings or Settings())

    def settle(world: StackSimulation) -> None:
        for computer in world.computers:
            plays = computer.is_kept_running and not computer.is_witness
            if check is not None and plays and computer.process is not None:
                check(computer.process.machine)

    def run(seed: int) -> Outcome:
        trial = StackTrial(
            seed,
            program=program,
            members=members,
            witness=witness,
            faults=faults,
            stormy_s=seconds,
            settle=settle,
            trace=trace,
        )
        try:
            return trial.run()
        except Exception as error:
            options: dict[str, object] = {"serve": serve, "play": play, "check": check}
            options["witness"] = witness or None
            options["settings"] = settings and _Named("settings")
            options["faults"] = faults and _Named("faults")
            replay = _replay(machine, seed, seconds, members, **options)
            last = "\n".join(list(trial.simulation.last_lines)[-LINES_SHOWN:])
            text = f"seed {seed}: {error}\n\nwhat happened last:\n{last}\n\nreplay it:\n{replay}"
            raise Violation(text) from error

    report = Report()
    for seed in seeds:
        outcome = run(seed)
        if report.runs == 0 and run(seed) != outcome:
            raise Violation(
                f"two runs of seed {seed} differ: does something draw from `random`, look at a clock of the "
                "system, or go through a set?"
            )
        report.add(outcome)
    return report


def _replay(machine: object, seed: int, seconds: float, members: int, **options: object) -> str:
    """The line of code that runs one seed again, and shows it."""
    given = [f"{name}={_name(value)}" for name, value in options.items() if value is not None]
    arguments = [_name(machine), *given, f"members={members}", f"seconds={seconds:g}", f"seeds=[{seed}]"]
    return f"failover.testing.simulate({', '.join(arguments)}, trace=print)"


@dataclass(frozen=True, slots=True)
class _Named:
    """What the caller gave, and gives again; it has no name of its own."""

    __name__: str


def _name(value: object) -> str:
    return str(getattr(value, "__name__", repr(value)))
