"""The window itself: pyglet's events in, pages out. One object owns all handlers and forwards to the game."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyglet
from pyglet.window import key as keys

from demo_game.palette import BACKGROUND
from demo_game.window.game import Game, Opener, Services
from demo_game.window.look import Look, page_size
from demo_game.window.menu import Menu
from demo_game.window.painter import Painter
from demo_game.window.probe import Probe
from demo_game.window.saved import Saved, home
from demo_game.window.shots import Shots, save
from demo_game.window.sounds import Sounds

FRAME_S = 1 / 60
ANSWER_S = 0.008
POLL_S = 0.1
"""How often it looks at the game though nothing woke it: the only thing that runs while a window is dragged on
Windows."""
SIZE_MIN = 960, 540
SIZE = 1280, 720

_SHIFTED_TAB = keys.user_key(23)
"""With Shift, X11 calls the same key ISO_Left_Tab, which pyglet does not know: it gives the key's place, 23."""
_KEYS = {
    keys.RETURN: "enter",
    keys.NUM_ENTER: "enter",
    keys.ESCAPE: "escape",
    keys.BACKSPACE: "backspace",
    keys.DELETE: "delete",
    keys.TAB: "tab",
    _SHIFTED_TAB: "tab",
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

_MOTIONS = {
    keys.MOTION_BACKSPACE: "backspace",
    keys.MOTION_DELETE: "delete",
    keys.MOTION_LEFT: "left",
    keys.MOTION_RIGHT: "right",
    keys.MOTION_BEGINNING_OF_LINE: "home",
    keys.MOTION_END_OF_LINE: "end",
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
        super().__init__(
            width, height, wish.title, resizable=True, config=config, vsync=True, visible=False, file_drops=True
        )
        self.set_minimum_size(*SIZE_MIN)
        self._painter = Painter()
        self._sounds = Sounds(on=wish.sound)
        self._probe = Probe(wish.probe) if wish.probe is not None else None
        self._shots = Shots(wish.shots) if wish.shots is not None else None
        self._frame_s = wish.frame_s
        self._dirty, self._drawn_at = True, -1e9
        self._due: float | None = None
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
            self._show()

    def look_around(self, _: float) -> None:
        """Look at the game though nothing woke the window."""
        if self._ends:
            self._ends = False
            self.close()
        elif self.context is None:
            return  # it was closed
        elif self.game.saved.settings.fullscreen != self.fullscreen:
            # Not where the key is handled: X11 makes another window, which never hears that the key went up, and
            # its next press would count for a repetition.
            self.set_fullscreen(self.game.saved.settings.fullscreen)
            getattr(self, "pressed_keys", set()).clear()
        elif self.poll() or (self._shots is not None and self._shots.wanted()):
            self._show()

    def poll(self) -> bool:
        """Let the game take in what happened; return whether there is something new to see."""
        changed = self.game.step()
        self._name_window()
        return changed

    def _name_window(self) -> None:
        """Several windows of one machine are told apart by their players."""
        name = self.game.saved.settings.name
        title = f"Hexhold · {name}" if name else "Hexhold"
        if title != self.caption:
            self.set_caption(title)

    def wake_to_end(self) -> None:
        """Close the window soon; from a signal handler."""
        self._ends = True

    _ends = False

    # --- drawing ---

    def _show(self, in_s: float = 0.0) -> None:
        """Draw anew in so many seconds, but no sooner than a picture's time after the last one."""
        self._dirty = True
        if in_s <= 0 and time.perf_counter() >= self._drawn_at + self._frame_s:
            self.draw(0.0)
        else:
            self._plan(in_s)

    def _plan(self, in_s: float) -> None:
        now = time.perf_counter()
        due = max(now + in_s, self._drawn_at + self._frame_s)
        if self._due is None or due < self._due:
            self._due = due
            pyglet.clock.unschedule(self._tick)
            pyglet.clock.schedule_once(self._tick, max(0.001, due - now))

    def _tick(self, dt: float) -> None:
        self._due, self._dirty = None, True
        if self.context is not None:
            self.draw(dt)

    def _fit(self) -> None:
        width, height = self.get_framebuffer_size()
        self._painter.resize(*page_size(max(1, width), max(1, height)))
        self._show()

    def _point(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of the window as one of the page."""
        ratio, scale = self.get_framebuffer_size()[0] / max(1, self.get_size()[0]), self._painter.scale
        return x * ratio / scale, (self.get_size()[1] - y) * ratio / scale

    def draw(self, dt: float) -> None:
        """Draw if something changed."""
        if not self._dirty:
            return
        self._dirty = False
        self._drawn_at = began = time.perf_counter()
        self.switch_to()
        width, height, _ = page_size(*self.get_framebuffer_size())
        page = self.game.page(Look(width, height, self._painter.measure))
        red, green, blue = BACKGROUND
        pyglet.gl.glClearColor(red / 255, green / 255, blue / 255, 1.0)
        self.clear()
        self._painter.show(page)
        if self._shots is not None:
            self._shots.take()
        if self._picture is not None:
            self._keep_picture(self._picture)
        self.flip()
        if page.again_s is not None:
            self._plan(page.again_s)
        if self._probe is not None:
            self._probe.write(self.game, page, self._painter, self.get_size(), time.perf_counter() - began)

    _pictures = 0
    _picture: Path | None = None
    """Where to write what is drawn next."""

    def _keep_picture(self, path: Path) -> None:
        """Write what was just drawn, and is not yet shown: after that it is undefined."""
        self._picture = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path)
        except OSError as error:
            self.game.toast(f"No screenshot: {error.strerror}.")
        else:
            self.game.toast(f"Screenshot: {path}")
        self._plan(0.0)

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
        self._show()

    def on_mouse_motion(self, x: int, y: int, dx: int, dy: int) -> None:
        """The pointer moved."""
        if self.game.pointer(*self._point(x, y)):
            self._show()

    def on_mouse_press(self, x: int, y: int, button: int, modifiers: int) -> None:
        """A button of the mouse went down."""
        if button == pyglet.window.mouse.LEFT:
            self._input()
            self.game.pointer(*self._point(x, y))
            self.game.press(*self._point(x, y))
            self._after_input()

    def on_key_press(self, symbol: int, modifiers: int) -> None:
        """A key went down. Esc does not close the window here."""
        self._input()
        if symbol == keys.F11:
            self.game.saved.change(fullscreen=not self.fullscreen)
        elif symbol == keys.F12:
            self._pictures += 1
            self._picture = home() / "screenshots" / time.strftime(f"%Y%m%d-%H%M%S-{self._pictures}.png")
        else:
            name = _KEYS.get(symbol) or keys.symbol_string(symbol).lower()
            command = keys.MOD_COMMAND if sys.platform == "darwin" else keys.MOD_CTRL
            self.game.key(name, shift=bool(modifiers & keys.MOD_SHIFT), control=bool(modifiers & command))
        self._after_input()

    def on_key_release(self, symbol: int, modifiers: int) -> None:
        """A key went up."""
        self.game.released()
        # pyglet takes the release for one of another key, and would take the next press for a repetition.
        if symbol == keys.TAB:
            getattr(self, "pressed_keys", set()).discard(_SHIFTED_TAB)

    def on_text(self, text: str) -> None:
        """Letters came from the keyboard, or from an input method."""
        # Windows gives letters beyond the first 65,536 in two halves.
        if len(text) == 1 and "\ud800" <= text <= "\udbff":
            self._half = text
            return
        whole = (self._half + text).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
        self._half = ""
        self.game.type(whole)
        self._after_input()

    _half = ""

    def on_text_motion(self, motion: int) -> None:
        """An editing key went down, or is held down."""
        name = _MOTIONS.get(motion)
        if name is not None:
            self.game.edit(name)
            self._after_input()

    def on_file_drop(self, x: int, y: int, paths: list[str]) -> None:
        """A file was dropped onto the window: a replay, if anything."""
        scene = self.game.scene
        if isinstance(scene, Menu) and paths:
            scene.open_replay(Path(paths[0]))
            self._after_input()

    def _input(self) -> None:
        if self._probe is not None:
            self._probe.input_came(self.game)

    def _after_input(self) -> None:
        if self.context is None:
            return  # what was pressed has closed the window
        self.poll()
        self._show(ANSWER_S)  # an answer that comes at once is in the same picture

    def on_close(self) -> None:
        """The window is closed by the system's button."""
        self.close()


GameWindow.register_event_type("on_wake")


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
        # It draws when there is something to see, and not sixty times a second. On some Macs pyglet makes a timer
        # of this interval, and none would be one that never rests.
        pyglet.app.run(FRAME_S if sys.platform == "darwin" else None)
    finally:
        window.game.close()
