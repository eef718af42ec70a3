"""The commands at a table: `demo-game host`, `join`, `bot` and `solo`."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from demo_game import cli_options, console, session
from demo_game.bots import Skill
from demo_game.commands import Command
from demo_game.host_function import Pace
from demo_game.land import SIZES
from demo_game.player import Player
from demo_game.records import Journal
from demo_game.window import start


@click.command()
@cli_options.who
@cli_options.looks
@cli_options.what
def host(**options: Any) -> None:
    """Open a table; print the ticket for the others, and a short code for those on the same network."""
    at_table(options, found=True)


@click.command()
@click.argument("ticket", required=False)
@cli_options.who
@cli_options.looks
def join(ticket: str | None, **options: Any) -> None:
    """Join with TICKET: the text, @FILE, or - for the standard input; else FAILOVER_TICKET, or a question.

    A short code, like K7QF-3MDA, does as well on the network on which it was given.
    """
    at_table(options, ticket=cli_options.ticket_of(ticket))


@click.command()
@click.argument("ticket", required=False)
@cli_options.who
def bot(ticket: str | None, **options: Any) -> None:
    """Join with TICKET as a player without a board that plays by itself."""
    at_table(options | {"headless": True}, ticket=cli_options.ticket_of(ticket))


@click.command()
@cli_options.who
@cli_options.looks
@cli_options.what
def solo(**options: Any) -> None:
    """Play against bots, alone on this machine."""
    options |= {"bots": options["players"] - 1}
    at_table(options, found=True, alone=True)


def at_table(
    options: dict[str, Any], *, found: bool = False, ticket: str | None = None, alone: bool = False
) -> None:
    """Turn options into a session and run it."""
    cli_options.log_to(options["log_file"])
    replay = options["save_replay"]
    if replay is not None and not replay.absolute().parent.is_dir():
        raise click.UsageError(f"there is no folder {replay.parent} to save the replay in: make it first")
    wishes = _wishes(options) if found else ()

    with journal_of(options["report"]) as journal:
        opening = opening_of(options, journal, ticket=ticket, found=found)
        if options["headless"]:
            speaks = not alone and str(options["report"]) != "-"  # there, the standard output is the journal
            trio.run(session.headless, opening, partial(_player, options), wishes, _say if speaks else None)
        elif not options["terminal"] and start.there_is_a_display():
            resumes = (opening.data / "game.db").exists()
            auto = opening.data if opening.plays is not None else None
            first = start.First(found and not alone, alone, ticket, resumes=resumes, auto=auto)
            start.show(cli_options.looks_of(options), first, lambda: (opening, wishes), cli_options.given_name())
        else:
            trio.run(partial(console.play_in_terminal, opening, wishes, solo=alone))


def opening_of(
    options: dict[str, Any], journal: Journal, *, ticket: str | None = None, found: bool = False
) -> session.Opening:
    """Return how these options come to a table."""
    return session.Opening(
        name=options["name"],
        data=options["data"] or session.new_data_folder(),
        ticket=ticket,
        found=found,
        port=options["port"],
        bind=options["bind"],
        addresses=options["addresses"],
        pace=Pace(bot_delay_ms=int(options.get("bot_delay", 0.7) * 1_000)),
        journal=journal,
        record=options["report"] is not None,
        plays=partial(_player, options) if options.get("auto") else None,
        save_replay=options["save_replay"],
    )


def _player(options: dict[str, Any], member: bytes) -> Player:
    """Return who plays by himself."""
    return Player(
        member,
        options["name"],
        Skill[options["skill"].upper()],
        pace_s=options["pace"],
        heartbeat_s=options["heartbeat"],
        linger_s=options["linger"],
    )


def _say(line: str) -> None:
    """Print a line at once; who has read the ticket and closed the pipe must not end the game."""
    with suppress(BrokenPipeError):
        click.echo(line)


def _wishes(options: dict[str, Any]) -> tuple[Command, ...]:
    """Return what the founder asks of the lobby."""
    players, bots, turn_s = options["players"], options["bots"], options["turn"]
    if bots >= players:
        raise click.UsageError(f"{bots} bots leave no seat for you: give --players at least {bots + 1}")
    if 0 < turn_s < 10:
        raise click.UsageError("a turn needs 10 seconds or more: give --turn 10, or 0 for no clock")
    size = [each.name for each in SIZES].index(options["size"])
    skill = Skill[options["bot_skill"].upper()]
    return session.wishes_of(players, size, turn_s, options["rounds"], (skill,) * bots)


def journal_of(path: Path | None) -> Journal:
    """Return what writes to this file; - is the standard output, None nothing."""
    if path is None:
        return Journal()
    return Journal(sys.stdout if str(path) == "-" else path.open("a", encoding="utf-8"))
