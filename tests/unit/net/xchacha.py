"""HChaCha20 and XChaCha20-Poly1305 as their draft tells them, slow and obvious: an oracle with nothing of ours."""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

COLUMNS_AND_DIAGONALS = [
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
]  # fmt: skip


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """draft-irtf-cfrg-xchacha-03, 2.2."""
    state = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<12I", key + nonce)]

    def turn(target: int, other: int, mixed: int, left: int) -> None:
        state[target] = (state[target] + state[other]) % 2**32
        word = state[mixed] ^ state[target]
        state[mixed] = (word << left | word >> (32 - left)) % 2**32

    for _ in range(10):
        for a, b, c, d in COLUMNS_AND_DIAGONALS:
            turn(a, b, d, 16)
            turn(c, d, b, 12)
            turn(a, b, d, 8)
            turn(c, d, b, 7)
    return struct.pack("<8I", *state[:4], *state[12:])


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
    """Decrypt with XChaCha20-Poly1305 (2.3)."""
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).decrypt(bytes(4) + nonce[16:], sealed, bound)
