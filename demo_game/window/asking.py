"""Requests under way, and what this player's machine asks for by itself. And errors in one line."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import failover
from demo_game import luck
from demo_game.commands import (
    Command,
    Join,
    Order,
    Ready,
    Refused,
    Reply,
    Reveal,
    Start,
    decode_reply_untrusted,
    encode_order,
)
from demo_game.player import Player
from demo_game.records import Journal
from demo_game.table import Phase, Standing, Table

Then = Callable[[Reply], None]


@dataclass(slots=True)
class Pending:
    """A request under way. When the host dies, the next one answers it."""

    future: Future[bytes]
    asked_at: float
    order: Order
    body: bytes
    then: Then | None
    quiet: bool


class Asking:
    """The requests of one window."""

    def __init__(self, journal: Journal, wake: Callable[[], None]) -> None:
        self._journal, self._wake = journal, wake
        self._pending: list[Pending] = []

    @property
    def pending(self) -> Command | None:
        """The oldest request that waits for its answer, if the player asked for it."""
        return next((p.order.command for p in self._pending if not p.quiet), None)

    @property
    def pending_s(self) -> float:
        """For how long it has been waiting; 0 if there is none."""
        return next((time.monotonic() - p.asked_at for p in self._pending if not p.quiet), 0.0)

    def ask(self, member: failover.MemberThread, command: Command, then: Then | None, *, quiet: bool) -> None:
        """Send a command."""
        order = Order(command, 0, secrets.randbits(48))
        body = encode_order(order)
        future = member.request(body)
        self._pending.append(Pending(future, time.monotonic(), order, body, then, quiet))
        future.add_done_callback(lambda _: self._wake())

    def answers(self) -> list[str] | None:
        """Take in the answers that came; return words for the player, or None if there were none."""
        done = [pending for pending in self._pending if pending.future.done()]
        if not done:
            return None
        words = []
        for pending in done:
            self._pending.remove(pending)
            words += self._answered(pending)
        return words

    def _answered(self, pending: Pending) -> list[str]:
        told = {"serial": pending.order.serial, "order": pending.body.hex()}
        try:
            body = pending.future.result()
            reply = decode_reply_untrusted(body)
        except (failover.FailoverError, ValueError) as error:
            self._journal.write("unanswered", **told, error=str(error))
            return [] if pending.quiet else [one_line(error)]
        self._journal.write("answer", **told, reply=body.hex())
        if pending.then is not None:
            pending.then(reply)
        return [sentence(reply.reason)] if isinstance(reply, Refused) and not pending.quiet else []


def ready(player: Player, table: Table) -> Command:
    """Return the command that gets a player ready, with his nonce."""
    return Ready(luck.nonce_hash(player.nonce(table.game), player.member, player.number))


def owed(player: Player, table: Table, *, wants_seat: bool, solo: bool) -> Command | None:
    """Return what a machine asks for by itself: the seat, that its player is back, the nonce; alone, the start."""
    place = table.seat_of(player.member, player.number)
    if place < 0:
        return Join(player.name) if table.phase is Phase.LOBBY and wants_seat else None
    seat = table.seats[place]
    if seat.away_ms or seat.standing is Standing.LEFT:
        return Join(player.name)
    if solo and table.phase is Phase.LOBBY and len(table.seats) >= table.options.players:
        return Start() if seat.nonce_hash else ready(player, table)
    nonce = player.nonce(table.game)
    ours = seat.nonce_hash == luck.nonce_hash(nonce, player.member, player.number)
    return Reveal(nonce) if table.phase is Phase.REVEAL and ours and not seat.nonce else None


def one_line(error: BaseException) -> str:
    """Return an error's words in one line."""
    return sentence(" ".join(str(error).split()) or type(error).__name__)


def sentence(words: str) -> str:
    """Return words with a capital and a full stop."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")
