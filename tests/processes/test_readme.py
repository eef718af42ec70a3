"""The README runs: its example counts, goes on when its host is killed, and goes on where it stopped."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guarantee import guarantee
from tests.processes.programs import Programs

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def script(tmp_path):
    """The example, in less of a hurry to end and more of one to count."""
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    for slow, quick in (("range(100)", "range(ROUNDS)"), ("trio.sleep(1)", "trio.sleep(0.02)")):
        assert slow in example
        example = example.replace(slow, quick)
    path = tmp_path / "counter.py"
    path.write_text(example, encoding="utf-8")
    return path


def rounds(script: Path, number: int) -> None:
    script.write_text(script.read_text(encoding="utf-8").replace("ROUNDS", str(number)), encoding="utf-8")


def test_the_example_counts_and_goes_on_where_it_stopped(tmp_path, script):
    rounds(script, 10)
    for first in (1, 11):
        command = [sys.executable, "-W", "error", str(script), str(tmp_path / "counter.db")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        ticket, *numbers = done.stdout.split()
        assert ticket.startswith("failover1-")
        assert numbers == [str(number) for number in range(first, first + 10)]


def test_three_of_the_example_count_on_when_their_host_is_killed_and_it_does_too_when_it_is_back(tmp_path, script):
    rounds(script, 100_000)
    seen: list[int] = []

    def counts(by: int):
        def is_it(number: int, line: str) -> bool:
            if line.isdecimal():
                seen.append(int(line))
            return number == by and line.isdecimal()

        return is_it

    programs = Programs(script)
    try:
        programs.start(str(tmp_path / "a.db"))
        _, ticket = programs.wait_for(lambda number, line: line.startswith("failover1-"))
        for name in ("b.db", "c.db"):
            programs.start(str(tmp_path / name), ticket)
        for number in (0, 1, 2):
            programs.wait_for(counts(number))
        for _ in range(100):
            programs.wait_for(counts(0))  # long enough for the others to vote
        programs.running[0].kill()
        for other in (1, 2):
            for _ in range(50):
                programs.wait_for(counts(other))
        programs.start(str(tmp_path / "a.db"))
        for _ in range(10):
            programs.wait_for(counts(3))
    finally:
        programs.close()
    guarantee(len(set(seen)) == len(seen), "no number twice: each request was done once")
    assert len(seen) > 150
