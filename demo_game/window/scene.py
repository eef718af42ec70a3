"""What every screen is: a page and what is done about input. And what a screen may ask of the game around it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from demo_game.window.fields import Field
from demo_game.window.look import Look
from demo_game.window.page import Page

if TYPE_CHECKING:
    from demo_game.window.browser import Browser
    from demo_game.window.link import Link
    from demo_game.window.saved import Saved


class Scene:
    """One screen, or an overlay on one."""

    name = "scene"
    """For tests and for the window's title."""
    is_overlay = False

    def __init__(self) -> None:
        self.fields: dict[str, Field] = {}
        """Lines to type into, by the name of their target."""
        self.first_focus = ""
        """What the keyboard acts on at first."""

    def page(self, look: Look) -> Page:
        """Return what is to be seen."""
        raise NotImplementedError

    def act(self, name: str) -> None:
        """A target was pressed."""

    def key(self, key: str) -> bool:
        """A key was pressed that no line took; return whether it meant something here."""
        del key
        return False

    def pointed_at(self, x: float, y: float) -> bool:
        """The pointer moved; return whether that is to be seen."""
        del x, y
        return False

    def pressed_at(self, x: float, y: float) -> None:
        """Where no target is, the pointer was pressed."""

    def pressed_on(self, name: str, x: float) -> None:
        """A target was pressed at a place along its width; after `act`."""

    def enter(self, name: str) -> None:
        """Enter was pressed in a line; the default goes on to the next target."""

    def step(self, now: float) -> bool:
        """Look at what happened elsewhere; return whether the page may be different."""
        del now
        return False


class Around(Protocol):
    """The game around a screen."""

    saved: Saved
    browser: Browser
    link: Link | None
    dev: bool
    focus: str
    """The name of what the keyboard acts on."""
    hover: str
    """The name of what the pointer is on."""
    overlays: list[Scene]

    def sound(self, name: str) -> None:
        """Play a sound."""

    def now(self) -> float:
        """Seconds; goes on evenly."""

    def go(self, scene: Scene) -> None:
        """Show another screen."""

    def over(self, overlay: Scene) -> None:
        """Show an overlay above the present screen."""

    def back(self) -> None:
        """Take the uppermost overlay away."""

    def toast(self, words: str) -> None:
        """Tell something for some seconds."""

    def copy(self, text: str) -> None:
        """Put a text into the clipboard."""

    def open_table(self, *, ticket: str | None = None, solo: bool = False, folder: Path | None = None) -> None:
        """Found, join or resume."""

    def close_table(self, *, for_good: bool) -> None:
        """Leave the table and show the menu."""

    def end(self) -> None:
        """Close the window."""
