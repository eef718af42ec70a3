"""Two machines on one real network: a code read aloud, and two members that both come back with new addresses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.namespaces import run

ROOT = Path(__file__).parents[2]
SAID_WITHIN_S = 40.0
MEMBER = """
import json, sys, threading, trio, failover
from tests.unit.above.tally import Tally
options = json.loads(sys.argv[1])
code = options.pop("gives_code", False)
async def main():
    async with failover.open_member(Tally(), **options) as member:
        print(json.dumps({"open": member.id.hex(), "code": await member.short_code() if code else ""}), flush=True)
        while True:
            members = member.status().members
            sees, voters = sum(e.is_connected for e in members), sum(e.kind == "voter" for e in members)
            print(json.dumps({"sees": sees, "voters": voters}), flush=True)
            await trio.sleep(0.2)
trio.run(main)
"""


@contextmanager
def member(lan: Any, place: int, **options: Any) -> Iterator[Any]:
    """A member in a namespace; yields what reads the next line that it says."""
    command = [*lan.inside(place), sys.executable, "-c", MEMBER, json.dumps(options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def next_line() -> dict[str, Any]:
        line = process.stdout.readline()
        assert line, "it ended"
        return json.loads(line)

    try:
        yield next_line
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def until(next_line: Any, condition: Any) -> None:
    for _ in range(int(SAID_WITHIN_S / 0.2)):
        if condition(next_line()):
            return
    raise AssertionError(f"not within {SAID_WITHIN_S:g} s")


@pytest.mark.timeout(150)
def test_a_code_read_aloud_lets_in_and_members_that_both_moved_find_each_other(lan, tmp_path):
    files = [str(tmp_path / f"{number}.db") for number in (0, 1)]
    with member(lan, 0, storage=files[0], found=True, name="Ada", gives_code=True) as ada:
        code = ada()["code"]
        with member(lan, 1, storage=files[1], ticket=code, name="Bob") as bob:
            assert bob()["open"]
            until(bob, lambda said: said.get("sees") == 2 and said["voters"] == 2)
    for place in (0, 1):
        run("ip", "-n", lan.namespaces[place], "addr", "flush", "dev", "eth0")
        run("ip", "-n", lan.namespaces[place], "addr", "add", f"10.77.0.{101 + place}/24", "dev", "eth0")
    with member(lan, 0, storage=files[0]) as ada, member(lan, 1, storage=files[1]) as bob:
        for each in (ada, bob):
            until(each, lambda said: said.get("sees") == 2)
