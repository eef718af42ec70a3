"""Commands for `check_deterministic`, drawn from dice: of the ready machines, and of whole games of Hexhold."""

from __future__ import annotations

import random
from collections.abc import Iterator

import failover
from demo_game.commands import (
    Chat,
    HostChanged,
    Option,
    Order,
    SetOption,
    Tick,
    encode_order,
)
from demo_game.machine import Hexhold
from demo_game.player import Player, next_request
from demo_game.table import Phase
from failover.ids import Epoch, Generation, LogIndex, Term
from failover.machines import queue_machine
from failover.machines.changes import DONE
from failover.machines.coding import number, sized
from failover.machines.dictionary_machine import Command as Change
from failover.machines.dictionary_machine import mark
from failover.testing import Command, made_up_member


def dictionary_commands(dice: random.Random) -> Iterator[Command]:
    keys = [b"%d" % key for key in range(60)]
    values = [None, b"", b"1", b"2", dice.randbytes(2_000)]
    for _ in range(600):
        conditions = tuple(
            (key, mark(dice.choice(values))) for key in dice.sample(keys, dice.choice([0, 0, 0, 1]))
        )
        writes = tuple((key, dice.choice(values)) for key in dice.sample(keys, dice.randrange(4)))
        body = Change(conditions, writes).encode()
        if dice.random() < 0.05:
            body = dice.randbytes(dice.randrange(40))
        yield Command(body=body, sender=dice.choice([0, 1, None]))


def queue_commands(dice: random.Random):
    takers: dict[int, bytes] = {}
    held: list[tuple[int, bytes, bytes]] = []
    for _ in range(900):
        sender = dice.randrange(4)
        taker, topic = takers.get(sender, bytes(8)), sized(b"%d" % dice.randrange(3), 1)
        kind = dice.choice([queue_machine.PUT] * 4 + [queue_machine.TAKE] * 3 + list(range(1, 9)))
        more: tuple[bytes, ...] = (taker,)
        if kind == queue_machine.PUT:
            more = (topic, sized(dice.randbytes(dice.randrange(100))))
        elif kind == queue_machine.HELLO:
            more = (number(dice.randrange(1, 8) * 1_000_000),)
        elif kind == queue_machine.TAKE:
            more = (taker, topic)
        elif kind in (queue_machine.FINISH, queue_machine.BACK):
            sender, taker, item = held.pop(dice.randrange(len(held))) if held else (0, bytes(8), bytes(8))
            more = (taker, item)
        elif kind == queue_machine.TIDY:
            more = (number(1, 1), taker)
        body = queue_machine.encode(kind, *more)
        if dice.random() < 0.05:
            body = dice.randbytes(dice.randrange(40))
        reply = yield Command(body=body, sender=sender, after_s=dice.choice([0.01, 0.5]))
        if reply[0] == DONE and body[0] == queue_machine.HELLO:
            takers[sender] = reply[9:17]
        elif reply[0] == DONE and body[0] == queue_machine.TAKE:
            held.append((sender, taker, reply[9:17]))


def hexhold_commands(dice: random.Random) -> Iterator[Command]:
    """Three players, game after game; a machine of its own shows what makes sense next."""
    machine, index, now = Hexhold(), 0, 0.0
    players = [Player(made_up_member(seat), f"player {seat}", secret=dice.randbytes(32)) for seat in range(3)]
    for turn in range(500):
        table, seat = machine.view(), dice.randrange(3)
        asked, sender = next_request(table, players[seat]), seat
        if turn == 0:
            asked, sender = HostChanged(made_up_member(0)), None
        elif table.phase is Phase.LOBBY and table.seats and table.options.players != 3:
            asked, sender = SetOption(Option.PLAYERS, 3), table_member(table)
        elif dice.random() < 0.1:
            asked = Chat(f"Grüße aus Zeile {turn}")
        elif dice.random() < 0.1:
            asked, sender = Tick(table.turn, 0, dice.randrange(1_000)), None
        if asked is None:
            continue
        body = encode_order(Order(asked, 0, turn)) if dice.random() < 0.95 else dice.randbytes(20)
        index, now = index + 1, now + 0.5
        member = None if sender is None else made_up_member(sender)
        machine.apply(body, failover.Context(LogIndex(index), Epoch(Generation(b""), Term(1)), member, now))
        yield Command(body=body, sender=sender, after_s=0.5)
    assert machine.view().game > 0, "a game was played"


def table_member(table) -> int:
    """Whoever sits there."""
    return next(number for number in range(3) if table.seat_of(made_up_member(number), 0) >= 0)
