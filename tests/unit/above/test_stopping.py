"""How a member ends: by a mistake in the application, by an exception in the block, by closing."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from tally import member

import failover


@pytest.mark.parametrize("storage", ["memory", "disk"])
async def test_a_machine_that_raises_stops_its_member_and_not_the_event_loop(storage: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db" if storage == "disk" else None
    async with member(found=True, storage=path) as alone:
        with pytest.raises(failover.OutcomeUnknown):
            await alone.request(b"boom", timeout=5)
        with trio.fail_after(5):
            events = [event async for event in alone.events()]
        stopped = events[-1]
        assert isinstance(stopped, failover.Stopped) and isinstance(stopped.error, failover.ApplyFailed)
        with pytest.raises(failover.Closed):
            await alone.request(b"after")


async def test_nothing_is_heard_after_stopped(tmp_path: Path) -> None:
    async with member(found=True, storage=tmp_path / "a.db") as alone:
        await alone.request(b"a")
    assert isinstance(alone.poll()[-1], failover.Stopped)
