"""Writes down what each frame shows, for tests that look at a window from outside. Off unless asked for."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo_game import rules
from demo_game.table import Table
from demo_game.window.game import Game
from demo_game.window.page import Page

if TYPE_CHECKING:
    from demo_game.window.link import Link
    from demo_game.window.painter import Painter
    from demo_game.window.story import Move

ANSWERS_KEPT = 50


class Probe:
    """One window's.

    Args:
        path: the file that holds the facts of the last frame.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames = 0
        self._input: tuple[float, Table | None] | None = None
        self._answers: deque[float] = deque(maxlen=ANSWERS_KEPT)
        """From an input to the first frame that showed another table, in ms."""

    def input_came(self, game: Game) -> None:
        """A key or a button went down."""
        self._input = time.perf_counter(), game.link.table if game.link is not None else None

    def write(self, game: Game, page: Page, painter: Painter, size: tuple[int, int], drawn_s: float) -> None:
        """Write one frame's facts, in place of the last one's.

        Args:
            game: whose window it is.
            page: what was drawn.
            painter: by whom.
            size: of the window, in pixels.
            drawn_s: how long that took.
        """
        self._frames += 1
        table = game.link.table if game.link is not None else None
        if self._input is not None and self._input[1] is not None and table is not self._input[1]:
            self._answers.append((time.perf_counter() - self._input[0]) * 1_000)
            self._input = None
        pixels = size[0] / page.look.width
        boxes = {t.name: [v * pixels for v in (t.box.x, t.box.y, t.box.width, t.box.height)] for t in page.targets}
        facts = {
            "frame": self._frames,
            "time": time.monotonic(),
            "draw_ms": drawn_s * 1_000,
            "answers_ms": list(self._answers),
            "scene": game.scene.name,
            "overlays": [overlay.name for overlay in game.overlays],
            "focus": game.focus,
            "size": size,
            "targets": boxes,
            "texts": [[text.words, text.layer] for text, _ in painter.widths()],
            "table": None if game.link is None else _facts(game, game.link, pixels),
        }
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(facts), encoding="utf-8")
        os.replace(beside, self._path)


def _facts(game: Game, link: Link, pixels: float) -> dict[str, Any]:
    """Return what tests want to know about the table and the map."""
    table, now = link.table, game.now()
    position = table.position
    banner = link.story.banner(now, table)
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
        "away": [bool(seat.away_ms) for seat in table.seats],
        "owners": list(position.owners) if position else [],
        "dice": list(position.dice) if position else [],
        "seat": position.seat if position else -1,
        "round": position.round if position else 0,
        "position": rules.position_text(position) if position else "",
        "banner": [banner.tone, banner.words] if banner is not None else [],
        "moves": [_move(move) for move in link.story.moves],
        "pending": type(link.pending).__name__ if link.pending is not None else "",
        "ticket": link.ticket,
        "code": link.code,
        "agreement": link.agreement.shown(now),
        "term": link.status.term if link.status is not None else 0,
        **_map(game, pixels),
    }


def _move(move: Move) -> list[object]:
    seals = [seal.hex() for seal in move.seals]
    return [move.source, move.target, move.gap_ms, move.reason, *seals, move.at]


def _map(game: Game, pixels: float) -> dict[str, Any]:
    """Return where the map is on the window, in pixels, and what is pointed at on it."""
    chart = getattr(game.scene, "chart", None)
    if chart is None:
        return {"spots": [], "hexes": [], "chosen": -1, "cursor": -1}
    cells, count = chart.land.cells, chart.land.size.territories
    return {
        "spots": [[v * pixels for v in chart.label_at(territory)] for territory in range(count)],
        "hexes": [[t, *(v * pixels for v in chart.middle(cell))] for cell, t in enumerate(cells) if t >= 0],
        "chosen": getattr(game.scene, "chosen", -1),
        "cursor": getattr(game.scene, "cursor", -1),
    }
