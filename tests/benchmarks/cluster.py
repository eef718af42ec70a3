"""A cluster of worker processes, as a benchmark sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count, repeat
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.benchmarks.children import Child, ChildFailed

WORKER = "tests.benchmarks.worker"
READY_S = 40.0
VOTERS_MAX = 5


def voters_among(members: int) -> int:
    """How many of so many members vote once all is well: an odd number from three on."""
    return members if members < 3 else min(members, VOTERS_MAX) - 1 | 1


class Cluster:
    """Some members, each a process; killed at the end of the block."""

    def __init__(
        self,
        size: int,
        folder: Path | None,
        *,
        worker: str = WORKER,
        places: Iterator[dict[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        """Start them and wait until as many vote as should.

        Args:
            size: how many.
            folder: for the files of their storages; None = memory.
            worker: the module that is one member.
            places: for each member the `prefix` of its command and its `bind`; None = all on this machine.
            options: for all of them.
        """
        self.size = size
        self.ready_s = READY_S
        """How long a member may take to open; a large state over a thin line takes longer."""
        self.members: list[Child] = []
        self.ids: dict[Child, str] = {}
        self.opened_s: dict[Child, float] = {}
        """How long `open_member` took; a newcomer has the state then."""
        self._folder, self._worker, self._options = folder, worker, options
        self._places = places or repeat({"prefix": (), "bind": "127.0.0.1"})
        self._storages: dict[Child, str | None] = {}
        self._names = count(1)
        try:
            founder = self._start(found=True)
            self.wait_for(lambda: founder.ask("status")["is_host"], "the founder does not host")
            if size > 1:
                ticket = founder.ask("invite", uses=size)["ticket"]
                for _ in range(size - 1):
                    self._start(ticket=ticket)
            self.wait_until_complete()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill all."""
        for member in self.members:
            member.__exit__(None, None, None)
        self.members.clear()

    @property
    def host(self) -> Child:
        """The member that says of itself that it hosts."""
        found: list[Child] = []

        def look() -> bool:
            found[:] = [member for member in self.members if member.ask("status")["is_host"]]
            return len(found) == 1

        self.wait_for(look, "nobody hosts")
        return found[0]

    @property
    def others(self) -> list[Child]:
        """All but the host."""
        host = self.host
        return [member for member in self.members if member is not host]

    def join(self, **options: Any) -> Child:
        """One more member."""
        return self._start(ticket=self.members[0].ask("invite", uses=1)["ticket"], **options)

    def bury(self, dead: Child) -> None:
        """Forget a member whose process has ended."""
        self.members.remove(dead)

    def bring_back(self, dead: Child) -> Child:
        """Start an ended member again from its storage; one in memory is lost, and a new one takes its place."""
        self.bury(dead)
        storage = self._storages[dead]
        if storage is not None:
            return self._start(storage=storage)
        new = self.join()
        self.members[0].ask("remove", member=self.ids[dead])
        return new

    def wait_until_complete(self) -> None:
        """Wait until all are there, as many vote as should, and everybody has applied the same.

        Votes that are just being given count only when that is done: until then, the old voters are needed too.
        """
        ids = {self.ids[member] for member in self.members}

        def look() -> bool:
            status = self.host.ask("status")
            others = [member.ask("status") for member in self.members]
            voters = [kind for kind, connected in status["members"].values() if kind == "voter" and connected]
            return (
                set(status["members"]) == ids
                and len(voters) == voters_among(len(ids))
                and status["survives"] == (len(voters) - 1) // 2
                and all(connected for _, connected in status["members"].values())
                and len({other["applied"] for other in others}) == 1
                and len({other["host"] for other in others}) == 1
            )

        self.wait_for(look, "the cluster is not complete")

    def wait_for(self, condition: Callable[[], bool], complaint: str, seconds: float = READY_S) -> None:
        """Ask again and again, for so long at most."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise ChildFailed(f"{complaint} after {seconds:g} s")
            time.sleep(0.02)

    def _start(self, *, storage: str | None = None, **options: Any) -> Child:
        name = f"member {next(self._names)}"
        if storage is None and self._folder is not None:
            storage = str(self._folder / f"{name.replace(' ', '-')}.db")
        place = next(self._places)
        options = self._options | {"bind": place["bind"]} | options | {"name": name, "storage": storage}
        member = Child(self._worker, options, place["prefix"])
        self.members.append(member)
        self._storages[member] = storage
        opened = member.wait(0, self.ready_s)
        self.ids[member] = opened["id"]
        self.opened_s[member] = opened["opened_s"]
        return member
