"""What can be asked of the table, and what it answers: one frozen class for each, coded by `coding`.

An order is a command with the seat that gives it and a serial number. The state ignores the serial: it makes the
bytes of every order of a player different, so that a test can count how often each took effect.

`turn` and `step` in a move say for which moment it was decided: the turn's number over all games at this table,
and the attacks made in it. A move that comes late, or twice, is refused and cannot become another by accident.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from demo_game.bots import Skill
from demo_game.coding import U8, U16, U32, U64, Malformed, decode_untrusted, encode
from demo_game.rules import Battle


class Option(IntEnum):
    """What can be set in the lobby."""

    PLAYERS = 1
    """Seats at the table, 2 to 8."""
    MAP = 2
    """0 = small, 1 = standard."""
    TURN = 3
    """Seconds for a turn, 10 to 600; 0 = no clock."""
    ROUNDS = 4
    """The last round, 1 to 99."""


@dataclass(frozen=True, slots=True)
class Join:
    """Take a seat, or come back to one's own."""

    name: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Give the seat up: to nobody in the lobby, to a bot in a game."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Be ready, committed to a nonce by its hash; an empty hash takes it back."""

    nonce_hash: bytes


@dataclass(frozen=True, slots=True)
class Reveal:
    """Show the nonce."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class Kick:
    """Take the seat of this colour away from who has it. Only on the host's machine."""

    colour: U8


@dataclass(frozen=True, slots=True)
class SetOption:
    """Change an option in the lobby."""

    option: Option
    value: U16


@dataclass(frozen=True, slots=True)
class AddBot:
    """Put a bot on an open seat."""

    skill: Skill


@dataclass(frozen=True, slots=True)
class RemoveBot:
    """Send the bot of this colour away."""

    colour: U8


@dataclass(frozen=True, slots=True)
class Start:
    """Begin the game: nonces first."""


@dataclass(frozen=True, slots=True)
class Attack:
    """Attack."""

    turn: U32
    step: U16
    source: U8
    target: U8


@dataclass(frozen=True, slots=True)
class EndTurn:
    """End the turn."""

    turn: U32
    step: U16


@dataclass(frozen=True, slots=True)
class Timeout:
    """The host says that the clock ran out. `epoch` is the clock's, so that an old host's timeout does nothing."""

    turn: U32
    epoch: U32


@dataclass(frozen=True, slots=True)
class Tick:
    """The host commits the time used of this turn, in ms."""

    turn: U32
    epoch: U32
    used_ms: U32


@dataclass(frozen=True, slots=True)
class Away:
    """The host says that a member cannot be reached."""

    member: bytes


@dataclass(frozen=True, slots=True)
class Back:
    """The host says that a member is there again; or the player says so himself, with an empty member."""

    member: bytes


@dataclass(frozen=True, slots=True)
class Chat:
    """Say something."""

    text: str


@dataclass(frozen=True, slots=True)
class Surrender:
    """Let a bot play one's seat to the end."""


@dataclass(frozen=True, slots=True)
class Rematch:
    """Back to the lobby after a game."""


@dataclass(frozen=True, slots=True)
class HostChanged:
    """The first command of every tenure: which member hosts now."""

    member: bytes


Command = (
    Join
    | Leave
    | Ready
    | Reveal
    | Kick
    | SetOption
    | AddBot
    | RemoveBot
    | Start
    | Attack
    | EndTurn
    | Timeout
    | Tick
    | Away
    | Back
    | Chat
    | Surrender
    | Rematch
    | HostChanged
)

_KINDS: tuple[type[Command], ...] = Command.__args__
"""A command's first byte is its place in here: append, never reorder."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command and who gives it: the `number`-th seat of the member that sends it."""

    command: Command
    number: int = 0
    serial: int = 0


@dataclass(frozen=True, slots=True)
class _Head:
    kind: U8
    number: U8
    serial: U64


_HEAD_SIZE = 10


def encode_order(order: Order) -> bytes:
    """Return an order's bytes: kind, number, serial, and the command's own fields."""
    head = _Head(_KINDS.index(type(order.command)), order.number, order.serial)
    return encode(head) + encode(order.command)


def decode_order_untrusted(data: bytes) -> Order:
    """Read an order; `Malformed` for any other bytes."""
    head = decode_untrusted(_Head, data[:_HEAD_SIZE])
    if head.kind >= len(_KINDS):
        raise Malformed("no such command")
    return Order(decode_untrusted(_KINDS[head.kind], data[_HEAD_SIZE:]), head.number, head.serial)


# --- answers ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """It happened."""

    battle: Battle | None = None
    """The dice of an attack, for the one who made it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It did not happen, and this is why, in words for the player."""

    reason: str


Reply = Accepted | Refused


def encode_reply(reply: Reply) -> bytes:
    """Return a reply's bytes: 1 = accepted, 0 = refused, then its fields."""
    return bytes([isinstance(reply, Accepted)]) + encode(reply)


def decode_reply_untrusted(data: bytes) -> Reply:
    """Read a reply; `Malformed` for any other bytes."""
    if data[:1] == b"\x01":
        return decode_untrusted(Accepted, data[1:])
    if data[:1] == b"\x00":
        return decode_untrusted(Refused, data[1:])
    raise Malformed("neither accepted nor refused")
