from __future__ import annotations

from collections import Counter

from demo_game import luck

SEED = bytes(range(32))


def test_a_draw_depends_on_its_key_alone() -> None:
    first = luck.roll(SEED, "attack", 3, 1, 5)
    luck.roll(SEED, "attack", 3, 2, 5)  # another command between changes nothing
    assert luck.roll(SEED, "attack", 3, 1, 5) == first


def test_each_part_of_the_key_counts() -> None:
    keys = [
        ("attack", 1, 1, 0),
        ("defence", 1, 1, 0),
        ("attack", 2, 1, 0),
        ("attack", 1, 2, 0),
        ("attack", 1, 1, 1),
    ]
    assert len({luck.draw(SEED, *key) for key in keys}) == len(keys)


def test_numbers_side_by_side_in_a_key_cannot_be_taken_for_others() -> None:
    assert luck.draw(SEED, "a", 1, 23) != luck.draw(SEED, "a", 12, 3)


def test_dice_are_fair() -> None:
    faces = Counter(face for k in range(3_000) for face in luck.roll(SEED, "attack", 0, k, 8))
    assert set(faces) == {1, 2, 3, 4, 5, 6}
    fair = 3_000 * 8 / 6
    assert sum((count - fair) ** 2 / fair for count in faces.values()) < 20.5  # chi squared, 5 degrees, 0.1 %


def test_a_longer_roll_begins_with_the_shorter_one() -> None:
    assert luck.roll(SEED, "attack", 0, 0, 8)[:3] == luck.roll(SEED, "attack", 0, 0, 3)
    assert len(luck.roll(SEED, "attack", 0, 0, 100)) == 100


def test_shuffling_keeps_all_and_takes_every_first() -> None:
    orders = [luck.shuffled([0, 1, 2, 3], bytes([n]) * 32, "order") for n in range(200)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert min(Counter(order[0] for order in orders).values()) > 30


def test_the_seal_fixes_the_next_attack_and_shows_nothing_of_it() -> None:
    assert luck.seal(SEED, 4, 2) == luck.seal(SEED, 4, 2) != luck.seal(SEED, 4, 3)
    assert len(luck.seal(SEED, 4, 2)) == 4
    assert luck.seal(SEED, 4, 2) != luck.draw(SEED, "attack", 4, 2)[:4]


def test_a_commitment_names_its_seat() -> None:
    nonce = b"n" * 16
    hashes = {luck.nonce_hash(nonce, m, n) for m in (b"a" * 32, b"b" * 32) for n in (0, 1)}
    assert len(hashes) == 4


def test_every_nonce_and_the_game_change_the_seed() -> None:
    seeds = {luck.seed_of([b"a" * 16, b"b" * 16], 1), luck.seed_of([b"a" * 16, b"b" * 16], 2)}
    seeds |= {luck.seed_of([b"a" * 16], 1), luck.seed_of([b"b" * 16, b"a" * 16], 1)}
    assert len(seeds) == 4
