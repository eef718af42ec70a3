"""The state machine that failover replicates: bytes in, bytes out, one immutable table in between.

Any bytes are welcome: what is no command, or not allowed now, gets a refusal as its reply, and changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, assert_never

from demo_game import lobby, turns
from demo_game.coding import Malformed, decode_untrusted, encode
from demo_game.commands import (
    Accepted,
    AddBot,
    Attack,
    Away,
    Back,
    Chat,
    EndTurn,
    HostChanged,
    Join,
    Kick,
    Leave,
    Order,
    Ready,
    Refused,
    Rematch,
    RemoveBot,
    Reply,
    Reveal,
    SetOption,
    Start,
    Surrender,
    Tick,
    Timeout,
    decode_order_untrusted,
    encode_reply,
)
from demo_game.table import Phase, Refusal, Table, with_input

if TYPE_CHECKING:
    import failover

HostCommand = HostChanged | Timeout | Tick | Away
"""What only the host's own commands may be. It also moves for bots, and says who is back."""

_CHUNK_SIZE = 4_096


class Hexhold:
    """The table as a `failover.StateMachine`."""

    def __init__(self) -> None:
        self._table = Table()

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """Carry out one order; the reply is `Accepted` or `Refused`, coded."""
        self._table, reply = carry_out_untrusted(self._table, command, context.sender, whole_ms(context.time))
        return encode_reply(reply)

    def view(self) -> Table:
        """Return the table: immutable, so the state is its own picture."""
        return self._table

    def snapshot(self) -> Iterator[bytes]:
        """Yield the table's coding, about 5 KB."""
        table = self._table
        return _pieces(table)

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Take over a table that `snapshot` wrote."""
        self._table = decode_untrusted(Table, b"".join(chunks))

    def digest(self) -> bytes:
        """Return 16 bytes of the hash of the table's coding; people are shown the first four."""
        return digest_of(self._table)


def _pieces(table: Table) -> Iterator[bytes]:
    coded = encode(table)
    for start in range(0, len(coded), _CHUNK_SIZE):
        yield coded[start : start + _CHUNK_SIZE]


def digest_of(table: Table) -> bytes:
    """Return the digest of a table: equal for equal tables."""
    return hashlib.sha256(encode(table)).digest()[:16]


def whole_ms(time: float) -> int:
    """Return cluster seconds in ms: times of the state are whole, and this is the border that no float passes."""
    return int(time * 1_000)


def carry_out_untrusted(table: Table, body: bytes, sender: bytes | None, now_ms: int) -> tuple[Table, Reply]:
    """Return the table after an order's bytes, and the answer; bytes that are no order are refused."""
    try:
        order = decode_order_untrusted(body)
    except Malformed as error:
        return table, Refused(f"this is no command of Hexhold: {error}")
    return carry_out(table, order, sender, now_ms)


def carry_out(table: Table, order: Order, sender: bytes | None, now_ms: int) -> tuple[Table, Reply]:
    """Return the table after an order, and the answer.

    Args:
        table: before it.
        order: from outside; nothing about it is trusted.
        sender: the authenticated member; None for the host's own.
        now_ms: cluster time in milliseconds.
    """
    try:
        if isinstance(order.command, Attack | EndTurn):
            place = None if sender is None else lobby.seated(table, sender, order.number)
            table, battle = turns.move(table, order.command, place, now_ms)
            return table, Accepted(battle)
        if isinstance(order.command, HostCommand) or (isinstance(order.command, Back) and sender is None):
            if sender is not None:
                raise Refusal("only the host may say that")
            return _by_host(table, order.command, now_ms), Accepted()
        if sender is None:
            raise Refusal("only a player may do that")
        return _by_player(table, order, sender, now_ms), Accepted()
    except Refusal as refusal:
        return table, Refused(str(refusal))


def _by_host(table: Table, command: HostCommand | Back, now_ms: int) -> Table:
    match command:
        case HostChanged():
            return turns.host_changed(table, command, now_ms)
        case Timeout():
            turns.check_time_out(table, command, now_ms)
            return lobby.deal(table, now_ms) if table.phase is Phase.REVEAL else turns.time_out(table, now_ms)
        case Tick():
            return turns.tick(table, command, now_ms)
        case Away():
            return turns.away(table, command, now_ms)
        case Back():
            return turns.back(table, command, None)
        case _:
            assert_never(command)


def _by_player(table: Table, order: Order, sender: bytes, now_ms: int) -> Table:
    """Carry out what a person asks for; all but joining needs a seat, and any of it ends an absence."""
    command = order.command
    if isinstance(command, Join):
        return lobby.join(table, command, sender, order.number, now_ms)
    place = lobby.seated(table, sender, order.number)
    if isinstance(command, Kick) and sender != table.host:
        raise Refusal("only the player at the hosting machine may do that")
    table = with_input(table, place)
    match command:
        case Leave():
            return lobby.leave(table, place, now_ms)
        case Surrender():
            return lobby.surrender(table, place, now_ms)
        case Ready():
            return lobby.ready(table, command, place)
        case Reveal():
            return lobby.reveal(table, command, place, now_ms)
        case Chat():
            return lobby.chat(table, command, place, now_ms)
        case Back():
            return turns.back(table, command, sender)
        case _:
            return _for_the_table(table, command, now_ms)


def _for_the_table(table: Table, command: object, now_ms: int) -> Table:
    """Carry out what concerns everybody."""
    match command:
        case SetOption():
            return lobby.set_option(table, command)
        case AddBot():
            return lobby.add_bot(table, command)
        case RemoveBot():
            return lobby.remove_bot(table, command)
        case Kick():
            return lobby.kick(table, command, now_ms)
        case Start():
            return lobby.start(table, now_ms)
        case Rematch():
            return lobby.rematch(table, now_ms)
    raise Refusal("only the host may say that")
