"""A channel: keys and counters after a handshake. Seals and opens DATA datagrams; knows nothing of their frames.

    0: type 4, version, 0, 0 · 4: receiver index u32 · 8: counter u64 · 16: ciphertext and tag

The first 16 bytes are the associated data; the nonce is four zeros and the counter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from failover.errors import MalformedBytes
from failover.ids import NO_GENERATION, Generation
from failover.net.places import Place
from failover.net.replay import ReplayWindow

if TYPE_CHECKING:
    from failover.net.handshake import InitiationPayload

TYPE_DATA = 4
VERSION = 1
DATAGRAM_SIZE_MAX = 1152
"""An end-to-end datagram; with 48 bytes to spare below 1200, so that a relayed one never fragments either."""
HEADER_SIZE = 16
TAG_SIZE = 16
FRAMES_SIZE_MAX = DATAGRAM_SIZE_MAX - HEADER_SIZE - TAG_SIZE
RELAYING_SIZE_MAX = 1200
"""A datagram on the socket; more than `DATAGRAM_SIZE_MAX` only if it passes on another member's."""
COUNTER_MAX = 2**60
"""Nothing is sealed beyond; the rekey comes at 2**40 at the latest (WireGuard, 6.1)."""
REKEY_AFTER_DATAGRAMS = 2**40

_NONCE_START = bytes(4)


class Channel:
    """One direction of sealing, one of opening, and what the owner must know about their age."""

    __slots__ = (
        "_head",
        "_open",
        "_replay",
        "_seal",
        "address",
        "bytes_opened",
        "bytes_sealed",
        "claims",
        "confirmed",
        "counter",
        "created",
        "datagrams_opened",
        "generation",
        "initiated",
        "local_index",
        "peer_incarnation",
        "retire_at",
    )

    def __init__(
        self,
        *,
        send_key: bytes,
        receive_key: bytes,
        local_index: int,
        remote_index: int,
        initiated: bool,
        confirmed: bool,
        created: float,
        peer_incarnation: int,
        address: Place,
        claims: InitiationPayload | None = None,
        generation: Generation = NO_GENERATION,
    ) -> None:
        self._seal = ChaCha20Poly1305(send_key).encrypt
        self._open = ChaCha20Poly1305(receive_key).decrypt
        self._replay = ReplayWindow()
        self._head = bytes([TYPE_DATA, VERSION, 0, 0]) + remote_index.to_bytes(4, "little")
        self.counter = 0
        """Of the next datagram; with the key it never repeats."""
        self.bytes_sealed = self.bytes_opened = self.datagrams_opened = 0
        """Of frames; `failover.net.measuring` adds the rest."""
        self.local_index = local_index
        self.initiated = initiated
        """Whether this side sent the initiation."""
        self.confirmed = confirmed
        """Whether the other side has shown that it holds the keys: until then nothing is sealed here."""
        self.created = created
        self.retire_at = float("inf")
        """Set when a newer channel took over: from here on it does not even receive."""
        self.peer_incarnation = peer_incarnation
        self.generation = generation
        """In which the peer was when it was made."""
        self.address = address
        """Where the handshake's datagram came from."""
        self.claims = claims
        """What the initiator said of itself; believed when it has shown that it holds the keys."""

    def seal(self, frames: bytes) -> bytes:
        """The DATA datagram that carries `frames` (at most `FRAMES_SIZE_MAX` bytes; 48 more for a RELAY)."""
        counter = self.counter
        assert self.confirmed and counter < COUNTER_MAX and len(frames) <= RELAYING_SIZE_MAX - 32
        self.counter = counter + 1
        self.bytes_sealed += len(frames)
        packed = counter.to_bytes(8, "little")
        header = self._head + packed
        return header + self._seal(_NONCE_START + packed, frames, header)

    def open_untrusted(self, datagram: bytes) -> bytes:
        """The frames in `datagram`, which the caller found to be DATA for this channel, of a possible size.

        Raises MalformedBytes for what does not authenticate and for what was seen before; the channel is unharmed.
        """
        packed = datagram[8:16]
        counter = int.from_bytes(packed, "little")
        if not self._replay.is_fresh(counter):
            raise MalformedBytes("data: replayed or too old")
        try:
            frames = self._open(_NONCE_START + packed, datagram[16:], datagram[:16])
        except InvalidTag:
            raise MalformedBytes("data: not authentic") from None
        self._replay.mark(counter)
        self.datagrams_opened += 1
        self.bytes_opened += len(frames)
        return frames

    def arrived(self) -> tuple[int, int]:
        """Of the last thousand or so datagrams of the peer: how many arrived, and how many it sealed."""
        return self._replay.arrived()
