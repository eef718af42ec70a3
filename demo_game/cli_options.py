"""What the commands of `demo-game` are told: options that several of them take, and how a ticket is found."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from demo_game.bots import Skill
from demo_game.land import SIZES
from demo_game.window.start import Looks

Function = TypeVar("Function", bound=Callable[..., Any])

TICKET_VARIABLE = "FAILOVER_TICKET"
SIZE_MIN = 960, 540
SKILLS = click.Choice([skill.name.lower() for skill in Skill])
MAPS = click.Choice([size.name for size in SIZES])


def _together(*options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Return one decorator out of several options, in the order of the help."""

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


where = _together(
    click.option(
        "--data", type=click.Path(path_type=Path), help="Data folder; name an old one to resume its game."
    ),
    click.option("--port", type=click.IntRange(0, 65535), default=0, help="UDP port; 0 takes a free one."),
    click.option("--bind", default="::", help="Address to listen on; :: = all."),
    click.option(
        "--address",
        "addresses",
        multiple=True,
        help="Where others reach you from elsewhere: 203.0.113.5:7777 or game.example.org:7777, with --port 7777. "
        "Repeat it for up to 4, of them 2 names.",
    ),
    click.option("--log", "log_file", type=click.Path(path_type=Path), help="Write a log to this file."),
)
"""Where a member listens, and where it keeps what it has."""

who = _together(
    click.option(
        "--name",
        default=lambda: os.environ.get("USER") or os.environ.get("USERNAME") or "Player",
        help="Your name at the table.",
    ),
    where,
    click.option("--headless", is_flag=True, help="Play like a bot, without a board."),
    click.option("--skill", type=SKILLS, default="hard", help="How well --headless plays."),
    click.option("--pace", type=click.FloatRange(0), default=0.3, help="Seconds between its moves."),
    click.option(
        "--save-replay",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Save each game to this file when it is over, and the present one on leaving.",
    ),
    click.option("--heartbeat", type=click.FloatRange(0.01), hidden=True),
    click.option("--linger", type=click.FloatRange(0), default=0.0, hidden=True),
    click.option("--report", type=click.Path(path_type=Path, allow_dash=True), hidden=True),
)
"""Who sits at the table."""

what = _together(
    click.option("--players", type=click.IntRange(2, 8), default=4, help="Seats at the table."),
    click.option("--bots", type=click.IntRange(0, 7), default=0, help="Seats that bots take."),
    click.option("--bot-skill", type=SKILLS, default="medium", help="How well they play."),
    click.option("--bot-delay", type=click.FloatRange(0), default=0.7, help="Seconds between their moves."),
    click.option("--map", "size", type=MAPS, default="standard", help="Size of the map."),
    click.option(
        "--turn", type=click.IntRange(0, 600), default=45, help="Seconds for a turn, from 10; 0 = no clock."
    ),
    click.option("--rounds", type=click.IntRange(1, 99), default=30, help="The last round."),
)
"""What the founder asks of the table."""


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


looks = _together(
    click.option("--size", "window", type=_Size(), default="1280x720", help="Size of the window, from 960x540."),
    click.option("--no-sound", is_flag=True, help="No sounds."),
    click.option("--anim", type=click.Choice(["slow", "fast", "off"]), help="How long attacks are shown."),
    click.option("--low-motion", is_flag=True, help="Nothing rolls, nothing pulses."),
    click.option("--dev", is_flag=True, help="A button that pulls the plug on the host, if it has --dev, too."),
    click.option("--terminal", is_flag=True, help="The board as text, also where there is a screen."),
    click.option("--probe", type=click.Path(path_type=Path), hidden=True),
    click.option("--place", type=_Place(), hidden=True),
    click.option("--shots", type=click.Path(path_type=Path), hidden=True),
    click.option("--auto", is_flag=True, hidden=True),
)
"""How a window looks."""


def ticket_of(text: str | None) -> str | None:
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


def log_to(path: Path | None) -> None:
    """Write what the library and the game log to this file, if there is one."""
    if path is not None:
        line = "%(asctime)s %(name)s %(levelname)s %(message)s"
        logging.basicConfig(filename=path, level=logging.INFO, format=line)


def looks_of(options: dict[str, Any]) -> Looks:
    """Return what these options say of the window."""
    return Looks(
        size=options["window"],
        sound=not options["no_sound"],
        animation=options["anim"],
        low_motion=options["low_motion"] or None,
        dev=options["dev"],
        probe=options["probe"],
        place=options["place"],
        shots=options["shots"],
    )


def given_name() -> str | None:
    """Return --name if it was given; else the window uses the name that was chosen before."""
    context = click.get_current_context()
    given = context.get_parameter_source("name") is not click.core.ParameterSource.DEFAULT
    return str(context.params["name"]) if given else None
