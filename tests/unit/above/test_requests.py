"""Requests exactly once: the numbers, the window, and what a caller hears."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from tally import member

import failover
from failover.ids import MemberId
from failover.records import Caller
from failover.sessions import WINDOW, Sessions

A = MemberId(b"a" * 32)


async def refusing(host: failover.Host) -> None:
    async for request in host.requests():
        if request.body == b"no":
            request.refuse("because")
        elif request.body != b"wait":
            await request.propose()


async def test_a_member_that_was_refused_often_can_still_be_served() -> None:
    async with member(found=True, serve=refusing) as alone:
        await alone.request(b"a")
        for _ in range(WINDOW + 10):
            with pytest.raises(failover.Refused):
                await alone.request(b"no", timeout=5)
        assert await alone.request(b"b", timeout=5) == b"2"


async def test_one_request_that_waits_long_makes_no_other_outcome_unknown() -> None:
    async with member(found=True, serve=refusing) as alone, trio.open_nursery() as nursery:

        async def give_up_after(seconds: float) -> None:
            with pytest.raises(failover.OutcomeUnknown):
                await alone.request(b"wait", timeout=seconds)

        nursery.start_soon(give_up_after, 0.3)
        await trio.testing.wait_all_tasks_blocked(0.0)
        for number in range(WINDOW + 10):
            assert await alone.request(b"a", timeout=5) == str(number + 1).encode()


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 40)), max_size=60))
def test_no_number_is_ever_new_twice_and_the_table_is_bounded(calls: list[tuple[int, int]]) -> None:
    sessions, carried_out = Sessions(), set()
    for number, open_before in calls:
        caller = Caller(A, 1, number, max(1, number - open_before))
        if sessions.is_new(caller):
            assert number not in carried_out
            carried_out.add(number)
            sessions.add(caller, b"")
        assert all(len(row[3]) <= WINDOW for row in sessions.dump())
