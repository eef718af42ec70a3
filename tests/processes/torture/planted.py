"""Bugs that the torture must find: each is put into the worker processes of one run, and nowhere else.

They are chosen so that each judge has something to find. No judge knows of them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from failover.host import Request, Tenure
from failover.life import Life
from failover.sessions import Sessions
from failover.storage.sqlite import SqliteStorage
from failover.wire import Verdict
from failover.writer import ThreadWriter
from tests.processes.torture.strokes import Kind

if TYPE_CHECKING:
    from tests.processes.torture.worker import Worker

LATE_S = 0.4


def replies_before_commit(worker: Worker) -> None:
    """The host answers when it has appended, with what the state says by then."""
    propose = Request.propose

    async def hasty(self: Request, command: bytes | None = None) -> None:
        asked = json.loads(command or self.body)
        held = worker.machine.values.get(asked["key"])
        out = held == asked["arg"] if asked["op"] == "cas" else held
        place = self._tenure.desk.next_index()
        await propose(self, command)
        reply = json.dumps({"out": out, "place": place}).encode()
        self._tenure.desk._send_answer(self.caller, Verdict.APPLIED, reply)  # type: ignore[attr-defined]

    Request.propose = hasty  # type: ignore[method-assign]


def applies_what_is_asked_again(worker: Worker) -> None:
    """Nobody remembers which requests were carried out."""
    Sessions.is_new = lambda self, caller: True  # type: ignore[method-assign]
    Sessions.reply = lambda self, caller: None  # type: ignore[method-assign]


def host_ignores_its_end(worker: Worker) -> None:
    """A server function goes on when it was told to stop."""
    Tenure.is_running = lambda self: True  # type: ignore[method-assign]


def host_does_not_look_at_its_clock(worker: Worker) -> None:
    """It stops when it is told to; who was paused is told too late."""
    Tenure.is_running = lambda self: not self.over.is_set()  # type: ignore[method-assign]


def reads_wait_for_nothing(worker: Worker) -> None:
    """Local reads show what happens to be here."""

    async def at_once(self: Life) -> None:
        await trio.lowlevel.checkpoint()

    Life.read_barrier = at_once  # type: ignore[method-assign]


def disk_says_too_early_that_it_has_stored(worker: Worker) -> None:
    """What is killed loses its last writes."""
    born, take, store = ThreadWriter.__init__, ThreadWriter.write, SqliteStorage.write
    tell: list[Callable[[int], None]] = []

    def begin(self: ThreadWriter, storage: Any, stored: Any, failed: Any, troubled: Any) -> None:
        born(self, storage, lambda number: None, failed, troubled)
        tell.append(stored)

    def take_and_tell(self: ThreadWriter, write: Any) -> None:
        take(self, write)
        self._token.run_sync_soon(tell[-1], write.number)

    def late(self: SqliteStorage, batch: Any) -> None:
        if threading.current_thread() is not threading.main_thread():  # there, it is just being opened
            time.sleep(LATE_S)
        store(self, batch)

    ThreadWriter.__init__ = begin  # type: ignore[method-assign]
    ThreadWriter.write = take_and_tell  # type: ignore[method-assign]
    SqliteStorage.write = late  # type: ignore[method-assign]


def machine_is_not_deterministic(worker: Worker) -> None:
    """One member keeps other values than the rest, now and then."""
    apply = worker.machine.apply

    def odd(command: bytes, context: Any) -> bytes:
        reply = apply(command, context)
        if context.index % 100 == 0 and worker.options["name"].startswith("seat1"):
            worker.machine.values["odd"] = str(context.index)
            worker.machine._order += b"odd"
        return reply

    worker.machine.apply = odd  # type: ignore[method-assign]


BUGS: dict[str, Callable[[Worker], None]] = {
    bug.__name__: bug
    for bug in (
        replies_before_commit,
        applies_what_is_asked_again,
        host_ignores_its_end,
        host_does_not_look_at_its_clock,
        reads_wait_for_nothing,
        disk_says_too_early_that_it_has_stored,
        machine_is_not_deterministic,
    )
}


SHOWS_IN = {
    host_does_not_look_at_its_clock.__name__: (Kind.PAUSE,),
    reads_wait_for_nothing.__name__: (Kind.BOTH_WAYS, Kind.HALVES, Kind.UNPLUG),
    disk_says_too_early_that_it_has_stored.__name__: (Kind.KILL_ALL, Kind.HAND_OVER, Kind.ONE_WAY),
}
"""For a bug that would show in any storm, but rarely: the strokes that it is looked for with."""


def plant(name: str | None, worker: Worker) -> None:
    """Put one into this process, if one is named."""
    if name is not None:
        BUGS[name](worker)
