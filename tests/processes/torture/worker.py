"""One member under torture: the worker of the process tests, with clients, a clock of choice, and notes of all."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio

import failover
from failover.storage import sqlite_file
from tests.processes import worker
from tests.processes.torture import clients, planted
from tests.processes.torture.clocks import RatedClock, true_ns
from tests.processes.torture.notes import Notes
from tests.processes.torture.registers import Registers

CLIENTS = 3
LOOK_S = 0.004
NOTE_NS = 20_000_000
"""So much of a tenure may be unnoted when its process is killed."""
TROUBLE_S = 0.1
BAD_NEWS = (failover.StateDiverged, failover.Stopped)


class Worker(worker.Worker):
    """See the module's docstring. Its notes are `NAME.history`, `NAME.tenures` and `NAME.news`."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.clock = RatedClock(options["rate"], options["offset_s"])
        self.surroundings = failover.Surroundings(clock=self.clock)
        self.machine: Registers = Registers()
        stem = Path(options["folder_"]) / options["name"]
        self.history, self.tenures, self.news = (
            Notes(stem.with_suffix(suffix)) for suffix in (".history", ".tenures", ".news")
        )
        self.resting = trio.Event()
        self.rested = trio.Event()
        self._playing = 0
        self._tenures = 0
        _feel_full_disks()
        planted.plant(options.get("planted"), self)

    async def live(self) -> None:
        """Let the clients play, and note what ails the member."""
        assert self.member is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.note_trouble)
            for number in range(CLIENTS):
                client = self.new_client(f"c{number}")
                ways = clients.changes_of(self.member, client), clients.looks_of(self.member, client)
                nursery.start_soon(self.play, client, *ways)

    def new_client(self, name: str) -> clients.Client:
        """One whose dice are its own."""
        full = f"{self.options['name']}.{name}"
        return clients.Client(full, self.history, random.Random(f"{self.options['seed']} {full}"))

    async def play(self, client: clients.Client, change: clients.Way, look: clients.Way) -> None:
        """Until the test has enough."""
        self._playing += 1
        try:
            await client.play(change, look, self.resting.is_set)
        finally:
            self._playing -= 1
            if not self._playing:
                self.rested.set()

    async def note_trouble(self) -> None:
        """What the member says of its disk, when that changes."""
        assert self.member is not None
        said = ""
        while True:
            now = self.member.status().trouble or ""
            if now != said:
                self.news.add(kind="trouble", text=now, at=true_ns())
                said = now
            await trio.sleep(TROUBLE_S)

    def hear(self) -> None:
        """Note what must never be heard."""
        for event in self.member.poll() if self.member is not None else ():
            if isinstance(event, BAD_NEWS):
                self.news.add(kind=type(event).__name__, text=repr(event), at=true_ns())

    async def serve(self, host: failover.Host) -> None:
        """Propose every request as of this tenure, and ask for things itself."""
        self._tenures += 1
        threading.Thread(target=watch_tenure, args=(host, self.tenures), daemon=True).start()
        async with trio.open_nursery() as nursery:
            client = self.new_client(f"h{self._tenures}")
            nursery.start_soon(self.play, client, clients.commits_of(host), clients.lease_looks_of(host))
            with suppress(failover.NotHost):  # the cancellation comes a moment later
                async for request in host.requests():
                    asked = json.loads(request.body)
                    await request.propose(json.dumps(asked | {"term": host.epoch.term}).encode())
            await trio.sleep_forever()

    # --- what can be asked ---

    async def do_remove(self, member: str) -> dict[str, Any]:
        """End a membership."""
        assert self.member is not None
        await self.member.remove(failover.MemberId(bytes.fromhex(member)))
        return {}

    async def do_probe(self, name: str) -> dict[str, Any]:
        """Write until it is accepted."""
        assert self.member is not None
        client = self.new_client(name)
        asked = {"op": "w", "key": "probe", "arg": f"{self.options['name']} {name}"}
        while not await client.ask(asked, "log", clients.changes_of(self.member, client)):
            pass  # it was patient
        return {}

    async def do_rest(self) -> dict[str, Any]:
        """Let the clients come to an end; returns when all have."""
        self.resting.set()
        await self.rested.wait()
        return {}

    async def do_dump(self) -> dict[str, Any]:
        """Read every register, for the history, and write down the whole state; returns the file's name."""
        assert self.member is not None
        await self.member.read_barrier()
        reader = self.new_client("last")
        for key in sorted(self.machine.values):
            await reader.ask({"op": "r", "key": key}, "local", clients.looks_of(self.member, reader))
        state = self.machine
        path = Path(self.options["folder_"]) / f"{self.options['name']}.state"
        book = {
            "digest": state.digest().hex(),
            "values": state.values,
            "places": state.places,
            "again": state.again,
            "epochs_back": state.epochs_back,
        }
        path.write_text(json.dumps(book))
        return {"path": str(path)}


def _feel_full_disks() -> None:
    """Give the write-ahead log's room back after each checkpoint: one that has its room needs none for seconds."""
    last: Any = ("journal_size_limit", "0")
    sqlite_file._PRAGMAS = (*sqlite_file._PRAGMAS, last)  # type: ignore[assignment]


def watch_tenure(host: failover.Host, notes: Notes, wait: Callable[[float], None] = time.sleep) -> None:
    """Note during what time the tenure ran for certain, in a thread that no event loop holds up.

    A moment counts when `is_running()` was true before it *and* after it: a tenure that is over never runs again,
    so it ran at that moment too, however long the process stood still in between.
    """
    first = last = noted = 0
    term = host.epoch.term
    while host.is_running():
        moment = true_ns()
        if not host.is_running():  # looked at again at once: what wakes up may be told of its end at any moment
            break
        first, last = first or moment, moment
        if last - noted >= NOTE_NS:
            notes.add(term=term, since=first, until=last)
            noted = last
        wait(LOOK_S)
    if last > noted:
        notes.add(term=term, since=first, until=last)


if __name__ == "__main__":
    sys.exit(worker.main(Worker))
