"""Everything that reads bytes or text from outside, called directly.

A reader returns a value or raises the one exception that it names. Where there is one form alone for a value, what
was read is written back to the very same bytes.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any

import cbor2

from failover.cli.datagrams import describe_untrusted
from failover.cli.decoding import _lines as lines_for_people
from failover.errors import BadAddress, BadSettings, BadTicket, MalformedBytes
from failover.ids import ClusterId, MemberId
from failover.net import addresses, code_exchange, codec, frames, handshake, keylog, pcap, short_codes
from failover.net.addresses import Address
from failover.net.bounds import DEPTH_MAX
from failover.net.channel import VERSION
from failover.net.codec import Codec
from failover.net.tap import TYPE_OPENED
from failover.net.tickets import Contact, Ticket
from failover.net.zeroconf_board import read_untrusted as read_note
from failover.records import ACTIONS, RECORDS
from failover.settings import Settings
from failover.storage import records
from failover.wire import WIRE

HELD_MAX = 1 << 16
TICKET = Ticket(
    ClusterId(b"c" * 16),
    (Contact(MemberId(b"m" * 32), (Address("192.0.2.1", 7777), Address("2001:db8::1", 7777))),),
    b"g" * 32, b"i" * 16, b"s" * 32, 1_800_000_000,
)  # fmt: skip


# Frames.

WRITERS: dict[type, Callable[[Any], bytes]] = {
    frames.Ping: lambda f: frames.ping(f.token)[:9],
    frames.Pong: lambda f: frames.pong(f.token, f.observed),
    frames.Message: lambda f: frames.message(f.body),
    frames.Join: lambda f: frames.join(f.body),
    frames.Open: lambda f: (
        frames.open_snapshot(f.transfer, f.size, f.digest, f.header)
        if f.is_snapshot
        else frames.open_batch(f.transfer, f.size)
    ),
    frames.Accept: lambda f: frames.accept(f.transfer, f.below, f.bitmap),
    frames.Chunk: lambda f: frames.chunk(f.transfer, f.number, f.data),
    frames.Ack: lambda f: frames.ack(f.transfer, f.below, f.bitmap),
    frames.End: lambda f: frames.end(f.transfer, f.by_sender),
    frames.Addresses: lambda f: frames.candidate_addresses(f.addresses),
    frames.Unreliable: lambda f: frames.unreliable(f.way, f.generation, f.term, f.body),
    frames.Relay: lambda f: frames.relay(f.direction, f.member, f.datagram),
    frames.RelayRefused: lambda f: frames.relay_refused(f.member),
}


def write(found: list[frames.Frame]) -> bytes:
    """The frames as this version writes them."""
    return b"".join(WRITERS[type(frame)](frame) for frame in found)


def read_frames(data: bytes) -> None:
    """The frames of a datagram. PADs, and zeros at the end of a bitmap, are not written back."""
    with suppress(MalformedBytes):
        found, unknown = frames.parse_untrusted(data)
        assert unknown is None or unknown not in frames._READERS
        again = write(found)
        assert frames.parse_untrusted(again) == (found, None)
        assert len(again) <= len(data)
        if (
            unknown is None
            and frames.PAD not in data
            and not any(isinstance(f, frames.Ack | frames.Accept) for f in found)
        ):
            assert again == data


def read_addresses(data: bytes) -> None:
    """A packed list, and text."""
    with suppress(MalformedBytes):
        found, end = addresses.unpack_list_untrusted(data, 0)
        assert addresses.pack_list(found) == data[:end]
        for address in found:
            assert addresses.parse(str(address)) == address
    with suppress(BadAddress):
        address = addresses.parse(data.decode("latin-1"))
        packed = addresses.pack(address)
        unscoped = address._replace(ip=address.ip.partition("%")[0])
        assert addresses.unpack_untrusted(packed, 0) == (unscoped, len(packed))


def read_payloads(data: bytes) -> None:
    """What both sides of a handshake say of themselves."""
    for payload, size in (
        (handshake.InitiationPayload, handshake.INITIATION_PAYLOAD_SIZE),
        (handshake.ResponsePayload, handshake.RESPONSE_PAYLOAD_SIZE),
    ):
        for raw in (data, data[:size].ljust(size, b"\0")):
            with suppress(MalformedBytes):
                assert payload.unpack_untrusted(raw).pack() == raw


# Messages.


def _read_with(which: Codec, data: bytes) -> None:
    with suppress(MalformedBytes):
        value = which.decode_untrusted(data)
        assert "undefined" not in repr(value) or b"undefined" in data
        again = which.encode(value)
        assert which.decode_untrusted(again) == value
        # A longer form of a number, and an integer for seconds, are read too; then there is a shorter one.
        assert len(again) <= len(data) + 8 * data.count(b"\0") + 8 * len(data)


def read_messages(data: bytes) -> None:
    """Messages, what stands in the log, and bare CBOR."""
    for which in (WIRE, RECORDS, ACTIONS):
        _read_with(which, data)
    with suppress(MalformedBytes):
        check_plain(codec.load_untrusted(data), DEPTH_MAX)


def check_plain(value: object, depth: int) -> None:
    """Only what the format allows, and no deeper."""
    assert depth >= 0
    plain = (bool, int, float, bytes, str, list)
    assert (
        value is None or type(value) in plain or value is cbor2.undefined or type(value) is cbor2.CBORSimpleValue
    )
    if type(value) is list:
        for item in value:
            check_plain(item, depth - 1)


# Text.


def read_tickets(data: bytes) -> None:
    """A ticket or a short code, as somebody pasted or typed it; and the bytes in a ticket, with their checksum."""
    for text in (data.decode("latin-1"), data.decode("utf-8", "replace")):
        with suppress(BadTicket):
            check_ticket(Ticket.parse(text))
        with suppress(BadTicket):
            code = short_codes.parse(text)
            assert short_codes.parse(code) == code and short_codes.is_code(code)
        short_codes.is_code(text)
    head = data[:1] + (len(data) + 5).to_bytes(2, "little") + data[3:]
    from failover.net import tickets

    with suppress(BadTicket):
        check_ticket(Ticket.parse(tickets.PREFIX + tickets._to_base32(head + tickets._checksum(head))))


def check_ticket(ticket: Ticket) -> None:
    """What was read can be written, and read again."""
    assert Ticket.parse(ticket.text()) == ticket
    assert ticket.invite_secret.hex() not in repr(ticket)


def read_settings(data: bytes) -> None:
    """Settings in TOML."""
    with suppress(BadSettings):
        settings = Settings.from_toml(data.decode("utf-8", "replace"))
        assert Settings.from_toml(settings.to_toml()) == settings


def read_key_log(data: bytes) -> None:
    """A key log, then a datagram that is opened with it."""
    text, _, datagram = data.partition(b"\0")
    ring = keylog.KeyRing()
    with suppress(MalformedBytes):
        ring.read_untrusted(text.decode("utf-8", "replace").splitlines())
    assert ring.count <= keylog.KEYS_MAX
    ring.open_untrusted(datagram)


def read_capture(data: bytes) -> None:
    """A capture: what is read of it is no more than what was there, and can be written again."""
    held = 0
    with suppress(MalformedBytes):
        for datagram in islice(pcap.read_untrusted(io.BytesIO(data)), 10_000):
            held += len(datagram.payload)
            assert held <= len(data) and math.isfinite(datagram.time)
            if len(datagram.payload) < 60_000:
                written = pcap.record(datagram.time, datagram.source, datagram.target, datagram.payload)
                (again,) = pcap.read_untrusted(io.BytesIO(pcap.file_header() + written))
                assert again[1:4] == datagram[1:4]


def read_for_people(data: bytes) -> None:
    """What `failover decode` says of a datagram: it fits on lines, and holds nothing that moves a cursor."""
    opened = bytes([TYPE_OPENED, VERSION, 0, 0]) + bytes(12) + data
    for payload in (opened, data):
        said = describe_untrusted(payload, keylog.KeyRing())
        json.dumps(said)
        for line in lines_for_people({"time": 1.0, "from": "here", "to": "there"}, said):
            assert line.plain.isprintable(), line.plain


def read_note_text(data: bytes) -> None:
    """What a TXT record of multicast DNS holds."""
    pairs = dict(part.partition(b"=")[::2] for part in data.split(b"\0") if part)
    note = read_note({key: value or None for key, value in pairs.items()})
    assert note is None or all(len(key) == 1 for key in note)


# The storage.

UNPACKERS: tuple[tuple[Callable[[bytes], Any], Callable[[Any], bytes]], ...] = (
    (records.unpack_membership_untrusted, records.pack_membership),
    (records.unpack_hard_state_untrusted, records.pack_hard_state),
    (records.unpack_snapshot_untrusted, lambda found: records.pack_snapshot(*found)),
    (records.unpack_identity_untrusted, records.pack_identity),
    (records.unpack_number_untrusted, records.pack_number),
)


def read_stored(data: bytes) -> None:
    """Records of the storage, as they are and behind their checksum."""
    with suppress(MalformedBytes):
        assert records.seal(records.unseal_untrusted(data, "name"), "name") == data
    assert records.unseal_untrusted(records.seal(data, "name"), "name") == data
    for unpack, pack in UNPACKERS:
        with suppress(MalformedBytes):
            assert pack(unpack(data)) == data


# Short codes.


def read_exchange(data: bytes) -> None:
    """Datagrams of the exchange, as they are and with a right head and size."""
    kind = data[0] % 10 if data else 0
    size = code_exchange.SIZES.get(kind, 10)
    formed = (code_exchange.MAGIC + bytes([kind, 0, 0, 0]) + data[1:]).ljust(size, b"\0")[:size]
    for raw in (data, formed):
        with suppress(MalformedBytes):
            kind, nonce, body = code_exchange.split_untrusted(raw)
            assert code_exchange.datagram(kind, nonce, body) == raw
            if kind == code_exchange.LISTED:
                assert code_exchange.listing(*code_exchange.split_listing_untrusted(body)) == body
    with suppress(MalformedBytes):
        code_exchange.open_untrusted(b"k" * 32, b"n" * 16, data)


def message_seeds() -> list[bytes]:
    """CBOR of each kind with numbers for all fields, and what attacks on other decoders were made of."""
    from tests.fuzz.values import one_of_each

    attacks = [
        b"\x81" * 40, b"\x9b\x7f" + b"\xff" * 7, cbor2.dumps(cbor2.CBORTag(28, [1])), b"\x9f\x05\xff",
        b"\xa2\x01\x01\x01\x02", b"\x5f\x41a\x41b\xff", b"\xd8\x1d\x00", b"\xfb\x7f\xf8" + bytes(6),
    ]  # fmt: skip
    return [which.encode(value) for which in (WIRE, RECORDS, ACTIONS) for value in one_of_each(which)] + attacks


def text_seeds() -> list[bytes]:
    """Tickets and codes."""
    from failover.net import tickets

    raw = tickets._from_base32(TICKET.text()[len(tickets.PREFIX) :])[0]
    return [TICKET.text().encode(), TICKET.text().upper().encode(), raw[:-5], b"K7QF-3MDA", b"failover2-abc", b""]


def stored_seeds() -> list[bytes]:
    """One of each record."""
    from failover.raft.effects import HardState, SnapshotMeta
    from failover.raft.membership import Membership

    ids = [MemberId(bytes([n]) * 32) for n in range(4)]
    membership = Membership(frozenset(ids[:3]), learners=frozenset(ids[3:]))
    snapshot = SnapshotMeta(5, 2, membership, 4)  # type: ignore[arg-type]
    return [
        records.pack_membership(membership), records.pack_hard_state(HardState(3, ids[0], 0.5)),  # type: ignore[arg-type]
        records.pack_hard_state(HardState(3, None, 0.5)), records.pack_snapshot(snapshot, 1, 2),  # type: ignore[arg-type]
        bytes(range(80)), records.pack_number(9), records.seal(b"abc", "name"),
    ]  # fmt: skip
