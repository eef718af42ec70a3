"""The game behind the window: which screen is shown, what input means, what is told. Knows no pyglet.

The window calls it with keys by name, with points of the page and with typed text, and asks it for a page.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from demo_game.palette import TEXT
from demo_game.window import words
from demo_game.window.browser import Browser
from demo_game.window.look import Look
from demo_game.window.page import Box, Page
from demo_game.window.saved import ANIMATIONS, Saved
from demo_game.window.scene import Scene

if TYPE_CHECKING:
    from demo_game.commands import Command
    from demo_game.session import Opening
    from demo_game.window.link import Link

TOAST_S = 4.0
TOASTS_MAX = 3
OVERLAY_LAYERS = 20
TOAST_LAYERS = 60
REMEMBER_S = 5.0

Opener = Callable[[str | None, bool, Path | None], "tuple[Opening, tuple[Command, ...]]"]
"""Makes an opening out of (ticket, plays alone, folder to resume), with the founder's wishes."""

_EDITING: Final = ("backspace", "delete", "left", "right", "home", "end")


@dataclass(frozen=True, slots=True)
class Services:
    """What the window does for the game."""

    wake: Callable[[], None]
    """Look again soon; from any thread."""
    sound: Callable[[str], None]
    copy: Callable[[str], None]
    """Into the clipboard."""
    paste: Callable[[], str]
    end: Callable[[], None]
    """Close the window."""
    clock: Callable[[], float] = time.monotonic


class Game:
    """One window's game, from the menu to its end.

    Args:
        saved: settings, and games to return to.
        opener: how to come to a table.
        services: what the window does.
        dev: whether the plug may be pulled.
    """

    def __init__(self, saved: Saved, opener: Opener, services: Services, *, dev: bool = False) -> None:
        self.saved, self.dev = saved, dev
        self.link: Link | None = None
        self.browser = Browser(services.wake)
        self.focus, self.hover = "", ""
        self.shows_focus = False
        self.overlays: list[Scene] = []
        self._opener, self._services = opener, services
        self._toasts: list[tuple[str, float]] = []
        self._swallows = False
        """Whether the letter of the key just pressed was a command and is not to be typed."""
        self._remembered = ("", 0.0)
        self._page: Page | None = None
        self._links: list[Link] = []
        self._before_toasts = 0
        self.scene: Scene = Scene()

    # --- for screens: see `scene.Around` ---

    def now(self) -> float:
        """Seconds; goes on evenly."""
        return self._services.clock()

    def sound(self, name: str) -> None:
        """Play a sound, unless they are off."""
        if self.saved.settings.sound:
            self._services.sound(name)

    def go(self, scene: Scene) -> None:
        """Show another screen. Who is typing a line that is there, too, goes on typing it."""
        typed = self.top.fields.get(self.focus)
        self.scene, self.overlays, self.hover = scene, [], ""
        if typed is not None and self.focus in scene.fields:
            scene.fields[self.focus] = typed
        else:
            self.focus = scene.first_focus

    def over(self, overlay: Scene) -> None:
        """Show an overlay; one of each name."""
        self.overlays = [each for each in self.overlays if each.name != overlay.name] + [overlay]
        self.focus = overlay.first_focus

    def back(self) -> None:
        """Take the uppermost overlay away."""
        if self.overlays:
            self.overlays.pop()
        self.focus = self.top.first_focus if self.overlays else ""

    def toast(self, told: str) -> None:
        """Tell something for some seconds; the same words twice count once."""
        until = self.now() + TOAST_S
        others = [each for each in self._toasts if each[0] != told]
        self._toasts = [*others[-(TOASTS_MAX - 1) :], (told, until)]

    def copy(self, text: str) -> None:
        """Put a text into the clipboard."""
        self._services.copy(text)

    def open_table(self, *, ticket: str | None = None, solo: bool = False, folder: Path | None = None) -> None:
        """Found, join or resume."""
        from demo_game.window.link import Link  # noqa: PLC0415 - imports the library: the menu is there before

        opening, wishes = self._opener(ticket, solo, folder)
        opening = replace(opening, name=self.saved.settings.name or opening.name)
        before = tuple(self._links)
        self.link = Link(
            opening, self._services.wake, wishes=wishes, solo=solo, dev=self.dev, after=before, clock=self.now
        )
        self._links = [self.link, *before[:1]]
        self.browser.stop()

    def close_table(self, *, for_good: bool) -> None:
        """Leave the table: with the seat kept for a return, or for good."""
        link, self.link = self.link, None
        if link is None:
            return
        from demo_game.commands import Leave  # noqa: PLC0415 - as above

        if for_good:
            if link.place >= 0:
                link.ask(Leave(), quiet=True)
            self.saved.forget(link.opening.data)
            link.leave()
        else:
            self._remember(link)
            link.close()

    def end(self) -> None:
        """Close the window."""
        self._services.end()

    # --- for the window ---

    @property
    def top(self) -> Scene:
        """What gets the input."""
        return self.overlays[-1] if self.overlays else self.scene

    def close(self) -> None:
        """Leave in good order; blocks until all threads have ended, for some seconds at most."""
        self.browser.stop()
        if self.link is not None:
            self.close_table(for_good=False)
        for link in self._links:
            link.join()

    def step(self) -> bool:
        """Take in what happened elsewhere; return whether there is something new to see."""
        now, changed = self.now(), False
        link = self.link
        if link is not None:
            changed = link.poll()
            while link.toasts:
                self.toast(link.toasts.pop(0))
                self.sound("refused")
                changed = True
            self._remember_now_and_then(link, now)
        changed |= self.scene.step(now)
        for overlay in self.overlays:
            changed |= overlay.step(now)
        kept = [each for each in self._toasts if each[1] > now]
        changed |= len(kept) != len(self._toasts)
        self._toasts = kept
        return changed

    def _remember_now_and_then(self, link: Link, now: float) -> None:
        if link.is_open and now - self._remembered[1] >= REMEMBER_S:
            where = f"{link.opening.data} {words.where(link.table)}"
            if where != self._remembered[0] and self._remember(link):
                self._remembered = (where, now)

    def _remember(self, link: Link) -> bool:
        """Note the table for "Rejoin", also for who watches; return whether there is one to return to yet."""
        if not link.is_known or not link.table.seats:
            return False
        opening = link.opening
        self.saved.remember(opening.data, opening.name, words.where(link.table), solo=link.solo)
        return True

    def page(self, look: Look) -> Page:
        """Return what is to be seen at this moment."""
        look = replace(look, focus=self.focus, hover=self.hover, shows_focus=self.shows_focus, now=self.now())
        below = look if not self.overlays else replace(look, focus="", hover="")
        page = self.scene.page(below)
        for number, overlay in enumerate(self.overlays):
            shown = overlay.page(look if overlay is self.top else below)
            lift = OVERLAY_LAYERS * (number + 1)
            page.items += [replace(item, layer=item.layer + lift) for item in shown.items]
            page.targets = shown.targets
            if shown.again_s is not None:
                page.again(shown.again_s)
        self._write_toasts(page)
        self._page = page
        return page

    def _write_toasts(self, page: Page) -> None:
        """Show what was told, above everything, at the foot of the page."""
        page.base = TOAST_LAYERS
        y = page.look.height - 132.0
        for told, _ in reversed(self._toasts):
            lines = page.wrapped(told, 16.0, 560.0)[:3]
            width = max(page.look.measure(line, 16.0, False) for line in lines) + 40
            height = 20.0 + 22 * len(lines)
            box = Box((page.look.width - 330 - width) / 2, y - height, width, height)
            page.panel(box, (66, 52, 22), layer=0)
            for number, line in enumerate(lines):
                middle = box.y + 21 + 22 * number
                page.write(line, box.middle[0], middle, 16.0, TEXT, room=width - 30, anchor="center", layer=1)
            y -= height + 8
        page.base = 0

    # --- input ---

    def pointer(self, x: float, y: float) -> bool:
        """The pointer moved; return whether that changed anything."""
        before, self.hover = self.hover, self._page.press_at(x, y) if self._page else ""
        moved = self.top.pointed_at(x, y) if not self.overlays else False
        return moved or before != self.hover

    def press(self, x: float, y: float) -> None:
        """The pointer was pressed."""
        self.shows_focus = False
        if self._page is None:
            return
        name = self._page.press_at(x, y)
        field = self.top.fields.get(name)
        self.focus = name if field is not None else ""
        if field is not None:
            field.end()
        elif name:
            self.sound("press")
            self.top.act(name)
            self.top.pressed_on(name, x)
        else:
            self.top.pressed_at(x, y)

    def type(self, text: str) -> None:
        """Letters were typed."""
        field = self.top.fields.get(self.focus)
        if field is not None and not self._swallows:
            field.type(text)

    def released(self) -> None:
        """A key went up: on macOS letters come before their key, so what comes now is to be typed again."""
        self._swallows = False

    def key(self, key: str, *, shift: bool = False, control: bool = False) -> None:
        """A key was pressed."""
        field = self.top.fields.get(self.focus)
        self._swallows = False
        if control:
            self._clipboard(key)
        elif key == "escape":
            self._escape()
        elif field is not None and key in _EDITING:
            pass  # see `edit`: it hears of keys that are held down, too
        elif field is not None and key == "enter":
            self.top.enter(self.focus)
        elif key == "tab":
            if field is not None or not self.top.key("shift tab" if shift else "tab"):
                self._move_focus(-1 if shift else 1)
        elif key in ("f1", "f2"):
            self._swallows = self.top.key(key) or self.scene.key(key)
        elif field is None:
            self._swallows = self._command(key)
        elif key in ("up", "down"):
            self._move_focus(-1 if key == "up" else 1)

    def _command(self, key: str) -> bool:
        """Take a key while nothing is typed."""
        focused = self.shows_focus and self._page is not None and self._page.box_of(self.focus) is not None
        if self.top.key(key):
            return True
        if key in ("enter", "space") and focused:
            self.sound("press")
            self.top.act(self.focus)
        elif key in ("up", "down", "left", "right"):
            self._move_focus(-1 if key in ("up", "left") else 1)
        elif key == "m":
            self.saved.change(sound=not self.saved.settings.sound)
            self.toast("Sounds on." if self.saved.settings.sound else "Sounds off.")
        elif key == "a":
            speed = ANIMATIONS[(ANIMATIONS.index(self.saved.settings.animation) + 1) % len(ANIMATIONS)]
            self.saved.change(animation=speed)
            self.toast(f"Animations: {speed}.")
        else:
            return False
        return True

    def _escape(self) -> None:
        if self.top.fields.get(self.focus) is not None and not self.top.key("escape in field"):
            self.focus = ""
        elif self.overlays:
            if not self.top.key("escape"):
                self.back()
        elif self.top.fields.get(self.focus) is None:
            self.scene.key("escape")

    def _clipboard(self, key: str) -> None:
        field = self.top.fields.get(self.focus)
        if key == "v" and field is not None:
            field.type(self._services.paste()[:4_000])
        elif key == "c" and not self.top.key("copy") and field is not None:
            self.copy(field.text)
        elif key == "u" and field is not None:
            field.clear()

    def edit(self, key: str) -> None:
        """An editing key was pressed, or is held down: `backspace`, `delete`, `left`, `right`, `home`, `end`."""
        field = self.top.fields.get(self.focus)
        if field is None:
            return
        match key:
            case "backspace":
                field.backspace()
            case "delete":
                field.delete()
            case "left" | "right":
                field.move(-1 if key == "left" else 1)
            case "home":
                field.home()
            case _:
                field.end()

    def _move_focus(self, by: int) -> None:
        """Move the keyboard's focus to the next thing that can be pressed."""
        names = [target.name for target in self._page.targets if target.in_tabs] if self._page else []
        self.shows_focus = True
        if names:
            here = names.index(self.focus) if self.focus in names else (-1 if by > 0 else 0)
            self.focus = names[(here + by) % len(names)]
            field = self.top.fields.get(self.focus)
            if field is not None:
                field.end()
