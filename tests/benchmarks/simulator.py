"""How much virtual time the simulators get through in a minute of one core: five members, light load."""

from __future__ import annotations

import time

from failover.settings import Settings
from failover.testing.core_simulation import CoreSimulation
from failover.testing.faults import Faults
from failover.testing.guest_list import GuestBook, GuestList, Habits
from failover.testing.process import Program
from failover.testing.stack_schedule import StackSchedule
from failover.testing.stack_simulation import StackSimulation
from tests.benchmarks.bench import Bench
from tests.benchmarks.report import Row, at_least

MEMBERS = 5
SIMULATED_S = 60.0
STORMY = Faults(every_s=1.0)


def simulators(bench: Bench) -> list[Row]:
    """Simulated seconds in a minute of processor time."""
    bench.say("simulators")
    found = {
        "whole members, nothing goes wrong": _whole(Faults.none()),
        "whole members, a storm": _whole(STORMY),
        "cores alone": _cores(),
    }
    return [
        Row(name=f"simulator, {MEMBERS} members: {title}", value=per_s * 60, unit="s/min", goal=at_least(1_000))
        for title, per_s in found.items()
    ]


def _whole(faults: Faults) -> float:
    """Encryption and default timings; each member asks for something twice a second."""
    book = GuestBook(Habits(every_s=0.5))
    program = Program(machine=GuestList, serve=book.serve, play=book.play, settings=Settings())
    with StackSimulation(0, program, link=faults.link, clock_rates=faults.clock_rates) as world:
        book.world = world
        for _ in range(MEMBERS):
            world.add_computer()
        world.found()
        world.bring_in(world.computers[1:])
        began = time.process_time()
        StackSchedule(world, 0, faults, world.time.now + SIMULATED_S)
        world.run(SIMULATED_S)
        return SIMULATED_S / (time.process_time() - began)


def _cores() -> float:
    simulation = CoreSimulation(0, MEMBERS)
    simulation.run_until(lambda: simulation.host() is not None, 5.0)
    began = time.process_time()
    simulation.run(SIMULATED_S)
    return SIMULATED_S / (time.process_time() - began)
