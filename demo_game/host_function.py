"""What only the host does: the turn clock, the bots, the watch for absent players.

What to propose, and when, is decided by two pure functions of the table and the time; what is left is a loop that
asks them and proposes. All of their memory is in the table, so at the next host it all just goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import trio

import failover
from demo_game import bots, rules
from demo_game.commands import (
    Attack,
    Away,
    Back,
    Command,
    EndTurn,
    HostChanged,
    Order,
    Refused,
    Tick,
    Timeout,
    decode_reply_untrusted,
    encode_order,
)
from demo_game.table import Phase, Table, stand_in

Present = Callable[[], frozenset[bytes] | None]
"""Tells which members are in reach; None = not known now."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the host does things by itself."""

    bot_delay_ms: int = 700
    """Between two moves of a bot: long enough to see the dice."""
    tick_ms: int = 5_000
    """Between two commits of the clock; what a change of host may give back to the player."""
    poll_ms: int = 50
    """How long a change of the table may go unnoticed."""
    watch_ms: int = 1_000
    """Between two looks for absent players."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to propose now, or when to look again."""

    command: Command | None
    due_ms: int | None
    """Cluster time at which there will be something to do if nothing else happens; None = never."""


def plan(table: Table, now_ms: int, pace: Pace) -> Plan:
    """Decide what the host proposes next: the earliest of timeout, tick and a bot's move, if it is due."""
    dues: list[tuple[int, Callable[[], Command]]] = []
    limit_ms, clock = table.limit_ms, table.clock
    bot = stand_in(table)
    if bot is not None:
        skill, from_ms = bot
        dues.append((max(clock.moved_ms + pace.bot_delay_ms, from_ms), lambda: bot_move(table, skill)))
    if limit_ms is not None:
        out_ms = clock.mark_ms + limit_ms - clock.used_ms
        dues.append((out_ms, lambda: Timeout(table.turn, clock.epoch)))
        if table.phase is Phase.PLAY:
            tick = Tick(table.turn, clock.epoch, min(limit_ms, table.used_ms(now_ms)))
            dues.append((clock.mark_ms + pace.tick_ms, lambda: tick))
    if not dues:
        return Plan(None, None)
    due_ms, command = min(dues, key=lambda due: due[0])
    return Plan(command() if due_ms <= now_ms else None, due_ms)


def bot_move(table: Table, skill: bots.Skill) -> Command:
    """Return a bot's move for the seat on turn. It names its turn and step, so a stale one is refused."""
    assert table.position is not None
    move = bots.decide(table.position, skill)
    if isinstance(move, rules.Attack):
        return Attack(table.turn, table.step, move.source, move.target)
    return EndTurn(table.turn, table.step)


def watch(table: Table, present: frozenset[bytes]) -> Command | None:
    """Decide whether somebody has to be noted as away or back; one at a time, in order of seats."""
    for seat in table.seats:
        if seat.is_person and seat.member not in present and not seat.away_ms:
            return Away(seat.member)
        if seat.is_person and seat.member in present and seat.away_ms:
            return Back(seat.member)
    return None


def server(pace: Pace, present: Present) -> Callable[[failover.Host], Awaitable[None]]:
    """Return the server function with this pace and this sense for who is in reach."""

    async def serve(host: failover.Host) -> None:
        host.propose(encode_order(Order(HostChanged(host.id))))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_go_on, host, pace)
            nursery.start_soon(_look_round, host, pace, present)
            async for request in host.requests():
                await _answer(request)

    return serve


async def _answer(request: failover.Request) -> None:
    """Propose a request as it came: whether it is legal is judged when it is applied."""
    try:
        await request.propose()
    except failover.NotHost:
        # The tenure is over, and the next host will be asked; or too much waits for a quorum, and we say so.
        with suppress(failover.NotHost):
            request.refuse("the table is too busy now; try again")


async def _go_on(host: failover.Host, pace: Pace) -> NoReturn:
    """Propose what is due, for ever. Ends by cancellation, with the tenure."""
    while True:
        now_ms = int(host.time * 1_000)
        todo = plan(_table(host), now_ms, pace)
        if todo.command is None:
            wait_ms = pace.poll_ms if todo.due_ms is None else min(pace.poll_ms, todo.due_ms - now_ms)
            await trio.sleep(max(1, wait_ms) / 1_000)
        elif not await _committed(host, todo.command):
            await trio.sleep(pace.poll_ms / 1_000)  # a player was faster: decide anew on the new table


async def _look_round(host: failover.Host, pace: Pace, present: Present) -> NoReturn:
    """Note who went and who came back, for ever."""
    while True:
        members = present()
        command = None if members is None else watch(_table(host), members)
        if command is None or not await _committed(host, command):
            await trio.sleep(pace.watch_ms / 1_000)


async def _committed(host: failover.Host, command: Command) -> bool:
    """Commit a command of the host's own; tell whether the table accepted it."""
    try:
        reply = await host.commit(encode_order(Order(command)))
    except (failover.NotHost, failover.OutcomeUnknown):
        return False  # if the tenure is over, a cancellation is on its way; what is due, the next host will see
    return not isinstance(decode_reply_untrusted(reply), Refused)


def _table(host: failover.Host) -> Table:
    table = host.state
    assert isinstance(table, Table)
    return table
