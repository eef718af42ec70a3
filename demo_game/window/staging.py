"""A showcase in windows, seen from the thread that performs it: tells the director's window what to show.

Knows no pyglet. What it publishes is one frozen value, so the window may look at it at any time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from demo_game.figures import Figures, Running
from demo_game.players import Cast
from demo_game.showcase import Show
from demo_game.stage import BANNER_S
from demo_game.window.poster import Actor, Shown

SHOWN_EVERY_S = 0.1
PICTURE_S_MAX = 5.0

Publish = Callable[[Shown], None]


class NoWindow(Exception):
    """There is a display, but no window can be opened on it; says why."""


class WindowStage:
    """See `demo_game.stage.Stage`.

    Args:
        show: what is performed.
        cast: who performs it.
        figures: what was measured; filled by the performance.
        publish: takes what is to be seen; called in the performing thread.
    """

    def __init__(self, show: Show, cast: Cast, figures: Figures, publish: Publish) -> None:
        self._show, self._cast, self._figures, self._publish = show, cast, figures, publish
        self._running = Running()
        self._began = time.monotonic()
        self._story: list[tuple[int, str]] = []
        self._banner, self._banner_at = "", -BANNER_S
        self._shown_at = -1.0
        self._agreed: tuple[str, int, int] | None = None
        self._pictures: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._publish(self.shown())

    def announce(self, words: str) -> None:
        """Show words across the foot for 6 s, and add them to the story."""
        self._banner, self._banner_at = words, time.monotonic()
        self.tell(words)

    def tell(self, words: str) -> None:
        """Add a line to the story."""
        self._story.append((int((time.monotonic() - self._began) * 1_000), words))
        self._shown_at = -1.0
        self.show()

    def show(self) -> None:
        """Publish the present state of things, ten times a second."""
        self._running.look(self._cast.records, self._cast.looked_at)
        now = time.monotonic()
        if now - self._shown_at >= SHOWN_EVERY_S:
            self._shown_at = now
            self._publish(self.shown())

    def shown(self) -> Shown:
        """Return the present state of things."""
        cast, now, verdict = self._cast, time.monotonic(), self._running.verdict
        digest = cast.digest().split()
        if digest:  # who just came back has none in common with the others yet: the last comparison stands
            self._agreed = (digest[0], int(digest[2]), int(digest[4]))
        position = cast.table.position
        return Shown(
            kills=tuple(self._figures.kills),
            kills_due=self._show.kills,
            moves=self._running.moves,
            lost=verdict.lost if verdict else None,
            doubled=verdict.doubled if verdict else None,
            agreed=self._agreed,
            actors=tuple(Actor(m.name, m.role, cast.has_window(m.name)) for m in cast.machines()),
            story=tuple(self._story),
            banner=self._banner if now - self._banner_at < BANNER_S else "",
            now_ms=int(now - self._began) * 1_000,
            round=position.round if position is not None else 0,
        )

    # --- pictures ---

    def moment(self, name: str) -> None:
        """Write pictures of this moment, if they are wanted: of a player's window, and of the director's."""
        into, actor = self._show.record, self._actor()
        if into is None or actor is None:
            return
        count = self._pictures[name] = self._pictures.get(name, 0) + 1
        taken = self._picture(self._cast.shots(actor), name)
        os.replace(taken, into / (f"{name}.png" if count == 1 else f"{name}-{count}.png"))
        if name == "banner":
            self._picture(into, "director")

    def _actor(self) -> str | None:
        """Return whose window is to be seen; None if no window is left.

        Not the host's, if there is another: writing a picture takes a tenth of a second of a core that all share
        here, and a show must not disturb what it shows.
        """
        living = [m for m in self._cast.machines() if m.role != "gone" and self._cast.has_window(m.name)]
        return next((m.name for m in living if m.role != "host"), living[0].name if living else None)

    def _picture(self, folder: Path, name: str) -> Path:
        """Ask a window for a picture, and wait for it; the show goes on meanwhile."""
        question, picture = folder / f"{name}.ask", folder / f"{name}.png"
        question.touch()
        self._cast.wait_for(
            lambda: not question.exists() or None, PICTURE_S_MAX, f"no window gave a picture: {name}", self.show
        )
        return picture
