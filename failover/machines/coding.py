"""Bytes of the ready machines: read with bounds, written plainly; and the codecs for what their users put in.

What members compare and store is bytes. A codec stands between them and the user's own values, and runs on the
user's side alone: `apply` never decodes a value, so no value can make it fail or differ.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any, NoReturn, Protocol, TypeVar

import cbor2

from failover import MalformedBytes, UsageError

T = TypeVar("T")

DEPTH_MAX = 32
"""Lists in lists, so deep."""


# --- the bytes of commands and snapshots ---


def number(value: int, size: int = 8) -> bytes:
    """A whole number, the most significant byte first, so that bytes sort as numbers do."""
    return value.to_bytes(size, "big")


def sized(data: bytes, size: int = 2) -> bytes:
    """Bytes behind their length."""
    return len(data).to_bytes(size, "big") + data


class Reader:
    """Reads what `number` and `sized` wrote. Raises MalformedBytes, and nothing else."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take_untrusted(self, size: int) -> bytes:
        """So many bytes."""
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise MalformedBytes("cut off")
        self._at += size
        return taken

    def number_untrusted(self, size: int = 8, at_most: int | None = None) -> int:
        """A whole number."""
        value = int.from_bytes(self.take_untrusted(size), "big")
        if at_most is not None and value > at_most:
            raise MalformedBytes(f"{value} is more than {at_most}")
        return value

    def sized_untrusted(self, at_most: int, size: int = 2) -> bytes:
        """Bytes behind their length."""
        return self.take_untrusted(self.number_untrusted(size, at_most))

    def rest(self) -> bytes:
        """All that follows."""
        taken, self._at = self._data[self._at :], len(self._data)
        return taken

    def end_untrusted(self) -> None:
        """Nothing follows."""
        if self._at != len(self._data):
            raise MalformedBytes("bytes after the end")


class Sum:
    """A digest of a set of facts that each cost one hash to add and one to take away, however many there are.

    The sum of the facts' hashes, modulo 2**256 (Bellare and Micciancio 1997, AdHash): equal sets have equal sums,
    in whatever order they came about. It finds accidents; it does not bind somebody who makes up facts at will.
    """

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, *parts: bytes) -> None:
        """One more fact."""
        self.value = (self.value + _hash(parts)) % 2**256

    def take_away(self, *parts: bytes) -> None:
        """One that was added is no more."""
        self.value = (self.value - _hash(parts)) % 2**256

    def digest(self, *parts: bytes) -> bytes:
        """16 bytes of all facts, and of `parts`."""
        return hashlib.blake2b(number(self.value, 32) + b"".join(parts), digest_size=16).digest()


def _hash(parts: tuple[bytes, ...]) -> int:
    """Of the parts, each behind its length: otherwise ("ab", "c") and ("a", "bc") would be one fact."""
    joined = b"".join([sized(part, 4) for part in parts])
    return int.from_bytes(hashlib.blake2b(joined, digest_size=32).digest(), "big")


# --- the user's values ---


class Codec(Protocol[T]):
    """Bytes of a value, and back. Equal values must have equal bytes, since it is those that are compared."""

    def encode(self, value: T) -> bytes:
        """Return its bytes. UsageError: it has none."""
        ...

    def decode(self, data: bytes) -> T:
        """Return the value. MalformedBytes: `encode` did not write this."""
        ...


class _Text:
    def encode(self, value: str) -> bytes:
        """In UTF-8."""
        if not isinstance(value, str):
            raise UsageError(f"expected text (str), not {type(value).__name__}")
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise UsageError("this text is not Unicode: it holds half of a surrogate pair") from None

    def decode(self, data: bytes) -> str:
        """Of UTF-8."""
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise MalformedBytes("no UTF-8") from None


class _Raw:
    def encode(self, value: bytes) -> bytes:
        """As it is."""
        if not isinstance(value, bytes):
            raise UsageError(f"expected bytes, not {type(value).__name__}")
        return value

    def decode(self, data: bytes) -> bytes:
        """As it is."""
        return data


def _refuse(*_: object) -> NoReturn:
    raise ValueError("only None, bool, int, float, str, bytes, list and dict can be stored")


# Every tag that cbor2 acts upon by itself; all others reach `tag_hook`.
_KNOWN_TAGS = (*range(6), 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_REFUSED_TAGS = dict.fromkeys(_KNOWN_TAGS, _refuse)


class _Plain:
    def encode(self, value: Any) -> bytes:
        """In canonical CBOR."""
        try:
            data = cbor2.dumps(value, canonical=True, default=_refuse)
            self.decode(data)  # a set or a date would be written, and could not be read
        except MalformedBytes as error:
            raise UsageError(f"this cannot be stored: {error}") from None
        except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise UsageError(f"this cannot be stored: {error}") from None
        return data

    def decode(self, data: bytes) -> Any:
        """Of CBOR, without its tags."""
        stream = io.BytesIO(data)
        try:
            value = cbor2.load(
                stream,
                tag_hook=_refuse,
                semantic_decoders=_REFUSED_TAGS,
                read_size=len(data) or 1,
                max_depth=DEPTH_MAX,
                allow_indefinite=False,
                allow_duplicate_keys=False,
            )
        except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
            raise MalformedBytes(f"not plain: {error}") from None
        if stream.tell() != len(data):
            raise MalformedBytes("bytes after the value")
        return value


TEXT: Codec[str] = _Text()
"""Text; as keys it is sorted by its characters."""
RAW: Codec[bytes] = _Raw()
"""Bytes as they are: bring your own coding."""
PLAIN: Codec[Any] = _Plain()
"""None, bool, int of up to 64 bits, float, str, bytes, and lists and dicts of these. A tuple comes back as a list.

`1`, `1.0` and `True` are three different values here, unlike in Python.
"""

DEFAULT_KEYS: Codec[Any] = TEXT
DEFAULT_VALUES: Codec[Any] = PLAIN
