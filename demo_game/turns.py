"""What commands do while a game runs: moves, the turn clock, absent players, a new host.

The clock across a change of host. Nothing runs without a host. Attacks and the host's 5-second ticks commit the
time used, so the committed clock is at most 5 s old, and what was not committed is the player's gain. A new host's
first command gives the player on turn at least 10 s, three times a turn at most, and counts the clock's epoch up,
so that a timeout of the old host, late in the log, does nothing.
"""

from __future__ import annotations

from dataclasses import replace

from demo_game import rules
from demo_game.commands import Attack, Away, Back, EndTurn, HostChanged, Tick, Timeout
from demo_game.rules import Battle, Position
from demo_game.table import (
    Clock,
    LineKind,
    Phase,
    Refusal,
    Standing,
    Table,
    stand_in,
    with_input,
    with_line,
    with_seat,
)

REFUND_TO_MS = 10_000
REFUNDS_MAX = 3
MEMBER_SIZE_MAX = 32


def move(table: Table, command: Attack | EndTurn, place: int | None, now_ms: int) -> tuple[Table, Battle | None]:
    """Carry out a move.

    Args:
        table: before it.
        command: the move, with the turn and step it was decided for.
        place: the seat that sends it; None for the host, who plays for bots and for absent players.
        now_ms: cluster time.
    """
    if table.phase is not Phase.PLAY or table.position is None:
        raise Refusal("no game is running")
    if place is None:
        bot = stand_in(table)
        if bot is None or now_ms < bot[1]:
            raise Refusal("a person plays this seat")
    elif place != table.position.seat:
        raise Refusal("it is not your turn")
    elif table.seats[place].standing is not Standing.PLAYING:
        raise Refusal("a bot plays this seat to the end")
    if (command.turn, command.step) != (table.turn, table.step):
        raise Refusal("this move comes too late")
    if isinstance(command, EndTurn):
        return _passed(table, place, now_ms), None
    after, battle = _made(table, rules.Attack(command.source, command.target), now_ms)
    return after if place is None else with_input(after, place), battle


def _made(table: Table, made: rules.Move, now_ms: int) -> tuple[Table, Battle | None]:
    """Make a move by the rules; commit the time used."""
    assert table.position is not None
    try:
        position, battle = rules.play(table.position, made)
    except rules.IllegalMove as error:
        raise Refusal(str(error)) from None
    clock = replace(table.clock, used_ms=_used(table, now_ms), mark_ms=now_ms, moved_ms=now_ms)
    table = replace(table, position=position, battle=battle or table.battle, clock=clock)
    if battle is None:
        return table, None
    for place, dice in ((battle.seat, battle.attack), (battle.foe, battle.defence)):
        seat = table.seats[place]
        thrown = replace(seat, dice_thrown=seat.dice_thrown + len(dice), pips=seat.pips + sum(dice))
        table = with_seat(table, place, thrown)
    if battle.captured and not position.owners.count(battle.foe):
        names = table.seats[battle.foe].name, table.seats[battle.seat].name
        table = with_line(table, now_ms, "{} is out, beaten by {}.".format(*names))
    return _ended(table, now_ms), battle


def _passed(table: Table, place: int | None, now_ms: int) -> Table:
    """End the turn. `place` is the person who did; None for a bot or the clock."""
    assert table.position is not None
    before = table.position
    if place is not None:
        table = with_input(table, place)
    seat = table.seats[before.seat]
    idle = seat.is_person and not seat.acted
    table = with_seat(table, before.seat, replace(seat, missed=min(9, seat.missed + idle), acted=False))
    table, _ = _made(table, rules.EndTurn(), now_ms)
    after = table.position
    assert after is not None
    clock = Clock(table.clock.epoch, 0, now_ms, now_ms, now_ms)
    history = table.history + ((_holdings(after),) if after.round > before.round else ())
    return _ended(replace(table, clock=clock, history=history), now_ms)


def _holdings(position: Position) -> bytes:
    """Return how many territories each seat owns."""
    return bytes(position.owners.count(seat) for seat in range(position.players))


def _ended(table: Table, now_ms: int) -> Table:
    """Close the game if it has an outcome."""
    if table.position is None or table.position.outcome is None or table.phase is Phase.OVER:
        return table
    outcome = table.position.outcome
    won = "wins: nobody else is left." if outcome.reason == "conquest" else "wins: the last round is over."
    closed = replace(table, phase=Phase.OVER, history=(*table.history, _holdings(table.position)))
    return with_line(closed, now_ms, f"{table.seats[outcome.winner].name} {won}")


def begin(table: Table, position: Position, now_ms: int) -> Table:
    """Return the table at the first move of a game just dealt."""
    clock = Clock(table.clock.epoch, 0, now_ms, now_ms, now_ms)
    return replace(
        table,
        phase=Phase.PLAY,
        game=(table.game + 1) & 0xFFFF,
        position=position,
        battle=None,
        clock=clock,
        history=(_holdings(position),),
    )


def check_time_out(table: Table, command: Timeout, now_ms: int) -> None:
    """Raise `Refusal` unless the clock of this very turn and host has run out. The host says so; we look."""
    limit_ms = table.limit_ms
    if limit_ms is None or (command.turn, command.epoch) != (table.turn, table.clock.epoch):
        raise Refusal("another turn, or another host's clock")
    if table.used_ms(now_ms) < limit_ms:
        raise Refusal("there is time left")


def time_out(table: Table, now_ms: int) -> Table:
    """End the turn because its time is over."""
    return _passed(table, None, now_ms)


def tick(table: Table, command: Tick, now_ms: int) -> Table:
    """Commit the time used."""
    if table.phase is not Phase.PLAY or (command.turn, command.epoch) != (table.turn, table.clock.epoch):
        raise Refusal("another turn, or another host's clock")
    used_ms = max(table.clock.used_ms, min(command.used_ms, _used(table, now_ms)))
    return replace(table, clock=replace(table.clock, used_ms=used_ms, mark_ms=now_ms))


def _used(table: Table, now_ms: int) -> int:
    """Return the time used, in the range that a clock holds: a table without a clock may wait for days."""
    return min(table.used_ms(now_ms), 0xFFFF_FFFF)


def away(table: Table, command: Away, now_ms: int) -> Table:
    """Note that a member is out of reach, with all its seats."""
    places = [p for p, s in enumerate(table.seats) if s.is_person and s.member == command.member and not s.away_ms]
    if not places:
        raise Refusal("nobody here is played from that machine, or it is away already")
    for place in places:
        table = with_seat(table, place, replace(table.seats[place], away_ms=max(1, now_ms)))
    return table


def back(table: Table, command: Back, sender: bytes | None) -> Table:
    """Note that a member is there again. Who says it himself takes the seat back from a bot, too."""
    member = command.member if sender is None else sender
    places = [p for p, s in enumerate(table.seats) if s.is_person and s.member == member]
    if sender is None:
        places = [p for p in places if table.seats[p].away_ms]
    if not places:
        raise Refusal("nobody here is played from that machine, or it never was away")
    for place in places:
        seat = replace(table.seats[place], away_ms=0)
        table = with_seat(table, place, seat) if sender is None else with_input(table, place)
    return table


def host_changed(table: Table, command: HostChanged, now_ms: int) -> Table:
    """Begin a tenure: a new epoch of the clock, and time back for the player on turn."""
    old, new = table.host, command.member
    if len(new) > MEMBER_SIZE_MAX:
        raise Refusal("that is no member")  # the state stays small, whatever a host says
    clock = replace(table.clock, epoch=table.clock.epoch + 1, mark_ms=now_ms, moved_ms=now_ms)
    limit_ms = table.limit_ms
    if table.phase is Phase.REVEAL:
        clock = replace(clock, used_ms=0)
    elif limit_ms is not None:
        left_ms = max(0, limit_ms - clock.used_ms)
        if left_ms < REFUND_TO_MS and clock.refunds < REFUNDS_MAX:
            left_ms = min(REFUND_TO_MS, limit_ms)
            clock = replace(clock, refunds=clock.refunds + 1)
        clock = replace(clock, used_ms=limit_ms - left_ms)
    name = table.name_of(new)
    if not old:
        text = "The table is open."
    elif old == new:
        text = f"{name} hosts again."
    else:
        same = " Same dice." if table.phase is Phase.PLAY else ""
        text = f"{table.name_of(old)} left. {name} hosts now.{same}"
    table = replace(table, clock=clock, host=new, hosts=table.hosts + 1)
    return with_line(table, now_ms, text, LineKind.HOST)
