"""A process at the table: opens a member of the library, plays through it, leaves in good order.

The only room besides the host function and the player that calls failover. Ctrl+C and SIGTERM end the block, and
leaving the block hands the host's role over.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NoReturn

import platformdirs
import trio

import failover
from demo_game.agreement import TELL_S, Agreement
from demo_game.bots import Skill
from demo_game.commands import AddBot, Command, Option, Order, SetOption
from demo_game.following import Followed
from demo_game.host_function import Pace, server
from demo_game.kept import Kept
from demo_game.machine import Hexhold
from demo_game.player import Player, ask, play
from demo_game.records import Journal, Recorded
from demo_game.table import Phase, Table

log = logging.getLogger("demo_game")

SAVE_LOOK_S = 0.02
"""How often it is looked whether a game is over: players that are programs begin the next one soon."""
INVITE_USES = 64
"""One ticket does for the whole table, and for spectators."""
CODE_VALID_S = 86_400.0
"""As long as the ticket: nobody is there to ask for another one."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a process comes to its table."""

    name: str
    data: Path
    ticket: str | None = None
    found: bool = False
    port: int = 0
    bind: str = "::"
    addresses: tuple[str, ...] = ()
    """Where others reach this process from elsewhere, as `failover.open_member` takes them."""
    pace: Pace = field(default_factory=Pace)
    journal: Journal = field(default_factory=Journal)
    record: bool = False
    """Write every applied command down, too."""
    plays: Callable[[bytes], Player] | None = None
    """Makes a player, by the member's id, that plays the seat of a window; None = people do."""
    save_replay: Path | None = None
    """Save each game here when it is over, and the present one on leaving."""


def new_data_folder() -> Path:
    """Return a folder that no other process uses; made when it is first written to."""
    return platformdirs.user_data_path("hexhold") / "games" / secrets.token_hex(4)


@asynccontextmanager
async def at_table(opening: Opening, agreement: Agreement | None = None) -> AsyncIterator[failover.Member]:
    """Open the member. Leaving hands over and keeps the seat; cancellation does the same.

    Args:
        opening: how it comes to the table.
        agreement: hears which digests the others have; without one, they are told this member's all the same.
    """
    opening.data.mkdir(parents=True, exist_ok=True)
    agreement = agreement or Agreement()
    kept = None if opening.save_replay is None else Kept(Hexhold())
    machine = kept or Hexhold()
    inner = Recorded(machine, opening.journal) if opening.record else machine
    opened: list[failover.Member] = []

    def present() -> frozenset[bytes] | None:
        return members_in_reach(opened[0]) if opened else None

    async with (
        _saved(kept, opening.save_replay),
        failover.open_member(
            Followed(inner, agreement, wake=_nobody_waits),
            storage=opening.data / "game.db",
            ticket=opening.ticket,
            found=opening.found,
            serve=server(opening.pace, present),
            name=opening.name,
            port=opening.port,
            bind=opening.bind,
            addresses=opening.addresses,
        ) as member,
        trio.open_nursery() as nursery,
    ):
        opened.append(member)
        nursery.start_soon(_agree, member, agreement)
        yield member
        nursery.cancel_scope.cancel()


def _nobody_waits() -> None:
    """Do nothing: the table is looked at again soon."""


async def _agree(member: failover.Member, agreement: Agreement) -> None:
    """Tell the others this member's digests, and hear theirs, until it is closed: why it was, others say."""
    with suppress(failover.Closed):
        while True:
            for said in member.poll_unreliable():
                agreement.heard_untrusted(said.sender, said.body, trio.current_time())
            telling = agreement.telling()
            if telling is not None:
                member.send_unreliable(telling, "all")
            await trio.sleep(TELL_S)


@asynccontextmanager
async def _saved(kept: Kept | None, path: Path | None) -> AsyncIterator[None]:
    """Save each game when it is over, and the present one when the block, with the member in it, is left."""
    if kept is None or path is None:
        yield
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_save_each, kept, path)
        try:
            yield
        finally:
            nursery.cancel_scope.cancel()
            _save(kept, path)


async def _save_each(kept: Kept, path: Path) -> NoReturn:
    saved: int | None = None
    while True:
        table = kept.view()
        if table.phase is Phase.OVER and table.game != saved:
            saved = table.game
            # In a thread: the disk may be slow, and a host must not be.
            await trio.to_thread.run_sync(_save, kept, path)
        await trio.sleep(SAVE_LOOK_S)


def _save(kept: Kept, path: Path) -> None:
    replay = kept.replay()
    if replay is not None:
        replay.save(path)
        log.info("%s%s", path, ": the game went on, but no more was kept of it" if replay.is_cut else " is saved")


def members_in_reach(member: failover.Member) -> frozenset[bytes]:
    """Return the members that this one hears, itself included."""
    return frozenset(each.member for each in member.status().members if each.is_connected)


async def until_told(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` until it returns or the process is told to end (Ctrl+C, SIGTERM)."""
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await work()
            nursery.cancel_scope.cancel()

        nursery.start_soon(run)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                log.info("told to end by signal %d", number)
                nursery.cancel_scope.cancel()


async def report_events(member: failover.Member, journal: Journal) -> None:
    """Write down what happens to this member, as long as it lasts."""
    async for event in member.events():
        log.info("%s", event)
        what = {each.name: str(getattr(event, each.name)) for each in fields(event)}
        journal.write("event", event=type(event).__name__, **what)


async def headless(
    opening: Opening,
    player_of: Callable[[bytes], Player],
    wishes: tuple[Command, ...],
    say: Callable[[str], None] | None = None,
) -> None:
    """Sit at the table as a bot until told to end.

    Args:
        opening: how it comes to its table.
        player_of: makes the player, by the member's id.
        wishes: asked for once, after the founder took the seat.
        say: gets the lines by which others join the founder's table, `Ticket: ...` first; None = nobody is told.
    """

    async def work() -> None:
        async with at_table(opening) as member, trio.open_nursery() as nursery:
            nursery.start_soon(report_events, member, opening.journal)
            await member.read_barrier()  # who comes back looks at the present table, not at an empty one
            if opening.found:
                ticket = await member.invite(uses=INVITE_USES)
                opening.journal.write("ticket", ticket=ticket)
                if say is not None:
                    say(f"Ticket: {ticket}")
                    nursery.start_soon(_give_code, member, opening, say)
                nursery.start_soon(wish, member, wishes, opening.journal)
            await play(member, player_of(member.id), opening.journal)

    await until_told(work)


async def _give_code(member: failover.Member, opening: Opening, say: Callable[[str], None]) -> None:
    """Open a short code until the game begins; without a network for it, the ticket must do."""
    if ipaddress.ip_address(opening.bind).is_loopback or table_of(member).phase is Phase.PLAY:
        return  # nobody else would hear of it, or need it
    try:
        code = await member.short_code(uses=INVITE_USES, valid_s=CODE_VALID_S)
    except (failover.OutcomeUnknown, failover.PortInUse, failover.Unreachable) as error:
        log.info("no short code: %s", error)
        return
    opening.journal.write("code", code=code)
    say(f"Short code: {code}")
    while table_of(member).phase is not Phase.PLAY:  # noqa: ASYNC110 - the table is one reference; nobody sets an event
        await trio.sleep(0.1)
    member.close_short_code()


async def wish(member: failover.Member, wishes: tuple[Command, ...], journal: Journal) -> None:
    """Ask for options and bots at a new table, as soon as this member has a seat there."""
    table = table_of(member)
    if table.hosts > 1:
        return  # not new: it has been set as people wanted it
    while table.seat_of(member.id, 0) < 0 and table.phase is Phase.LOBBY:
        await trio.sleep(0.02)
        table = table_of(member)
    for number, command in enumerate(wishes):
        await ask(member, Order(command, 0, secrets.randbits(48) + number), journal)


def wishes_of(players: int, size: int, turn_s: int, rounds: int, bots: tuple[Skill, ...]) -> tuple[Command, ...]:
    """Return the commands that make a table as the command line describes it."""
    options = ((Option.PLAYERS, players), (Option.MAP, size), (Option.TURN, turn_s), (Option.ROUNDS, rounds))
    from_options = tuple(SetOption(option, value) for option, value in options)
    return from_options + tuple(AddBot(skill) for skill in bots)


def table_of(member: failover.Member) -> Table:
    """Return the newest table that this member knows."""
    table = member.state
    assert isinstance(table, Table)
    return table
