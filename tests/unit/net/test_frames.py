"""Frames: round trips, cuts, garbage, and the rule of the unknown type."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.errors import MalformedBytes
from failover.net import frames
from failover.net.addresses import Address
from failover.net.channel import FRAMES_SIZE_MAX

V4, V6 = Address("192.0.2.7", 65535), Address("2001:db8::7", 1)
SAMPLES = [
    (frames.pong(2**64 - 1, V6), frames.Pong(2**64 - 1, V6)),
    (frames.pong(0, None), frames.Pong(0, None)),
    (frames.message(b""), frames.Message(b"")),
    (frames.message(b"m" * 1117), frames.Message(b"m" * 1117)),
    (frames.join(b"j"), frames.Join(b"j")),
    (frames.open_batch(7, 2**20), frames.Open(7, False, 2**20, b"", b"")),
    (frames.open_snapshot(8, 2**28, b"d" * 32, b"header"), frames.Open(8, True, 2**28, b"d" * 32, b"header")),
    (frames.accept(9, 0, 0), frames.Accept(9, 0, 0)),
    (frames.accept(9, 5, 1 << 4095), frames.Accept(9, 5, 1 << 4095)),
    (frames.chunk(9, 2**32 - 1, b"c" * 1088), frames.Chunk(9, 2**32 - 1, b"c" * 1088)),
    (frames.ack(9, 5, 0), frames.Ack(9, 5, 0)),
    (frames.ack(9, 5, 1 << 4095), frames.Ack(9, 5, 1 << 4095)),
    (frames.end(9, True), frames.End(9, True)),
    (frames.candidate_addresses((V4, V6)), frames.Addresses((V4, V6))),
    (
        frames.unreliable(frames.Way.TO_HOST, b"g" * 16, 2**64 - 1, b"u" * 1024),
        frames.Unreliable(frames.Way.TO_HOST, b"g" * 16, 2**64 - 1, b"u" * 1024),
    ),
]


@pytest.mark.parametrize(("data", "frame"), SAMPLES)
def test_each_frame_comes_back(data, frame):
    assert frames.parse_untrusted(data) == ([frame], None)


def test_a_ping_is_as_long_as_the_longest_pong():
    assert frames.parse_untrusted(frames.ping(5)) == ([frames.Ping(5)], None)
    assert len(frames.ping(5)) >= len(frames.pong(5, V6))


def test_frames_follow_each_other_with_padding_between():
    data = b"\0\0".join(data for data, _ in SAMPLES) + bytes(9)
    assert frames.parse_untrusted(data) == ([frame for _, frame in SAMPLES], None)


@pytest.mark.parametrize(("data", "frame"), SAMPLES)
def test_a_frame_cut_off_spoils_the_whole_datagram(data, frame):
    for size in range(1, len(data)):
        with pytest.raises(MalformedBytes):
            frames.parse_untrusted(frames.message(b"before") + data[:size])


def test_an_unknown_type_drops_the_rest_and_keeps_what_came_before():
    data = frames.message(b"before") + b"\xee" + frames.message(b"after")
    assert frames.parse_untrusted(data) == ([frames.Message(b"before")], 0xEE)


@pytest.mark.parametrize("number", [frames.SECRETS, frames.CLOSE])
def test_reserved_types_are_unknown_for_now(number):
    assert frames.parse_untrusted(bytes([number])) == ([], number)


@pytest.mark.parametrize(
    "data",
    [
        frames.open_snapshot(1, 5, b"d" * 32, b"header").replace(
            b"\4\1\0\0\0\1", b"\4\1\0\0\0\0"
        ),  # a batch has none
        frames.open_batch(1, 5).replace(b"\4\1\0\0\0\0", b"\4\1\0\0\0\1"),  # a snapshot has both
        frames.open_snapshot(1, 5, b"d" * 32, b""),
        frames.open_snapshot(1, 5, b"d" * 31, b"header"),
        frames.open_snapshot(1, 5, b"d" * 32, b"h" * 1025),
        frames.ack(1, 0, 1 << 4096),
        frames.accept(1, 0, 1 << 4096),
        frames.end(1, True)[:-1] + b"\2",
        frames.unreliable(frames.Way.MEMBER, b"g" * 16, 1, b""),
        frames.unreliable(frames.Way.MEMBER, b"g" * 16, 1, bytes(1025)),
        frames.unreliable(3, b"g" * 16, 1, b"x"),  # no such way
        b"\x09\x09" + bytes(100),
        b"\x09\x01\x00",  # an empty address in a list
        b"\x02" + bytes(8) + b"\x05" + bytes(20),  # no such family
    ],
)
def test_values_out_of_bounds_are_refused(data):
    with pytest.raises(MalformedBytes):
        frames.parse_untrusted(data)


@given(st.binary(max_size=FRAMES_SIZE_MAX))
def test_garbage_raises_nothing_but_malformed_bytes(data):
    with contextlib.suppress(MalformedBytes):
        frames.parse_untrusted(data)


def test_an_opening_and_a_whole_chunk_fit_into_one_datagram():
    both = frames.open_batch(1, 2**20) + frames.chunk(1, 0, bytes(frames.CHUNK_SIZE))
    assert len(both) <= FRAMES_SIZE_MAX
    assert len(frames.open_snapshot(1, 2**28, bytes(32), bytes(frames.HEADER_SIZE_MAX))) <= FRAMES_SIZE_MAX


def test_the_largest_unreliable_fits_into_one_datagram_with_room_for_fields_to_come():
    largest = frames.unreliable(frames.Way.MEMBER, bytes(16), 1, bytes(frames.UNRELIABLE_SIZE_MAX))
    assert len(largest) <= FRAMES_SIZE_MAX - 64
