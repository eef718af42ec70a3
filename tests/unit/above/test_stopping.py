"""How a member ends: by a mistake in the application, by an exception in the block, by closing."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from tally import member

import failover
from failover.driver import Driver


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


async def test_an_exception_in_the_block_comes_out_as_itself() -> None:
    cause = KeyError("cause")
    with pytest.raises(ValueError, match="mine") as raised:
        async with member(found=True):
            raise ValueError("mine") from cause
    assert raised.value.__cause__ is cause


async def test_a_keyboard_interrupt_in_the_block_comes_out_as_itself() -> None:
    with pytest.raises(KeyboardInterrupt):
        async with member(found=True):
            raise KeyboardInterrupt


async def test_nobody_at_the_address_of_the_ticket_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("failover.admission.UNREACHABLE_AFTER_S", 0.1)
    async with member(found=True) as founder:
        ticket = await founder.invite()
    with pytest.raises(failover.Unreachable, match="nobody answered at 127"):
        async with member(ticket=ticket):
            pass


async def test_a_member_that_cannot_begin_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(self: Driver, *, is_due: bool = False) -> None:
        raise RuntimeError("the first round")

    monkeypatch.setattr(Driver, "round", raising)
    with trio.fail_after(5), pytest.raises(RuntimeError, match="the first round"):
        async with member(found=True):
            pass


async def test_stopped_is_there_as_soon_as_leave_has_returned() -> None:
    async with member(found=True) as founder, member(ticket=await founder.invite()) as other:
        await other.leave()
        assert isinstance(other.poll()[-1], failover.Stopped)
