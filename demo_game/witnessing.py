"""A witness from the game's own command line: a third vote for two players, without a copy of the game.

`failover witness` does the same for many games at once, as a service; this is the one for an evening.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import trio

import failover
from demo_game.session import until_told

STORAGE = "witness.db"
LOOK_S = 0.1

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Post:
    """Where a witness stands."""

    data: Path
    name: str = "witness"
    ticket: str | None = None
    """None: go on with the storage of an earlier run."""
    port: int = 0
    bind: str = "::"
    addresses: tuple[str, ...] = ()
    """Where players reach it from elsewhere, as `failover.open_witness` takes them."""

    @property
    def storage(self) -> Path:
        """Its file."""
        return self.data / STORAGE


async def witness(post: Post, say: Say) -> None:
    """Be a witness until told to end, or until the players removed it.

    Raises:
        FailoverError: as `failover.open_witness` does, and what stopped it.
    """

    async def work() -> None:
        post.data.mkdir(parents=True, exist_ok=True)
        while await _stand(post, say):
            say("The players went on as another line of the game: following them.")

    await until_told(work)


async def _stand(post: Post, say: Say) -> bool:
    """Be open once; tell whether to open again, since the players went on without a quorum."""
    async with (
        failover.open_witness(
            storage=post.storage,
            ticket=post.ticket,
            name=post.name,
            port=post.port,
            bind=post.bind,
            addresses=post.addresses,
        ) as opened,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_tell_of_vote, opened, say)
        error = await _until_stopped(opened, say)
        nursery.cancel_scope.cancel()
    if error is not None and not isinstance(error, failover.Superseded):
        raise error
    return error is not None


async def _until_stopped(opened: failover.Witness, say: Say) -> BaseException | None:
    """Wait until it ends by itself; return what stopped it, None if the players removed it."""
    async for event in opened.events():
        if isinstance(event, failover.MemberLeft) and event.member == opened.id:
            say("The players removed this witness: it is done.")
            return None
        if isinstance(event, failover.Stopped):
            return event.error
    return None


async def _tell_of_vote(opened: failover.Witness, say: Say) -> NoReturn:
    """Say when it begins to vote, and when it ceases to: that depends on how many players vote."""
    voted = False
    while True:
        members = opened.status().members
        players = sorted(info.name for info in members if info.kind == "voter")
        votes = any(info.votes for info in members if info.member == opened.id)
        if votes and not voted:
            say(f"Voting, as a witness of {_listed(players)}: if one of them crashes, play goes on.")
        elif voted and not votes:
            say(f"Not voting now: {_listed(players)} need no other vote.")
        voted = votes
        await trio.sleep(LOOK_S)


def _listed(names: list[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)
