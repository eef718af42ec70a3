"""A table without a network: orders go straight to the table, at a time the test sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from demo_game import luck
from demo_game.bots import Skill
from demo_game.commands import (
    Accepted,
    Command,
    HostChanged,
    Join,
    Option,
    Order,
    Ready,
    Refused,
    Reply,
    Reveal,
    Start,
)
from demo_game.commands import SetOption as Set
from demo_game.host_function import bot_move
from demo_game.machine import carry_out
from demo_game.table import Phase, Table

MEMBERS = tuple(bytes([number]) * 32 for number in range(1, 9))


@dataclass
class Room:
    """A table, and the time."""

    table: Table = field(default_factory=Table)
    now_ms: int = 1_000
    members: tuple[bytes, ...] = MEMBERS

    def ask(self, command: Command, who: int | None = None, number: int = 0) -> Reply:
        """Give an order as the `who`-th member; None is the host itself."""
        sender = None if who is None else self.members[who]
        self.table, reply = carry_out(self.table, Order(command, number), sender, self.now_ms)
        return reply

    def do(self, command: Command, who: int | None = None, number: int = 0) -> Accepted:
        """Give an order that must be accepted."""
        reply = self.ask(command, who, number)
        assert isinstance(reply, Accepted), reply
        return reply

    def refused(self, command: Command, who: int | None = None, number: int = 0) -> str:
        """Give an order that must be refused and change nothing; return the reason."""
        before = self.table
        reply = self.ask(command, who, number)
        assert isinstance(reply, Refused), reply
        assert self.table is before
        return reply.reason

    def gather(self, people: int, **options: int) -> None:
        """Seat so many people, all ready."""
        self.do(HostChanged(self.members[0]))
        for who in range(people):
            self.do(Join(f"Player {who}"), who)
        for name, value in options.items():
            self.do(Set(Option[name.upper()], value), 0)
        for who in range(people):
            self.ready(who)

    def ready(self, who: int) -> None:
        self.do(Ready(luck.nonce_hash(bytes([who]) * 16, self.members[who], 0)), who)

    def deal(self, people: int, **options: int) -> None:
        """Seat so many people and deal a game."""
        self.gather(people, **options)
        self.begin(people)

    def begin(self, people: int) -> None:
        self.do(Start(), 0)
        for who in range(people):
            self.do(Reveal(bytes([who]) * 16), who)
        assert self.table.phase is Phase.PLAY

    def on_turn(self) -> int:
        """Return whose turn it is, as the number of the member."""
        seat = self.table.on_turn
        assert seat is not None
        return self.members.index(seat.member)

    def play(self, moves: int, skill: Skill = Skill.HARD) -> None:
        """Let whoever is on turn make so many moves, or play to the end."""
        for _ in range(moves):
            if self.table.phase is not Phase.PLAY:
                return
            self.now_ms += 10
            self.do(bot_move(self.table, skill), self.on_turn())


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def new_room() -> Callable[[], Room]:
    return Room
