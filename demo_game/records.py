"""What a player writes down, as JSON lines: each answer it got, each command that was applied, what happened.

A line is flushed to the system before anything is done with what it says, so it survives the death of the process
(not of the machine: these files are evidence for tests and for `showcase`, no storage).
Times are of `time.monotonic`, which all processes of a machine share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

from demo_game.machine import Hexhold
from demo_game.table import Table

if TYPE_CHECKING:
    import failover
    from demo_game.kept import Kept

DIGEST_EVERY = 8
"""A digest costs as much as coding the whole table, so only every so many entries get one."""


class Journal:
    """Appends records to a file, or drops them if there is none."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out
        if out is not None and out.seekable():
            out.write("\n")  # whoever wrote before us may have been killed in the middle of a line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._out is not None and self._out.seekable():
            self._out.close()

    def write(self, kind: str, **what: object) -> None:
        """Write a record down, with its time, before returning."""
        if self._out is not None:
            self._out.write(json.dumps({"kind": kind, "time": time.monotonic(), **what}) + "\n")
            self._out.flush()


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield a journal's records; a line that a killed process left unfinished is none."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        yield from parsed(lines)


def parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the records among these lines."""
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "kind" in record:
            yield record


class Recorded:
    """A state machine that writes down every command it applied, with the reply."""

    def __init__(self, machine: Hexhold | Kept, journal: Journal) -> None:
        self._machine = machine
        self._journal = journal

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """Apply, then write down."""
        reply = self._machine.apply(command, context)
        digest = self._machine.digest().hex() if context.index % DIGEST_EVERY == 0 else ""
        self._journal.write(
            "applied",
            index=context.index,
            term=context.epoch.term,
            sender=context.sender.hex() if context.sender else "",
            at=context.time,
            order=command.hex(),
            reply=reply.hex(),
            digest=digest,
        )
        return reply

    def view(self) -> Table:
        """Return the table."""
        return self._machine.view()

    def snapshot(self) -> Iterator[bytes]:
        """Yield the table's coding."""
        return self._machine.snapshot()

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Take over a table."""
        self._machine.restore(chunks)

    def digest(self) -> bytes:
        """Return the table's digest."""
        return self._machine.digest()
