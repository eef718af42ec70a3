"""`failover witness` as a process: what it says, line by line; killed at the end of the block."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.children import ROOT, ChildFailed

COMMAND = [sys.executable, "-c", "from failover.cli.main import main; main()", "witness"]
SAYS_S = 20.0


class KeeperProcess:
    """One process. Its tickets come through a pipe, as a secret should."""

    def __init__(self, folder: Path, *arguments: str, tickets: tuple[str, ...] = (), **environment: str) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [*COMMAND, "--folder", str(folder), "--bind", "127.0.0.1", "--tickets-from", "-", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{ticket}\n" for ticket in tickets))
        self._process.stdin.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, text: str, times: int = 1, seconds: float = SAYS_S) -> None:
        """Wait until so many of its lines hold the text."""
        wait_until(
            lambda: sum(text in line for line in self.lines) >= times,
            lambda: f"it did not say {text!r} {times} times: {self.lines}",
            seconds,
        )

    def kill(self) -> None:
        """With SIGKILL."""
        self._process.kill()
        self.wait_for_end()

    def terminate(self) -> int:
        """Ask it to end, as a service manager does; returns its exit status."""
        self._process.terminate()
        return self.wait_for_end()

    def wait_for_end(self, seconds: float = SAYS_S) -> int:
        """Wait until it has ended; returns its exit status."""
        status = self._process.wait(seconds)
        self._reader.join(5)
        return status

    def __enter__(self) -> KeeperProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self.wait_for_end()
        assert self._process.stdout is not None
        self._process.stdout.close()


def wait_until(condition: Callable[[], bool], complaint: Callable[[], str], seconds: float = SAYS_S) -> None:
    """Ask again and again, for so long at most."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise ChildFailed(complaint())
        time.sleep(0.02)
