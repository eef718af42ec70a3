"""Replays in a terminal: as boards, one after the other, or as lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from demo_game.replay import Replay, tables
from demo_game.retelling import is_seen, new_lines, retold
from demo_game.table import LineKind
from demo_game.terminal import Scene, picture

STEP_S = 0.3
BANNER_STEPS = 8
"""How long a change of host stands across the top."""


def as_lines(replay: Replay) -> None:
    """Print the story."""
    for line in retold(replay):
        click.echo(line)


def as_boards(replay: Replay, path: Path, speed: float) -> None:
    """Show every board on the terminal, then leave the last one standing; Ctrl+C ends it earlier.

    Args:
        replay: verified.
        path: where it comes from, to be shown.
        speed: so many times as fast as a step every 0.3 s.
    """
    console = Console(highlight=False)
    last = Scene(replay.start)
    with Live(console=console, screen=True, auto_refresh=False) as live, suppress(KeyboardInterrupt):
        for scene in scenes(replay, path.name):
            last = scene
            live.update(picture(scene, *console.size), refresh=True)
            time.sleep(STEP_S / speed)
    console.print(picture(last, *console.size))


def scenes(replay: Replay, name: str) -> Iterator[Scene]:
    """Yield what there is to see, step by step; an entry that shows nothing new is no step.

    Raises:
        BadReplay: as `tables` does.
    """
    before, banner, steps_left = replay.start, "", 0
    for number, (entry, table, _) in enumerate(tables(replay), 1):
        hosts = [line.text for line in new_lines(before, table) if line.kind is LineKind.HOST]
        if hosts:
            banner, steps_left = hosts[-1], BANNER_STEPS
        if is_seen(before, table):
            where = f"{name}: {number} of {len(replay.entries)}"
            yield Scene(table, entry.time_ms, banner=banner if steps_left else "", digest=where)
            steps_left = max(0, steps_left - 1)
        before = table
