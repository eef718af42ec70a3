"""`python -m tests.ui.measured FILE SIZE...`: what every screen really shows, measured after it was drawn."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from demo_game.window.page import Text
from demo_game.window.strip import LAYER as BANNER_LAYER
from tests.ui.gallery import drawn

CAP, DESCENT = 0.42, 0.42
"""How far letters reach above and below the middle of their line, in sizes."""


def text_facts(text: Text, width: float) -> dict[str, Any]:
    """Return where a text's letters are."""
    left = {"left": text.x, "center": text.x - width / 2, "right": text.x - width}[text.anchor]
    return {
        "words": text.words,
        "room": text.room,
        "width": width,
        "left": left,
        "right": left + width,
        "top": text.y - CAP * text.size,
        "bottom": text.y + DESCENT * text.size,
        "layer": text.layer,
        "banner": BANNER_LAYER + 2 <= text.layer < 20,
    }


def main(out: Path, sizes: list[str]) -> None:
    """Draw and measure."""
    found: dict[str, list[dict[str, Any]]] = {}
    for size in sizes:
        width, height = map(int, size.split("x"))
        for name, window in drawn((width, height)):
            page = window.game._page
            assert page is not None
            screen = {
                "name": name,
                "page": (page.look.width, page.look.height),
                "texts": [text_facts(*shown) for shown in window.painter.widths()],
                "targets": {
                    target.name: (target.box.x, target.box.y, target.box.width, target.box.height)
                    for target in page.targets
                },
            }
            found.setdefault(size, []).append(screen)
    out.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
