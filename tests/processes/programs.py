"""Copies of one program of the docs, running side by side."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


class Programs:
    """Several of them, and what they print, line by line, with the number of the one that did."""

    def __init__(self, script: Path) -> None:
        self.script = script
        self.running: dict[int, subprocess.Popen[str]] = {}
        self.printed: queue.Queue[tuple[int, str]] = queue.Queue()

    def start(self, *arguments: str) -> None:
        command = [sys.executable, "-W", "error", str(self.script), *arguments]
        number = len(self.running)
        program = self.running[number] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, args=(number, program), daemon=True).start()

    def _read(self, number: int, program: subprocess.Popen[str]) -> None:
        with program.stdout:
            for line in program.stdout:
                self.printed.put((number, line.strip()))

    def wait_for(self, condition: Callable[[int, str], bool]) -> tuple[int, str]:
        until = time.monotonic() + 60
        while True:
            number, line = self.printed.get(timeout=max(0.01, until - time.monotonic()))
            if condition(number, line):
                return number, line

    def close(self) -> None:
        for program in self.running.values():
            program.kill()
            program.wait()
