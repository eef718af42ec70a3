"""What a showcase looks like as text: a live board in a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live

from demo_game.players import Cast
from demo_game.terminal import Scene, picture

BANNER_S = 6.0


class Stage(Protocol):
    """What the performance is shown on."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; what was told stays readable."""

    def announce(self, words: str) -> None:
        """Show words across the top for 6 s, and add them to the story."""

    def tell(self, words: str) -> None:
        """Add a line to the story."""

    def show(self) -> None:
        """Show the present state of things; called every 50 ms or so."""

    def moment(self, name: str) -> None:
        """Say that this is worth a picture: `lobby`, `board`, `banner`, `over`."""


class TextStage:
    """Shows a cast in a terminal. Lines go to the standard error: the standard output is for the figures."""

    def __init__(self, cast: Cast, *, plain: bool = False) -> None:
        self._cast = cast
        self._console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._plain = plain or not self._console.is_terminal
        self._story: list[str] = []
        self._began = time.monotonic()
        self._banner_at = -BANNER_S
        self._banner = ""

    def __enter__(self) -> Self:
        if not self._plain:
            self._live = Live(console=self._console, screen=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            for line in self._story:
                self._console.print(line, markup=False)

    def announce(self, words: str) -> None:
        """Show words across the top for 6 s, and add them to the story."""
        self._banner, self._banner_at = words, time.monotonic()
        self.tell(words)

    def tell(self, words: str) -> None:
        """Add a line to the story."""
        line = f"{time.monotonic() - self._began:5.1f} s  {words}"
        self._story.append(line)
        if self._plain:
            self._console.print(line, markup=False, soft_wrap=True)
        self.show()

    def moment(self, name: str) -> None:
        """Take no pictures of text."""

    def show(self) -> None:
        """Draw the present picture."""
        if self._live is None:
            return
        cast, (width, height) = self._cast, self._console.size
        scene = Scene(
            cast.table,
            cast.time_ms,
            machines=cast.machines(),
            banner=self._banner if time.monotonic() - self._banner_at < BANNER_S else "",
            digest=cast.digest(),
            story=tuple(line[9:] for line in self._story),
        )
        self._live.update(picture(scene, width, height), refresh=True)
