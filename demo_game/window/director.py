"""The director's window: the story and the figures of a showcase, beside the windows of its players.

The performance runs in a thread of its own; pyglet wants the main one. Closing the window, Esc and Ctrl+C end the
show in good order.
"""

from __future__ import annotations

import signal
import sys
import threading
from concurrent.futures import Future
from dataclasses import replace

import pyglet

from demo_game.figures import Figures
from demo_game.palette import BACKGROUND
from demo_game.players import Cast, Spot
from demo_game.showcase import Show, run
from demo_game.stage import Stage
from demo_game.window import tiles
from demo_game.window.look import Look, page_size
from demo_game.window.page import Page
from demo_game.window.painter import Painter
from demo_game.window.poster import Shown, poster
from demo_game.window.shots import Shots
from demo_game.window.staging import NoWindow, WindowStage

FRAME_S = 1 / 30
POLL_S = 0.1
PICTURE_WIDTH = 1280
"""Windows that pictures are taken of are not larger, so that pictures of all screens are alike."""
CURTAIN_S = 12.0
"""How long the last figures stay, for people to read, before the window closes by itself."""


class Director(pyglet.window.Window):  # type: ignore[misc]
    """The window. It shows what was published last, and looks for something new ten times a second."""

    def __init__(self, spot: Spot, shots: Shots | None) -> None:
        config = pyglet.gl.Config(double_buffer=True, sample_buffers=0, samples=0)  # type: ignore[abstract]
        super().__init__(spot.width, spot.height, "Hexhold showcase", resizable=True, config=config, visible=False)
        self.set_minimum_size(*tiles.LEAST)
        self._painter = Painter()
        self._shots = shots
        self._dirty = True
        self._next, self._shown = Shown(), Shown()
        self._page: Page | None = None
        self.plug = threading.Event()
        """Set when somebody wants the host killed now."""
        self.is_told_to_end = False
        """Set by a signal; looked at by the window's own clock."""
        self.set_visible(True)
        self.set_location(spot.x, spot.y)  # X11's window managers choose a place themselves when it is first shown
        self._fit()

    def publish(self, shown: Shown) -> None:
        """Show this soon; from any thread."""
        self._next = shown

    @property
    def published(self) -> Shown:
        """What was published last."""
        return self._next

    def look_around(self, _: float) -> None:
        """Take in what was published, and whether it is to end."""
        if self.context is None:
            return
        if self.is_told_to_end:
            self.close()
            return
        self._dirty |= self._next != self._shown or (self._shots is not None and self._shots.wanted())
        self._shown = self._next

    def close_soon(self, _: float = 0.0) -> None:
        """Close at the next look; from a signal handler, too."""
        self.is_told_to_end = True

    def draw(self, dt: float) -> None:
        """Draw if something changed."""
        if not self._dirty or self.context is None:
            return
        self._dirty = False
        self.switch_to()
        width, height, _ = page_size(*self.get_framebuffer_size())
        red, green, blue = BACKGROUND
        pyglet.gl.glClearColor(red / 255, green / 255, blue / 255, 1.0)
        self.clear()
        self._page = poster(self._shown, Look(width, height, self._painter.measure, hover=self._hover))
        self._painter.show(self._page)
        if self._shots is not None:
            self._shots.take()
        self.flip()

    def _fit(self) -> None:
        width, height = self.get_framebuffer_size()
        self._painter.resize(*page_size(max(1, width), max(1, height)))
        self._dirty = True

    def on_resize(self, width: int, height: int) -> None:
        """Lay the page out anew."""
        super().on_resize(width, height)
        if hasattr(self, "_painter"):
            self._fit()

    _hover = ""

    def _name_at(self, x: float, y: float) -> str:
        """Return what can be pressed at a point of the window."""
        width, height = self.get_size()
        look = self._page.look if self._page is not None else None
        if self._page is None or look is None:
            return ""
        return self._page.press_at(x * look.width / max(1, width), (height - y) * look.height / max(1, height))

    def on_mouse_motion(self, x: int, y: int, dx: int, dy: int) -> None:
        """The pointer moved."""
        before, self._hover = self._hover, self._name_at(x, y)
        self._dirty |= before != self._hover

    def on_mouse_press(self, x: int, y: int, button: int, modifiers: int) -> None:
        """Something was pressed."""
        if self._name_at(x, y) == "plug":
            self.plug.set()

    def on_key_press(self, symbol: int, modifiers: int) -> None:
        """P pulls the plug, Esc ends the show."""
        if symbol == pyglet.window.key.P:
            self.plug.set()
        elif symbol == pyglet.window.key.ESCAPE:
            self.close_soon()

    def on_expose(self) -> None:
        """What was hidden is to be seen again."""
        self._dirty = True


def direct(show: Show) -> Figures:
    """Put the show on in windows; return what was measured.

    Raises:
        NoWindow: no window can be opened; nothing has been started.
    """
    spots, overlap = _spots(show)
    director = _window(spots[-1], show)
    stop, result = threading.Event(), Future[Figures]()

    def stage_of(cast: Cast, figures: Figures) -> Stage:
        return WindowStage(show, cast, figures, director.publish)

    def perform() -> None:
        try:
            figures = run(show, stage_of, tuple(spots[:-1]), stop, director.plug)
        except BaseException as error:
            result.set_exception(error)
        else:
            director.publish(_last(director, figures))
            result.set_result(figures)

    thread = threading.Thread(target=perform, name="showcase")

    def look(dt: float) -> None:
        director.look_around(dt)
        if not thread.is_alive():
            pyglet.clock.unschedule(look)
            pyglet.clock.schedule_interval(director.look_around, POLL_S)
            pyglet.clock.schedule_once(director.close_soon, 0.0 if show.record is not None else CURTAIN_S)

    for number in (signal.SIGINT, signal.SIGTERM):  # a second one changes nothing: the end takes seconds, not more
        signal.signal(number, lambda *_: director.close_soon())
    thread.start()
    pyglet.clock.schedule_interval(look, POLL_S)
    if overlap:  # the players' windows open above this one
        pyglet.clock.schedule_once(lambda _: director.context and director.activate(), 6.0)
    try:
        pyglet.app.run(FRAME_S)
    finally:
        stop.set()
        thread.join()
    return result.result()


def _last(director: Director, figures: Figures) -> Shown:
    """Return the last thing to be seen: with the verdict on all that was written down, to the end."""
    shown, verdict = director.published, figures.verdict
    return replace(
        shown,
        lost=verdict.lost if verdict else None,
        doubled=verdict.doubled if verdict else None,
        is_over=True,
        banner="",
        complaints=tuple(figures.complaints),
    )


def _spots(show: Show) -> tuple[list[Spot], bool]:
    """Return places for the players' windows and, last, the director's; and whether they cover each other."""
    pyglet.options.dpi_scaling = "real"
    try:
        screen = pyglet.display.get_display().get_default_screen()
    except Exception as error:  # pyglet has no common ancestor for what its platforms raise here
        raise NoWindow(_one_line(error)) from error
    whole = Spot(screen.x, screen.y, screen.width, screen.height)
    width_max = PICTURE_WIDTH if show.record is not None else screen.width
    found = tiles.tiles(whole, show.windows + 1, below_title=sys.platform != "darwin", width_max=width_max)
    return found, tiles.overlap(found)


def _window(spot: Spot, show: Show) -> Director:
    try:
        return Director(spot, Shots(show.record) if show.record is not None else None)
    except pyglet.window.WindowException as error:
        raise NoWindow(_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
