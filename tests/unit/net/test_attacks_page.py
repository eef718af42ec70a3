"""The page of attacks leaves none out, and names tests that exist; every attack that is tried is on it."""

import re
from pathlib import Path

NET = Path(__file__).parent
UNIT, TESTS = NET.parent, NET.parents[1]
PAGE = TESTS.parent / "docs" / "explanation" / "attacks.md"
NAMED = re.compile(r"`([\w/]+)`: `(\w+)`")
ATTACKS = 28


def rows() -> list[list[str]]:
    """Number, what happened, what holds it."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if re.match(r"\| \d", line)]


def names_in(file: str) -> set[str]:
    """`attacks/channels` is below this folder; `lab/wireguard` and `api/life` are in rooms of their own."""
    room, _, name = file.rpartition("/")
    found = [base / room / f"test_{name}.py" for base in (NET, UNIT, TESTS)]
    path = next((each for each in found if each.exists()), None)
    return (
        set() if path is None else set(re.findall(r"^(?:async )?def test_(\w+)\(", path.read_text("utf-8"), re.M))
    )


def test_no_attack_is_left_out():
    assert sorted(int(row[0]) for row in rows()) == list(range(1, ATTACKS + 1))


def test_every_attack_has_its_test_or_is_said_to_wait_for_one():
    assert [row for row in rows() if not NAMED.search(row[-1]) and not row[-1].startswith("next")] == []


def test_every_named_test_exists():
    named = [pair for row in rows() for pair in NAMED.findall(row[-1])]
    assert len(named) > 25
    assert [pair for pair in named if pair[1] not in names_in(pair[0])] == []


def test_every_test_of_an_attack_is_on_the_page():
    named = {pair for row in rows() for pair in NAMED.findall(row[-1])}
    files = [f"attacks/{path.stem.removeprefix('test_')}" for path in (NET / "attacks").glob("test_*.py")]
    made = {(file, name) for file in files for name in names_in(file)}
    assert len(files) >= 5 and made <= named
