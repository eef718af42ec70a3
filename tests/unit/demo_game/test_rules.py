from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_game import rules
from demo_game.balance import finish, seed_number
from demo_game.bots import Skill
from demo_game.land import SIZES, SMALL, STANDARD, Size
from demo_game.rules import Attack, EndTurn, IllegalMove, Position

SEED = seed_number(1)


def position(players: int = 3, size: Size = SMALL) -> Position:
    return rules.deal(SEED, players, size)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
@pytest.mark.parametrize("players", range(2, 9))
def test_a_deal_is_even_and_leftovers_go_to_later_seats(players: int, size: Size) -> None:
    start = rules.deal(SEED, players, size)
    rules.check(start)
    counts = [start.owners.count(seat) for seat in range(players)]
    leftovers = size.territories % players
    assert counts == [size.territories // players + (seat >= players - leftovers) for seat in range(players)]
    c = rules.compensation(size, players)
    for seat in range(players):
        own = [dice for dice, owner in zip(start.dice, start.owners, strict=True) if owner == seat]
        assert sum(own) == len(own) + 2 * (size.territories // players) + c * seat


def test_the_seed_shuffles_the_order_of_seats() -> None:
    assert {tuple(rules.seating(seed_number(n), 3)) for n in range(60)} == {
        (0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0),
    }  # fmt: skip


def test_a_won_attack_moves_all_dice_but_one_and_a_lost_one_leaves_one() -> None:
    before = position()
    seen = set()
    for number in range(40):
        start = rules.deal(seed_number(number), 3, SMALL)
        move = next(rules.attacks(start))
        after, battle = rules.play(start, move)
        assert battle is not None
        assert len(battle.attack) == start.dice[move.source] and len(battle.defence) == start.dice[move.target]
        assert battle.captured == (sum(battle.attack) > sum(battle.defence))
        assert after.dice[move.source] == 1 and after.attacks == 1 and after.turn == start.turn
        expected = start.dice[move.source] - 1 if battle.captured else start.dice[move.target]
        assert after.dice[move.target] == expected
        assert after.owners[move.target] == (start.seat if battle.captured else battle.foe)
        seen.add(battle.captured)
    assert seen == {True, False}
    assert before == position()


def test_a_tie_goes_to_the_defender() -> None:
    ties = 0
    for number in range(80):
        start = rules.deal(seed_number(number), 2, SMALL)
        for move in rules.attacks(start):
            _, battle = rules.play(start, move)
            assert battle is not None
            if sum(battle.attack) == sum(battle.defence):
                ties += 1
                assert not battle.captured
    assert ties > 0


def test_what_is_not_allowed_is_refused_with_a_reason() -> None:
    start = position()
    own = [t for t, owner in enumerate(start.owners) if owner == 0]
    foreign = [t for t, owner in enumerate(start.owners) if owner != 0]
    strong = next(t for t in own if start.dice[t] > 1)
    far = next(t for t in foreign if t not in start.land.neighbours[strong])
    weak = replace(start, dice=bytes([1]) * 24)
    near = next(iter(rules.attacks(start)))
    for where, move, words in (
        (start, Attack(24, 0), "no such"),
        (start, Attack(-1, 0), "no such"),
        (start, Attack(0, 255), "no such"),
        (start, Attack(foreign[0], own[0]), "of your own"),
        (start, Attack(own[0], own[1]), "yours already"),
        (weak, near, "two dice"),
        (start, Attack(strong, far), "do not touch"),
    ):
        with pytest.raises(IllegalMove, match=words):
            rules.play(where, move)


def test_the_end_of_a_turn_brings_as_many_dice_as_the_largest_region() -> None:
    start = position()
    after, _ = rules.play(start, EndTurn())
    assert sum(after.dice) + sum(after.stock) == sum(start.dice) + rules.income(start, 0)
    assert (after.turn, after.seat, after.attacks) == (1, 1, 0)


def test_dice_without_a_place_are_kept_up_to_32() -> None:
    start = position(2)
    full = replace(start, owners=bytes(12) + bytes([1]) * 12, dice=bytes([8]) * 24, stock=bytes([30, 0]))
    after, _ = rules.play(full, EndTurn())
    assert after.stock == bytes([32, 0]) and after.dice == full.dice


def test_who_owns_nothing_is_passed_over() -> None:
    start = position(3)
    out = replace(start, owners=bytes(2 if owner == 1 else owner for owner in start.owners))
    after, _ = rules.play(out, EndTurn())
    assert after.seat == 2 and after.round == 1
    again, _ = rules.play(after, EndTurn())
    assert again.seat == 0 and again.round == 2


def test_the_last_one_wins_at_once() -> None:
    start = position(2)
    target = start.land.neighbours[0][0]
    for number in range(20):
        owners = bytes(1 if t == target else 0 for t in range(24))
        dice = bytes(8 if t == 0 else 1 for t in range(24))
        almost = replace(start, seed=SEED, turn=number, owners=owners, dice=dice)
        after, battle = rules.play(almost, Attack(0, target))
        assert battle is not None and battle.captured  # eight dice always show more than one does
        assert after.outcome == rules.Outcome(0, "conquest")
        with pytest.raises(IllegalMove, match="over"):
            rules.play(after, EndTurn())


def test_after_the_last_round_territories_count_then_dice_then_the_later_seat() -> None:
    even = replace(position(2), owners=bytes([0, 1] * 12), dice=bytes([1]) * 24, rounds=1, seat=1)
    assert rules.ranking(even) == [1, 0]
    assert rules.ranking(replace(even, dice=bytes([2] + [1] * 23))) == [0, 1]
    assert rules.ranking(replace(even, owners=bytes([0, 1] * 11 + [0, 0]))) == [0, 1]
    after, _ = rules.play(even, EndTurn())
    assert after.outcome is not None and after.outcome.reason == "rounds"


def test_regions_are_connected_and_apart() -> None:
    start = position(2)
    for seat in range(2):
        groups = rules.regions(start, seat)
        assert sorted(t for group in groups for t in group) == [
            t for t, owner in enumerate(start.owners) if owner == seat
        ]
        for group in groups:
            others = {t for other in groups if other is not group for t in other}
            assert not others & {n for t in group for n in start.land.neighbours[t]}


@given(number=st.integers(0, 10**6), players=st.integers(2, 8), size=st.sampled_from(SIZES))
@settings(max_examples=8, deadline=None)
def test_every_game_keeps_the_invariants_and_ends(number: int, players: int, size: Size) -> None:
    start = rules.deal(seed_number(number), players, size, rounds=6)
    dice = sum(start.dice)
    for after, battle in finish(start, [Skill.MEDIUM] * players):
        rules.check(after)
        if battle is not None:
            assert sum(after.dice) <= dice
        dice = sum(after.dice)


@given(number=st.integers(0, 10**6), moves=st.integers(0, 60))
@settings(max_examples=10, deadline=None)
def test_the_text_of_a_position_is_read_back_as_it_was(number: int, moves: int) -> None:
    where = rules.deal(seed_number(number), 4, STANDARD)
    for step, (after, _) in enumerate(finish(where, [Skill.EASY] * 4)):
        where = after
        if step == moves:
            break
    assert rules.position_of(rules.position_text(where)) == where


def test_the_text_of_a_finished_game_says_who_won() -> None:
    *_, (last, _) = finish(rules.deal(SEED, 2, SMALL), [Skill.HARD] * 2)
    assert rules.position_of(rules.position_text(last)) == last


def test_moves_are_written_as_players_say_them() -> None:
    assert rules.move_text(Attack(0, 39)) == "A1xE8" and rules.move_text(EndTurn()) == "end"
    for move in (Attack(3, 17), EndTurn()):
        assert rules.move_of(rules.move_text(move)) == move


@pytest.mark.parametrize("text", ["", "A1", "A1xF1", "A9xB1", "a1xb1", "A1xB1 ", "end\n", "\0" * 9])
def test_what_is_no_move_is_not_read_as_one(text: str) -> None:
    with pytest.raises(ValueError, match="no move"):
        rules.move_of(text)


@given(st.text(max_size=300))
def test_garbage_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match=r"position|territories"):
        rules.position_of(text)


def test_a_position_that_cannot_be_is_not_read() -> None:
    text = rules.position_text(position())
    for wrong in (text.replace("small", "large"), text.replace("a1", "h1", 1), text[:-1] + "h"):
        with pytest.raises(ValueError, match=r"position|territories"):
            rules.position_of(wrong)
