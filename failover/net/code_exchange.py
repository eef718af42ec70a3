"""How a short code becomes a ticket: SPAKE2 between a member that gave a code and a person who typed it.

The seeker calls everybody on the LAN; who has a code open says so, with a cookie, and keeps nothing. The rest is
between the two, under a new nonce, which who heard the call does not know:

    SEEK ->  <- HERE cookie    OPEN X* ->  <- ANSWER Y*    CONFIRM mac ->  <- TICKET sealed

A passer-by learns nothing that he could check guesses against, and whoever takes part may check one guess each
time. So guesses are counted where they are judged: the giver judges one CONFIRM in 5 seconds, whoever sent it, and
says nothing to a wrong one. The seeker, which could be asked to guess by anybody who answers, opens 8 exchanges at
most. No answer is longer than its question, and the sockets reach no further than the LAN (`rendezvous`).

A giver whose code is listed tells it to everybody on the LAN who asks: LIST ->  <- LISTED code, title. Others say
nothing to that.

Sans-IO: datagrams and times in, datagrams out through `transmit`. docs/explanation/short-codes.md has the reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2s

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from spake2 import SPAKE2_A, SPAKE2_B, SPAKEError
from spake2.ed25519_basic import NotOnCurve

from failover.errors import BadTicket, MalformedBytes
from failover.net import short_codes
from failover.net.addresses import Address
from failover.net.titles import TITLE_SIZE_MAX

MAGIC = b"foc\x01"
"""Begins every datagram; its last byte is the version."""
SEEK, HERE, OPEN, ANSWER, CONFIRM, TICKET, LIST, LISTED = range(1, 9)
SIZES = {SEEK: 64, HERE: 40, OPEN: 128, ANSWER: 56, CONFIRM: 1152, TICKET: 1152, LIST: 136, LISTED: 136}
"""Of whole datagrams. A question is never shorter than its answer."""
NONCE_SIZE, COOKIE_SIZE, ELEMENT_SIZE, MAC_SIZE, TAG_SIZE = 16, 16, 32, 32, 16
_HEADER = 8
_BODY = _HEADER + NONCE_SIZE
TICKET_TEXT_MAX = SIZES[TICKET] - _BODY - TAG_SIZE - 2
_CODE_SIZE = 9
"""Of its one form, with the dash."""
_CONTENT = {
    SEEK: 0,
    HERE: COOKIE_SIZE,
    OPEN: COOKIE_SIZE + ELEMENT_SIZE,
    ANSWER: ELEMENT_SIZE,
    CONFIRM: MAC_SIZE,
    LIST: 0,
    LISTED: _CODE_SIZE + 1 + TITLE_SIZE_MAX,
}
"""Bytes after the nonce; zeros follow. A TICKET is full."""
INFINITE = float("inf")

Transmit = Callable[[bytes, Address], None]
Entropy = Callable[[int], bytes]
IDS = {"idA": b"failover code seeker", "idB": b"failover code giver"}


def datagram(kind: int, nonce: bytes, body: bytes) -> bytes:
    """Of this kind, in full length."""
    assert len(body) == _CONTENT.get(kind, len(body))
    return (MAGIC + bytes([kind, 0, 0, 0]) + nonce + body).ljust(SIZES[kind], b"\0")


def split_untrusted(data: bytes) -> tuple[int, bytes, bytes]:
    """Kind, nonce and body. Raises MalformedBytes for anything but exactly what `datagram` writes."""
    kind = data[4] if len(data) >= _BODY else 0
    if data[:4] != MAGIC or data[5:_HEADER] != bytes(3) or SIZES.get(kind) != len(data):
        raise MalformedBytes("not of this protocol")
    end = _BODY + _CONTENT.get(kind, len(data))
    if data.count(0, end) != len(data[end:]):
        raise MalformedBytes("padding")
    return kind, data[_HEADER:_BODY], data[_BODY:end]


def listing(code: str, title: str) -> bytes:
    """The body of a LISTED: the code in its one form, the title's size, the title, zeros."""
    raw = title.encode()
    assert len(code) == _CODE_SIZE and len(raw) <= TITLE_SIZE_MAX
    return code.encode() + bytes([len(raw)]) + raw.ljust(TITLE_SIZE_MAX, b"\0")


def split_listing_untrusted(body: bytes) -> tuple[str, str]:
    """Code and title; the title is as it came. Raises MalformedBytes for what `listing` does not write."""
    size, rest = body[_CODE_SIZE], body[_CODE_SIZE + 1 :]
    try:
        code, title = body[:_CODE_SIZE].decode("ascii"), rest[:size].decode()
        is_code = short_codes.parse(code) == code
    except (UnicodeDecodeError, BadTicket):
        raise MalformedBytes("listed: not readable") from None
    if not is_code or size > TITLE_SIZE_MAX or any(rest[size:]):
        raise MalformedBytes("listed: not readable")
    return code, title


def confirmation(key: bytes, nonce: bytes) -> bytes:
    """What only a seeker with the same code can say. The giver's is the sealed ticket."""
    return blake2s(b"failover code confirm" + nonce, key=key).digest()


def seal(key: bytes, nonce: bytes, text: str) -> bytes:
    """The one thing that is ever sealed under this key; so its own nonce may be zeros. All are equally long."""
    raw = text.encode()
    assert len(raw) <= TICKET_TEXT_MAX
    plain = (len(raw).to_bytes(2, "little") + raw).ljust(TICKET_TEXT_MAX + 2, b"\0")
    return ChaCha20Poly1305(_ticket_key(key, nonce)).encrypt(bytes(12), plain, nonce)


def open_untrusted(key: bytes, nonce: bytes, sealed: bytes) -> str:
    """Raises MalformedBytes."""
    try:
        plain = ChaCha20Poly1305(_ticket_key(key, nonce)).decrypt(bytes(12), sealed, nonce)
        size = int.from_bytes(plain[:2], "little")
        return plain[2 : 2 + size].decode()
    except (InvalidTag, UnicodeDecodeError):
        raise MalformedBytes("not authentic") from None


def _ticket_key(key: bytes, nonce: bytes) -> bytes:
    return blake2s(b"failover code ticket" + nonce, key=key).digest()


def finish_untrusted(side: SPAKE2_A | SPAKE2_B, letter: bytes, element: bytes) -> bytes:
    """The key that both have if both meant the same code. Raises MalformedBytes for what is no element."""
    try:
        key: bytes = side.finish(letter + element)
    except (SPAKEError, NotOnCurve, ValueError, AssertionError):
        raise MalformedBytes("no element, or our own") from None
    return key
