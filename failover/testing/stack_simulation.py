"""Whole members in virtual time: real drivers, real encryption, real storage code, one seed.

Each computer runs a real `open_member` in a trio run of its own; network, disks and clocks are simulated, and
nothing is waited for: an hour takes as long as its events. When what goes wrong is the business of a
`StackSchedule`; this file only makes it possible, and shows the checkers all that happens.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from failover.errors import FailoverError
from failover.events import Event, MemberLeft, StateDiverged, StopHost
from failover.opaque import Opaque
from failover.testing.checkers import NoProgress, Violation
from failover.testing.computer import Computer, is_expected
from failover.testing.guest_run import deterministic_runs
from failover.testing.onlooker import Onlooker
from failover.testing.process import Process, Program
from failover.testing.simulated_lan import SimulatedLan
from failover.testing.simulated_network import Link, Network
from failover.testing.virtual_time import VirtualTime

if TYPE_CHECKING:
    from failover.running import Running

TRACE_KEPT = 60
OPENS_WITHIN_S = 60.0
STARTS_AGAIN_AFTER_S = 0.5


class StackSimulation:
    """A cluster of whole members in virtual time. Use it as a context manager.

    Args:
        seed: everything follows from it.
        program: what runs on the computers.
        link: the network's manners.
        clock_rates: from which each process draws its clock's.
        digest_every: states are compared at every so many entries.
        trace: called with a line for whatever happens.
    """

    def __init__(
        self,
        seed: int | str,
        program: Program,
        *,
        link: Link | None = None,
        clock_rates: tuple[float, ...] = (1.0,),
        digest_every: int = 1,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.dice = random.Random(f"stack {seed}")
        self.program = program
        self.clock_rates = clock_rates
        self.time = VirtualTime()
        self.happened: Counter[str] = Counter()
        """What was exercised, for those who ask whether a run was worth anything."""
        self.network = Network(self.time, self.dice, link or Link(), self.happened)
        self.lan: SimulatedLan | None = None
        """Give one before the first computer starts, and members that moved look for each other on it."""
        self.names: dict[str, list[str]] = {}
        """What the one name server knows: a machine's name, its ips."""
        self.asked: Counter[str] = Counter()
        """How often it was asked for a name."""
        self.onlooker = Onlooker(self, digest_every)
        self.computers: list[Computer] = []
        self.last_lines: deque[str] = deque(maxlen=TRACE_KEPT)
        self._trace = trace
        self._found: BaseException | None = None
        self._stack = ExitStack()
        self._directory: Path | None = None
        self._is_interrupted: Callable[[], bool] = lambda: False

    def __enter__(self) -> StackSimulation:
        self._is_interrupted = self._stack.enter_context(deterministic_runs(self.dice))
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            for computer in self.computers:
                if computer.process is not None:
                    computer.process.crash()

    # --- making computers ---

    def add_computer(
        self,
        *,
        has_file: bool = False,
        disk_s: tuple[float, float] | None = (0.0002, 0.002),
        is_witness: bool = False,
    ) -> Computer:
        """Make another computer, with an empty disk; nothing runs on it yet, and later a witness or a player."""
        directory = None
        if has_file:
            if self._directory is None:
                self._directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            directory = self._directory / str(len(self.computers))
            directory.mkdir()
        opaque = replace(self.program, machine=Opaque, serve=None, play=None)
        program = opaque if is_witness else self.program
        computer = Computer(self, len(self.computers), program, directory, disk_s)
        self.computers.append(computer)
        return computer

    def found(self) -> None:
        """The first computer founds the cluster."""
        first = self.computers[0]
        first.is_founder = True
        first.start()
        self.run_until(lambda: self.onlooker.host() is not None, OPENS_WITHIN_S)

    def bring_in(self, computers: list[Computer]) -> None:
        """Have these join with a ticket of the first, and wait until they are open."""
        tickets: list[Any] = []
        opener = self.computers[0].process
        assert opener is not None
        opener.carry_out(lambda member: member.invite(uses=min(64, len(computers)), expires_s=0), tickets.append)
        self.run_until(lambda: bool(tickets), OPENS_WITHIN_S)
        if isinstance(tickets[0], FailoverError):
            raise NoProgress(f"no ticket: {tickets[0]}")
        for computer in computers:
            computer.ticket = tickets[0]
            computer.start()
        self.run_until(lambda: all(computer.is_open for computer in computers), OPENS_WITHIN_S)

    # --- time ---

    def true_time(self) -> float:
        """Seconds since the beginning."""
        return self.time.now

    def run(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            Violation: a checker objects.
        """
        self.time.run(seconds)

    def run_until(self, condition: Callable[[], bool], limit_s: float) -> float:
        """Let time pass until `condition` holds; returns the seconds that it took."""
        try:
            return self.time.run_until(condition, limit_s)
        except NoProgress as error:
            raise NoProgress(f"{error}: {self.picture()}") from None

    # --- what the processes tell ---

    def looks_on(self, process: Process) -> None:
        """The parts of a process's member are put together."""
        assert process.running is not None
        process.computer.member = process.running.id
        self.onlooker.begins(process, process.running)

    def ended(self, process: Process) -> None:
        """A process is no more."""
        self.onlooker.ends(process)
        if process.computer.is_kept_running:
            self.time.after(STARTS_AGAIN_AFTER_S, process.computer.start_again)

    def stepped(self, process: Process) -> None:
        """A process has done what it could."""
        if self._is_interrupted():
            raise KeyboardInterrupt
        if self._found is not None:
            raise self._found
        running = process.running
        if running is not None:
            error = running.life.error
            if not is_expected(error):
                raise Violation(f"{process.computer} stopped with {type(error).__name__}: {error}") from error
            self.onlooker.stepped(process)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """What a checker raises inside a process must not be taken for an error of that process."""
        try:
            yield
        except BaseException as error:
            self._found = self._found or error

    def heard(self, process: Process, event: Event) -> None:
        """A process's application is told something."""
        self.happened[type(event).__name__] += 1
        if isinstance(event, StopHost):
            self.happened[f"stopped: {event.reason}"] += 1
        self.trace(f"{process.computer} hears {event}")
        if isinstance(event, StateDiverged):
            raise Violation(f"{process.computer} hears {event}")
        if isinstance(event, MemberLeft):
            for computer in self.computers:
                if computer.member == event.member:
                    computer.is_gone = True

    def trace(self, line: str) -> None:
        """Note what happens."""
        line = f"{self.time.now:.6f} {line}"
        self.last_lines.append(line)
        if self._trace is not None:
            self._trace(line)

    async def resolve(self, host: str) -> list[str]:
        """Ask the name server; for `Surroundings.resolve`."""
        await trio.lowlevel.checkpoint()
        self.asked[host] += 1
        if host not in self.names:
            raise OSError(f"{host} is not known")
        return self.names[host]

    # --- looking ---

    def picture(self) -> str:
        """One line for each computer, for messages of failed tests."""
        return "; ".join(self._picture(computer) for computer in self.computers)

    def _picture(self, computer: Computer) -> str:
        process = computer.process
        if process is None:
            return f"{computer} is {'gone' if computer.is_gone else 'off'}"
        if process.running is None:
            return f"{computer} is opening"
        core: Any = process.running.core
        tenure: Any = process.running.life.hosting.tenure
        return (
            f"{computer} {'up' if process.is_running else 'paused'} {core.role.value} term {core.term} "
            f"log {core.log.base_index}..{core.log.last_index} commit {core.commit_index} "
            f"applied {core.applied_index} {'hosts' if tenure is not None else ''}"
        )


def parts(process: Process) -> Running:
    """The member's parts, of a process that has come so far."""
    assert process.running is not None
    return process.running
