"""`python -m tests.processes.calm`: nothing goes wrong for an hour; does the host keep its place?

Three real members on this machine, with the default settings and files. Beside them: nothing; a process that keeps
a core busy; or a window that each member's process draws 60 times a second (`calm_window`). A change of host that
nobody asked for is a false one, unless the machine itself stood still at that moment: a thread that only sleeps
notes how late it was woken, and a change within a second of a stall is counted apart.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tests.benchmarks.children import Child
from tests.benchmarks.cluster import Cluster
from tests.processes.watching import events_of
from tests.real_time import SLEEP_S, Sleeper, Stall

BESIDE = ("nothing", "busy", "window")
NEAR_S = 1.0
LOOK_S = 10.0


def boot_time() -> float:
    """The clock of the members' events."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextmanager
def noted_stalls() -> Iterator[list[Stall]]:
    """Note when this machine stood still; what the hypervisor says counts for nothing here."""
    stalls: list[Stall] = []
    is_over = threading.Event()
    sleeper = Sleeper(stalls.append, boot_time, stolen=list)

    def sleep() -> None:
        while not is_over.wait(SLEEP_S):
            sleeper.look()

    thread = threading.Thread(target=sleep, daemon=True)
    thread.start()
    try:
        yield stalls
    finally:
        is_over.set()
        thread.join()


def keep_busy() -> None:
    """Use a core for as long as this process lives."""
    while True:
        sum(range(10_000))


@contextmanager
def beside(what: str) -> Iterator[str]:
    """What goes on beside the members; gives the module that is one of them."""
    if what == "busy":
        process = multiprocessing.get_context("spawn").Process(target=keep_busy, daemon=True)
        process.start()
        try:
            yield "tests.processes.worker"
        finally:
            process.kill()
    elif what == "window":
        with screen():
            yield "tests.processes.calm_window"
    else:
        yield "tests.processes.worker"


@contextmanager
def screen() -> Iterator[None]:
    """A display that nobody looks at; the members' processes inherit its name."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x720x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.DEVNULL) as server:
        os.close(write)
        with os.fdopen(read) as names:
            os.environ["DISPLAY"] = f":{names.readline().strip()}"
        try:
            yield
        finally:
            server.kill()


def changes_since(known: dict[Child, int]) -> Iterator[dict[str, Any]]:
    """What each member has said of changes of host, beyond so many."""
    for child, count in known.items():
        yield from events_of(child, "HostChanged")[count:]


def tell(change: dict[str, Any], after_s: float) -> None:
    """Say of a change what was seen of it; an hour is long."""
    what = {name: change.get(name) for name in ("host", "reason", "silence_ms", "election_ms")}
    click.echo(f"after {after_s:.0f} s: {json.dumps(what, default=str)}", err=True)


def watch(seconds: float, what: str) -> dict[str, object]:
    """Let them live, and say what changed."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        beside(what) as worker,
        Cluster(3, Path(folder), worker=worker, folder_=folder) as cluster,
    ):
        time.sleep(5)  # votes are given in the first seconds
        known = {child: len(events_of(child, "HostChanged")) for child in cluster.members}
        changes: dict[str, float] = {}
        """Which epoch began when: each change is heard by all members."""
        with noted_stalls() as stalls:
            began = time.monotonic()
            while (left := began + seconds - time.monotonic()) > 0:
                time.sleep(min(LOOK_S, left))
                for change in changes_since(known):
                    if change["epoch"] not in changes:
                        changes[change["epoch"]] = change["at"]
                        tell(change, time.monotonic() - began)
        frames = [child.ask("frames")["frames"] for child in cluster.members] if what == "window" else []
    excused = [at for at in changes.values() if any(abs(at - stall.at) < NEAR_S for stall in stalls)]
    return {
        "beside": what,
        "seconds": seconds,
        "false_changes": len(changes) - len(excused),
        "changes_at_stalls": len(excused),
        "stalls": len(stalls),
        "longest_stall_ms": round(max((stall.seconds for stall in stalls), default=0.0) * 1_000, 1),
        "frames": frames,
    }


@click.command()
@click.option("--minutes", type=click.FloatRange(0.1, 600), default=60.0, show_default=True)
@click.option("--beside", "what", type=click.Choice(BESIDE), default="nothing", show_default=True)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write what was seen there."
)
def main(minutes: float, what: str, json_file: Path | None) -> None:
    """Watch three members of which nothing is asked. Exit status 1 if the host changed for no reason."""
    seen = watch(minutes * 60, what)
    click.echo(json.dumps(seen))
    if json_file is not None:
        json_file.write_text(json.dumps(seen) + "\n", encoding="utf-8")
    raise SystemExit(1 if seen["false_changes"] else 0)


if __name__ == "__main__":
    main()
