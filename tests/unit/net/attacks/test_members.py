"""What a member that turned against the others could do elsewhere (docs/explanation/attacks.md)."""

import time
import tracemalloc

import cbor2
import pytest
from memory_network import CODEC, Network, append, notice, pair

from failover.errors import MalformedBytes
from failover.net import frames
from failover.net.codec import load_untrusted

MIB = 1 << 20


class Bad:
    """Alice says whatever she likes to Bob, on her own channel."""

    def __init__(self) -> None:
        self.network = Network()
        self.alice, self.bob = pair(self.network)
        self._peer = self.alice.peers._members[self.bob.member]

    def say(self, *contents: bytes) -> None:
        for each in contents:
            self._peer.emit(each, self.network.now)
        self.network.run(0.01)

    def check_that_bob_is_well(self) -> None:
        self.bob.received()
        self.alice.peers.send(self.bob.member, notice(77), self.network.now)
        self.bob.peers.send(self.alice.member, append(3, 1000), self.network.now)
        self.network.run(1)
        assert (self.bob.received(), self.alice.received()) == ([notice(77)], [append(3, 1000)])


def test_a_member_makes_no_unbounded_state_of_transfers_ranges_and_pings():
    bad = Bad()
    header = CODEC.encode(notice(1))
    tracemalloc.start()
    try:
        for start in range(0, 2_000, 200):
            numbers = range(start + 1, start + 201)
            bad.say(*(frames.open_batch(number, MIB) for number in numbers))
            bad.say(*(frames.open_snapshot(number, 200 * MIB, bytes(32), header) for number in numbers))
            bad.say(*(frames.chunk(start + 200, 2 * number % 900, bytes(1088)) for number in range(100)))
            bad.say(*(frames.ack(number, 0, 2**number) for number in range(1, 200)))
            bad.say(*(frames.ping(number) for number in numbers))
            bad.network.log.clear()
            if start == 400:
                before, _ = tracemalloc.get_traced_memory()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert bad.bob.peers.status().peers[0].transfers_in <= 8
    assert after - before < 2 * MIB
    bad.network.run(20)
    assert bad.bob.peers.status().peers[0].transfers_in == 0
    bad.check_that_bob_is_well()


def test_reassembly_heeds_no_claimed_length_odd_offset_or_wrong_transfer():
    bad = Bad()
    content = CODEC.encode(append(3, 1000, start=7))
    pieces = [content[at : at + 1088] for at in range(0, len(content), 1088)]
    tracemalloc.start()
    try:
        bad.say(*(frames.open_batch(number, MIB) for number in (1, 2, 3)))
        bad.say(frames.open_batch(4, len(content)) + frames.chunk(4, 0, b"odd"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MIB
    bad.say(
        frames.chunk(4, 1, pieces[1][:-1]),
        frames.chunk(4, 1, pieces[1] + b"x") if len(pieces[1]) < 1088 else frames.chunk(4, 1, b""),
        frames.chunk(4, len(pieces), b"behind the end"),
        frames.chunk(4, 2**32 - 1, bytes(1088)),
        frames.chunk(5, 0, pieces[0]),
        *(frames.chunk(1, number, piece) for number, piece in enumerate(pieces)),
    )
    assert bad.bob.peers.inbox == []
    for number in (2, 0, 1):
        bad.say(frames.chunk(4, number, pieces[number]))
    assert bad.bob.received() == [append(3, 1000, start=7)]
    bad.check_that_bob_is_well()


DEEP = 100_000
HOSTILE_CBOR = {
    "depth": b"\x81" * DEEP + b"\x00",
    "depth of indefinite arrays": b"\x9f" * DEEP,
    "depth of tags": b"\xc1" * DEEP + b"\x00",
    "shared references": bytes.fromhex("d81c82d81d00d81d00"),
    "a shared reference to itself": bytes.fromhex("d81c81d81d00"),
    "string references": bytes.fromhex("d90100824161d81900"),
    "quadratic strings": b"\x7f" + b"\x61a" * DEEP + b"\xff",
    "quadratic bytes": b"\x5f" + b"\x41a" * DEEP + b"\xff",
    "colliding keys": cbor2.dumps({number * (2**61 - 1): 0 for number in range(1, 1000)}),
    "the same key twice": bytes.fromhex("a2010101 02".replace(" ", "")),
    "a huge claimed array": bytes.fromhex("9b00000000ffffffff"),
    "a huge claimed string": bytes.fromhex("7b7fffffffffffffff"),
    "a huge number": b"\xc2\x5a\x00\x01\x00\x00" + b"\xff" * 65_536,
}


@pytest.mark.parametrize("name", HOSTILE_CBOR)
def test_cbor_of_any_depth_with_shared_references_quadratic_strings_or_colliding_keys_is_refused_at_once(name):
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(MalformedBytes):
            load_untrusted(HOSTILE_CBOR[name])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 0.5 and peak < 8 * MIB
