"""`python -m tests.ui.gallery DIR`: a screenshot of every screen at 1280x720 and 960x540, to be looked at.

Starts a screen of its own if there is none.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo_game.window.main import GameWindow

SIZES = ((1280, 720), (960, 540))
NOW = 1_000.0


def drawn(size: tuple[int, int], only: str = "") -> Iterator[tuple[str, GameWindow]]:
    """Yield every screen's name and a window that shows it."""
    from demo_game.session import Opening
    from demo_game.window.main import GameWindow, Wish
    from demo_game.window.saved import Saved
    from tests.ui.scenes import shots

    with tempfile.TemporaryDirectory() as home:
        saved = Saved(Path(home))
        saved.settings = type(saved.settings)(name="Ada")

        def opener(*_: Any) -> tuple[Opening, tuple[()]]:
            return Opening("Ada", Path(home)), ()

        window = GameWindow(Wish(opener, saved, lambda game: None, size=size, sound=False))
        window.dispatch_events()
        window.game.browser.stop()
        for name, show in shots():
            if only and only not in name:
                continue
            game = window.game
            game.dev, game.shows_focus, game._toasts = False, False, []
            show(game)
            game.browser.stop()
            for _ in range(2):
                window._dirty = True
                window.draw(0.0)
            yield name, window
        window.game.link = None
        window.close()


def main(folder: Path, only: str = "") -> int:
    """Write the gallery."""
    from tests.ui.screen import Display

    display = None
    if not os.environ.get("DISPLAY"):
        display = Display()
        os.environ["DISPLAY"] = display.name
    os.environ.setdefault("LP_NUM_THREADS", "1")
    import pyglet

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for size in SIZES:
            for name, window in drawn(size, only):
                window.switch_to()
                window.painter._batch.draw()
                path = folder / f"{name}-{size[0]}x{size[1]}.png"
                buffer = pyglet.image.get_buffer_manager().get_color_buffer()
                buffer.save(str(path))
                print(path)
    finally:
        if display is not None:
            display.close()
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("give a folder to write the screenshots to: python -m tests.ui.gallery DIR")
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
