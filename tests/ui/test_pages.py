"""All screens, at several sizes, with eight players and long names: nothing overruns, nothing overlaps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ui.scenes import NAMES
from tests.ui.screen import ROOT, Display

SIZES = ("960x540", "1280x720", "1600x900", "1400x1050", "1920x800")
SLACK = 1.5
"""Units of the page by which letters may reach into their neighbours' air."""


@pytest.fixture(scope="module")
def facts(display: Display, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict]]:
    """Return what every screen really shows, by size; drawn in a process of its own, since pyglet wants one."""
    out = tmp_path_factory.mktemp("pages") / "facts.json"
    command = [sys.executable, "-m", "tests.ui.measured", str(out), *SIZES]
    done = subprocess.run(
        command, cwd=ROOT, env=display.environment(), capture_output=True, text=True, check=False, timeout=80
    )
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text(encoding="utf-8"))


@pytest.mark.parametrize("size", SIZES)
def test_no_text_is_wider_than_its_room_and_none_leaves_the_page(facts, size: str) -> None:
    shown = facts[size]
    assert len(shown) > 25, "the screens were drawn"
    for screen in shown:
        width, height = screen["page"]
        for text in screen["texts"]:
            words, room, left, right, top, bottom = (
                text[k] for k in ("words", "room", "left", "right", "top", "bottom")
            )
            where = f"{screen['name']} at {size}: {words!r}"
            assert text["width"] <= room + SLACK, f"{where} is {text['width']:.1f} wide, and has {room:.1f}"
            assert left >= -SLACK and right <= width + SLACK and top >= 0 and bottom <= height, (
                f"{where} leaves the page"
            )


MAY_BE_CUT = (
    *NAMES,
    "failover1-",
    "K7QF-3MDA or",
    "Looking for",
    "Opening the",
    "Looking at",
    "Attack sent",
    "state …",
)
"""What people chose, which may be too long; and what ends with an ellipsis by itself."""


@pytest.mark.parametrize("size", SIZES)
def test_nothing_but_names_and_tickets_is_cut(facts, size: str) -> None:
    for screen in facts[size]:
        for text in screen["texts"]:
            words = text["words"]
            if not words.endswith("…"):
                continue
            known = any(words.startswith(each) or each.startswith(words[:-1].rstrip()) for each in MAY_BE_CUT)
            assert known, f"{screen['name']} at {size}: {words!r} is cut"


@pytest.mark.parametrize("size", SIZES)
def test_no_text_lies_on_another(facts, size: str) -> None:
    for screen in facts[size]:
        texts = screen["texts"]
        for number, one in enumerate(texts):
            for other in texts[:number]:
                if one["layer"] // 20 != other["layer"] // 20 or one["banner"] != other["banner"]:
                    continue  # a card covers what is below it
                across = min(one["right"], other["right"]) - max(one["left"], other["left"])
                down = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
                assert across <= SLACK or down <= SLACK, (
                    f"{screen['name']} at {size}: {one['words']!r} and {other['words']!r} overlap"
                )


@pytest.mark.parametrize("size", SIZES)
def test_whatever_can_be_pressed_is_on_the_page_and_large_enough(facts, size: str) -> None:
    for screen in facts[size]:
        width, height = screen["page"]
        for name, (x, y, wide, high) in screen["targets"].items():
            where = f"{screen['name']} at {size}: {name}"
            assert x >= 0 and y >= 0 and x + wide <= width and y + high <= height, f"{where} leaves the page"
            assert wide >= 24 and high >= 22, f"{where} is hard to hit"


def test_the_gallery_writes_a_picture_of_every_screen_at_both_sizes(display: Display, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.ui.gallery", str(tmp_path), "menu"]
    done = subprocess.run(
        command, cwd=ROOT, env=display.environment(), capture_output=True, text=True, check=False, timeout=80
    )
    assert done.returncode == 0, done.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert {"menu-1280x720.png", "menu-960x540.png"} <= names
