"""Looks for open games on the local network while the menu is shown, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import failover

LOOK_S = 1.0
PAUSE_S = 1.0


class Browser:
    """The list of games; empty until somebody answered.

    Args:
        wake: called from its thread when the list changed.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.games: tuple[failover.ListedGame, ...] = ()
        self.trouble = ""
        """Why there is no list, such as a machine without a network."""
        self._wake = wake
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._thread is None:
            self._ended = threading.Event()  # a thread that still ends has its own
            self._thread = threading.Thread(target=self._look, name="hexhold browser", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more; returns at once."""
        self._ended.set()
        self._thread = None

    def _look(self) -> None:
        import trio  # noqa: PLC0415 - half a second, for which the first picture does not wait

        import failover  # noqa: PLC0415

        ended = self._ended
        while not ended.is_set():
            try:
                found = trio.run(lambda: failover.listed_games(within_s=LOOK_S))
                trouble = ""
            except (failover.FailoverError, OSError) as error:
                found, trouble = (), str(error)
            if (found, trouble) != (self.games, self.trouble):
                self.games, self.trouble = found, trouble
                self._wake()
            ended.wait(PAUSE_S)
