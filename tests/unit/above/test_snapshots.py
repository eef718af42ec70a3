"""Snapshots: what a restart and a newcomer begin with, exactly once."""

from __future__ import annotations

import hashlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

import pytest
import trio
from tally import Tally, founded, member, until

import failover
from failover.ids import LogIndex
from failover.replica import Replica
from failover.snapshotting import PIECE, WAITING_MAX, FileSink
from failover.storage.memory import MemoryStorage

SOON = failover.Settings(timing=failover.Timing(snapshot_entries=16, kept_entries=8))


@pytest.mark.parametrize("where", ["memory", "disk"])
async def test_a_restart_from_a_snapshot_applies_what_followed_it_exactly_once(where: str, tmp_path: Path) -> None:
    storage = MemoryStorage() if where == "memory" else tmp_path / "a.db"
    async with member(found=True, storage=storage, settings=SOON) as alone, trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(alone.request, str(number).encode())
        await until(lambda: alone.status().snapshot_index >= 16)  # it is stored while play goes on
    before = alone.state
    async with member(storage=storage, settings=SOON) as again:
        assert again.status().snapshot_index >= 16
        await again.read_barrier()
        assert again.state == before
        assert sorted(again.state) == sorted(map(str, range(100)))  # type: ignore[call-overload]


def test_what_is_applied_before_the_first_piece_is_fetched_is_not_in_the_snapshot() -> None:
    replica, machine = founded()
    machine.items.append("before")
    pieces = replica.snapshot()
    machine.items.append("after")
    restored = Tally()
    Replica(restored).restore(LogIndex(1), pieces)
    assert restored.items == ["before"]


class Failing(Tally):
    """Cannot be snapshotted."""

    def snapshot(self) -> Iterator[bytes]:
        yield b"part"
        raise RuntimeError("no snapshot")


async def test_a_snapshot_that_raises_stops_the_member_and_says_so() -> None:
    async with member(Failing(), found=True, settings=SOON) as alone:
        with trio.fail_after(5), pytest.raises((failover.OutcomeUnknown, failover.Closed)):
            while True:
                await alone.request(b"a")
        with trio.fail_after(5):
            events = [event async for event in alone.events()]
        stopped = events[-1]
        assert isinstance(stopped, failover.Stopped) and "no snapshot" in str(stopped.error)


async def test_a_newcomer_begins_with_the_snapshot_and_what_followed_it() -> None:
    async with member(found=True, settings=SOON) as founder:
        for number in range(50):
            await founder.request(str(number).encode())
        async with member(ticket=await founder.invite(), settings=SOON) as newcomer:
            assert newcomer.state == founder.state == tuple(map(str, range(50)))
            await founder.request(b"50")
            await newcomer.read_barrier()
            assert newcomer.state == founder.state


async def test_a_member_with_a_new_name_and_no_quorum_closes_in_peace() -> None:
    storage = MemoryStorage()
    async with (
        member(found=True, settings=SOON) as founder,
        member(ticket=await founder.invite(), storage=storage, settings=SOON) as other,
    ):
        for _ in range(40):
            await other.request(b"a")
        assert other.status().snapshot_index
    async with member(storage=storage, settings=SOON, name="new") as alone:
        assert len(alone.status().members) == 2
        await trio.sleep(0.05)


async def test_what_needs_a_host_ends_without_one() -> None:
    storage = MemoryStorage()
    patient = failover.Settings(request_timeout_s=0.1)
    async with member(found=True) as founder, member(ticket=await founder.invite(), storage=storage) as other:
        await other.request(b"a")
    async with member(storage=storage, settings=patient) as alone:
        for call in (alone.leave, alone.invite, lambda: alone.remove(founder.id)):
            with trio.fail_after(2), pytest.raises(failover.OutcomeUnknown):
                await call()


class LateDisk:
    """Carries out jobs when it is told to."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], object], Callable[[object], None]]] = []

    def run(self, job: Callable[[], object], done: Callable[[object], None]) -> None:
        self.jobs.append((job, done))

    def catch_up(self) -> None:
        while self.jobs:
            job, done = self.jobs.pop(0)
            done(job())


@pytest.mark.parametrize("is_right", [True, False])
def test_a_received_snapshot_is_put_together_in_any_order_and_compared_with_its_digest(is_right: bool) -> None:
    content = bytes(range(256)) * 24_000  # 6 MB: more than stays in memory
    disk = LateDisk()
    sink = FileSink(disk.run)
    offsets = list(range(0, len(content), 1000))
    for offset in offsets[::2] + offsets[1::2][::-1]:
        sink.write(offset, content[offset : offset + 1000])
        if sink.is_busy:
            disk.catch_up()
    sink.finish(hashlib.sha256(content if is_right else b"other").digest())
    assert sink.outcome() is None
    disk.catch_up()
    file = sink.outcome()
    if is_right:
        cast(IO[bytes], file).seek(0)
        assert cast(IO[bytes], file).read() == content
    else:
        assert file is False
    sink.abort()


def test_what_waits_for_a_slow_disk_is_bounded() -> None:
    disk = LateDisk()
    sink = FileSink(disk.run)
    taken = 0
    while not sink.is_busy:
        sink.write(taken, bytes(1000))
        taken += 1000
    assert WAITING_MAX <= taken < WAITING_MAX + 2 * PIECE
    disk.catch_up()
    assert not sink.is_busy
    sink.abort()
    disk.catch_up()


def test_a_temporary_folder_that_is_full_ends_the_transfer_and_not_the_member() -> None:
    disk = LateDisk()
    sink = FileSink(disk.run)
    sink._file.write = _full  # type: ignore[method-assign]
    sink.write(0, bytes(PIECE))
    disk.catch_up()
    with pytest.raises(OSError, match="no room"):
        sink.write(PIECE, b"more")
    sink.finish(bytes(32))
    disk.catch_up()
    with pytest.raises(OSError, match="no room"):
        sink.outcome()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on the size of files there")
def test_a_temporary_folder_that_lacks_the_last_bytes_is_noticed_before_the_snapshot_counts() -> None:
    """The last piece is still in Python's buffer when all is there; nothing is read back that would flush it."""
    import resource

    content = bytes(6 * 1024 * 1024 + 100)
    disk = LateDisk()
    sink = FileSink(disk.run)
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) - 50, before[1]))
    try:
        for offset in range(0, len(content), 1000):
            sink.write(offset, content[offset : offset + 1000])
        sink.finish(hashlib.sha256(content).digest())
        disk.catch_up()
        with pytest.raises(OSError, match="large"):
            sink.outcome()
        sink.abort()
        disk.catch_up()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def _full(data: bytes) -> int:
    raise OSError("no room")
