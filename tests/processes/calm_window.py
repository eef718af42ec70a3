"""One member in a thread, and in the main thread a window that is drawn 60 times a second, as a game does."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import trio

from tests.benchmarks.parentage import die_with_parent
from tests.processes.worker import Worker

FRAMES_PER_S = 60
SHAPES = 200


class WindowedWorker(Worker):
    """Says besides how many frames were drawn."""

    frames = 0

    async def do_frames(self) -> dict[str, Any]:
        """Up to now."""
        return {"frames": self.frames}


def draw_for_ever(worker: WindowedWorker) -> None:
    """A board's worth of shapes, a little different in each frame."""
    import pyglet  # it opens the display

    window = pyglet.window.Window(640, 480, "calm", vsync=False)
    batch = pyglet.graphics.Batch()
    shapes = [
        pyglet.shapes.Circle(20 + 30 * (n % 20), 20 + 40 * (n // 20), 14, batch=batch) for n in range(SHAPES)
    ]

    @window.event
    def on_draw() -> None:
        window.clear()
        for number, shape in enumerate(shapes):
            shape.opacity = 100 + (worker.frames + number) % 150
        batch.draw()
        worker.frames += 1

    pyglet.app.run(1 / FRAMES_PER_S)


def main() -> None:
    """The member begins first: a window takes half a second to open."""
    die_with_parent()
    worker = WindowedWorker(json.loads(sys.argv[1]))
    threading.Thread(target=trio.run, args=(worker.run,), daemon=True).start()
    draw_for_ever(worker)


if __name__ == "__main__":
    main()
