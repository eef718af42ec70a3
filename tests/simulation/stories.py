"""What the stories of whole members have in common: a quiet cluster, to which one thing happens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from failover.raft.log import Log
from failover.raft.timing import Timing
from failover.settings import Settings
from failover.testing.computer import Computer
from failover.testing.guest_list import GuestList
from failover.testing.process import Program
from failover.testing.stack_simulation import StackSimulation

CALM_S = 6.0
"""Enough for everybody to have the vote that is due."""


def quiet(**timing: int) -> Program:
    """The guest list, and nobody who plays."""
    settings = Settings(timing=replace(Timing(), **timing))
    return Program(machine=GuestList, serve=None, play=None, settings=settings)


def play(world: StackSimulation, players: int) -> list[Computer]:
    """So many members, each with its vote; the first founded the cluster."""
    computers = [world.add_computer() for _ in range(players)]
    world.found()
    world.bring_in(computers[1:])
    world.run(CALM_S)
    return computers


def ask(computer: Computer, task: Any) -> list[Any]:
    """Start it; what comes of it will be in the list."""
    results: list[Any] = []
    computer.process.carry_out(task, results.append)
    return results


def host_of(world: StackSimulation) -> Computer:
    """Who hosts, within seconds."""
    world.run_until(lambda: world.onlooker.host() is not None, 5.0)
    return world.onlooker.host().computer


def log_of(computer: Computer) -> Log:
    """Its process's log."""
    return computer.process.running.core.log


def cut_off(world: StackSimulation, one: Computer, others: list[Computer]) -> None:
    """Cut one off from the others, in both directions."""
    world.network.cut |= {(one.number, other.number) for other in others}
    world.network.cut |= {(other.number, one.number) for other in others}
