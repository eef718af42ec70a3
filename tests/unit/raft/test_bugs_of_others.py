"""docs/explanation/bugs-of-others.md names tests that exist, and leaves no line out."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "explanation" / "bugs-of-others.md"


def test_every_named_test_exists():
    named = re.findall(r"`(\w+)`: `(\w+)`", PAGE.read_text(encoding="utf-8"))[1:]
    missing = [
        (file, name)
        for file, name in named
        if f"def test_{name}(" not in (HERE / f"test_{file}.py").read_text(encoding="utf-8")
    ]
    assert named and not missing


def test_no_line_is_left_out():
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.M)]
    assert numbers == list(range(1, 113))
