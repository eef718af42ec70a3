"""Newcomers, one after another, for as long as a game lasts."""

from __future__ import annotations

from tally import member


async def test_the_thirtieth_newcomer_gets_in_as_the_first_did() -> None:
    async with member(found=True) as founder:
        for _ in range(30):
            async with member(ticket=await founder.invite()) as guest:
                await guest.leave()
        assert len(founder.status().members) == 1
