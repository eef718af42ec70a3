"""A queue in real processes on SQLite: takers and hosts are killed, and each job is done."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import failover
from failover.machines import start_queue
from tests.guarantee import guarantee

ROOT = Path(__file__).parents[2]
JOBS = 120


class Takers:
    """Processes that take jobs, and what they wrote down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str, ticket: str) -> list[str]:
        """Start it, and wait until it is ready; returns what it said before."""
        command = [sys.executable, "-W", "error", "-m", "tests.processes.queue_worker"]
        files = [str(self.folder / f"{name}.db"), str(self.folder / f"{name}.journal")]
        program = self.running[name] = subprocess.Popen(
            [*command, *files, ticket], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        said = []
        while (line := program.stdout.readline().strip()) != "ready":
            assert line, "it ended"
            said.append(line)
        return said

    def kill(self, name: str) -> None:
        """As a crash does."""
        program = self.running.pop(name)
        program.kill()
        program.wait()
        program.stdout.close()

    def notes(self, what: str) -> Counter[str]:
        """How often which job was noted."""
        lines = [line for path in self.folder.glob("*.journal") for line in path.read_text().splitlines()]
        return Counter(line.removeprefix(f"{what} ") for line in lines if line.startswith(f"{what} "))


@contextmanager
def takers_in(folder: Path) -> Iterator[Takers]:
    takers = Takers(folder)
    try:
        yield takers
    finally:
        for name in list(takers.running):
            takers.kill(name)


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


def test_every_job_is_done_while_takers_and_hosts_are_killed(tmp_path):
    with takers_in(tmp_path) as takers:
        ticket, *_ = takers.start("ann", "found")
        takers.start("bob", ticket)
        with start_queue(storage=tmp_path / "boss.db", ticket=ticket, bind="127.0.0.1") as boss:
            wait_for(lambda: all(m.kind == "voter" for m in boss.member.status().result(10).members))
            puts = [boss.put("jobs", number, timeout=60) for number in range(JOBS)]
            for name in ("ann", "bob", "ann"):
                before = sum(takers.notes("done").values())
                wait_for(lambda before=before: sum(takers.notes("done").values()) > before + 10)
                takers.kill(name)
                takers.start(name, "again")
            numbers = [put.result(60) for put in puts]
            wait_for(lambda: boss.picture.ready_count + boss.picture.held_count == 0)
            hosts = {e.host for e in boss.member.poll() if isinstance(e, failover.HostChanged)}
            time.sleep(0.2)  # for the last notes; more would find nothing new
    guarantee(len(set(numbers)) == JOBS, "two jobs with one number")
    assert len(hosts) > 1, "a host was killed"
    got, done = takers.notes("got"), takers.notes("done")
    assert set(got) == {str(number) for number in range(JOBS)}
    guarantee(set(done.values()) == {1}, "nothing is done twice")
    # A job whose taker was killed between `got` and `done` is given again; of those there are three at most.
    assert sum(got.values()) - JOBS <= 3
    assert JOBS - len(done) <= 3
