"""A simulated computer: what outlives its processes. Its disk, its address, its clock's manners, its ticket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from failover.errors import FailoverError, NotAdmitted, StorageFailed, StorageMissing, Unreachable
from failover.ids import MemberId
from failover.opaque import Opaque
from failover.testing.checkers import Violation
from failover.testing.process import Process, Program
from failover.testing.simulated_disk import ProcessDied, SimulatedDisk

if TYPE_CHECKING:
    from failover.testing.stack_simulation import StackSimulation

EXPECTED = (Unreachable, NotAdmitted, StorageFailed, StorageMissing)
"""How opening a member may fail while anything may fail."""


class Computer:
    """See the module's docstring.

    Args:
        world: the simulation.
        number: which one it is.
        program: what runs on it.
        directory: for its storage's file; None = a storage in memory.
        disk_s: how long a write takes, from and to; None = no time at all.
    """

    def __init__(
        self,
        world: StackSimulation,
        number: int,
        program: Program,
        directory: Path | None,
        disk_s: tuple[float, float] | None,
    ) -> None:
        self.world = world
        self.number = number
        self.name = f"member {number}"
        self.program = program
        self.disk = SimulatedDisk(directory)
        self.disk_s = disk_s
        self.address = world.network.new_address()
        self.given: tuple[str, ...] = ()
        """Addresses and names that its owner gave for it."""
        self.wall_clock_error_s = world.dice.uniform(-2.0, 2.0)
        """Within which the clocks of players' computers agree."""
        self.process: Process | None = None
        self.lives = 0
        self.ticket: str | None = None
        self.is_founder = False
        self.is_witness = program.machine is Opaque
        self.has_opened = False
        """Whether a process of this storage ever came so far."""
        self.member: MemberId | None = None
        """The storage's identity, as soon as a process had it."""
        self.is_gone = False
        """It left the cluster, or was removed: its storage is of no use any more."""
        self.is_kept_running = False
        """Somebody sits there who starts the program again whenever it has ended."""
        self.last_error: BaseException | None = None

    def __repr__(self) -> str:
        return self.name

    def draw_rate(self) -> float:
        """The rate of a process's clock: another after each reboot."""
        return self.world.dice.choice(self.world.clock_rates)

    def start(self) -> Process:
        """Start a process."""
        assert self.process is None
        self.lives += 1
        self.process = Process(self, self.program, ticket=self.ticket, found=self.is_founder)
        self.world.trace(f"{self} starts, life {self.lives}, clock rate {self.process.clock.rate:g}")
        return self.process

    def start_again(self) -> None:
        """Start a process, unless there is one, or the cluster has done with this computer."""
        if self.process is None and not self.is_gone:
            self.start()

    def crash(self) -> None:
        """Kill its process, if there is one."""
        if self.process is not None:
            self.world.trace(f"{self} crashes")
            self.process.crash()

    @property
    def is_running(self) -> bool:
        """Whether there is a process, and it is not paused."""
        return self.process is not None and self.process.is_running

    @property
    def is_open(self) -> bool:
        """Whether there is a process whose member is open."""
        return self.is_running and self.process is not None and self.process.member is not None

    # --- what its process says ---

    def ended(self, process: Process) -> None:
        """The process is no more."""
        if self.process is process:
            self.disk.crash()
            self.process = None
            self.world.ended(process)

    def failed(self, error: BaseException) -> None:
        """The process ended with an error."""
        self.last_error = error
        for each in _leaves(error):
            if isinstance(each, ProcessDied):
                continue
            if isinstance(each, KeyboardInterrupt | Violation):
                raise each
            if not isinstance(each, EXPECTED):
                raise Violation(f"{self} ended with {type(each).__name__}: {each}") from each
            self.world.happened[f"did not open: {type(each).__name__}"] += 1
        self.world.trace(f"{self} did not open: {error}")


def _leaves(error: BaseException) -> list[BaseException]:
    """The errors in a group of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


def is_expected(error: BaseException | None) -> bool:
    """Whether a member may stop with this while anything may fail."""
    return error is None or (isinstance(error, FailoverError) and isinstance(error, EXPECTED))
