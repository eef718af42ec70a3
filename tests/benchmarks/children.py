"""Child processes that speak JSON lines: a question goes to their stdin, the answer comes on their stdout."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
ANSWER_S = 60.0


class ChildFailed(Exception):
    """A child died, or did not answer in time."""


class Child:
    """One process of a benchmark. Every wait is bounded; leaving the block kills it."""

    def __init__(self, module: str, options: dict[str, Any], prefix: Sequence[str] = ()) -> None:
        """Start it; `prefix` is a command that runs another, like `ip netns exec NAME`."""
        command = [*prefix, sys.executable, "-m", module, json.dumps(options)]
        self.name = str(options.get("name", module))
        self._errors: list[str] = []
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._kept: dict[int, dict[str, Any]] = {}
        self._number = 0
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._readers = [
            threading.Thread(target=read, daemon=True) for read in (self._read_answers, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, do: str, **arguments: Any) -> int:
        """Ask without waiting; returns the number to wait for."""
        self._number += 1
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"number": self._number, "do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # closed
            raise ChildFailed(self._obituary(do)) from None
        return self._number

    def wait(self, number: int, seconds: float = ANSWER_S) -> dict[str, Any]:
        """Return the answer with this number; answers may come in any order."""
        until = time.monotonic() + seconds
        while number not in self._kept:
            try:
                answer = self._answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise ChildFailed(f"{self.name} did not answer within {seconds:g} s") from None
            if answer is None:
                raise ChildFailed(self._obituary("answer"))
            self._kept[answer["number"]] = answer
        answer = self._kept.pop(number)
        if "error" in answer:
            raise ChildFailed(f"{self.name}: {answer['error']}")
        return answer

    def ask(self, do: str, seconds: float = ANSWER_S, **arguments: Any) -> dict[str, Any]:
        """Ask and wait."""
        return self.wait(self.send(do, **arguments), seconds)

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def kill(self) -> float:
        """Kill it with SIGKILL; returns the moment just before, on CLOCK_MONOTONIC."""
        moment = time.monotonic()
        os.kill(self._process.pid, signal.SIGKILL)
        self._end(10)
        return moment

    def signal(self, number: signal.Signals) -> float:
        """Send it a signal; returns the moment just before, on CLOCK_MONOTONIC."""
        moment = time.monotonic()
        os.kill(self._process.pid, number)
        return moment

    def wait_for_end(self, seconds: float = 10.0) -> tuple[int, list[str]]:
        """Wait until it ends by itself; returns its exit status and what it said on stderr."""
        try:
            self._end(seconds)
        except subprocess.TimeoutExpired:
            raise ChildFailed(f"{self.name} did not end within {seconds:g} s") from None
        return self._process.returncode, list(self._errors)

    def close(self) -> None:
        """End it, kindly for two seconds, then not."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(OSError):
                self._process.stdin.close()
        try:
            self._end(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._end(10)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._end(10)

    def _end(self, seconds: float) -> None:
        """Wait for its end, and free what belongs to it here."""
        self._process.wait(seconds)
        for reader in self._readers:
            reader.join(5)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _obituary(self, doing: str) -> str:
        return (
            f"{self.name} ended and could not {doing}: {''.join(self._errors[-20:]).strip() or 'it said nothing'}"
        )

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(json.loads(line))
        self._answers.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line)
            del self._errors[:-50]
