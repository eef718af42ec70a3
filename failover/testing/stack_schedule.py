"""Strikes at a simulation from time to time: what goes wrong, and what the people at the machines ask for.

All of it follows from the seed. It does not look at what the checkers look at.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from failover.errors import FailoverError
from failover.testing.computer import Computer
from failover.testing.faults import HOW_OFTEN, Faults
from failover.testing.process import Process
from failover.testing.stack_simulation import StackSimulation

WITNESSES_AMONG_NEWCOMERS = 0.3
"""Where there is one: most are refused, and some take the place of one that was removed."""


class StackSchedule:
    """Acts on a simulation until `ends`."""

    def __init__(self, world: StackSimulation, seed: int, faults: Faults, ends: float) -> None:
        self._world = world
        self._faults = faults
        self._dice = random.Random(f"stack schedule {seed}")
        self._ends = ends
        self._is_witnessed = any(computer.is_witness for computer in world.computers)
        self._witness_dice = random.Random(f"stack witnesses {seed}")
        self._mover = self._dice.choice(world.computers)
        """Whose address changes. Two that move while they cannot talk would never find each other again."""
        self._strokes = sorted(faults.strokes, key=lambda stroke: stroke.name)
        if self._strokes:
            self._plan_next()

    def _plan_next(self) -> None:
        when = self._world.time.now + self._dice.expovariate(1 / self._faults.every_s)
        if when < self._ends:
            self._world.time.at(when, self._strike)

    def _strike(self) -> None:
        stroke = self._dice.choices(self._strokes, [HOW_OFTEN[stroke] for stroke in self._strokes])[0]
        action: Callable[[], bool] = getattr(self, f"_{stroke.name.lower()}")
        if action():
            self._world.happened[stroke.value] += 1
        self._plan_next()

    # --- whom it meets ---

    def _anybody(self) -> Computer:
        return self._dice.choice(self._world.computers)

    def _running(self) -> Process | None:
        running = [c.process for c in self._world.computers if c.process is not None and c.is_running]
        return self._dice.choice(running) if running else None

    def _open(self) -> Process | None:
        running = [c.process for c in self._world.computers if c.process is not None and c.is_open]
        return self._dice.choice(running) if running else None

    def _host(self) -> Process | None:
        return self._world.onlooker.host()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        """Undo something later, but before the end: what is broken then is broken for good."""
        self._world.time.at(min(self._world.time.now + seconds, self._ends), action)

    # --- processes ---

    def _crash(self) -> bool:
        return self._kill(self._anybody())

    def _crash_host(self) -> bool:
        host = self._host()
        return host is not None and self._kill(host.computer)

    def _kill(self, computer: Computer) -> bool:
        if computer.process is None:
            return False
        computer.crash()
        self._restart_after(computer)
        return True

    def _restart_after(self, computer: Computer) -> None:
        if self._dice.random() < 0.7:
            self._later(self._dice.choice((0.0, 0.05, 0.5, 5.0)), lambda: self._start(computer))

    def _start(self, computer: Computer) -> None:
        if computer.process is None and not computer.is_gone and self._world.time.now < self._ends:
            computer.start()
            self._world.happened["restarted"] += 1

    def _crash_soon(self) -> bool:
        process = self._running()
        if process is None:
            return False
        process.fuse = self._dice.choice((0, 1, 2, 3, 5, 10))
        self._restart_after(process.computer)
        return True

    def _crash_all(self) -> bool:
        for computer in self._world.computers:
            if computer.process is not None:
                computer.crash()
            self._later(self._dice.uniform(0, 1.0), lambda computer=computer: self._start(computer))  # type: ignore[misc]
        return True

    def _restart(self) -> bool:
        for computer in self._world.computers:
            self._start(computer)
        return True

    def _close(self) -> bool:
        process = self._running()
        if process is None:
            return False
        self._restart_after(process.computer)
        process.close()
        return True

    def _close_host(self) -> bool:
        host = self._host()
        if host is None:
            return False
        self._restart_after(host.computer)
        host.close()
        return True

    def _pause(self) -> bool:
        process = self._running()
        if process is not None:
            process.pause(self._dice.choice((0.02, 0.08, 0.3, 1.0, 30.0)))
        return process is not None

    def _pause_host(self) -> bool:
        host = self._host()
        if host is not None:
            host.pause(self._dice.choice((0.02, 0.05, 0.08, 0.3, 2.0, 30.0)))
        return host is not None

    def _suspend(self) -> bool:
        process = self._running()
        if process is not None:
            process.suspend(self._dice.choice((0.1, 1.0, 5.0, 40.0)))
        return process is not None

    def _clock_rate(self) -> bool:
        process = self._running()
        if process is not None:
            process.change_rate(self._dice.choice(self._faults.clock_rates))
        return process is not None

    # --- links ---

    def _numbers(self) -> list[int]:
        return [computer.number for computer in self._world.computers]

    def _partition(self) -> bool:
        numbers = self._numbers()
        side = set(self._dice.sample(numbers, self._dice.randrange(len(numbers) + 1)))
        self._world.network.cut.update((a, b) for a in numbers for b in numbers if (a in side) != (b in side))
        return True

    def _one_way(self) -> bool:
        """Somebody hears nothing any more, or is heard by nobody."""
        number, direction = self._anybody().number, self._dice.random() < 0.5
        others = [other for other in self._numbers() if other != number]
        self._world.network.cut.update((number, o) if direction else (o, number) for o in others)
        return True

    def _cut_link(self) -> bool:
        self._world.network.cut.add((self._anybody().number, self._anybody().number))
        return True

    def _cut_host(self) -> bool:
        """The host is cut off from all or from one, in one direction or both."""
        if (host := self._host()) is None:
            return False
        number = host.computer.number
        others = [other for other in self._numbers() if other != number]
        chosen = others if self._dice.random() < 0.5 else [self._dice.choice(others or [number])]
        direction = self._dice.choice(("in", "out", "both"))
        if direction != "in":
            self._world.network.cut.update((number, other) for other in chosen)
        if direction != "out":
            self._world.network.cut.update((other, number) for other in chosen)
        return True

    def _slow_link(self) -> bool:
        one, other = self._anybody().number, self._anybody().number
        delay_s = self._dice.choice(((0.02, 0.05), (0.1, 0.3), (0.5, 2.0)))
        self._world.network.slow[one, other] = replace(self._faults.link, delay_s=delay_s)
        return True

    def _heal(self) -> bool:
        self._world.network.cut.clear()
        self._world.network.slow.clear()
        for computer in self._world.computers:
            if computer.process is not None:
                computer.process.wake()
        return True

    def _move(self) -> bool:
        process = self._mover.process
        if process is None:
            return False
        self._mover.address = self._world.network.new_address()
        self._world.network.move(process.socket, self._mover.address)
        return True

    def _return_elsewhere(self) -> bool:
        if self._mover.process is None or self._mover.is_gone:
            return False
        self._mover.crash()
        self._mover.address = self._world.network.new_address()
        self._start(self._mover)
        return True

    # --- disks ---

    def _slow_disk(self) -> bool:
        return self._stall(self._dice.choice((0.05, 0.1, 0.3)))

    def _hang_disk(self) -> bool:
        return self._stall(self._dice.choice((1.0, 5.0, 20.0)))

    def _stall(self, seconds: float) -> bool:
        disk, now = self._anybody().disk, self._world.time.now
        disk.stalled_until = max(disk.stalled_until, min(now + seconds, self._ends))
        return True

    def _full_disk(self) -> bool:
        if self._faults.disk_s is None:  # memory is never full
            return False
        disk = self._anybody().disk
        disk.is_full = True

        def make_room() -> None:
            disk.is_full = False

        self._later(self._dice.choice((0.1, 1.0, 5.0)), make_room)
        return True

    # --- wishes ---

    def _hand_over(self) -> bool:
        process = self._open()
        if process is None:
            return False
        target = self._dice.choice([None, *(c.member for c in self._world.computers)])
        process.carry_out(lambda member: member.hand_over(target), lambda _: None)
        return True

    def _join(self) -> bool:
        process = self._open()
        if process is None or len(self._world.computers) >= self._faults.computers_max:
            return False

        def has_ticket(ticket: Any) -> None:
            if isinstance(ticket, FailoverError) or len(self._world.computers) >= self._faults.computers_max:
                return
            has_file = self._dice.random() < self._faults.files
            is_witness = self._is_witnessed and self._witness_dice.random() < WITNESSES_AMONG_NEWCOMERS
            newcomer = self._world.add_computer(
                has_file=has_file, disk_s=self._faults.disk_s, is_witness=is_witness
            )
            newcomer.ticket = ticket
            self._start(newcomer)
            self._world.happened["joining"] += 1

        process.carry_out(lambda member: member.invite(), has_ticket)
        return True

    def _leave(self) -> bool:
        process = self._open()
        if process is None or self._are_few():
            return False
        process.carry_out(lambda member: member.leave(), self._departed("left"))
        return True

    def _remove(self) -> bool:
        process, victim = self._open(), self._anybody().member
        if process is None or victim is None or self._are_few():
            return False
        process.carry_out(lambda member: member.remove(victim), self._departed("removed"))
        return True

    def _are_few(self) -> bool:
        return sum(not computer.is_gone for computer in self._world.computers) <= 3

    def _departed(self, what: str) -> Callable[[Any], None]:
        def departed(result: Any) -> None:
            self._world.happened[what if result is None else f"{what}: {type(result).__name__}"] += 1

        return departed
