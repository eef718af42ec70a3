"""Values of every kind, written and read back; then damaged in one place, and never misread.

What the fuzzer finds by looking at branches, these find by knowing the forms.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.errors import BadTicket, MalformedBytes
from failover.ids import ClusterId, MemberId
from failover.net import addresses, discovery, frames, handshake
from failover.net.addresses import ADDRESSES_MAX, Address
from failover.net.tickets import PREFIX, Contact, Ticket
from failover.records import ACTIONS, RECORDS
from failover.wire import WIRE
from tests.fuzz.parsers import WRITERS, read_stored, write
from tests.fuzz.values import ids, messages_of

u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
ips = st.ip_addresses(v=4) | st.ip_addresses(v=6)
places = st.builds(Address, ips.map(str), st.integers(0, 65_535))
lists_of_places = st.lists(places, max_size=ADDRESSES_MAX).map(tuple)
bodies = st.binary(max_size=300)
short_ids = st.binary(min_size=12, max_size=12)
bitmaps = st.integers(0, (1 << 8 * 60) - 1)
ENDS = {
    frames.Ping: st.builds(frames.Ping, u64),
    frames.Pong: st.builds(frames.Pong, u64, st.none() | places),
    frames.Message: st.builds(frames.Message, bodies),
    frames.Join: st.builds(frames.Join, bodies),
    frames.Open: st.builds(frames.Open, u32, st.just(False), u64, st.just(b""), st.just(b""))
    | st.builds(
        frames.Open, u32, st.just(True), u64, st.binary(min_size=32, max_size=32),
        st.binary(min_size=1, max_size=99),
    ),
    frames.Accept: st.builds(frames.Accept, u32, u32, bitmaps),
    frames.Chunk: st.builds(frames.Chunk, u32, u32, bodies),
    frames.Ack: st.builds(frames.Ack, u32, u32, bitmaps),
    frames.End: st.builds(frames.End, u32, st.booleans()),
    frames.Addresses: st.builds(frames.Addresses, lists_of_places),
    frames.Unreliable: st.builds(
        frames.Unreliable, st.sampled_from(frames.Way), st.binary(min_size=16, max_size=16), u64,
        st.binary(min_size=1, max_size=99),
    ),
    frames.Relay: st.builds(frames.Relay, st.integers(0, 1), short_ids, bodies),
    frames.RelayRefused: st.builds(frames.RelayRefused, short_ids),
}  # fmt: skip
rows_of_frames = st.lists(st.one_of(*ENDS.values()), max_size=6)
damages = st.tuples(st.sampled_from(["change", "cut", "double", "splice"]), u32, u32, st.integers(1, 255))


def damaged(data: bytes, damage: tuple[str, int, int, int], other: bytes) -> bytes:
    """The bytes with one byte changed, a piece cut out or doubled, or the end of others in place of theirs."""
    how, first, second, flip = damage
    start, end = sorted((first % (len(data) + 1), second % (len(data) + 1)))
    if how == "change" and data:
        at = first % len(data)
        return data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
    if how == "cut":
        return data[:start] + data[end:]
    if how == "double":
        return data[:end] + data[start:]
    return data[:start] + other[second % (len(other) + 1) :]


def test_there_is_a_strategy_and_a_writer_for_every_frame():
    assert set(ENDS) == set(WRITERS) == set(frames.Frame.__args__)
    assert len(frames._READERS) == len(ENDS)


@given(rows_of_frames)
def test_frames_are_read_as_they_were_written(row):
    assert frames.parse_untrusted(write(row)) == (row, None)


@given(rows_of_frames, damages, rows_of_frames)
def test_damaged_frames_are_refused_or_are_frames(row, damage, other):
    raw = damaged(write(row), damage, write(other))
    try:
        found, _ = frames.parse_untrusted(raw)
    except MalformedBytes:
        return
    assert frames.parse_untrusted(write(found)) == (found, None)
    assert len(write(found)) <= len(raw)


@given(rows_of_frames, u32)
def test_a_datagram_that_is_cut_off_within_a_frame_means_nothing(row, at):
    raw = write(row)
    ends = {len(write(row[:count])): count for count in range(len(row) + 1)}
    cut = at % (len(raw) + 1)
    if cut in ends:
        assert frames.parse_untrusted(raw[:cut]) == (row[: ends[cut]], None)
    else:
        with pytest.raises(MalformedBytes):
            frames.parse_untrusted(raw[:cut])


@pytest.mark.parametrize("codec", [WIRE, RECORDS, ACTIONS], ids=["wire", "records", "actions"])
@given(data=st.data())
def test_messages_are_read_as_they_were_written(codec, data):
    message = data.draw(messages_of(codec))
    assert codec.decode_untrusted(codec.encode(message)) == message


@pytest.mark.parametrize("codec", [WIRE, RECORDS, ACTIONS], ids=["wire", "records", "actions"])
@given(data=st.data())
def test_damaged_messages_are_refused_or_are_messages(codec, data):
    message, other = data.draw(messages_of(codec)), data.draw(messages_of(codec))
    raw = damaged(codec.encode(message), data.draw(damages), codec.encode(other))
    try:
        found = codec.decode_untrusted(raw)
    except MalformedBytes:
        return
    assert codec.decode_untrusted(codec.encode(found)) == found


contacts = st.builds(Contact, ids, st.lists(places, min_size=1, max_size=4).map(tuple))
tickets = st.builds(
    Ticket,
    st.binary(min_size=16, max_size=16).map(ClusterId),
    st.lists(contacts, min_size=1, max_size=4).map(tuple),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=32, max_size=32),
    u64,
)


@given(tickets)
def test_tickets_are_read_as_they_were_written(ticket):
    text = ticket.text()
    assert Ticket.parse(text) == Ticket.parse(f" {text.upper()[:30]}\n{text[30:]} ") == ticket


@given(tickets, damages, tickets)
def test_a_damaged_ticket_is_refused(ticket, damage, other):
    """The checksum has 40 bits: what passes is the same ticket, or one in a trillion."""
    raw = ticket.text()[len(PREFIX) :].encode()
    text = PREFIX + damaged(raw, damage, other.text()[len(PREFIX) :].encode()).decode("latin-1")
    try:
        found = Ticket.parse(text)
    except BadTicket as error:
        assert ticket.invite_secret.hex() not in str(error)
    else:
        assert found in (ticket, other)


initiation_payloads = st.builds(
    handshake.InitiationPayload, u64, u64, u32, st.integers(0, 255), st.integers(0, 255), u32,
    st.binary(min_size=16, max_size=16), st.text(st.characters(exclude_categories=["Cs"]), max_size=16),
    lists_of_places,
)  # fmt: skip
response_payloads = st.builds(handshake.ResponsePayload, u64, u64, st.integers(0, 255), st.none() | places)


@given(initiation_payloads | response_payloads)
def test_payloads_are_read_as_they_were_written(payload):
    assert type(payload).unpack_untrusted(payload.pack()) == payload


@given(initiation_payloads | response_payloads, damages, initiation_payloads)
def test_damaged_payloads_are_refused_or_have_one_form_alone(payload, damage, other):
    raw = payload.pack()
    raw = damaged(raw, damage, other.pack())[: len(raw)].ljust(len(raw), b"\0")
    try:
        found = type(payload).unpack_untrusted(raw)
    except MalformedBytes:
        return
    assert found.pack() == raw


@given(lists_of_places, damages, lists_of_places)
def test_damaged_lists_of_addresses_are_refused_or_have_one_form_alone(listed, damage, other):
    raw = damaged(addresses.pack_list(listed), damage, addresses.pack_list(other))
    try:
        found, end = addresses.unpack_list_untrusted(raw, 0)
    except MalformedBytes:
        return
    assert addresses.pack_list(found) == raw[:end]


@given(st.lists(places, min_size=1, max_size=4), damages, st.binary(max_size=130))
def test_a_damaged_announcement_is_of_nobody(listed, damage, other):
    me, member = MemberId(b"b" * 32), MemberId(b"a" * 32)
    heard = discovery.Recogniser(me, lambda: (b"g" * 32,), lambda: [member], allow_loopback=True)
    raw = discovery.announcement(b"g" * 32, member, listed, b"r" * 16)
    spoilt = damaged(raw, damage, other)
    assert heard.heard(spoilt, 0.0) is None or spoilt == raw


@given(st.binary(max_size=300))
def test_stored_records_are_refused_or_have_one_form_alone(data: bytes) -> None:
    read_stored(data)


def test_of_every_message_class_values_are_drawn():
    drawn: dict[type, Any] = {}

    @given(st.data())
    def draw(data):
        for codec in (WIRE, RECORDS, ACTIONS):
            message = data.draw(messages_of(codec))
            drawn[type(message)] = message

    draw()
    known = {cls for codec in (WIRE, RECORDS, ACTIONS) for cls in codec.kinds.values()}
    assert len(drawn) > len(known) / 2
