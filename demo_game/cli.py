"""The command line of the game: `demo-game`.

Every option has a useful default, and every error is one line that says what to do; the exit status is then not 0.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

import failover
from demo_game import cli_files, cli_options, cli_showcase, cli_sim, cli_witness, console, session
from demo_game.bots import Skill
from demo_game.commands import Command
from demo_game.host_function import Pace
from demo_game.land import SIZES
from demo_game.player import Player
from demo_game.records import Journal
from demo_game.window import start


class _Commands(click.Group):
    """A group that turns what goes wrong into one line and a status."""

    def make_context(self, *names: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*names, **extra)
        except click.UsageError as error:
            raise _in_one_line(error) from None

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Take options without a command for those of `menu`: the group itself has none but --help."""
        is_bare = not args or (args[0].startswith("-") and args[0] not in context.help_option_names)
        if is_bare and not context.resilient_parsing:  # which is a shell that asks how the line may go on
            args = ["menu", *args]
        return super().parse_args(context, args)

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
    subcommand_metavar="[COMMAND] [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
def main() -> None:
    """Hexhold: a hex dice war for 2 to 8 players that outlives its host.

    Without a command it opens the window, with its menu. It then takes the options of the command `menu`, such as
    demo-game --name Ada --size 960x540; demo-game menu --help lists them.
    """


@main.command()
@cli_options.who
@cli_options.looks
def menu(**options: Any) -> None:
    """Open the window with its menu. The word may be left out, also before options."""
    if not start.there_is_a_display():
        raise click.UsageError("there is no display to open a window on: name a command, such as host or join")
    _at_table(options)


main.add_command(cli_files.verify)
main.add_command(cli_files.replay)
main.add_command(cli_witness.witness)
main.add_command(cli_sim.sim)
main.add_command(cli_showcase.showcase)


@main.command()
@cli_options.who
@cli_options.looks
@cli_options.what
def host(**options: Any) -> None:
    """Open a table; print the ticket for the others, and a short code for those on the same network."""
    _at_table(options, found=True)


@main.command()
@click.argument("ticket", required=False)
@cli_options.who
@cli_options.looks
def join(ticket: str | None, **options: Any) -> None:
    """Join with TICKET: the text, @FILE, or - for the standard input; else FAILOVER_TICKET, or a question.

    A short code, like K7QF-3MDA, does as well on the network on which it was given.
    """
    _at_table(options, ticket=cli_options.ticket_of(ticket))


@main.command()
@click.argument("ticket", required=False)
@cli_options.who
def bot(ticket: str | None, **options: Any) -> None:
    """Join with TICKET as a player without a board that plays by itself."""
    _at_table(options | {"headless": True}, ticket=cli_options.ticket_of(ticket))


@main.command()
@cli_options.who
@cli_options.looks
@cli_options.what
def solo(**options: Any) -> None:
    """Play against bots, alone on this machine."""
    options |= {"bots": options["players"] - 1}
    _at_table(options, found=True, alone=True)


def _at_table(
    options: dict[str, Any], *, found: bool = False, ticket: str | None = None, alone: bool = False
) -> None:
    """Turn options into a session and run it."""
    cli_options.log_to(options["log_file"])
    replay = options["save_replay"]
    if replay is not None and not replay.absolute().parent.is_dir():
        raise click.UsageError(f"there is no folder {replay.parent} to save the replay in: make it first")
    wishes = _wishes(options) if found else ()

    def player(member: bytes) -> Player:
        return Player(
            member,
            options["name"],
            Skill[options["skill"].upper()],
            pace_s=options["pace"],
            heartbeat_s=options["heartbeat"],
            linger_s=options["linger"],
        )

    with _journal(options["report"]) as journal:
        opening = session.Opening(
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
            plays=player if options.get("auto") else None,
            save_replay=replay,
        )

        if options["headless"]:
            speaks = not alone and str(options["report"]) != "-"  # there, the standard output is the journal
            trio.run(session.headless, opening, player, wishes, _say if speaks else None)
        elif not options["terminal"] and start.there_is_a_display():
            resumes = (opening.data / "game.db").exists()
            first = start.First(found and not alone, alone, ticket, resumes=resumes)
            start.show(_looks_of(options), first, opening, wishes, _given_name())
        else:
            trio.run(partial(console.play_in_terminal, opening, wishes, solo=alone))


def _say(line: str) -> None:
    """Print a line at once; who has read the ticket and closed the pipe must not end the game."""
    with suppress(BrokenPipeError):
        click.echo(line)


def _looks_of(options: dict[str, Any]) -> start.Looks:
    return start.Looks(
        size=options["window"],
        sound=not options["no_sound"],
        animation=options["anim"],
        low_motion=options["low_motion"] or None,
        dev=options["dev"],
        probe=options["probe"],
        place=options["place"],
        shots=options["shots"],
    )


def _given_name() -> str | None:
    """Return --name if it was given; else the window uses the name that was chosen before."""
    context = click.get_current_context()
    given = context.get_parameter_source("name") is not click.core.ParameterSource.DEFAULT
    return str(context.params["name"]) if given else None


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
