from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from demo_game import rules
from demo_game.bots import Skill
from demo_game.coding import encode
from demo_game.commands import (
    Accepted,
    AddBot,
    Attack,
    Away,
    Back,
    Chat,
    Command,
    EndTurn,
    HostChanged,
    Join,
    Kick,
    Leave,
    Option,
    Order,
    Ready,
    Refused,
    Rematch,
    RemoveBot,
    Reveal,
    SetOption,
    Start,
    Surrender,
    Tick,
    Timeout,
    decode_reply_untrusted,
    encode_order,
)
from demo_game.host_function import bot_move
from demo_game.luck import nonce_hash
from demo_game.machine import Hexhold
from demo_game.table import LINES_MAX, NAME_LENGTH_MAX, Options, Phase, Table


@dataclass(frozen=True)
class Context:
    """A stand-in for `failover.Context`."""

    index: int
    sender: bytes | None
    time: float
    epoch: Any = None


def check(table: Table) -> None:
    """Assert every invariant of a table."""
    assert len(table.lines) <= LINES_MAX and len(table.seats) <= table.options.players <= 8
    colours = [seat.colour for seat in table.seats]
    assert len(set(colours)) == len(colours) and all(colour < 8 for colour in colours)
    assert all(1 <= len(seat.name) <= NAME_LENGTH_MAX + 2 and seat.name.isprintable() for seat in table.seats)
    people = [(seat.member, seat.number) for seat in table.seats if seat.is_person]
    assert len(set(people)) == len(people)
    assert table.clock.refunds <= 3 and len(table.history) <= rules.ROUNDS_MAX + 2
    if table.phase in (Phase.PLAY, Phase.OVER):
        assert table.position is not None and len(table.seats) == table.position.players
        assert (table.phase is Phase.OVER) == (table.position.outcome is not None)
        rules.check(table.position)
    else:
        assert table.phase is Phase.REVEAL or table.position is None


class Chaos:
    """Random commands, most of them plausible, from one seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.members = [bytes([number]) * 32 for number in range(4)]
        self.time = 1.0

    def step(self, machine: Hexhold) -> tuple[bytes, Context]:
        table = machine.view()
        sender = self.dice.choice([*self.members, *self.members, None])
        number = self.dice.choice([0, 0, 0, 1])
        self.time += self.dice.choice([0.0, 0.01, 0.5, 3.0, 40.0])
        command = self.command(table, sender, number)
        if isinstance(command, Timeout | Tick | Away | HostChanged) and self.dice.random() < 0.7:
            sender = None
        order = Order(command, number, self.dice.getrandbits(64))
        if self.dice.random() < 0.3 and table.on_turn is not None:
            sender = self.dice.choice([table.on_turn.member, None]) if table.on_turn.is_person else None
            order = Order(bot_move(table, Skill.EASY), table.on_turn.number)
        return encode_order(order), Context(1, sender, self.time)

    def command(self, table: Table, sender: bytes | None, number: int) -> Command:
        dice, member, colour = self.dice, sender or self.members[0], self.dice.randrange(9)
        turn, step, epoch = table.turn, table.step, table.clock.epoch
        nonce = member[:16]
        hash_ = nonce_hash(nonce, member, number)
        everything: list[Command] = [
            Join(dice.choice(["Ada", "", "\n", "Ж" * 99])),
            Ready(hash_),
            Ready(hash_),
            Start(),
            Start(),
            Reveal(nonce),
            Reveal(nonce),
            Attack(turn, step, dice.randrange(40), dice.randrange(40)),
            EndTurn(turn, step),
            Timeout(turn, epoch),
            Timeout(turn, epoch),
            Tick(turn, epoch, dice.randrange(60_000)),
            Away(dice.choice(self.members)),
            Back(member),
            Chat(dice.choice(["hello", "", "x" * 500])),
            Rematch(),
            Rematch(),
            HostChanged(dice.choice(self.members)),
            AddBot(dice.choice(list(Skill))),
            SetOption(dice.choice(list(Option)), dice.choice([0, 1, 3, 10, 60, 700])),
        ]
        rare: list[Command] = [Leave(), Kick(colour), RemoveBot(colour), Surrender(), Ready(b""), Ready(b"short")]
        return dice.choice(rare) if dice.random() < 0.05 else dice.choice(everything)


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_every_random_command_keeps_the_invariants_and_members_agree(seed: int) -> None:
    chaos, one, other = Chaos(seed), Hexhold(), Hexhold()
    for _ in range(150):
        command, context = chaos.step(one)
        before = one.view()
        reply = decode_reply_untrusted(one.apply(command, context))  # type: ignore[arg-type]
        other.apply(command, context)  # type: ignore[arg-type]
        check(one.view())
        if isinstance(reply, Refused):
            assert one.view() is before and reply.reason
    assert one.digest() == other.digest() and one.view() == other.view()


def test_the_random_commands_reach_every_part_of_a_game() -> None:
    seen: set[object] = set()
    for seed in range(8):
        chaos, machine = Chaos(seed), Hexhold()
        machine.restore([encode(Table(options=Options(rounds=1, map=0)))])  # short games, so that they end
        for _ in range(600):
            command, context = chaos.step(machine)
            reply = decode_reply_untrusted(machine.apply(command, context))  # type: ignore[arg-type]
            seen |= {machine.view().phase, (command[0], isinstance(reply, Accepted))}
    assert set(Phase) <= seen
    assert {(kind, True) for kind in range(19)} <= seen


@given(st.binary(max_size=200), st.sampled_from([None, b"m" * 32]), st.floats(0, 1e9))
def test_garbage_gets_a_refusal_and_changes_nothing(data: bytes, sender: bytes | None, time: float) -> None:
    machine = Hexhold()
    before = machine.digest()
    reply = decode_reply_untrusted(machine.apply(data, Context(1, sender, time)))  # type: ignore[arg-type]
    if isinstance(reply, Refused):
        assert machine.digest() == before


def test_damaged_orders_never_raise_in_the_middle_of_a_game(room: Any) -> None:
    room.deal(4)
    machine = Hexhold()
    machine.restore([encode(room.table)])
    dice = random.Random(4)
    for number in range(2_000):
        data = bytearray(encode_order(Order(bot_move(machine.view(), Skill.HARD), 0, number)))
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        sender = dice.choice([*room.members[:4], None, b"", b"x" * 40])
        machine.apply(bytes(data), Context(number, sender, 2.0))  # type: ignore[arg-type]
        if machine.view().phase is not Phase.PLAY:
            machine.restore([encode(room.table)])


def test_a_snapshot_in_mid_game_is_exact_and_frozen(room: Any) -> None:
    room.deal(5)
    room.play(33)
    machine, copy = Hexhold(), Hexhold()
    machine.restore([encode(room.table)])
    digest, pieces = machine.digest(), machine.snapshot()
    order = Order(bot_move(machine.view(), Skill.HARD))
    sender = room.table.on_turn.member
    machine.apply(encode_order(order), Context(1, sender, 5.0))  # type: ignore[arg-type]
    copy.restore(pieces)  # made after a change, of the state before it
    assert copy.digest() == digest != machine.digest()
    assert copy.view() == room.table
    copy.apply(encode_order(order), Context(1, sender, 5.0))  # type: ignore[arg-type]
    assert copy.digest() == machine.digest()


def test_a_replay_of_all_commands_gives_the_same_digest() -> None:
    chaos, machine, log = Chaos(7), Hexhold(), []
    for _ in range(600):
        log.append(chaos.step(machine))
        machine.apply(*log[-1])  # type: ignore[arg-type]
    again = Hexhold()
    for command, context in log:
        again.apply(command, context)  # type: ignore[arg-type]
    assert again.digest() == machine.digest()


def test_the_state_is_small(room: Any) -> None:
    room.deal(8)
    room.play(100)
    core = len(encode(room.table))
    for number in range(50):
        room.now_ms += 10_000
        room.do(Chat(f"a line of usual length, number {number:02}, about sixty characters"), number % 8)
    assert core < 2_600  # seats, map, clock, history, and what the table told so far
    assert len(encode(room.table)) < 6_000


def test_the_time_is_cut_to_milliseconds_at_the_border() -> None:
    one, other = Hexhold(), Hexhold()
    order = encode_order(Order(Join("Ada")))
    one.apply(order, Context(1, b"m" * 32, 1.2340001))  # type: ignore[arg-type]
    other.apply(order, Context(1, b"m" * 32, 1.2349999))  # type: ignore[arg-type]
    assert one.view() == other.view()
