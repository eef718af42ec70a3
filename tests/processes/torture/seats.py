"""Seats: each a place on the ground, with one member after the other in it, and one process after the other."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.children import Child, ChildFailed
from tests.processes.torture.ground import Ground
from tests.processes.torture.notes import newest_note

WORKER = "tests.processes.torture.worker"
OPEN_S = 40.0
FRESH_NS = 500_000_000
SETTINGS = """
digest_every = 32
[timing]
snapshot_entries = 600
kept_entries = 150
"""
"""Small ones, so that who was away needs a snapshot, and finds a wrong state soon."""


class Seat:
    """One of them."""

    def __init__(self, number: int, ground: Ground, folder: Path, options: dict[str, Any]) -> None:
        self.number = number
        self.name = ""
        """Of the present life."""
        self.member = ""
        """The id of the member that sits here; "" until it is known."""
        self.child: Child | None = None
        self.is_paused = False
        self.failures: list[str] = []
        """Why a process ended that nobody killed."""
        self._ground, self._folder, self._options = ground, folder, options
        self._lives = self._members = 0
        self._is_open = False
        self._began = 0.0

    @property
    def storage(self) -> Path:
        """The file of the present member."""
        return self._ground.disks[self.number] / f"member-{self._members}.db"

    def start(self, clock: dict[str, float], **options: Any) -> None:
        """Begin a life: of the member that sits here, or with `found` or a `ticket` of a new one."""
        assert self.child is None
        if options:
            for file in self.storage.parent.glob(f"{self.storage.name}*"):
                file.unlink()
            self._members += 1
            self.member = ""
        self._lives += 1
        self.name = f"seat{self.number}-life{self._lives}"
        self._is_open, self._began = False, time.monotonic()
        given: dict[str, Any] = {
            "name": self.name,
            "storage": str(self.storage),
            "bind": self._ground.address(self.number),
            "settings": SETTINGS,
            "folder_": str(self._folder),
        }
        self.child = Child(WORKER, self._options | given | clock | options, self._ground.prefix(self.number))

    def is_open(self) -> bool:
        """Whether its member is open; never waits. A process that has ended by itself is buried."""
        if self.child is None:
            return False
        if not self._is_open:
            try:
                self.member = self.child.wait(0, 0.0)["id"]
            except ChildFailed:
                pass  # not yet, or never: see below
            else:
                self._is_open = True
        if not self.child.is_running():
            self._bury()
            return False
        return self._is_open

    def wait_until_open(self) -> None:
        """Wait, for so long at most."""
        until = time.monotonic() + OPEN_S
        while not self.is_open():
            if self.child is None or time.monotonic() > until:
                raise ChildFailed(f"{self.name} did not open: {self.failures}")
            time.sleep(0.01)

    def ask(self, do: str, seconds: float = OPEN_S, **arguments: Any) -> dict[str, Any]:
        """Ask its process, and wait."""
        if self.child is None:
            raise ChildFailed(f"{self.name} is not there")
        answer = self.child.ask(do, seconds, **arguments)
        if "refused" in answer:
            raise ChildFailed(f"{self.name} was asked to {do}: {answer['refused']}: {answer['text']}")
        return answer

    def kill(self) -> bool:
        """Kill its process; returns whether there was one."""
        if self.child is None or not self.child.is_running():
            return False
        self.child.kill()
        self.child, self.is_paused = None, False
        return True

    def pause(self) -> bool:
        """Stop its process where it is; returns whether it ran."""
        if self.child is None or self.is_paused or not self.child.is_running():
            return False
        self.child.signal(signal.SIGSTOP)
        self.is_paused = True
        return True

    def go_on(self) -> None:
        """Let it go on, if it was paused."""
        if self.child is not None and self.is_paused:
            self.child.signal(signal.SIGCONT)
        self.is_paused = False

    def hosted_ns(self) -> int:
        """When it last noted that it hosts; 0 = never in this life."""
        note = newest_note(self._folder / f"{self.name}.tenures")
        return note["until"] if note is not None and self.child is not None else 0

    def _bury(self) -> None:
        """Its process has ended by itself. A disk that was full while it opened is a reason, and nothing else."""
        assert self.child is not None
        status, errors = self.child.wait_for_end()
        self.child = None
        was_refused = not self._is_open and self._ground.was_full(self.number, self._began)
        if not (was_refused and any("StorageFailed" in line for line in errors)):
            self.failures.append(f"{self.name} ended by itself with status {status}: {''.join(errors)}")


def host_among(seats: list[Seat], now_ns: int) -> int | None:
    """The seat that hosted last, as the notes say; None if that is long ago."""
    newest = max(seats, key=Seat.hosted_ns)
    return newest.number if newest.hosted_ns() > now_ns - FRESH_NS else None
