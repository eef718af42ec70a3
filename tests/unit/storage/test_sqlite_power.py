"""A whole life, ended at every step: by a kill before each statement, and by a power failure that tears writes.

What a call acknowledged is there afterwards; a call that was under way has happened or not, never by half.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from lives import held_by, pieces, steps

from failover.storage.sqlite import SqliteStorage

SECTOR = 512
WAL_HEADER_SIZE = 32
TEARS = 4
"""Ways of tearing that are tried at each step."""


def looked_at(path: Path) -> tuple[object, ...]:
    storage = SqliteStorage(path, machine=lambda: None)
    found = held_by(storage)
    storage.close()
    return found


@pytest.fixture
def held(tmp_path):
    """What is held before the first step and after each."""
    storage = SqliteStorage(tmp_path / "whole.db")
    found = [held_by(storage)]
    for step in steps():
        step(storage)
        found.append(held_by(storage))
    storage.close()
    return found


# --- killed ---


def live_until_statement(path: Path, number: int, told: int) -> None:
    """In a process of its own: live, tell each step that is done, and die before this statement."""
    count, before = 0, ""

    def about_to(statement: str) -> None:
        nonlocal count, before
        kind = statement[:15]
        count += kind != before  # of a hundred rows alike, the first
        before = kind
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    storage = SqliteStorage(path)
    storage._connection().execute("PRAGMA synchronous = OFF")  # a kill takes nothing from the system's cache
    storage._connection().set_trace_callback(about_to)
    for step in steps():
        step(storage)
        os.write(told, b".")
    os.write(told, b"!")


def lives(path: Path, number: int) -> bytes:
    """What the process told before it died: a dot for each step, "!" if it came to the end."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            live_until_statement(path, number, writes)
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


@pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL are of POSIX")
def test_a_kill_before_any_statement_leaves_what_was_acknowledged(tmp_path, held):
    number, told, torn = 0, b"", 0
    while not told.endswith(b"!"):
        number += 1
        path = tmp_path / f"{number}.db"
        told = lives(path, number)
        done = told.count(b".")
        found = looked_at(path)
        assert found in held[done : done + 2], f"statement {number}, after {done} steps"
        torn += found != held[done]
        path.unlink()
    assert number > 3 * len(held), "most steps have several statements"
    assert torn < number / 4, "before its COMMIT nothing of a step is there"


# --- without power ---


def torn(before: bytes, after: bytes, dice: random.Random) -> bytes:
    """A file of which some sectors were written and some were not, in any order; and it ends somewhere."""
    size = len(after) if dice.random() < 0.5 else dice.randint(min(len(before), len(after)), len(after))
    share = dice.random()
    mixed = bytearray(after[:size])
    for start in range(0, size, SECTOR):
        if dice.random() < share:
            end = min(start + SECTOR, size)
            mixed[start:end] = before[start:end].ljust(end - start, b"\0")
    return bytes(mixed)


def torn_log(before: bytes, after: bytes, dice: random.Random) -> bytes:
    """The same for a write-ahead log: when it starts over, its new header is synced before anything behind it."""
    if before[:WAL_HEADER_SIZE] != after[:WAL_HEADER_SIZE]:
        if dice.random() < 0.2:
            return before
        before = after[:WAL_HEADER_SIZE] + before[WAL_HEADER_SIZE:]
    return torn(before, after, dice)


class Files:
    """The two files of a storage as they are on the disk."""

    def __init__(self, path: Path) -> None:
        log = path.with_name(path.name + "-wal")
        self.main, self.log = path.read_bytes(), log.read_bytes() if log.exists() else b""

    def lie_at(self, path: Path, *, main: bytes | None = None, log: bytes | None = None) -> None:
        path.write_bytes(self.main if main is None else main)
        path.with_name(path.name + "-wal").write_bytes(self.log if log is None else log)


@pytest.mark.parametrize("checkpoint_every", [1000, 5], ids=["one log", "many checkpoints"])
@pytest.mark.parametrize("seed", range(3))
def test_a_power_failure_loses_nothing_that_was_acknowledged(tmp_path, held, seed, checkpoint_every):
    """Within a call the log is written and synced first; then maybe the main file; so one of them is torn."""
    dice, path, crashed = random.Random(seed), tmp_path / "live.db", tmp_path / "crashed.db"
    life = steps()
    storage = SqliteStorage(path)
    storage._connection().execute(f"PRAGMA wal_autocheckpoint = {checkpoint_every}")
    synced, tears, unsynced = Files(path), 0, pieces(life)
    for number, step in enumerate(life, 1):
        step(storage)
        after = Files(path)
        for _ in range(TEARS):
            synced.lie_at(crashed, log=torn_log(synced.log, after.log, dice))
            assert looked_at(crashed) in held[number - 1 : number + 1]
            after.lie_at(crashed, main=torn(synced.main, after.main, dice).ljust(len(synced.main), b"\0"))
            assert looked_at(crashed) == held[number]
            tears += after.log != synced.log
        if step not in unsynced or after.main != synced.main:  # what went to the main file was synced before
            synced = after
    assert tears > 20
    storage.close()
