"""A replay told in lines: attacks with their dice, turns, changes of host, what was said. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from demo_game import rules
from demo_game.coding import Malformed
from demo_game.commands import (
    Accepted,
    Away,
    Back,
    Command,
    EndTurn,
    Reply,
    Start,
    Timeout,
    decode_order_untrusted,
)
from demo_game.replay import Entry, Replay, tables
from demo_game.rules import Battle
from demo_game.table import Line, LineKind, Phase, Table


def retold(replay: Replay) -> Iterator[str]:
    """Yield the whole story, each line with the seconds of cluster time since the first entry.

    Raises:
        BadReplay: as `tables` does.
    """
    before, began_ms = replay.start, replay.entries[0].time_ms
    if before.phase is not Phase.LOBBY:
        yield f"   0.0 s  In the middle of {_where(before)}."
    for entry, after, reply in tables(replay):
        for line in lines_of(before, entry, after, reply):
            yield f"{(entry.time_ms - began_ms) / 1_000:6.1f} s  {line}"
        before = after
    if replay.is_cut:
        yield "          The game went on, but no more was kept of it."


def lines_of(before: Table, entry: Entry, after: Table, reply: Reply) -> list[str]:
    """Return what there is to tell of one entry, in the order in which it happened; nothing of a refusal."""
    if not isinstance(reply, Accepted):
        return []
    try:
        command = decode_order_untrusted(entry.order).command
    except Malformed:
        return []  # never accepted
    lines = [_fought(before, reply.battle)] if reply.battle is not None else _done(before, command, after)
    lines += [_said(after, line) for line in new_lines(before, after)]
    if before.phase is Phase.REVEAL and after.phase is Phase.PLAY:
        order = ", ".join(seat.name for seat in after.seats)
        lines.append(f"The map is dealt, seal {after.seal.hex()}. They play in this order: {order}.")
    if after.phase is Phase.PLAY and _round(after) > _round(before):
        lines.append(_where(after).capitalize() + ".")
    return lines


def _fought(before: Table, battle: Battle) -> str:
    """Return an attack with all its dice; the seats are those before it, which are the same after it."""
    attacker, defender = before.seats[battle.seat].name, before.seats[battle.foe].name
    move = rules.move_text(rules.Attack(battle.source, battle.target))
    how = "beats" if battle.captured else "fails against"
    return f"{attacker} {move}: {_dice(battle.attack)} {how} {_dice(battle.defence)} of {defender}"


def _dice(dice: bytes) -> str:
    return f"{' '.join(map(str, dice))} = {sum(dice)}"


def _done(before: Table, command: Command, after: Table) -> list[str]:
    """Return what a command did that is no attack; most of them are told by the table's own lines."""
    match command:
        case Start():
            return ["The game begins: the nonces are shown."]
        case EndTurn() | Timeout() if before.position is not None and after.position is not None:
            seat, how = before.position.seat, "ends the turn" if isinstance(command, EndTurn) else "is out of time"
            dice = sum(after.position.dice) - sum(before.position.dice)
            return [f"{before.seats[seat].name} {how}, and gets {dice} {'die' if dice == 1 else 'dice'}."]
        case Away(member):
            return [f"{before.name_of(member)} is out of reach."]
        case Back(member) if member:
            return [f"{before.name_of(member)} is there again."]
    return []


def new_lines(before: Table, after: Table) -> tuple[Line, ...]:
    """Return the lines that one entry added to the table's; the oldest ones may have gone at the same time."""
    if before.lines == after.lines:
        return ()
    for count in range(1, len(after.lines)):
        old = after.lines[:-count]
        if old == before.lines[-len(old) :]:
            return after.lines[-count:]
    return after.lines


def _said(table: Table, line: Line) -> str:
    if line.kind is not LineKind.CHAT:
        return line.text
    place = table.colour_place(line.colour)
    return f"{table.seats[place].name if place >= 0 else 'somebody'}: “{line.text}”"


def _round(table: Table) -> int:
    return table.position.round if table.position is not None else 0


def _where(table: Table) -> str:
    position = table.position
    return "the game's beginning" if position is None else f"round {position.round} of {position.rounds}"


def is_seen(before: Table, after: Table) -> bool:
    """Tell whether a picture of the table after an entry shows anything new; a tick of the clock is nothing."""
    return _looks(before) != _looks(after)


def _looks(table: Table) -> object:
    return table.phase, table.turn, table.step, table.seats, table.host, table.lines
