"""The command line of the game: `demo-game`.

Every option has a useful default, and every error is one line that says what to do; the exit status is then not 0.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
import trio
from click.exceptions import NoArgsIsHelpError
from rich.console import Console
from rich.table import Table as Grid

import failover
from demo_game import balance, cli_files, console, rules, session, showcase, witnessing
from demo_game.bots import Skill
from demo_game.commands import Command
from demo_game.host_function import Pace
from demo_game.land import SIZES
from demo_game.player import Player
from demo_game.records import Journal
from demo_game.window import start
from demo_game.witnessing import Post

Function = TypeVar("Function", bound=Callable[..., Any])

TICKET_VARIABLE = "FAILOVER_TICKET"
SIZE_MIN = 960, 540
_SKILLS = click.Choice([skill.name.lower() for skill in Skill])
_MAPS = click.Choice([size.name for size in SIZES])


def _options(*options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Return one decorator out of several options, in the order of the help."""

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_where = _options(
    click.option(
        "--data", type=click.Path(path_type=Path), help="Data folder; name an old one to resume its game."
    ),
    click.option("--port", type=click.IntRange(0, 65535), default=0, help="UDP port; 0 takes a free one."),
    click.option("--bind", default="::", help="Address to listen on; :: = all."),
    click.option("--log", "log_file", type=click.Path(path_type=Path), help="Write a log to this file."),
)

_who = _options(
    click.option("--name", default=lambda: os.environ.get("USER", "Player"), help="Your name at the table."),
    _where,
    click.option("--headless", is_flag=True, help="Play like a bot, without a board."),
    click.option("--skill", type=_SKILLS, default="hard", help="How well --headless plays."),
    click.option("--pace", type=click.FloatRange(0), default=0.3, help="Seconds between its moves."),
    click.option(
        "--save-replay",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Save each game to this file when it is over, and the present one on leaving.",
    ),
    click.option("--heartbeat", type=click.FloatRange(0.01), hidden=True),
    click.option("--report", type=click.Path(path_type=Path, allow_dash=True), hidden=True),
)

_what = _options(
    click.option("--players", type=click.IntRange(2, 8), default=4, help="Seats at the table."),
    click.option("--bots", type=click.IntRange(0, 7), default=0, help="Seats that bots take."),
    click.option("--bot-skill", type=_SKILLS, default="medium", help="How well they play."),
    click.option("--bot-delay", type=click.FloatRange(0), default=0.7, help="Seconds between their moves."),
    click.option("--map", "size", type=_MAPS, default="standard", help="Size of the map."),
    click.option(
        "--turn", type=click.IntRange(0, 600), default=45, help="Seconds for a turn, from 10; 0 = no clock."
    ),
    click.option("--rounds", type=click.IntRange(1, 99), default=30, help="The last round."),
)


class _Place(click.ParamType):  # type: ignore[type-arg]
    """X,Y."""

    name = "X,Y"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[int, int]:
        x, _, y = str(value).partition(",")
        if not (x.isdecimal() and y.isdecimal()):
            self.fail(f"{value!r} is no place: write 0,0", param, context)
        return int(x), int(y)


class _Size(click.ParamType):  # type: ignore[type-arg]
    """WIDTHxHEIGHT."""

    name = "WIDTHxHEIGHT"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch(r"(\d{2,5})x(\d{2,5})", str(value))
        if match is None or int(match[1]) < SIZE_MIN[0] or int(match[2]) < SIZE_MIN[1]:
            self.fail(f"{value!r} is no size: write 1280x720; 960x540 is the least", param, context)
        return int(match[1]), int(match[2])


_looks = _options(
    click.option("--size", "window", type=_Size(), default="1280x720", help="Size of the window, from 960x540."),
    click.option("--no-sound", is_flag=True, help="No sounds."),
    click.option("--anim", type=click.Choice(["slow", "fast", "off"]), help="How long attacks are shown."),
    click.option("--low-motion", is_flag=True, help="Nothing rolls, nothing pulses."),
    click.option("--dev", is_flag=True, help="A button that pulls the plug on the host, if it has --dev, too."),
    click.option("--terminal", is_flag=True, help="The board as text, also where there is a screen."),
    click.option("--probe", type=click.Path(path_type=Path), hidden=True),
    click.option("--place", type=_Place(), hidden=True),
)


class _Commands(click.Group):
    """A group that turns what goes wrong into one line and a status."""

    def make_context(self, *names: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*names, **extra)
        except NoArgsIsHelpError:
            raise  # nothing is wrong: it shows the help
        except click.UsageError as error:
            raise _in_one_line(error) from None

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except click.UsageError as error:
            raise _in_one_line(error) from None
        except BrokenPipeError:
            raise  # whoever read our lines has read enough
        except (failover.FailoverError, OSError) as error:
            raise click.ClickException(_one_line(error)) from None
        except BaseExceptionGroup as group:
            known = group.subgroup((failover.FailoverError, OSError))
            if known is None:
                raise
            raise click.ClickException(_one_line(_first(known))) from None


class _WrongCall(click.ClickException):
    exit_code = 2


def _in_one_line(error: click.UsageError) -> click.ClickException:
    """Return the same error without the two lines of usage above it."""
    where = error.ctx.command_path if error.ctx is not None else "demo-game"
    return _WrongCall(f"{error.format_message()} See {where} --help")


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.pass_context
def main(context: click.Context) -> None:
    """Hexhold: a hex dice war for 2 to 8 players that outlives its host.

    Without a command it opens the window, with its menu.
    """
    if context.invoked_subcommand is None:
        if not start.there_is_a_display():
            raise click.UsageError("there is no display to open a window on: name a command")
        context.invoke(menu)


@main.command()
@_who
@_looks
def menu(**options: Any) -> None:
    """Open the window with its menu; the same as no command, with options."""
    if not start.there_is_a_display():
        raise click.UsageError("there is no display to open a window on: name another command")
    _at_table(options)


main.add_command(cli_files.verify)
main.add_command(cli_files.replay)


@main.command()
@_who
@_looks
@_what
def host(**options: Any) -> None:
    """Open a table; print the ticket for the others, and a short code for those on the same network."""
    _at_table(options, found=True)


@main.command()
@click.argument("ticket", required=False)
@_who
@_looks
def join(ticket: str | None, **options: Any) -> None:
    """Join with TICKET: the text, @FILE, or - for the standard input; else FAILOVER_TICKET, or a question.

    A short code, like K7QF-3MDA, does as well on the network on which it was given.
    """
    _at_table(options, ticket=_ticket(ticket))


@main.command()
@click.argument("ticket", required=False)
@_who
def bot(ticket: str | None, **options: Any) -> None:
    """Join with TICKET as a player without a board that plays by itself."""
    _at_table(options | {"headless": True}, ticket=_ticket(ticket))


@main.command()
@_who
@_looks
@_what
def solo(**options: Any) -> None:
    """Play against bots, alone on this machine."""
    options |= {"bots": options["players"] - 1}
    _at_table(options, found=True, alone=True)


def _at_table(
    options: dict[str, Any], *, found: bool = False, ticket: str | None = None, alone: bool = False
) -> None:
    """Turn options into a session and run it."""
    _log_to(options["log_file"])
    replay = options["save_replay"]
    if replay is not None and not replay.absolute().parent.is_dir():
        raise click.UsageError(f"there is no folder {replay.parent} to save the replay in: make it first")
    wishes = _wishes(options) if found else ()
    with _journal(options["report"]) as journal:
        opening = session.Opening(
            name=options["name"],
            data=options["data"] or session.new_data_folder(),
            ticket=ticket,
            found=found,
            port=options["port"],
            bind=options["bind"],
            pace=Pace(bot_delay_ms=int(options.get("bot_delay", 0.7) * 1_000)),
            journal=journal,
            record=options["report"] is not None,
            save_replay=replay,
        )

        def player(member: bytes) -> Player:
            skill = Skill[options["skill"].upper()]
            pace_s, heartbeat_s = options["pace"], options["heartbeat"]
            return Player(member, opening.name, skill, pace_s=pace_s, heartbeat_s=heartbeat_s)

        if options["headless"]:
            trio.run(session.headless, opening, player, wishes)
        elif not options["terminal"] and start.there_is_a_display():
            resumes = (opening.data / "game.db").exists()
            first = start.First(found and not alone, alone, ticket, resumes=resumes)
            start.show(_looks_of(options), first, opening, wishes, _given_name())
        else:
            trio.run(partial(console.play_in_terminal, opening, wishes, solo=alone))


def _looks_of(options: dict[str, Any]) -> start.Looks:
    return start.Looks(
        size=options["window"],
        sound=not options["no_sound"],
        animation=options["anim"],
        low_motion=options["low_motion"] or None,
        dev=options["dev"],
        probe=options["probe"],
        place=options["place"],
    )


def _given_name() -> str | None:
    """Return --name if it was given; else the window uses the name that was chosen before."""
    context = click.get_current_context()
    given = context.get_parameter_source("name") is not click.core.ParameterSource.DEFAULT
    return str(context.params["name"]) if given else None


def _log_to(path: Path | None) -> None:
    if path is not None:
        line = "%(asctime)s %(name)s %(levelname)s %(message)s"
        logging.basicConfig(filename=path, level=logging.INFO, format=line)


@main.command()
@click.argument("ticket", required=False)
@click.option("--name", default="witness", help="How the players see it.")
@_where
def witness(ticket: str | None, name: str, data: Path | None, log_file: Path | None, **rest: Any) -> None:
    """Be a witness with TICKET: a third vote for two players, so that play goes on when one of them crashes.

    It has no board and no copy of the game. With an old --data folder it needs no ticket. Ctrl+C ends it.
    """
    _log_to(log_file)
    post = Post(data or session.new_data_folder(), name, **rest)
    if ticket or not post.storage.exists():
        post = replace(post, ticket=_ticket(ticket))
    trio.run(witnessing.witness, post, click.echo)


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


def _journal(path: Path | None) -> Journal:
    if path is None:
        return Journal()
    return Journal(sys.stdout if str(path) == "-" else path.open("a", encoding="utf-8"))


def _ticket(text: str | None) -> str | None:
    """Find the ticket or short code: the argument, a file, the standard input, the environment, or a question."""
    if text == "-":
        text = sys.stdin.readline()
    elif text and text.startswith("@"):
        text = Path(text[1:]).expanduser().read_text(encoding="utf-8")
    text = text or os.environ.get(TICKET_VARIABLE)
    if not text and sys.stdin.isatty():
        text = click.prompt("Ticket or short code")
    if not text or not text.strip():
        raise click.UsageError(f"there is no ticket: give it, @FILE or -, or set {TICKET_VARIABLE}")
    return "".join(text.split())


@main.command("showcase")
@click.option(
    "--players", type=click.IntRange(3, 8), default=4, help="Player processes; three survive one's death."
)
@click.option("--kills", type=click.IntRange(0, 50), default=2, help="How often the host is killed.")
@click.option("--map", "size", type=_MAPS, default="small", help="Size of the map.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, allow_dash=True), help="Write the figures here."
)
@click.option("--keep", is_flag=True, help="Keep the players' data folders, and say where they are.")
@click.option("--plain", is_flag=True, help="Print lines, even to a terminal.")
@click.option("--headless", is_flag=True, help="Show it as text, also where there is a screen.")
def showcase_command(json_file: Path | None, headless: bool, **options: Any) -> None:
    """Let several players play on this machine, kill the host every so often, and print what it cost."""
    del headless  # text is all there is yet; who says it now will not be surprised by a window later
    figures = showcase.run(showcase.Show(**options))
    text = figures.json()
    if json_file is not None and str(json_file) != "-":
        json_file.write_text(text + "\n", encoding="utf-8")
    click.echo(text)
    if figures.folder is not None:
        click.echo(f"The players' folders are in {figures.folder}", err=True)
    if figures.complaints:
        raise click.ClickException("; ".join(figures.complaints))


@main.command()
@click.option("--players", type=click.IntRange(2, 8), default=2, help="Seats.")
@click.option("--games", type=click.IntRange(1, 1_000_000), default=1000, help="Games to play.")
@click.option("--map", "size", type=_MAPS, default="standard", help="Size of the map.")
@click.option(
    "--skill", "skills", type=_SKILLS, multiple=True, help="Skills round the table; repeat. Default: hard."
)
@click.option("--compensation", type=click.IntRange(0, 20), help="Extra dice per seat, instead of the rules'.")
@click.option("--rounds", type=click.IntRange(1, 99), default=rules.ROUNDS_DEFAULT, help="The last round.")
@click.option("--seed", "first", type=click.IntRange(0), default=0, help="Number of the first seed.")
def sim(players: int, games: int, size: str, skills: tuple[str, ...], **rest: Any) -> None:
    """Play many games between bots, by the rules alone: is every seat worth the same?"""
    names = skills or ("hard",)
    seated = [Skill[names[seat % len(names)].upper()] for seat in range(players)]
    land = next(each for each in SIZES if each.name == size)
    tally = balance.measure(
        games, land, seated, first=rest["first"], extra=rest["compensation"], rounds=rest["rounds"]
    )
    _print_tally(tally, players)


def _print_tally(tally: balance.Tally, players: int) -> None:
    grid = Grid(title=f"{tally.games} games, {tally.by_rounds} ended by the last round")
    for heading in ("seat", "won", "of its fair share"):
        grid.add_column(heading, justify="right")
    for seat in range(players):
        grid.add_row(str(seat + 1), str(tally.by_seat[seat]), f"{100 * tally.share(seat):.0f} %")
    screen = Console()
    screen.print(grid)
    if len(tally.by_skill) > 1:
        for skill, won in tally.by_skill.items():
            screen.print(f"{skill.name.lower()} won {won} ({100 * won / tally.games:.0f} %)")
    screen.print(f"{tally.turns / tally.games:.0f} turns and {tally.attacks / tally.games:.0f} attacks a game")
