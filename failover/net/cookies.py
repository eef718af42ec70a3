"""Cookies: a source shows that it can be answered before it costs us curve arithmetic (WireGuard, 5.3).

Under load an initiation is answered with a COOKIE of 64 bytes instead of being computed with: 16 bytes that only
this member can make, and only for that source. Whoever wrote the initiation repeats it with `mac2`, keyed with the
cookie. A source that is made up never sees its cookie, and a source that is real can be counted.

    0: type 3, version, 0, 0 · 4: receiver index u32 · 8: nonce 24 · 32: sealed cookie 32

Sealed with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), since nonces are drawn by chance and 12 bytes would be
few; the associated data is the `mac1` of the initiation, so a COOKIE answers that very datagram and no other.
"""

from __future__ import annotations

import hmac
from hashlib import blake2s
from struct import Struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from failover.errors import MalformedBytes
from failover.net.channel import VERSION
from failover.net.places import Place

TYPE_COOKIE = 3
COOKIE_DATAGRAM_SIZE = 64
COOKIE_SIZE = 16
JAR_SIZE = 48
"""Random bytes in a `CookieJar`."""
COOKIE_LIFE_S = 120.0
"""The secret behind the cookies is drawn anew so often, and a received cookie is used for so long (6.1)."""
KEPT_MAX = 16
"""Places of one peer whose cookies are kept."""

_HEAD = bytes([TYPE_COOKIE, VERSION, 0, 0])
_WORDS = Struct("<16I")
_KEY = Struct("<8I")
_SIGMA = Struct("<4I").unpack(b"expand 32-byte k")
"""The constants of ChaCha20: the words 0 to 3 of its first state."""


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """A key of 32 bytes from a key of 32 and a nonce of 16 (the draft, 2.2).

    HChaCha20 is the state of ChaCha20 after its 20 rounds, of which it gives out the words 0 to 3 and 12 to 15.
    ChaCha20 gives out the whole state after adding the one it began with; but in these eight words it began with
    what everybody knows, the constants and the nonce, so that we subtract them and have what we want.
    """
    stream = Cipher(algorithms.ChaCha20(key, nonce), mode=None).encryptor().update(bytes(64))
    words = _WORDS.unpack(stream)
    began = (*_SIGMA, *_WORDS.unpack_from(bytes(48) + nonce)[12:])
    ended = (*words[:4], *words[12:])
    return _KEY.pack(*((end - begin) & 0xFFFFFFFF for end, begin in zip(ended, began, strict=True)))


def xchacha20poly1305(key: bytes, nonce: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    """The cipher, and its nonce, for a key of 32 bytes and a nonce of 24 (the draft, 2.3)."""
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])), bytes(4) + nonce[16:]


def cookie_key(responder_static: bytes, gate: bytes) -> bytes:
    """What seals cookies of the holder of `responder_static`: who never held a ticket cannot read them."""
    return blake2s(b"failover cookie" + responder_static + gate).digest()


class CookieSealer:
    """Seals cookies under nonces of which the first 16 bytes are always the same, drawn by chance for each sealer.

    The last 8 count. So HChaCha20, by far the largest part of the cost, is done once and not for each datagram of
    a flood; and no nonce comes twice.
    """

    __slots__ = ("_cipher", "_counter", "_nonce_start")

    def __init__(self, key: bytes, nonce_start: bytes) -> None:
        self._nonce_start = nonce_start
        self._cipher = ChaCha20Poly1305(hchacha20(key, nonce_start))
        self._counter = 0

    def datagram(self, *, receiver_index: int, cookie: bytes, mac1: bytes) -> bytes:
        """The datagram of type 3 in answer to the initiation with this index and `mac1`."""
        nonce_end = self._counter.to_bytes(8, "little")
        self._counter += 1
        sealed = self._cipher.encrypt(bytes(4) + nonce_end, cookie, mac1)
        return _HEAD + receiver_index.to_bytes(4, "little") + self._nonce_start + nonce_end + sealed


def open_cookie_untrusted(key: bytes, datagram: bytes, mac1: bytes) -> bytes:
    """The cookie in a datagram of type 3 and of the right size, in answer to the initiation with `mac1`.

    Raises MalformedBytes unless every bit is as the responder sealed it.
    """
    cipher, short_nonce = xchacha20poly1305(key, datagram[8:32])
    try:
        return cipher.decrypt(short_nonce, datagram[32:], mac1)
    except InvalidTag:
        raise MalformedBytes("cookie tag") from None


class CookieJar:
    """The responder's side: nothing is remembered per source, there is only this one secret."""

    __slots__ = ("_made_at", "_nonce_start", "_sealers", "_secret")

    def __init__(self) -> None:
        self._secret = self._nonce_start = b""
        self._made_at = 0.0
        self._sealers: dict[bytes, CookieSealer] = {}
        """By their keys: one for each gate that was used since the secret was drawn."""

    def renew(self, now: float, fresh: bytes) -> None:
        """Take the 48 random bytes of `fresh` for the secret and the nonces."""
        self._secret, self._nonce_start, self._made_at = fresh[:32], fresh[32:], now
        self._sealers.clear()

    def sealer(self, key: bytes) -> CookieSealer:
        """Seals with this `cookie_key`."""
        found = self._sealers.get(key)
        if found is None:
            found = self._sealers[key] = CookieSealer(key, self._nonce_start)
        return found

    def is_stale(self, now: float) -> bool:
        """Whether a new secret is due."""
        return not self._secret or not 0 <= now - self._made_at < COOKIE_LIFE_S

    def cookie(self, source: Place) -> bytes:
        """What only `source` gets to see, until the secret changes."""
        told = repr(source).encode()
        return blake2s(told, key=self._secret, digest_size=COOKIE_SIZE).digest()


def mac2(cookie: bytes, digest: bytes, mac1: bytes) -> bytes:
    """16 bytes over a handshake datagram, of which `digest` is the hash up to its mac1."""
    return blake2s(digest + mac1, key=cookie, digest_size=16).digest()


def is_valid_mac2(cookie: bytes, digest: bytes, mac1: bytes, found: bytes) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(mac2(cookie, digest, mac1), found)


class KeptCookies:
    """The initiator's side: what it was given, and for how long that counts."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Place, tuple[bytes, float]] = {}

    def keep(self, cookie: bytes, source: Place, now: float) -> None:
        """Given by `source`, to be shown there."""
        self._kept = {place: kept for place, kept in self._kept.items() if now < kept[1]}
        self._kept.pop(source, None)
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[source] = (cookie, now + COOKIE_LIFE_S)

    def for_target(self, target: Place, now: float) -> bytes | None:
        """What `target` wants to see, if we have it."""
        cookie, until = self._kept.get(target, (None, 0.0))
        return cookie if now < until else None
