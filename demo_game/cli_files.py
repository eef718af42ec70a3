"""The commands about replay files: `demo-game verify` and `demo-game replay`."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import click

from demo_game import showing
from demo_game.replay import BadReplay, Replay, load_untrusted
from demo_game.session import Opening, new_data_folder
from demo_game.verify import Finding, compare
from demo_game.verify import verify as finding_of
from demo_game.window import start

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
def verify(files: tuple[Path, ...]) -> None:
    """Play the games in replay FILEs again, and say whether all in them is in order.

    One file shows that no part of it was changed by itself. Whoever changes a file and computes all of it anew
    makes another game: give the files of several players, and they are compared, too.
    """
    complaints: list[str] = []
    right: list[tuple[Path, Replay]] = []
    for path in files:
        try:
            replay = load_untrusted(path)
        except BadReplay as error:
            click.echo(f"{path}\n  {'not verified':16} {error}\n")
            complaints.append(str(error))
            continue
        finding = finding_of(replay)
        _print(path, replay, finding)
        if finding.is_right:
            right.append((path, replay))
        else:
            complaints.append(f"{path.name}: {finding.problem}")
    for (path, replay), (other_path, other) in combinations(right, 2):
        comparison = compare(replay, other)
        both = f"{path} and {other_path}"
        if comparison.problem:
            click.echo(f"{both}: not the same game: {comparison.problem}")
            complaints.append(f"{path.name} and {other_path.name}: {comparison.problem}")
        else:
            click.echo(f"{both}: the same game, {comparison.common} entries in common")
    if complaints:
        raise click.ClickException("; ".join(complaints))


def _print(path: Path, replay: Replay, finding: Finding) -> None:
    end = "the game is over" if finding.is_over else "not over when it was saved"
    if not finding.is_right:
        end = f"{finding.entries} entries are in order"
    cut = "; the game went on, but no more was kept of it" if replay.is_cut else ""
    first, last = replay.entries[0].index, replay.entries[-1].index
    click.echo(path)
    for what, words in (
        ("players", ", ".join(replay.names)),
        ("rounds", f"{finding.rounds}; {end}"),
        ("entries", f"{len(replay.entries)}, {first} to {last} in the log{cut}"),
        ("changes of host", str(finding.host_changes)),
        ("final digest", finding.digest[:4].hex() or "none"),
        ("verified" if finding.is_right else "not verified", finding.problem),
    ):
        click.echo(f"  {what:16} {words}".rstrip())
    click.echo()


@click.command()
@click.argument("file", metavar="FILE", type=_FILE)
@click.option("--headless", is_flag=True, help="Print the story line by line, also at a terminal.")
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 100),
    default=1.0,
    show_default=True,
    help=f"So many times as fast as a step every {showing.STEP_S:g} s.",
)
def replay(file: Path, headless: bool, speed: float) -> None:
    """Show the game in a replay FILE: in a window; without a screen as boards, or line by line."""
    try:
        game = load_untrusted(file)
    except BadReplay as error:
        raise click.ClickException(str(error)) from None
    finding = finding_of(game)
    if not finding.is_right:
        raise click.ClickException(f"{file.name} is not as it was written: {finding.problem}")
    _show(game, file, speed, headless=headless)


def _show(game: Replay, file: Path, speed: float, *, headless: bool) -> None:
    """Choose how to show it. A window comes first here, where there is a display."""
    if not headless and start.there_is_a_display() and sys.stdout.isatty():
        template = Opening("Player", new_data_folder())
        start.show(start.Looks(), start.First(replay=file), lambda: (template, ()), None)
    elif headless or not sys.stdout.isatty():
        showing.as_lines(game)
    else:
        showing.as_boards(game, file, speed)
