"""Hours of play in which nothing fails but datagrams: does the cluster keep its host?

`python -m tests.simulation --calm-hours 10 --loss 5 --jitter 20 --members 4`. Whole members in virtual time, each
member asking for something now and then. A change of host here is a false one: nobody crashed, nobody left, no
link broke. Each seed is one hour, or what is left of the hours.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from random import Random

import trio

from failover.member import Member
from failover.settings import Settings
from failover.testing.guest_list import GuestList
from failover.testing.process import Program
from failover.testing.simulated_network import Link
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import play

HOUR_S = 3600.0
WARM_UP_S = 30.0
"""For votes to be given and delays to be known, before changes of host count."""
SLICE_S = 60.0
SETTINGS: dict[str, Callable[[], Settings]] = {"lan": Settings, "internet": Settings.internet}


@dataclass(frozen=True, kw_only=True)
class Calm:
    """What these hours are like."""

    settings: str = "internet"
    members: int = 4
    delay_s: float = 0.020
    """One way."""
    jitter_s: float = 0.020
    """Each datagram takes up to so much longer, and may overtake others."""
    loss: float = 0.05
    asks_every_s: float = 10.0
    """Each member, on the average."""

    def options(self) -> str:
        """As options of the command."""
        return (
            f"--settings {self.settings} --members {self.members} --delay {2000 * self.delay_s:g} "
            f"--jitter {1000 * self.jitter_s:g} --loss {100 * self.loss:g}"
        )


@dataclass
class Held:
    """What came of one seed."""

    seed: int
    simulated_s: float = 0.0
    wall_s: float = 0.0
    changes: list[str] = field(default_factory=list)
    """Of the host, and lost quorums: when, and what was heard."""
    promise_ms: list[float] = field(default_factory=list)
    """What the host asked for, a sample a minute."""
    happened: Counter[str] = field(default_factory=Counter)


def run_calm(calm: Calm, seed: int, seconds: float, trace: Callable[[str], None] | None = None) -> Held:
    """Play for so long and look for changes of host; the checkers of the simulator look on."""
    held, began = Held(seed), time.monotonic()
    heard: list[str] = []

    def note(line: str) -> None:
        if any(word in line for word in (" hears BecomeHost", " hears StopHost", " hears QuorumLost")):
            heard.append(line)
        if trace is not None:
            trace(line)

    async def ask_now_and_then(member: Member, dice: Random) -> None:
        while True:
            await trio.sleep(dice.expovariate(1 / calm.asks_every_s))
            await member.request(dice.randbytes(16))

    link = Link(delay_s=(calm.delay_s, calm.delay_s + calm.jitter_s), loss=calm.loss)
    program = Program(machine=GuestList, serve=None, play=ask_now_and_then, settings=SETTINGS[calm.settings]())
    with StackSimulation(f"calm {seed}", program, link=link, trace=note) as world:
        play(world, calm.members)
        world.run(WARM_UP_S)
        heard.clear()
        while held.simulated_s < seconds:
            world.run(min(SLICE_S, seconds - held.simulated_s))
            held.simulated_s += min(SLICE_S, seconds - held.simulated_s)
            host = world.onlooker.host()
            if host is not None and host.member is not None:
                held.promise_ms.append(host.member.status().promise_ms)
        held.changes, held.happened = heard, world.happened
    held.wall_s = time.monotonic() - began
    return held


def run_many(calm: Calm, first_seed: int, hours: float, jobs: int) -> Iterator[Held]:
    """One seed an hour; each as it is done."""
    seeds = range(first_seed, first_seed + max(1, round(hours)))
    seconds = hours * HOUR_S / len(seeds)
    if jobs == 1:
        yield from (run_calm(calm, seed, seconds) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for running in [pool.submit(run_calm, calm, seed, seconds) for seed in seeds]:
            yield running.result()


def main(words: list[str]) -> int:
    """Do what the command line says; returns 1 if there was a false change of host."""
    arguments = parse(words)
    calm = Calm(
        settings=arguments.settings,
        members=arguments.members,
        delay_s=arguments.delay / 2000,
        jitter_s=arguments.jitter / 1000,
        loss=arguments.loss / 100,
    )
    if arguments.trace:
        held = run_calm(calm, arguments.seed, arguments.calm_hours * HOUR_S, print)
        return 1 if held.changes else 0
    seconds, changes = 0.0, 0
    for held in run_many(calm, arguments.seed, arguments.calm_hours, arguments.jobs):
        seconds += held.simulated_s
        changes += sum(" BecomeHost" in line for line in held.changes)
        promises = sorted(held.promise_ms) or [0.0]
        print(
            f"seed {held.seed}: {held.simulated_s / HOUR_S:.2f} h in {held.wall_s:.0f} s, "
            f"promises {promises[0]:.0f} to {promises[-1]:.0f} ms, {held.happened['lost']} datagrams lost"
        )
        for line in held.changes:
            print(f"  {line}")
        if held.changes:
            hours = f"--calm-hours {held.simulated_s / HOUR_S:g}"
            print(f"  replay: python -m tests.simulation {hours} {calm.options()} --seed {held.seed} --trace")
        sys.stdout.flush()
    print(f"{seconds / HOUR_S:.2f} simulated hours, {changes} false changes of host ({calm.options()})")
    return 1 if changes else 0


def parse(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--calm-hours", type=float, required=True, help="simulated hours in all")
    parser.add_argument("--members", type=int, default=4, help="(4)")
    parser.add_argument("--delay", type=float, default=40.0, metavar="MS", help="of the round trip (40)")
    parser.add_argument(
        "--jitter", type=float, default=20.0, metavar="MS", help="to be added each way, at most (20)"
    )
    parser.add_argument("--loss", type=float, default=5.0, metavar="PERCENT", help="each way (5)")
    parser.add_argument("--settings", choices=list(SETTINGS), default="internet", help="(internet)")
    parser.add_argument("--seed", type=int, default=0, help="the first; each further hour has the next (0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--trace", action="store_true", help="print all that happens, in one seed")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
