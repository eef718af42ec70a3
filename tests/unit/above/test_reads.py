"""`read_barrier`, by the lease and by a round of the quorum."""

from __future__ import annotations

import pytest
import trio
from tally import member

import failover


@pytest.mark.parametrize("reads", ["lease", "quorum"])
async def test_whoever_reads_after_a_barrier_sees_all_that_was_answered_before_it(reads: str) -> None:
    settings = failover.Settings(reads=reads)
    async with (
        member(found=True, settings=settings) as founder,
        member(ticket=await founder.invite(), settings=settings) as other,
    ):
        with trio.fail_after(10):
            for number in range(20):
                await founder.request(str(number).encode())
                await other.read_barrier()
                assert len(other.state) == number + 1  # type: ignore[arg-type]
                await founder.read_barrier()
                assert founder.state == other.state
