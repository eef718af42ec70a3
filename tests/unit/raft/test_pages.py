"""The pages that name tests name such as exist, and leave nothing out (docs/explanation)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RAFT = Path(__file__).parent
UNIT = RAFT.parent
PAGES = UNIT.parents[1] / "docs" / "explanation"
PAPER, BUGS = "paper.md", "bugs-of-others.md"
NAMED = re.compile(r"`([\w/]+)`: `(\w+)`")


def rows(page: str) -> list[list[str]]:
    """The cells of every line of a table, headings left out."""
    lines = (PAGES / page).read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if line.startswith("| ")]
    return [row for row in cells if row[-1] not in ("held by", "here")]


def names_in(file: str) -> set[str]:
    """`hand_over` is beside this file; `above/serving` is in another room; of `scripts` each file is a test."""
    if file == "scripts":
        return {path.stem for path in (RAFT / "scripts").glob("*.txt")}
    room, _, name = file.rpartition("/")
    path = next((found for base in (RAFT, UNIT) if (found := base / room / f"test_{name}.py").exists()), None)
    if path is None:
        return set()
    return set(re.findall(r"^(?:async )?def test_(\w+)\(", path.read_text(encoding="utf-8"), re.M))


@pytest.mark.parametrize("page", [PAPER, BUGS])
def test_every_named_test_exists(page):
    named = [pair for row in rows(page) for pair in NAMED.findall(row[-1])]
    assert len(named) > 100
    assert [pair for pair in named if pair[1] not in names_in(pair[0])] == []


def test_every_test_of_the_paper_is_on_its_page():
    named = {pair for row in rows(PAPER) for pair in NAMED.findall(row[-1])}
    files = [path.stem.removeprefix("test_") for path in (RAFT / "paper").glob("test_*.py")]
    made = {(f"paper/{file}", name) for file in files for name in names_in(f"paper/{file}")}
    assert len(files) >= 8 and made <= named


def test_every_rule_of_the_paper_has_its_test():
    assert [row for row in rows(PAPER) if not NAMED.search(row[-1])] == []


def test_every_bug_has_its_test_or_the_reason_why_it_cannot_be_here():
    bare = [row for row in rows(BUGS) if not NAMED.search(row[-1]) and not row[-1].startswith("cannot apply: ")]
    assert bare == []
    assert sum(row[-1].startswith("cannot apply") for row in rows(BUGS)) < 15


def test_no_bug_is_left_out():
    assert [int(row[0]) for row in rows(BUGS)] == list(range(1, 113))
