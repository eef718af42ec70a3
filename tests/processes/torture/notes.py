"""Notes of one life of one process, in lines that outlive it: a SIGKILL loses no line that was written.

A line is one JSON object, handed to the kernel in one call before what it announces is done. A process that is
killed in the middle of a call leaves at most a line without an end, which readers leave out: what a call line
announces was not done then, and what a return line says was heard by nobody.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TAIL_SIZE = 4096


class Notes:
    """A file that grows by lines; from any thread."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, **values: Any) -> None:
        """One line more; with the kernel when this returns."""
        os.write(self._file, json.dumps(values, separators=(",", ":")).encode() + b"\n")


def read_notes(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a file; none if there is no file."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def newest_note(path: Path) -> dict[str, Any] | None:
    """The last whole line of a file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_SIZE))
            *lines, _ = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    return json.loads(lines[-1]) if lines else None
