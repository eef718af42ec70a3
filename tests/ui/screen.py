"""A screen with a window manager, and Hexhold's windows on it: started, clicked, typed into, looked at."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.ui.pixels import Pixels, read_window

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
TOOLS = ("Xvfb", "openbox", "xdotool", "wmctrl", "xwd")
WIDTH, HEIGHT = 2600, 1500
PATIENCE_S = 20.0


def missing() -> list[str]:
    """Return the programs that are not there."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


class Display:
    """One X server, with nothing but a window manager on it."""

    def __init__(self, number: int | None = None) -> None:
        read, write = os.pipe()
        self._server = subprocess.Popen(
            [
                "Xvfb",
                "-displayfd",
                str(write),
                "-screen",
                "0",
                f"{WIDTH}x{HEIGHT}x24",
                "-nolisten",
                "tcp",
                "-noreset",
            ],
            pass_fds=(write,),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read) as told:
            self.name = f":{told.readline().strip()}"
        self._manager = subprocess.Popen(
            ["openbox", "--sm-disable"],
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: "openbox" in self.run("wmctrl", "-m").lower() or None, "no window manager", 10.0)

    def environment(self) -> dict[str, str]:
        """Return the environment of programs on this screen."""
        return {**os.environ, "DISPLAY": self.name, "LP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}

    def run(self, *command: str) -> str:
        """Run a tool on this screen; return what it printed, also if it failed."""
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, check=False, timeout=20
        )
        return done.stdout

    def close(self) -> None:
        """End both."""
        for process in (self._manager, self._server):
            process.terminate()
            process.wait()


def until(seen: Callable[[], T | None], or_else: str | Callable[[], str], at_most_s: float = PATIENCE_S) -> T:
    """Look until there is something to see; it fails with these words if it takes too long."""
    deadline = time.monotonic() + at_most_s
    while True:
        value = seen()
        if value is not None and value is not False:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(or_else if isinstance(or_else, str) else or_else())
        time.sleep(0.02)


@dataclass
class Window:
    """One Hexhold in a window, with its process."""

    display: Display
    process: subprocess.Popen[bytes]
    folder: Path
    name: str
    _id: str = field(default="", repr=False)

    # --- looking ---

    @property
    def facts(self) -> dict[str, Any]:
        """What the last frame showed; empty before the first."""
        try:
            return json.loads((self.folder / "probe").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}

    @property
    def table(self) -> dict[str, Any]:
        """What the window knows of its table."""
        return self.facts.get("table") or {}

    @property
    def words(self) -> list[str]:
        """All texts on the screen."""
        return [text[0] for text in self.facts.get("texts", [])]

    def see(self, seen: Callable[[dict[str, Any]], T | None], what: str, at_most_s: float = PATIENCE_S) -> T:
        """Wait until the window shows something."""

        def look() -> T | None:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}: {self.errors()}")
            facts = self.facts
            return seen(facts) if facts else None

        return until(look, lambda: f"{self.name} never saw {what}; it shows {self.told()}", at_most_s)

    def sees_scene(self, scene: str, at_most_s: float = PATIENCE_S) -> None:
        """Wait for a screen, without an overlay."""
        self.see(lambda f: (f["scene"] == scene and not f["overlays"]) or None, f"the {scene}", at_most_s)

    def sees_overlay(self, name: str, at_most_s: float = PATIENCE_S) -> None:
        """Wait for an overlay."""
        self.see(lambda f: name in f["overlays"] or None, f"the card {name}", at_most_s)

    def sees_words(self, part: str, at_most_s: float = PATIENCE_S) -> str:
        """Wait for a text with these words in it; return it whole."""
        return self.see(lambda f: next((t[0] for t in f["texts"] if part in t[0]), None), repr(part), at_most_s)

    def told(self) -> str:
        """Return what it shows, for messages of tests that fail."""
        facts = self.facts
        moves = (facts.get("table") or {}).get("moves")
        return (
            f"{facts.get('scene')} {facts.get('overlays')} {[t[0] for t in facts.get('texts', [])]} moves {moves}"
        )

    def errors(self) -> str:
        """Return what the process said on its standard error."""
        return (self.folder / "errors").read_text(encoding="utf-8", errors="replace")[-3_000:]

    def journal(self) -> list[dict[str, Any]]:
        """Return what it wrote down."""
        from demo_game import records

        path = self.folder / "report"
        return list(records.read(path)) if path.exists() else []

    # --- doing ---

    @property
    def id(self) -> str:
        """The X window, found by its title, which ends with the player's name."""

        def find() -> str | None:
            lines = [line.split(None, 3) for line in self.display.run("wmctrl", "-l").splitlines()]
            found = [line[0] for line in lines if len(line) == 4 and line[3] == f"Hexhold · {self.name}"]
            return str(int(found[-1], 16)) if found else None

        if not self._id:
            self._id = until(find, f"{self.name} has no window")
        return self._id

    def look_for_it_again(self) -> None:
        """Going to the full screen and back makes another X window."""
        self._id = ""

    def activate(self) -> None:
        """Bring it to the front, and give it the keyboard."""

        def has_focus() -> bool:
            # A window that was just opened may take the keyboard a moment later: so it is looked at, too.
            if self.display.run("xdotool", "getactivewindow").strip() == self.id == self.focused():
                return True
            self.display.run("xdotool", "windowactivate", "--sync", self.id)
            return False

        until(has_focus, f"{self.name} does not get the keyboard")

    def focused(self) -> str:
        """Return the window that has the keyboard."""
        return self.display.run("xdotool", "getwindowfocus").strip()

    def click_at(self, x: float, y: float) -> None:
        """Click at a point of the window."""
        self.activate()
        self.display.run("xdotool", "mousemove", "--window", self.id, str(round(x)), str(round(y)), "click", "1")

    def point_at(self, x: float, y: float) -> None:
        """Move the pointer to a point of the window."""
        self.activate()
        self.display.run("xdotool", "mousemove", "--window", self.id, str(round(x)), str(round(y)))

    def click(self, target: str, at_most_s: float = PATIENCE_S) -> None:
        """Click on a target, once it is there."""
        box = self.see(lambda f: f["targets"].get(target), f"something to press called {target}", at_most_s)
        self.click_at(box[0] + box[2] / 2, box[1] + box[3] / 2)

    def keys(self, *names: str) -> None:
        """Press keys, one after the other."""
        self.activate()
        self.display.run("xdotool", "key", "--delay", "25", *names)

    def type(self, text: str) -> None:
        """Type a text."""
        self.activate()
        self.display.run("xdotool", "type", "--delay", "12", text)

    def pixels(self) -> Pixels:
        """Return what it shows; it must not be covered."""
        self.activate()
        return read_window(self.id, self.display.environment())

    def screenshot(self, path: Path) -> Path:
        """Write what it shows to a PNG file."""
        return self.pixels().save(path)

    # --- ending ---

    def close(self) -> int:
        """Close it as a person does; return the exit status."""
        self.display.run("wmctrl", "-i", "-c", self.id)
        return self.process.wait(timeout=PATIENCE_S)

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait()


class Screen:
    """Starts windows, and ends them with itself."""

    def __init__(self, display: Display, folder: Path) -> None:
        self.display, self.folder = display, folder
        self.windows: list[Window] = []

    def open(self, name: str, *arguments: str, size: str = "960x540", within: Sequence[str] = ()) -> Window:
        """Start a window with its own home folder; the arguments are those of `demo-game`.

        A name that was used before opens it on the same home and data. `within` stands before the command, such as
        one that enters a network namespace.
        """
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "probe").unlink(missing_ok=True)
        place = self._place(size)
        command = arguments or ("menu",)
        files = ("--probe", folder / "probe", "--report", folder / "report", "--log", folder / "log")
        options = ("--name", name, "--size", size, "--place", f"{place[0]},{place[1]}", "--no-sound", *files)
        with (folder / "errors").open("ab") as errors:
            process = subprocess.Popen(
                [*within, sys.executable, "-m", "demo_game", *map(str, (command[0], *options, *command[1:]))],
                cwd=folder,
                env={**self.display.environment(), "XDG_DATA_HOME": str(folder), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        window = Window(self.display, process, folder, name)
        self.windows = [each for each in self.windows if each.name != name] + [window]
        return window

    def _place(self, size: str) -> tuple[int, int]:
        """Return a place where no other window is."""
        width, height = map(int, size.split("x"))
        taken = len([each for each in self.windows if each.process.poll() is None])
        columns = max(1, WIDTH // (width + 10))
        return taken % columns * (width + 10), taken // columns * (height + 40) % max(1, HEIGHT - height)

    def close(self) -> None:
        """End whatever still runs."""
        for window in self.windows:
            if window.process.poll() is None:
                window.process.send_signal(signal.SIGCONT)
                window.process.kill()
                window.process.wait()


@contextmanager
def screen(folder: Path) -> Iterator[Screen]:
    """Yield a screen of its own."""
    display = Display()
    shown = Screen(display, folder)
    try:
        yield shown
    finally:
        shown.close()
        display.close()
