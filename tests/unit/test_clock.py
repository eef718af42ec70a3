"""Timers go by one clock, which nobody can set (docs/explanation/bugs-of-others.md, 92)."""

from __future__ import annotations

import ast
import sys
import time
from pathlib import Path

import pytest

from failover.clock import system_clock

LIBRARY = Path(__file__).parents[2] / "failover"
CAN_BE_SET = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "localtime"),
    ("datetime", "now"),
    ("datetime", "today"),
}
OUTSIDE = {"cli/reading_tickets.py", "cli/handing_in.py", "cli/witnessing.py", "surroundings.py"}
"""Until when a ticket is good is a date; so is how old a file is, and what a line for people begins with."""


def readings(source: str) -> set[tuple[str, str]]:
    """The clocks that a file names."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add((node.value.id, node.attr))
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "", alias.name) for alias in node.names}
    return found


def test_no_timer_goes_by_a_clock_that_can_be_set():
    """Symptom: timers fire wildly on an NTP step (NuRaft#611, PySyncObj#99, vesoft-inc/nebula#2723)."""
    users = {
        path.relative_to(LIBRARY).as_posix()
        for path in LIBRARY.rglob("*.py")
        if readings(path.read_text(encoding="utf-8")) & CAN_BE_SET
    }
    assert users <= OUTSIDE
    assert readings("import time\nx = time.time()") & CAN_BE_SET, "it would be found"
    assert readings("from time import time") & CAN_BE_SET


@pytest.mark.skipif(sys.platform != "linux", reason="the other systems have other names for it")
def test_the_clock_counts_suspend():
    """A promise must run out while a laptop sleeps; CLOCK_MONOTONIC stands still then."""
    assert abs(system_clock() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1.0


def test_the_clock_never_goes_back():
    times = [system_clock() for _ in range(1000)]
    assert times == sorted(times)
