"""The command `demo-game showcase`: with a window where there is a display, else as text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from demo_game import cli_options
from demo_game.figures import Figures
from demo_game.showcase import Show, run
from demo_game.window import start
from demo_game.window.staging import NoWindow

WINDOWS = 3
"""As many as fit beside the director's; the other players have none."""


@click.command()
@click.option(
    "--players", type=click.IntRange(3, 8), default=4, help="Player processes; three survive one's death."
)
@click.option("--kills", type=click.IntRange(0, 50), default=2, help="How often the host is killed.")
@click.option("--map", "size", type=cli_options.MAPS, default="small", help="Size of the map.")
@click.option("--rounds", type=click.IntRange(1, 99), help="The last round. Default: 30, with --record 6.")
@click.option("--windows", type=click.IntRange(1, 8), default=WINDOWS, help="How many players have a window.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, allow_dash=True), help="Write the figures here."
)
@click.option("--keep", is_flag=True, help="Keep the players' data folders, and say where they are.")
@click.option("--plain", is_flag=True, help="Print lines, even to a terminal, and open no window.")
@click.option("--headless", is_flag=True, help="Show it as text, also where there is a screen.")
@click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write pictures of the windows into this folder; needs a display.",
)
def showcase(
    json_file: Path | None, headless: bool, plain: bool, windows: int, record: Path | None, **options: Any
) -> None:
    """Let several players play on this machine, kill the host every so often, and print what it cost."""
    shows_windows = start.there_is_a_display() and not headless and not plain
    if record is not None and not shows_windows:
        raise click.UsageError("--record needs windows: run it with a display, without --headless and --plain")
    if shows_windows:
        figures = _in_windows(Show(**options, windows=min(windows, options["players"]), record=record))
    else:
        figures = run(Show(**options, plain=plain))
    text = figures.json()
    if json_file is not None and str(json_file) != "-":
        json_file.write_text(text + "\n", encoding="utf-8")
    click.echo(text)
    if figures.folder is not None:
        click.echo(f"The players' folders are in {figures.folder}", err=True)
    if figures.complaints:
        raise click.ClickException("; ".join(figures.complaints))


def _in_windows(show: Show) -> Figures:
    """Show it in windows; as text where the display that was promised cannot be used."""
    try:
        return _direct(show)
    except NoWindow as error:
        if show.record is not None:
            raise click.ClickException(f"no window can be opened: {error}") from None
        click.echo(f"No window can be opened ({error}), so this is the show as text.", err=True)
        return run(replace(show, windows=0))


def _direct(show: Show) -> Figures:
    try:
        from demo_game.window import director  # noqa: PLC0415 - imports pyglet, which opens a display
    except Exception as error:  # pyglet has no common ancestor for what its platforms raise
        raise NoWindow(" ".join(str(error).split()) or type(error).__name__) from error
    return director.direct(show)
