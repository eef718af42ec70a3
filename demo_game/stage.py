"""What a showcase looks like: a live board in a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from demo_game.players import Cast
from demo_game.terminal import Scene, picture

BANNER_S = 6.0


class Stage:
    """Shows a cast. Lines go to the standard error: the standard output is for the figures."""

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

    @property
    def banner(self) -> str:
        """The words across the top; they go after 6 s."""
        return self._banner if time.monotonic() - self._banner_at < BANNER_S else ""

    @banner.setter
    def banner(self, words: str) -> None:
        self._banner, self._banner_at = words, time.monotonic()

    def tell(self, words: str) -> None:
        """Add a line to the story."""
        line = f"{time.monotonic() - self._began:5.1f} s  {words}"
        self._story.append(line)
        if self._plain:
            self._console.print(line, markup=False, soft_wrap=True)
        self.show()

    def show(self) -> None:
        """Draw the present picture."""
        if self._live is None:
            return
        cast, (width, height) = self._cast, self._console.size
        scene = Scene(
            cast.table,
            cast.time_ms,
            machines=cast.machines(),
            banner=self.banner,
            digest=cast.digest(),
            story=tuple(line[9:] for line in self._story),
        )
        self._live.update(picture(scene, width, height), refresh=True)
