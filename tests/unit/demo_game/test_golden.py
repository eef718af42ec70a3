"""Values that must never change: a member with other dice than its peers would diverge from them."""

from __future__ import annotations

import hashlib

import pytest

from demo_game import land, luck, rules
from demo_game.balance import seed_number


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@pytest.mark.parametrize(
    ("number", "of_map", "of_deal", "of_rolls"),
    [
        (1, "591a8315d8f94bf8", "dddaa5864b64b499", "b1745451633374a8"),
        (2, "d539654aa0baf39b", "b531ef229312b0d3", "c6b3d426fb3d2bbd"),
        (3, "e478ee9fb8cd06db", "0ccd35a940410e20", "11c4b38bc24ee4db"),
    ],
)
def test_map_deal_and_first_fifty_rolls_of_a_seed_are_what_they_always_were(
    number: int, of_map: str, of_deal: str, of_rolls: str
) -> None:
    seed, size = seed_number(number), land.SIZES[number % 2]
    grown = land.grow(seed, size)
    assert digest(repr((grown.cells, grown.neighbours, grown.centres)).encode()) == of_map
    assert digest(rules.position_text(rules.deal(seed, 1 + number, size)).encode()) == of_deal
    rolls = b"".join(luck.roll(seed, "attack", k // 10, k % 10, 8) for k in range(50))
    assert digest(rolls) == of_rolls
