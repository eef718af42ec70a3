"""Dice that nobody can reroll.

A draw has a key, (purpose, turn, k, j), and its value is a hash of the seed and that key. There is no generator
with a place in a sequence: a command that is repeated, refused or reordered cannot shift the dice of a later one,
and a new host that computes a draw again computes the same.

The seed is made of nonces that the players commit to (by their hash) before anybody shows one, so nobody picks it.
What this does not do: a modified client holds the seed and can foresee dice. It cannot change them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

SEED_SIZE = 32
NONCE_SIZE = 16
NONCE_HASH_SIZE = 32
SEAL_SIZE = 4

_FAIR_BYTES = 252
"""Bytes from here up are rejected: 252 is the largest multiple of 6 that a byte holds."""


def draw(seed: bytes, purpose: str, turn: int, k: int, j: int = 0) -> bytes:
    """Return the 32 bytes that belong to this key; the same for everybody who holds the seed."""
    key = b"%s\0%d\0%d\0%d" % (purpose.encode(), turn, k, j)
    return hashlib.sha256(seed + key).digest()


def roll(seed: bytes, purpose: str, turn: int, k: int, count: int) -> bytes:
    """Roll `count` dice (1 to 8) and return their faces, one byte of 1 to 6 each."""
    faces = bytearray()
    j = 0
    while len(faces) < count:
        faces += bytes(b % 6 + 1 for b in draw(seed, purpose, turn, k, j) if b < _FAIR_BYTES)
        j += 1
    return bytes(faces[:count])


def below(limit: int, seed: bytes, purpose: str, turn: int, k: int) -> int:
    """Return a number from 0 to `limit` - 1. The bias of 256 bits modulo a small limit is under 2^-240."""
    return int.from_bytes(draw(seed, purpose, turn, k), "big") % limit


def shuffled(items: list[int], seed: bytes, purpose: str) -> list[int]:
    """Return the items in an order that the seed decides (Fisher and Yates)."""
    order = list(items)
    for last in range(len(order) - 1, 0, -1):
        other = below(last + 1, seed, purpose, 0, last)
        order[last], order[other] = order[other], order[last]
    return order


def seal(seed: bytes, turn: int, attack: int) -> bytes:
    """Return 4 bytes that fix the next attack's dice without showing them.

    Shown before and after a change of host: equal means that nobody rerolled.
    """
    return hashlib.sha256(b"hexhold seal" + draw(seed, "attack", turn, attack)).digest()[:SEAL_SIZE]


def nonce_hash(nonce: bytes, member: bytes, number: int) -> bytes:
    """Return the commitment to a nonce; it names its seat, so that nobody can repeat another's as his own."""
    return hashlib.sha256(b"hexhold nonce" + member + bytes([number]) + nonce).digest()


def seed_of(nonces: list[bytes], game: int) -> bytes:
    """Return the seed of the table's game number `game` (from 1) out of the nonces shown, in order of seats."""
    return hashlib.sha256(b"hexhold seed" + game.to_bytes(4, "big") + b"".join(nonces)).digest()


@dataclass(slots=True)
class Draws:
    """Draws for one purpose, counted: for maps and deals, which are made in one go from nothing but the seed."""

    seed: bytes
    purpose: str
    count: int = 0

    def below(self, limit: int) -> int:
        """Return the next number from 0 to `limit` - 1."""
        self.count += 1
        return below(limit, self.seed, self.purpose, 0, self.count)
