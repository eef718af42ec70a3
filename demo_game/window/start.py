"""From the command line to a window: what is opened first, and how the window comes to a table."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from demo_game.bots import Skill
from demo_game.window.saved import Saved

if TYPE_CHECKING:
    from demo_game.commands import Command
    from demo_game.session import Opening as TableOpening
    from demo_game.window.game import Game

TableOf = Callable[[], "tuple[TableOpening, tuple[Command, ...]]"]

PLAYERS = 4
TURN_S = 45
ROUNDS = 30
AUTO_FRAME_S = 1 / 15
"""Several windows that play by themselves share one machine; where software draws, smooth dice would cost the host
its role."""


@dataclass(frozen=True, slots=True)
class Looks:
    """How the window is to look; None leaves what the player chose before."""

    size: tuple[int, int] = (1280, 720)
    sound: bool = True
    animation: str | None = None
    low_motion: bool | None = None
    dev: bool = False
    probe: Path | None = None
    place: tuple[int, int] | None = None
    shots: Path | None = None


@dataclass(frozen=True, slots=True)
class First:
    """What is opened at first: the menu, if nothing else is said."""

    founds: bool = False
    solo: bool = False
    ticket: str | None = None
    replay: Path | None = None
    resumes: bool = False
    """A folder was named that has a game in it."""
    auto: Path | None = None
    """It plays by itself, and keeps its settings and its list of games here: a player's own are left alone."""

    @property
    def is_table(self) -> bool:
        """Whether it begins at a table."""
        return self.founds or self.solo or self.ticket is not None or self.resumes


def there_is_a_display() -> bool:
    """Tell whether a window can be opened at all."""
    if find_spec("pyglet") is None:
        return False
    return sys.platform in ("win32", "darwin") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def show(looks: Looks, first: First, table: TableOf, named: str | None) -> None:
    """Open the window; return when it was closed.

    Args:
        looks: how it looks.
        first: what it opens at first.
        table: how it comes to tables, and what is asked of the first; called when it goes to one. The menu's
            choices replace ticket and folder.
        named: the player's name, if it was given; else the one that was chosen before.
    """
    try:
        from demo_game.window import main  # noqa: PLC0415 - imports pyglet, which opens a display
    except Exception as error:  # pyglet has no common ancestor for what its platforms raise
        words = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"no window can be opened: {words}; play with --terminal, or --headless") from error

    saved = Saved(first.auto)
    saved.settings = replace(
        saved.settings,
        animation=looks.animation or saved.settings.animation,
        low_motion=saved.settings.low_motion if looks.low_motion is None else looks.low_motion,
    )
    if named is not None:
        saved.settings = replace(saved.settings, name=named)
    opener = _Opener(saved, table)

    def begin(game: Game) -> None:
        from demo_game.window.menu import Menu, Opening  # noqa: PLC0415

        if first.replay is not None and isinstance(game.scene, Menu):
            game.scene.open_replay(first.replay)
        elif first.is_table:
            game.open_table(ticket=first.ticket, solo=first.solo)
            game.go(Opening(game))

    main.run(
        main.Wish(
            opener=opener,
            saved=saved,
            first=begin,
            size=looks.size,
            sound=looks.sound,
            dev=looks.dev,
            probe=looks.probe,
            place=looks.place,
            shots=looks.shots,
            frame_s=1 / 60 if first.auto is None else AUTO_FRAME_S,
            ends_with=lambda window: end_by_signals(window.wake_to_end),
        )
    )


class _Opener:
    """Makes openings: the first as the command line says, the others as the menu does."""

    def __init__(self, saved: Saved, table: TableOf) -> None:
        self._saved, self._table = saved, table
        self._template: TableOpening | None = None

    def __call__(
        self, ticket: str | None, solo: bool, folder: Path | None
    ) -> tuple[TableOpening, tuple[Command, ...]]:
        from demo_game.session import new_data_folder  # noqa: PLC0415 - imports the library

        is_first = self._template is None
        wishes: tuple[Command, ...] = ()
        if self._template is None:
            self._template, wishes = self._table()
        data = folder or (self._template.data if is_first else new_data_folder())
        founds = ticket is None and folder is None
        opening = replace(self._template, data=data, ticket=ticket, found=founds)
        return opening, (wishes or self._from_menu(solo)) if founds else ()

    def _from_menu(self, solo: bool) -> tuple[Command, ...]:
        from demo_game.session import wishes_of  # noqa: PLC0415 - as above

        settings = self._saved.settings
        if solo:
            bots = (Skill(settings.skill),) * settings.bots
            return wishes_of(settings.bots + 1, settings.map, TURN_S, ROUNDS, bots)
        return wishes_of(PLAYERS, settings.map, TURN_S, ROUNDS, ())


def end_by_signals(end: Callable[[], None]) -> None:
    """Let Ctrl+C and SIGTERM close the window, which leaves in good order; a second one ends at once."""

    def told(number: int, frame: object) -> None:
        del frame
        signal.signal(number, signal.SIG_DFL)
        end()

    signal.signal(signal.SIGINT, told)
    signal.signal(signal.SIGTERM, told)
