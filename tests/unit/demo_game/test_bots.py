from __future__ import annotations

import ast
import itertools
import time
from pathlib import Path

import pytest

from demo_game import balance, bots, land, luck, rules
from demo_game.bots import Skill, chance, decide
from demo_game.land import SMALL, STANDARD


def test_the_chances_are_those_of_counting_all_throws() -> None:
    for a, d in itertools.product((1, 2, 3), (1, 2, 3)):
        throws = list(itertools.product(range(1, 7), repeat=a + d))
        wins = sum(sum(throw[:a]) > sum(throw[a:]) for throw in throws)
        assert chance(a, d) == wins * 10_000 // len(throws)


@pytest.mark.parametrize("skill", Skill)
def test_a_bot_answers_alike_however_often_it_is_asked_and_only_allowed_moves(skill: Skill) -> None:
    for number in range(30):
        start = rules.deal(balance.seed_number(number), 4, STANDARD)
        move = decide(start, skill)
        assert move == decide(start, skill)
        assert rules.objection(start, move) is None


def test_an_easy_bot_loses_interest_now_and_then() -> None:
    starts = [rules.deal(balance.seed_number(n), 2, STANDARD) for n in range(60)]
    attacks = [
        sum(b is not None for p, b in balance.finish(s, [Skill.EASY] * 2) if p.turn == 0) for s in starts[:20]
    ]
    assert min(attacks) < 10 < max(attacks)


def test_hard_beats_easy_about_seventy_to_thirty() -> None:
    tally = balance.measure(60, STANDARD, [Skill.EASY, Skill.HARD] * 2)
    assert 0.55 < tally.by_skill[Skill.HARD] / tally.games < 0.88  # 71 % of 300 games when it was tuned


@pytest.mark.parametrize(("players", "size"), [(2, SMALL), (3, SMALL)])
def test_no_seat_is_far_above_its_fair_share(players: int, size: land.Size) -> None:
    tally = balance.measure(100, size, [Skill.MEDIUM] * players)
    assert max(tally.share(seat) for seat in range(players)) < 1.85  # 1.6, and the noise of 100 games


def test_without_compensation_the_first_seat_wins_most_games() -> None:
    tally = balance.measure(60, SMALL, [Skill.MEDIUM] * 2, extra=0)
    assert tally.by_seat[0] > 36


def test_a_decision_takes_well_under_a_millisecond_on_the_average() -> None:
    start = rules.deal(balance.seed_number(5), 8, STANDARD)
    began = time.process_time()
    for _ in range(100):
        decide(start, Skill.HARD)
    assert (time.process_time() - began) / 100 < 0.005  # about 0.2 ms; the bound is for slow machines


@pytest.mark.parametrize("module", [rules, bots, luck, land, balance])
def test_the_pure_rooms_import_nothing_that_is_not_pure(module: object) -> None:
    allowed = {
        "__future__",
        "collections",
        "dataclasses",
        "enum",
        "functools",
        "hashlib",
        "re",
        "typing",
        "demo_game",
    }
    path = str(getattr(module, "__file__"))  # noqa: B009 - a module's file, for mypy
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert {name.split(".")[0] for name in names} <= allowed
