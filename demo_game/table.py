"""The table: lobby and game as one immutable value, which every member holds a copy of.

A change makes a new table, so a picture for the screen, a snapshot and the state are the same object. All times
are whole milliseconds of cluster time, which stands still while there is no host. Nothing here reads a clock,
draws a number, or depends on the order of a set.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from demo_game import rules
from demo_game.bots import Skill
from demo_game.coding import U8, U16, U32, U64
from demo_game.land import SIZES, Size
from demo_game.rules import PLAYERS_MAX, Battle, Position

LINES_MAX = 50
NAME_LENGTH_MAX = 32
CHAT_LENGTH_MAX = 200
REVEAL_MS = 2_000
AWAY_MS = 30_000
"""An absent player on turn is waited for this long; then a bot plays the rest of the turn."""
MISSED_MAX = 2
"""So many turns missed in a row, and a bot plays at once."""
BOT_NAMES: Final = ("Alpha", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel")


class Refusal(Exception):
    """A command is not allowed now; the text is the reason, for the player. Nothing changed."""


class Phase(IntEnum):
    """What happens at the table."""

    LOBBY = 0
    REVEAL = 1
    """All are ready; the nonces are being shown."""
    PLAY = 2
    OVER = 3


class Standing(IntEnum):
    """Whether the person of a seat still plays it."""

    PLAYING = 0
    SURRENDERED = 1
    LEFT = 2


class LineKind(IntEnum):
    """What a line of the chat is."""

    CHAT = 0
    STORY = 1
    HOST = 2


@dataclass(frozen=True, slots=True)
class Seat:
    """A place at the table and who sits there. In a game the seats stand in the order of moves."""

    member: bytes
    """The machine it is played from; empty for a bot."""
    number: U8
    """Which of that machine's seats."""
    name: str
    colour: U8
    """0 to 7: colour and glyph; stays with the seat."""
    skill: U8 = 0
    """Of a bot (`Skill`); 0 for a person."""
    nonce_hash: bytes = b""
    """Empty: not ready."""
    nonce: bytes = b""
    standing: Standing = Standing.PLAYING
    away_ms: U64 = 0
    """When its machine went out of reach; 0 = it is there."""
    missed: U8 = 0
    """Turns in a row without any input."""
    acted: bool = False
    """Whether there was input in this turn."""
    chat_ms: U64 = 0
    """The chat's rate limit: the time up to which this seat's lines are paid for."""
    dice_thrown: U32 = 0
    pips: U32 = 0
    """The sum of all faces thrown: 3.5 per die is neither luck nor bad luck."""

    @property
    def is_person(self) -> bool:
        """Whether a person sits here, present or not."""
        return self.skill == 0


@dataclass(frozen=True, slots=True)
class Options:
    """What the lobby agrees on."""

    players: U8 = PLAYERS_MAX
    map: U8 = 1
    turn_s: U16 = 45
    """Seconds for a turn; 0 = no clock."""
    rounds: U8 = rules.ROUNDS_DEFAULT

    @property
    def size(self) -> Size:
        """The size of the map."""
        return SIZES[self.map]


@dataclass(frozen=True, slots=True)
class Clock:
    """The turn's clock as committed; what ran since `mark_ms` is lost if the host is."""

    epoch: U32 = 0
    """Counts the hosts; a timeout of an older one does nothing."""
    used_ms: U32 = 0
    """Time used of this turn, at `mark_ms`."""
    mark_ms: U64 = 0
    started_ms: U64 = 0
    """When the turn began."""
    moved_ms: U64 = 0
    """When the last move was made: the pace of bots counts from it."""
    refunds: U8 = 0
    """How often a change of host gave time back in this turn."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the chat."""

    time_ms: U64
    kind: LineKind
    colour: U8
    """Who says it; 255 = the table."""
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that is replicated."""

    phase: Phase = Phase.LOBBY
    game: U16 = 0
    """Games dealt at this table."""
    options: Options = Options()
    seats: tuple[Seat, ...] = ()
    position: Position | None = None
    clock: Clock = Clock()
    battle: Battle | None = None
    """The last one."""
    history: tuple[bytes, ...] = ()
    """Territories of each seat at the beginning of each round."""
    lines: tuple[Line, ...] = ()
    host: bytes = b""
    """The member that hosts; empty before the first."""
    hosts: U32 = 0
    """Tenures so far."""

    @property
    def turn(self) -> int:
        """The turn's number over all games at this table: what moves and timeouts name."""
        return self.game << 16 | (self.position.turn if self.position else 0)

    @property
    def step(self) -> int:
        """The attacks made in this turn."""
        return self.position.attacks if self.position else 0

    @property
    def on_turn(self) -> Seat | None:
        """The seat on turn, while a game runs."""
        return self.seats[self.position.seat] if self.position and self.phase is Phase.PLAY else None

    @property
    def limit_ms(self) -> int | None:
        """How long the clock runs in this phase; None = there is no clock."""
        if self.phase is Phase.REVEAL:
            return REVEAL_MS
        return self.options.turn_s * 1_000 or None if self.phase is Phase.PLAY else None

    @property
    def seal(self) -> bytes:
        """The seal of the next attack's dice; empty before the first game."""
        return self.position.seal if self.position else b""

    def seat_of(self, member: bytes | None, number: int) -> int:
        """Return the place of a member's seat; -1 if it has none."""
        for place, seat in enumerate(self.seats):
            if seat.is_person and seat.member == member and seat.number == number:
                return place
        return -1

    def colour_place(self, colour: int) -> int:
        """Return the place of the seat with this colour; -1 if nobody has it."""
        return next((place for place, seat in enumerate(self.seats) if seat.colour == colour), -1)

    def name_of(self, member: bytes) -> str:
        """Return what to call a member: the name of its first seat."""
        return next((s.name for s in self.seats if s.is_person and s.member == member), member.hex()[:8])

    def used_ms(self, now_ms: int) -> int:
        """Return the time used of this turn, what is not committed yet included."""
        return self.clock.used_ms + max(0, now_ms - self.clock.mark_ms)


def stand_in(table: Table) -> tuple[Skill, int] | None:
    """Return which bot may play the seat on turn, and from what time on (ms); None if only a person may.

    A bot's own seat, one surrendered or left, and one that missed two turns: at once. An absent player's: 30 s
    after the turn began or the player went, whichever was later.
    """
    seat = table.on_turn
    if seat is None:
        return None
    if seat.skill:
        return Skill(seat.skill), 0
    if seat.standing is not Standing.PLAYING or seat.missed >= MISSED_MAX:
        return Skill.MEDIUM, 0
    if seat.away_ms:
        return Skill.MEDIUM, max(seat.away_ms, table.clock.started_ms) + AWAY_MS
    return None


def with_seat(table: Table, place: int, seat: Seat) -> Table:
    """Return the table with another seat at this place."""
    return replace(table, seats=(*table.seats[:place], seat, *table.seats[place + 1 :]))


def with_input(table: Table, place: int) -> Table:
    """Return the table after a person at this place did anything: present, and back from any bot."""
    seat = table.seats[place]
    return with_seat(table, place, replace(seat, away_ms=0, missed=0, acted=True))


def with_line(table: Table, now_ms: int, text: str, kind: LineKind = LineKind.STORY, colour: int = 255) -> Table:
    """Return the table with one line more in its chat; the oldest goes."""
    return replace(table, lines=(*table.lines, Line(now_ms, kind, colour, text))[-LINES_MAX:])


def clean(text: str, length_max: int) -> str:
    """Return text without control and invisible characters, cut to a length in characters.

    The ranges are written out, since the tables of `unicodedata` differ between versions of Python.
    """
    kept = "".join(character for character in text if not _is_control(ord(character)))
    return " ".join(word for word in kept.split(" ") if word)[:length_max].rstrip(" ")


def has_controls(text: str) -> bool:
    """Tell whether a text holds characters that `clean` takes out: such as would move a terminal's cursor."""
    return any(_is_control(ord(character)) for character in text)


_CONTROLS: Final = (
    (0x00, 0x1F),  # C0: line breaks, escapes
    (0x7F, 0x9F),  # delete and C1
    (0xAD, 0xAD),  # soft hyphen
    (0x061C, 0x061C),  # direction marks here and below: they turn the rest of a line round
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFF0, 0xFFFB),
    (0xE0000, 0xE0FFF),
)


def _is_control(code: int) -> bool:
    return any(first <= code <= last for first, last in _CONTROLS)
