"""The INITIATION and RESPONSE datagrams, byte for byte; docs/reference/wire-format.md has their tables.

Both are 1,152 bytes: the first exchange so proves that the path carries full datagrams, and no answer is longer
than its question. `mac1` is keyed with the receiver's static key and the gate of the cluster: who never held a
ticket cannot even ask, and costs one hash, however many gates are to be tried. `mac2` is keyed with a cookie
(`cookies`), or zero.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import blake2s
from struct import Struct

from failover.errors import MalformedBytes
from failover.ids import NO_GENERATION, ClusterId, Generation
from failover.net import addresses, cookies
from failover.net.addresses import Address
from failover.net.channel import DATAGRAM_SIZE_MAX, VERSION
from failover.net.runs import NO_RUN, SEAL_SIZE, Run

TYPE_INITIATION, TYPE_RESPONSE = 1, 2
HANDSHAKE_SIZE = DATAGRAM_SIZE_MAX
MAC1_OFFSET, MAC2_OFFSET = 1120, 1136
INITIATION_PAYLOAD_SIZE = 1016
RESPONSE_PAYLOAD_SIZE = 1060
INVITE_ID_SIZE = 16
NAME_SIZE_MAX = 64
NO_INVITE = bytes(INVITE_ID_SIZE)
NO_MAC2 = bytes(16)

_INITIATION = Struct(f"<QQ{SEAL_SIZE}sIBBI16s16sB")
_RESPONSE = Struct(f"<QQ{SEAL_SIZE}sQ{SEAL_SIZE}sB16s")


@dataclass(frozen=True, slots=True)
class InitiationPayload:
    """What the initiator says about itself."""

    incarnation: int
    """Rises with every start of the member's process; durable before the first datagram."""
    previous_incarnation: int
    """The one before. A peer that met a later one knows that the storage was rolled back or copied."""
    attempt: int
    """Rises with every initiation of one incarnation."""
    version_min: int
    version_max: int
    secret_epoch: int
    """Whose psk ends the handshake; unused with an invite."""
    invite_id: bytes
    """16 bytes; zeros = a member, else a guest, and the psk is the invite's secret."""
    name: str
    """For people. At most 64 bytes of UTF-8."""
    addresses: tuple[Address, ...] = ()
    """Where else the initiator may be reached: candidates, never trusted to be its own."""
    seal: bytes = NO_RUN.seal
    """Of this run; nobody but its author can judge it."""
    generation: Generation = NO_GENERATION
    """Members of two generations have a channel, but on it they say only where each of them went."""

    def pack(self) -> bytes:
        """1,016 bytes, zeros at their end."""
        name = self.name.encode()
        head = _INITIATION.pack(
            self.incarnation,
            self.previous_incarnation,
            self.seal,
            self.attempt,
            self.version_min,
            self.version_max,
            self.secret_epoch,
            self.generation,
            self.invite_id,
            len(name),
        )
        packed = head + name + addresses.pack_list(self.addresses)
        return packed.ljust(INITIATION_PAYLOAD_SIZE, b"\0")

    @classmethod
    def unpack_untrusted(cls, data: bytes) -> InitiationPayload:
        """Raises MalformedBytes for anything but exactly what `pack` writes."""
        if len(data) != INITIATION_PAYLOAD_SIZE:
            raise MalformedBytes("initiation payload size")
        head = _INITIATION.unpack_from(data)
        incarnation, previous, seal, attempt, low, high, epoch, generation, invite_id, name_size = head
        offset = _INITIATION.size + name_size
        try:
            name = data[_INITIATION.size : offset].decode()
        except UnicodeDecodeError:
            raise MalformedBytes("name") from None
        if name_size > NAME_SIZE_MAX:
            raise MalformedBytes("name")
        candidates, offset = addresses.unpack_list_untrusted(data, offset)
        if data.count(0, offset) != len(data) - offset:
            raise MalformedBytes("initiation padding")
        return cls(incarnation, previous, attempt, low, high, epoch, invite_id, name, candidates, seal, generation)

    @property
    def run(self) -> Run:
        """Which run of the initiator this is."""
        return Run(self.incarnation, self.seal)


@dataclass(frozen=True, slots=True)
class ResponsePayload:
    """What the responder says."""

    incarnation: int
    previous_incarnation: int
    """As in the initiation."""
    version: int
    """Chosen from the initiator's range."""
    observed: Address | None
    """Where the initiation came from."""
    seal: bytes = NO_RUN.seal
    """As in the initiation."""
    met: Run = NO_RUN
    """A run of the initiator of which its storage does not know. If there is one, this is all that is said: no
    channel comes of it."""

    generation: Generation = NO_GENERATION
    """As in the initiation."""

    def pack(self) -> bytes:
        """1,060 bytes, zeros at their end."""
        met = self.met
        packed = _RESPONSE.pack(
            self.incarnation,
            self.previous_incarnation,
            self.seal,
            met.incarnation,
            met.seal,
            self.version,
            self.generation,
        )
        packed += addresses.pack(self.observed)
        return packed.ljust(RESPONSE_PAYLOAD_SIZE, b"\0")

    @classmethod
    def unpack_untrusted(cls, data: bytes) -> ResponsePayload:
        """Raises MalformedBytes for anything but exactly what `pack` writes."""
        if len(data) != RESPONSE_PAYLOAD_SIZE:
            raise MalformedBytes("response payload size")
        incarnation, previous, seal, met, met_seal, version, generation = _RESPONSE.unpack_from(data)
        observed, offset = addresses.unpack_untrusted(data, _RESPONSE.size)
        if data.count(0, offset) != len(data) - offset:
            raise MalformedBytes("response padding")
        return cls(incarnation, previous, version, observed, seal, Run(met, met_seal), generation)

    @property
    def run(self) -> Run:
        """Which run of the responder this is."""
        return Run(self.incarnation, self.seal)


def prologue(cluster: ClusterId) -> bytes:
    """Bound into every handshake: a channel of one cluster is none of another."""
    return b"failover net 1" + cluster


def mac1_key(receiver_static: bytes, gate: bytes) -> bytes:
    """The key of mac1 for datagrams to the holder of `receiver_static`."""
    return blake2s(b"failover mac1" + receiver_static + gate).digest()


def body_digest(datagram: bytes) -> bytes:
    """32 bytes over everything before mac1: what both macs are made of, so that four gates cost one long hash."""
    return blake2s(datagram[:MAC1_OFFSET]).digest()


def mac1(key: bytes, digest: bytes) -> bytes:
    """16 bytes, for the datagram with this `body_digest`."""
    return blake2s(digest, key=key, digest_size=16).digest()


def has_valid_mac1(key: bytes, datagram: bytes) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(mac1(key, body_digest(datagram)), datagram[MAC1_OFFSET:MAC2_OFFSET])


def with_cookie(datagram: bytes, cookie: bytes) -> bytes:
    """The same datagram with the mac2 that `cookie` gives it."""
    found = datagram[MAC1_OFFSET:MAC2_OFFSET]
    return datagram[:MAC2_OFFSET] + cookies.mac2(cookie, body_digest(datagram), found)


def initiation(*, sender_index: int, noise_message: bytes, key: bytes) -> bytes:
    """The datagram of type 1. `key` is the mac1 key of the receiver."""
    body = bytes([TYPE_INITIATION, VERSION, 0, 0]) + sender_index.to_bytes(4, "little") + noise_message
    assert len(body) == MAC1_OFFSET
    return body + mac1(key, body_digest(body)) + NO_MAC2


def response(*, sender_index: int, receiver_index: int, noise_message: bytes, key: bytes) -> bytes:
    """The datagram of type 2. `key` is the mac1 key of the receiver, with the gate of the initiation."""
    indices = sender_index.to_bytes(4, "little") + receiver_index.to_bytes(4, "little")
    body = bytes([TYPE_RESPONSE, VERSION, 0, 0]) + indices + noise_message
    assert len(body) == MAC1_OFFSET
    return body + mac1(key, body_digest(body)) + NO_MAC2


def split_initiation(datagram: bytes) -> tuple[int, bytes]:
    """Sender index and Noise message of a datagram of the right size."""
    return int.from_bytes(datagram[4:8], "little"), datagram[8:MAC1_OFFSET]


def split_response(datagram: bytes) -> tuple[int, int, bytes]:
    """Sender index, receiver index and Noise message of a datagram of the right size."""
    sender, receiver = int.from_bytes(datagram[4:8], "little"), int.from_bytes(datagram[8:12], "little")
    return sender, receiver, datagram[12:MAC1_OFFSET]
