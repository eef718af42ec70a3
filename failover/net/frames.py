"""Frames: what a decrypted DATA datagram carries, one after the other.

A frame is its type (u8) and the fields below, little-endian. All frames of a datagram are read before any takes
effect. A type that this version does not know ends the reading: its length is unknown, so what follows is dropped.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct, error
from typing import NamedTuple

from failover.errors import MalformedBytes
from failover.net import addresses
from failover.net.addresses import Address
from failover.net.channel import FRAMES_SIZE_MAX
from failover.net.places import SHORT_ID_SIZE

PAD, PING, PONG, MESSAGE = 0, 1, 2, 3
OPEN, ACCEPT, CHUNK, ACK, END = 4, 5, 6, 7, 8
ADDRESSES, JOIN = 9, 10
RELAY, RELAY_REFUSED, SECRETS, UNRELIABLE, CLOSE = 11, 12, 13, 14, 15
"""SECRETS and CLOSE are reserved numbers; a version that does not know them drops them."""
PASS_ON, PASSED_ON = 0, 1
"""Directions of a RELAY."""

_U16, _U32, _U64 = Struct("<H"), Struct("<I"), Struct("<Q")
_OPEN = Struct("<BIBQB")
_CHUNK = Struct("<BIIH")
_ACK = Struct("<BIIH")
_END = Struct("<BIB")
_BODY = Struct("<BH")
_UNRELIABLE = Struct("<BB16sQH")

MESSAGE_SIZE_MAX = FRAMES_SIZE_MAX - _BODY.size
"""Bytes of an encoded message that still go into one datagram; larger ones travel as a transfer."""
HEADER_SIZE_MAX = 1024
"""Bytes of the message that announces a snapshot."""
BITMAP_SIZE_MAX = 512
"""4,096 chunks beyond the first one that is missing."""
DIGEST_SIZE = 32
"""SHA-256 of a snapshot's content."""
CHUNK_SIZE = 1088
"""Every chunk but the last. Chosen so that OPEN of a batch and a chunk fit into one datagram."""
UNRELIABLE_SIZE_MAX = 1024
"""Bytes of the application in one UNRELIABLE: they travel in one datagram or not at all."""
PING_PADDING = bytes(addresses.PACKED_SIZE_MAX)
"""PAD frames that make a PING as long as the longest PONG: no answer is longer than its question."""


class Ping(NamedTuple):
    """ "Are you there?" Answered at once, to where it came from."""

    token: int


class Pong(NamedTuple):
    """The answer, with the address that the PING came from."""

    token: int
    observed: Address | None


class Message(NamedTuple):
    """One encoded message."""

    body: bytes


class Join(NamedTuple):
    """One encoded message on a guest's channel, the only kind that is read there."""

    body: bytes


class Open(NamedTuple):
    """A transfer begins."""

    transfer: int
    is_snapshot: bool
    size: int
    """Bytes of content. A claim: nothing is allocated from it."""
    digest: bytes
    """Of a snapshot: the SHA-256 of its content, by which one that broke off goes on. Of a batch: empty."""
    header: bytes
    """Of a snapshot: the encoded message that announces it. Of a batch: empty."""


class Accept(NamedTuple):
    """The receiver of a snapshot is ready for its chunks, but for those that it has: told as in an ACK."""

    transfer: int
    below: int
    bitmap: int


class Chunk(NamedTuple):
    """A piece."""

    transfer: int
    number: int
    data: bytes


class Ack(NamedTuple):
    """What arrived: all chunks below `below`, and those of the bitmap (bit 0 = `below` + 1)."""

    transfer: int
    below: int
    bitmap: int


class End(NamedTuple):
    """A transfer is given up."""

    transfer: int
    by_sender: bool


class Addresses(NamedTuple):
    """Where the sender can be reached now."""

    addresses: tuple[Address, ...]


class Way(IntEnum):
    """From whom to whom something travels over the unreliable lane."""

    MEMBER = 0
    """From a member to a member."""
    TO_HOST = 1
    """From a member to the server function of the tenure in the stamp."""
    FROM_HOST = 2
    """From the server function of the tenure in the stamp to a member."""


class Unreliable(NamedTuple):
    """The application's own, stamped with the tenure that its sender follows, or runs."""

    way: Way
    generation: bytes
    term: int
    body: bytes


class Relay(NamedTuple):
    """A whole datagram of, or for, another member."""

    direction: int
    """`PASS_ON`: to the member named; `PASSED_ON`: it came from the member named."""
    member: bytes
    """`places.short_id` of the other end."""
    datagram: bytes


class RelayRefused(NamedTuple):
    """The member named is out of reach from here."""

    member: bytes


Frame = (
    Ping
    | Pong
    | Message
    | Join
    | Open
    | Accept
    | Chunk
    | Ack
    | End
    | Addresses
    | Unreliable
    | Relay
    | RelayRefused
)


def ping(token: int) -> bytes:
    """A PING, padded."""
    return bytes([PING]) + _U64.pack(token) + PING_PADDING


def pong(token: int, observed: Address | None) -> bytes:
    """A PONG."""
    return bytes([PONG]) + _U64.pack(token) + addresses.pack(observed)


def message(body: bytes) -> bytes:
    """A MESSAGE of at most `MESSAGE_SIZE_MAX` bytes."""
    return _BODY.pack(MESSAGE, len(body)) + body


def join(body: bytes) -> bytes:
    """A JOIN of at most `MESSAGE_SIZE_MAX` bytes."""
    return _BODY.pack(JOIN, len(body)) + body


def open_batch(transfer: int, size: int) -> bytes:
    """An OPEN of a batch."""
    return _OPEN.pack(OPEN, transfer, False, size, 0) + _U16.pack(0)


def open_snapshot(transfer: int, size: int, digest: bytes, header: bytes) -> bytes:
    """An OPEN of a snapshot."""
    return _OPEN.pack(OPEN, transfer, True, size, len(digest)) + digest + _U16.pack(len(header)) + header


def accept(transfer: int, below: int, bitmap: int) -> bytes:
    """An ACCEPT; the bitmap as in an ACK."""
    return _arrived(ACCEPT, transfer, below, bitmap)


def chunk(transfer: int, number: int, data: bytes) -> bytes:
    """A CHUNK."""
    return _CHUNK.pack(CHUNK, transfer, number, len(data)) + data


def ack(transfer: int, below: int, bitmap: int) -> bytes:
    """An ACK; the bitmap without its trailing zeros."""
    return _arrived(ACK, transfer, below, bitmap)


def _arrived(kind: int, transfer: int, below: int, bitmap: int) -> bytes:
    raw = bitmap.to_bytes((bitmap.bit_length() + 7) // 8, "little")
    return _ACK.pack(kind, transfer, below, len(raw)) + raw


def end(transfer: int, by_sender: bool) -> bytes:
    """An END."""
    return _END.pack(END, transfer, by_sender)


def candidate_addresses(candidates: tuple[Address, ...]) -> bytes:
    """An ADDRESSES."""
    return bytes([ADDRESSES]) + addresses.pack_list(candidates)


def unreliable(way: Way, generation: bytes, term: int, body: bytes) -> bytes:
    """An UNRELIABLE of 1 to `UNRELIABLE_SIZE_MAX` bytes."""
    return _UNRELIABLE.pack(UNRELIABLE, way, generation, term, len(body)) + body


def relay(direction: int, member: bytes, datagram: bytes) -> bytes:
    """A RELAY: 16 bytes and the datagram."""
    return bytes([RELAY, direction]) + member + _U16.pack(len(datagram)) + datagram


def relay_refused(member: bytes) -> bytes:
    """A RELAY REFUSED."""
    return bytes([RELAY_REFUSED]) + member


def parse_untrusted(data: bytes) -> tuple[list[Frame], int | None]:
    """All frames of a datagram, and the unknown type at which reading ended, if one did.

    Raises MalformedBytes if a known frame is cut off or breaks a bound; then none of them is to take effect.
    """
    found: list[Frame] = []
    offset, size = 0, len(data)
    try:
        while offset < size:
            kind = data[offset]
            if kind == PAD:
                offset += 1
                continue
            reader = _READERS.get(kind)
            if reader is None:
                return found, kind
            frame, offset = reader(data, offset)
            found.append(frame)
    except error:
        raise MalformedBytes("frame cut off") from None
    return found, None


def _take(data: bytes, offset: int, size: int) -> bytes:
    piece = data[offset : offset + size]
    if len(piece) != size:
        raise MalformedBytes("frame cut off")
    return piece


def _read_ping(data: bytes, offset: int) -> tuple[Frame, int]:
    return Ping(_U64.unpack_from(data, offset + 1)[0]), offset + 9


def _read_pong(data: bytes, offset: int) -> tuple[Frame, int]:
    (token,) = _U64.unpack_from(data, offset + 1)
    observed, offset = addresses.unpack_untrusted(data, offset + 9)
    return Pong(token, observed), offset


def _read_message(data: bytes, offset: int) -> tuple[Frame, int]:
    _, size = _BODY.unpack_from(data, offset)
    return Message(_take(data, offset + 3, size)), offset + 3 + size


def _read_join(data: bytes, offset: int) -> tuple[Frame, int]:
    _, size = _BODY.unpack_from(data, offset)
    return Join(_take(data, offset + 3, size)), offset + 3 + size


def _read_open(data: bytes, offset: int) -> tuple[Frame, int]:
    _, transfer, kind, size, digest_size = _OPEN.unpack_from(data, offset)
    offset += _OPEN.size
    digest = _take(data, offset, digest_size)
    offset += digest_size
    (header_size,) = _U16.unpack_from(data, offset)
    if kind > 1 or digest_size != (DIGEST_SIZE if kind else 0):
        raise MalformedBytes("OPEN")
    if header_size > HEADER_SIZE_MAX or bool(header_size) != bool(kind):
        raise MalformedBytes("OPEN")
    offset += 2
    return Open(transfer, bool(kind), size, digest, _take(data, offset, header_size)), offset + header_size


def _read_accept(data: bytes, offset: int) -> tuple[Frame, int]:
    arrived, offset = _read_arrived(data, offset)
    return Accept(*arrived), offset


def _read_chunk(data: bytes, offset: int) -> tuple[Frame, int]:
    _, transfer, number, size = _CHUNK.unpack_from(data, offset)
    offset += _CHUNK.size
    return Chunk(transfer, number, _take(data, offset, size)), offset + size


def _read_ack(data: bytes, offset: int) -> tuple[Frame, int]:
    arrived, offset = _read_arrived(data, offset)
    return Ack(*arrived), offset


def _read_arrived(data: bytes, offset: int) -> tuple[tuple[int, int, int], int]:
    _, transfer, below, size = _ACK.unpack_from(data, offset)
    if size > BITMAP_SIZE_MAX:
        raise MalformedBytes("ACK")
    offset += _ACK.size
    return (transfer, below, int.from_bytes(_take(data, offset, size), "little")), offset + size


def _read_end(data: bytes, offset: int) -> tuple[Frame, int]:
    _, transfer, by_sender = _END.unpack_from(data, offset)
    if by_sender > 1:
        raise MalformedBytes("END")
    return End(transfer, bool(by_sender)), offset + _END.size


def _read_addresses(data: bytes, offset: int) -> tuple[Frame, int]:
    candidates, offset = addresses.unpack_list_untrusted(data, offset + 1)
    return Addresses(candidates), offset


def _read_unreliable(data: bytes, offset: int) -> tuple[Frame, int]:
    _, way, generation, term, size = _UNRELIABLE.unpack_from(data, offset)
    if way not in _WAYS or not 1 <= size <= UNRELIABLE_SIZE_MAX:
        raise MalformedBytes("UNRELIABLE")
    offset += _UNRELIABLE.size
    return Unreliable(_WAYS[way], generation, term, _take(data, offset, size)), offset + size


_WAYS = {way.value: way for way in Way}


def _read_relay(data: bytes, offset: int) -> tuple[Frame, int]:
    size_at = offset + 2 + SHORT_ID_SIZE
    (size,) = _U16.unpack_from(data, size_at)
    direction = data[offset + 1]
    if direction > PASSED_ON:
        raise MalformedBytes("RELAY")
    member = data[offset + 2 : size_at]
    return Relay(direction, member, _take(data, size_at + 2, size)), size_at + 2 + size


def _read_relay_refused(data: bytes, offset: int) -> tuple[Frame, int]:
    return RelayRefused(_take(data, offset + 1, SHORT_ID_SIZE)), offset + 1 + SHORT_ID_SIZE


_READERS = {
    PING: _read_ping,
    PONG: _read_pong,
    MESSAGE: _read_message,
    OPEN: _read_open,
    ACCEPT: _read_accept,
    CHUNK: _read_chunk,
    ACK: _read_ack,
    END: _read_end,
    ADDRESSES: _read_addresses,
    JOIN: _read_join,
    UNRELIABLE: _read_unreliable,
    RELAY: _read_relay,
    RELAY_REFUSED: _read_relay_refused,
}
