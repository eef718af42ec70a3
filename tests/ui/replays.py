"""A short game, played by the machine alone, as a replay."""

from __future__ import annotations

from functools import lru_cache

import failover
from demo_game import luck
from demo_game.bots import Skill
from demo_game.commands import (
    AddBot,
    Command,
    HostChanged,
    Join,
    Option,
    Order,
    Ready,
    Reveal,
    SetOption,
    Start,
    encode_order,
)
from demo_game.host_function import bot_move
from demo_game.kept import Kept
from demo_game.machine import Hexhold
from demo_game.replay import Replay
from demo_game.table import Phase

PEOPLE = ((b"\x01" * 32, "Ada"), (b"\x02" * 32, "Björn"))


@lru_cache(maxsize=1)
def short_game(rounds: int = 4) -> Replay:
    """Return a game of two people and two bots on the small map; the host changes once in it."""
    kept = Kept(Hexhold())
    count = 0

    def do(command: Command, sender: bytes | None = None) -> None:
        nonlocal count
        count += 1
        context = failover.Context(
            index=failover.LogIndex(count),
            epoch=failover.Epoch(failover.Generation(bytes(16)), failover.Term(1)),
            sender=failover.MemberId(sender) if sender is not None else None,
            time=count * 0.9,
            version=1,
        )
        kept.apply(encode_order(Order(command, 0, count)), context)

    do(HostChanged(PEOPLE[0][0]))
    for member, name in PEOPLE:
        do(Join(name), member)
    for option, value in ((Option.PLAYERS, 4), (Option.MAP, 0), (Option.ROUNDS, rounds), (Option.TURN, 0)):
        do(SetOption(option, value), PEOPLE[0][0])
    for _ in range(2):
        do(AddBot(Skill.EASY), PEOPLE[0][0])
    nonces = {member: bytes([k]) * luck.NONCE_SIZE for k, (member, _) in enumerate(PEOPLE)}
    for member, nonce in nonces.items():
        do(Ready(luck.nonce_hash(nonce, member, 0)), member)
    do(Start(), PEOPLE[0][0])
    for member, nonce in nonces.items():
        do(Reveal(nonce), member)
    moves = 0
    while kept.view().phase is Phase.PLAY:
        seat = kept.view().on_turn
        assert seat is not None
        do(bot_move(kept.view(), Skill.MEDIUM), seat.member or None)
        moves += 1
        if moves == 12:
            do(HostChanged(PEOPLE[1][0]))
    replay = kept.replay()
    assert replay is not None
    return replay
