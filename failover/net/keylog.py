"""The key log: one line of text for each direction of each channel, after the model of SSLKEYLOGFILE.

    DATA_KEY <receiver index, as on the wire> <key>        both in hexadecimal

A DATA datagram names a receiver index; the key of that line opens it. Other lines are comments. Whoever has such a
file and a recording of the network reads all that was said, so it exists only where somebody asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from failover.errors import MalformedBytes
from failover.net.channel import HEADER_SIZE, TAG_SIZE, TYPE_DATA

WORD = "DATA_KEY"
KEYS_MAX = 1 << 16
"""In one key ring: a channel lives for two minutes, so this is months of play."""
KEYS_PER_INDEX_MAX = 8
LINE_SIZE_MAX = 256


def line(index: int, key: bytes) -> str:
    """The line for datagrams to the one who drew `index`."""
    return f"{WORD} {index.to_bytes(4, 'little').hex()} {key.hex()}\n"


class KeyRing:
    """Keys by receiver index, the newest first."""

    __slots__ = ("_ciphers", "count")

    def __init__(self) -> None:
        self._ciphers: dict[bytes, list[ChaCha20Poly1305]] = {}
        self.count = 0

    def add(self, index: bytes, key: bytes) -> None:
        """One more; the oldest give way."""
        listed = self._ciphers.setdefault(index, [])
        listed.insert(0, ChaCha20Poly1305(key))
        self.count += 1
        if len(listed) > KEYS_PER_INDEX_MAX:
            listed.pop()
            self.count -= 1
        while self.count > KEYS_MAX:
            self.count -= len(self._ciphers.pop(next(iter(self._ciphers))))

    def knows(self, index: bytes) -> bool:
        """Whether there is a key for datagrams to this index."""
        return index in self._ciphers

    def read_untrusted(self, lines: Iterable[str]) -> None:
        """Add what a key log holds. Raises MalformedBytes, with the number of the line that is none."""
        for number, text in enumerate(lines, 1):
            word, _, rest = text.strip().partition(" ")
            if word != WORD:
                if word and not word.startswith("#"):
                    raise MalformedBytes(f"line {number} of the key log is no key")
                continue
            try:
                index, key = (bytes.fromhex(part) for part in rest.split())
            except ValueError:
                raise MalformedBytes(f"line {number} of the key log is cut off or damaged") from None
            if (len(index), len(key)) != (4, 32):
                raise MalformedBytes(f"line {number} of the key log is cut off or damaged")
            self.add(index, key)

    def open_untrusted(self, datagram: bytes) -> bytes | None:
        """The frames in a DATA datagram; None if no key of the ring opens it."""
        if len(datagram) < HEADER_SIZE + TAG_SIZE or datagram[0] != TYPE_DATA:
            return None
        header = datagram[:HEADER_SIZE]
        for cipher in self._ciphers.get(header[4:8], ()):
            try:
                return cipher.decrypt(bytes(4) + header[8:], datagram[HEADER_SIZE:], header)
            except InvalidTag:
                continue
        return None
