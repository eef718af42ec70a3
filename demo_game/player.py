"""A player without a window: takes a seat, gets ready, plays like a bot, asks for a rematch, for ever.

What it asks for next is a pure function of the table it sees; the loop around it sends that, writes the answer
down, and only then looks at it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

import trio

import failover
from demo_game import luck
from demo_game.bots import Skill
from demo_game.commands import (
    Accepted,
    Back,
    Command,
    Join,
    Order,
    Ready,
    Rematch,
    Reveal,
    Start,
    decode_reply_untrusted,
    encode_order,
)
from demo_game.host_function import bot_move
from demo_game.records import Journal
from demo_game.table import Phase, Seat, Standing, Table


@dataclass(frozen=True, slots=True)
class Player:
    """Who plays, and how."""

    member: bytes
    name: str
    skill: Skill = Skill.HARD
    number: int = 0
    pace_s: float = 0.3
    """Between two requests."""
    heartbeat_s: float | None = None
    """Ask for something harmless every so often even when it is not one's turn; for measuring outages."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    """What its nonces are made of; new in every process."""
    linger_s: float = 0.0
    """Before it starts a game or asks for another: time for people to look at who is there, and at who won."""

    def pause_s(self, command: Command) -> float:
        """Return how long it waits before it asks for this."""
        return max(self.pace_s, self.linger_s) if isinstance(command, Start | Rematch) else self.pace_s

    def nonce(self, game: int) -> bytes:
        """Return the nonce for the table's game with this number."""
        return hashlib.sha256(self.secret + game.to_bytes(4, "big")).digest()[: luck.NONCE_SIZE]


def next_request(table: Table, player: Player) -> Command | None:
    """Decide what a player asks for next; None = nothing to do but watch."""
    place = table.seat_of(player.member, player.number)
    if place < 0:
        return Join(player.name) if table.phase is Phase.LOBBY else None
    seat = table.seats[place]
    if seat.away_ms or seat.standing is Standing.LEFT:
        return Join(player.name)
    nonce = player.nonce(table.game)
    match table.phase:
        case Phase.LOBBY:
            return _in_lobby(table, seat, luck.nonce_hash(nonce, player.member, player.number))
        case Phase.REVEAL:
            ours = seat.nonce_hash == luck.nonce_hash(nonce, player.member, player.number)
            return Reveal(nonce) if ours and not seat.nonce else None
        case Phase.PLAY:
            mine = table.position is not None and table.position.seat == place
            return bot_move(table, player.skill) if mine and seat.standing is Standing.PLAYING else None
        case Phase.OVER:
            return Rematch()


def _in_lobby(table: Table, seat: Seat, nonce_hash: bytes) -> Command | None:
    """Get ready; when the table is full and all are, start."""
    if seat.nonce_hash != nonce_hash:
        return Ready(nonce_hash)
    full = len(table.seats) >= table.options.players
    waited_for = [s for s in table.seats if s.is_person and not s.nonce_hash and not s.away_ms]
    return Start() if full and not waited_for else None


async def play(member: failover.Member, player: Player, journal: Journal) -> None:
    """Play until cancelled. A cancelled request may still happen; the journal then has no answer for it."""
    journal.write("player", member=player.member.hex(), name=player.name)
    serial = secrets.randbits(48)  # so that no run of this player repeats the bytes of an earlier one
    heard = trio.current_time()
    while True:
        table = _table(member)
        command = next_request(table, player)
        idle_s = trio.current_time() - heard
        if command is None and player.heartbeat_s and idle_s >= player.heartbeat_s:
            seated = table.seat_of(player.member, player.number) >= 0
            command = Back(b"") if seated else None
        if command is None:
            await trio.sleep(min(player.pace_s, player.heartbeat_s or 0.05))
            continue
        if not isinstance(command, Back):
            await trio.sleep(player.pause_s(command))
            if next_request(_table(member), player) != command:
                continue  # somebody else was faster, or the turn is over
        serial += 1
        accepted = await ask(member, Order(command, player.number, serial), journal)
        heard = trio.current_time()
        if accepted:
            await _until_changed(member, table, player.pace_s)
        else:
            await trio.sleep(player.pace_s)


async def ask(member: failover.Member, order: Order, journal: Journal) -> bool:
    """Send an order and write the answer down; tell whether it was accepted.

    The answer to a request in flight when the host dies comes from the next one. If nobody can say whether it
    happened, the table will show: the order names its turn and step, so asking again cannot do it twice.
    """
    body = encode_order(order)
    try:
        reply = await member.request(body)
    except (failover.OutcomeUnknown, failover.Refused, failover.NotHost) as error:
        journal.write("unanswered", serial=order.serial, order=body.hex(), error=str(error))
        return False
    journal.write("answer", serial=order.serial, order=body.hex(), reply=reply.hex())
    return isinstance(decode_reply_untrusted(reply), Accepted)


async def _until_changed(member: failover.Member, table: Table, at_most_s: float) -> None:
    """Wait for the own table to catch up: an answer may be faster than the entry it answers for."""
    with trio.move_on_after(at_most_s):
        while member.state is table:  # noqa: ASYNC110 - the view is one reference; nobody sets an event for it
            await trio.sleep(0.002)


def _table(member: failover.Member) -> Table:
    table = member.state
    assert isinstance(table, Table)
    return table
