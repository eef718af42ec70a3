"""The window itself: pyglet's events in, pages out. One object owns all handlers and forwards to the game."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyglet
from pyglet.window import key as keys

from demo_game.palette import BACKGROUND
from demo_game.window.game import Game, Opener, Services
from demo_game.window.look import Look, page_size
from demo_game.window.menu import Menu
from demo_game.window.painter import Painter
from demo_game.window.saved import Saved
from demo_game.window.shots import Shots
from demo_game.window.sounds import Sounds

FRAME_S = 1 / 60
POLL_S = 0.1
"""How often it looks at the game though nothing woke it: the only thing that runs while a window is dragged on
Windows."""
SIZE_MIN = 960, 540
SIZE = 1280, 720

_KEYS = {
    keys.RETURN: "enter",
    keys.NUM_ENTER: "enter",
    keys.ESCAPE: "escape",
    keys.BACKSPACE: "backspace",
    keys.DELETE: "delete",
    keys.TAB: "tab",
    keys.SPACE: "space",
    keys.LEFT: "left",
    keys.RIGHT: "right",
    keys.UP: "up",
    keys.DOWN: "down",
    keys.HOME: "home",
    keys.END: "end",
    keys.F1: "f1",
    keys.F2: "f2",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """How a window is started."""

    opener: Opener
    saved: Saved
    first: Callable[[Game], None]
    """Shows the first screen; the menu if it shows none."""
    size: tuple[int, int] = SIZE
    sound: bool = True
    dev: bool = False
    probe: Path | None = None
    """Write down here what every frame shows; for tests."""
    frame_s: float = FRAME_S
    """Between two pictures of something that moves."""
    shots: Path | None = None
    """Look here for questions for pictures; see `shots`."""
    place: tuple[int, int] | None = None
    """Where on the screen; None leaves it to the system."""
    title: str = "Hexhold"
    ends_with: Callable[[GameWindow], None] | None = None
    """Called once the window is there, for who wants to end it from outside (signals)."""


class GameWindow(pyglet.window.Window):  # type: ignore[misc]
    """The window. Draws only when there is something new to see."""

    def __init__(self, wish: Wish) -> None:
        width, height = wish.size
        config = pyglet.gl.Config(double_buffer=True, sample_buffers=0, samples=0)  # type: ignore[abstract]
        super().__init__(width, height, wish.title, resizable=True, config=config, vsync=True, visible=False)
        self.set_minimum_size(*SIZE_MIN)
        self._painter = Painter()
        self._sounds = Sounds(on=wish.sound)
        self._probe = Probe(wish.probe) if wish.probe is not None else None
        self._shots = Shots(wish.shots) if wish.shots is not None else None
        self._dirty, self._drawn_at, self._pressed_at = True, 0.0, 0.0
        self.game = Game(wish.saved, wish.opener, self._services(), dev=wish.dev)
        self.game.go(Menu(self.game))
        wish.first(self.game)
        self.set_visible(True)
        if wish.place is not None:  # X11's window managers choose a place themselves when it is first shown
            self.set_location(*wish.place)
        self._fit()

    def _services(self) -> Services:
        return Services(
            wake=self.wake,
            sound=self._sounds.play,
            copy=self.set_clipboard_text,
            paste=self.get_clipboard_text,
            end=self.close,
        )

    def wake(self) -> None:
        """Look at the game soon. From any thread, as often as one likes."""
        if not self._awake:
            self._awake = True
            pyglet.app.platform_event_loop.post_event(self, "on_wake")

    _awake = False

    def on_wake(self) -> None:
        """Something happened elsewhere: look at it, and show it without waiting for the next frame."""
        self._awake = False
        if self.context is not None and self.poll():
            self.draw(0.0)

    def look_around(self, _: float) -> None:
        """Look at the game though nothing woke the window."""
        if self._ends:
            self._ends = False
            self.close()
        elif self.context is not None:
            self.poll()
            self._dirty |= self._shots is not None and self._shots.wanted()

    def poll(self) -> bool:
        """Let the game take in what happened; return whether there is something new to see."""
        changed = self.game.step()
        if self.game.saved.settings.fullscreen != self.fullscreen:
            self.set_fullscreen(self.game.saved.settings.fullscreen)
        self._dirty |= changed
        return changed

    def wake_to_end(self) -> None:
        """Close the window soon; from a signal handler."""
        self._ends = True

    _ends = False

    # --- drawing ---

    def _fit(self) -> None:
        width, height = self.get_framebuffer_size()
        self._painter.resize(*page_size(max(1, width), max(1, height)))
        self._dirty = True

    def _point(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of the window as one of the page."""
        ratio, scale = self.get_framebuffer_size()[0] / max(1, self.get_size()[0]), self._painter.scale
        return x * ratio / scale, (self.get_size()[1] - y) * ratio / scale

    def draw(self, dt: float) -> None:
        """Draw if something changed; called sixty times a second."""
        if not self._dirty:
            return
        self._dirty = False
        began = time.perf_counter()
        self.switch_to()
        width, height, _ = page_size(*self.get_framebuffer_size())
        page = self.game.page(Look(width, height, self._painter.measure))
        red, green, blue = BACKGROUND
        pyglet.gl.glClearColor(red / 255, green / 255, blue / 255, 1.0)
        self.clear()
        self._painter.show(page)
        if self._shots is not None:
            self._shots.take()
        self.flip()
        self._dirty = page.animates
        if self._probe is not None:
            self._probe.write(self, page, began)

    def screenshot(self) -> Path:
        """Write what is shown to a PNG file in the present folder; return where."""
        path = Path.cwd() / time.strftime("hexhold-%Y%m%d-%H%M%S.png")
        pyglet.image.get_buffer_manager().get_color_buffer().save(str(path))
        return path

    @property
    def painter(self) -> Painter:
        """What is on the screen."""
        return self._painter

    # --- events ---

    def on_resize(self, width: int, height: int) -> None:
        """Lay the page out anew."""
        super().on_resize(width, height)
        if hasattr(self, "_painter"):
            self._fit()

    def on_expose(self) -> None:
        """What was hidden is to be seen again."""
        self._dirty = True

    def on_mouse_motion(self, x: int, y: int, dx: int, dy: int) -> None:
        """The pointer moved."""
        self._dirty |= self.game.pointer(*self._point(x, y))

    def on_mouse_press(self, x: int, y: int, button: int, modifiers: int) -> None:
        """A button of the mouse went down."""
        if button == pyglet.window.mouse.LEFT:
            self._pressed_at = time.perf_counter()
            self.game.pointer(*self._point(x, y))
            self.game.press(*self._point(x, y))
            self._after_input()

    def on_key_press(self, symbol: int, modifiers: int) -> None:
        """A key went down. Esc does not close the window here."""
        self._pressed_at = time.perf_counter()
        if symbol == keys.F11:
            self.game.saved.change(fullscreen=not self.fullscreen)
        elif symbol == keys.F12:
            self.game.toast(f"Screenshot: {self.screenshot()}")
        else:
            name = _KEYS.get(symbol) or keys.symbol_string(symbol).lower()
            command = keys.MOD_COMMAND if sys.platform == "darwin" else keys.MOD_CTRL
            self.game.key(name, shift=bool(modifiers & keys.MOD_SHIFT), control=bool(modifiers & command))
        self._after_input()

    def on_text(self, text: str) -> None:
        """Letters came from the keyboard, or from an input method."""
        self.game.type(text)
        self._after_input()

    def on_text_motion(self, motion: int) -> None:
        """An editing key is held down: the first press came by `on_key_press`, so repeats alone count."""

    def on_file_drop(self, x: int, y: int, paths: list[str]) -> None:
        """A file was dropped onto the window: a replay, if anything."""
        scene = self.game.scene
        if isinstance(scene, Menu) and paths:
            scene.open_replay(Path(paths[0]))
            self._after_input()

    def _after_input(self) -> None:
        self.poll()
        self._dirty = True

    def on_close(self) -> None:
        """The window is closed by the system's button."""
        self.close()

    @property
    def input_at(self) -> float:
        """When the last input came, on `time.perf_counter`."""
        return self._pressed_at


GameWindow.register_event_type("on_wake")


class Probe:
    """Writes down what each frame shows, for tests that look at the window from outside."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames = 0

    def write(self, window: GameWindow, page: Any, began: float) -> None:
        """Write one frame's facts, in place of the last one's."""
        self._frames += 1
        scale = window.painter.scale
        ratio = window.get_framebuffer_size()[0] / max(1, window.get_size()[0])
        game, link = window.game, window.game.link
        table = link.table if link is not None else None
        facts = {
            "frame": self._frames,
            "time": time.monotonic(),
            "draw_ms": (time.perf_counter() - began) * 1_000,
            "since_input_ms": (time.perf_counter() - window.input_at) * 1_000,
            "scene": game.scene.name,
            "overlays": [overlay.name for overlay in game.overlays],
            "focus": game.focus,
            "size": window.get_size(),
            "page": [page.look.width, page.look.height],
            "targets": {
                target.name: [part * scale / ratio for part in _parts(target.box)] for target in page.targets
            },
            "texts": [
                [item.words, item.x, item.y, item.size, item.anchor, item.room, width, item.layer]
                for item, width in window.painter.widths()
            ],
            "table": None if table is None else _facts(game, table, scale / ratio),
        }
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(facts), encoding="utf-8")
        os.replace(beside, self._path)


def _parts(box: Any) -> tuple[float, float, float, float]:
    return box.x, box.y, box.width, box.height


def _facts(game: Game, table: Any, pixels: float) -> dict[str, Any]:
    """Return what tests want to know about the table and the map."""
    link = game.link
    assert link is not None
    position = table.position
    chart = getattr(game.scene, "chart", None)
    spots = (
        []
        if chart is None
        else [[x * pixels, y * pixels] for x, y in map(chart.label_at, range(len(position.owners)))]
    )
    hexes_ = (
        []
        if chart is None
        else [
            [t, *(part * pixels for part in chart.middle(cell))]
            for cell, t in enumerate(chart.land.cells)
            if t >= 0
        ]
    )
    return {
        "phase": table.phase.name,
        "turn": table.turn,
        "step": table.step,
        "place": link.place,
        "me": link.me.hex(),
        "is_host": link.is_host,
        "hosts": table.hosts,
        "seats": [seat.name for seat in table.seats],
        "colours": [seat.colour for seat in table.seats],
        "owners": list(position.owners) if position else [],
        "dice": list(position.dice) if position else [],
        "seat": position.seat if position else -1,
        "spots": spots,
        "hexes": hexes_,
        "banner": [
            getattr(link.story.banner(game.now(), table), "tone", ""),
            getattr(link.story.banner(game.now(), table), "words", ""),
        ],
        "moves": [
            [m.source, m.target, m.gap_ms, m.seal_before.hex(), m.seal_after.hex()] for m in link.story.moves
        ],
        "ticket": link.ticket,
        "code": link.code,
        "agreement": link.agreement.shown(game.now()),
        "term": link.status.term if link.status is not None else 0,
    }


def run(wish: Wish) -> None:
    """Open the window and return when it was closed, and everything has been left in good order."""
    pyglet.options.dpi_scaling = "real"
    settings = wish.saved.settings
    window = GameWindow(wish)
    if wish.ends_with is not None:
        wish.ends_with(window)
    pyglet.clock.schedule_interval(window.look_around, POLL_S)
    if settings.fullscreen:
        window.set_fullscreen(True)
    try:
        pyglet.app.run(wish.frame_s)
    finally:
        window.game.close()
