"""A simulation may run inside a trio run of the caller's."""

from __future__ import annotations

import random

import trio
import trio.lowlevel

from failover.testing.guest_run import GuestRun, deterministic_runs


async def test_guest_runs_have_room_inside_another_run_and_leave_it_as_it_was():
    async def main():
        await trio.lowlevel.checkpoint()
        return trio.current_time()

    before = trio.current_time()
    with deterministic_runs(random.Random(1)):
        run = GuestRun(main, lambda: 17.0)
        run.step()
    assert run.outcome.unwrap() == 17.0
    assert trio.current_time() >= before
    await trio.lowlevel.checkpoint()
