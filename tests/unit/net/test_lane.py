"""The unreliable lane on this side of the socket: who hears it, how much of it leaves, and what it never harms."""

from __future__ import annotations

import struct

import pytest
from memory_network import Network, meet, notice, pair

from failover.net import frames
from failover.net.frames import Unreliable, Way
from failover.net.lane import OVERHEAD_SIZE, Bucket

GENERATION = b"G" * 16


def frame(body: bytes) -> bytes:
    return frames.unreliable(Way.MEMBER, GENERATION, 3, body)


def listening(player):
    """What it hears over the lane."""
    heard = []
    player.peers.lane.received = lambda member, item: heard.append((member, item))
    return heard


def connected(network, **limits):
    alice, bob = pair(network)
    alice.peers.lane.limit(limits.get("peer", 64_000), limits.get("all", 256_000))
    return alice, bob


def test_what_one_sends_the_other_hears_with_its_stamp_and_sender():
    network = Network(1)
    alice, bob = connected(network)
    heard = listening(bob)
    alice.peers.send_unreliable([bob.member], frame(b"here"), network.now)
    network.run(0.1)
    assert heard == [(alice.member, Unreliable(Way.MEMBER, GENERATION, 3, b"here"))]
    assert bob.received() == []


def test_on_the_wire_it_is_as_the_document_says():
    assert frames.unreliable(Way.FROM_HOST, GENERATION, 3, b"here") == (
        bytes([14, 2]) + GENERATION + struct.pack("<QH", 3, 4) + b"here"
    )


def test_it_is_lost_like_any_datagram_and_never_repeated():
    network = Network(2)
    alice, bob = connected(network)
    heard = listening(bob)
    network.loss = 1.0
    alice.peers.send_unreliable([bob.member], frame(b"lost"), network.now)
    network.run(0.01)
    network.loss = 0.0
    network.run(30)
    assert heard == []


def test_a_datagram_that_the_network_doubles_is_heard_once():
    network = Network(3)
    alice, bob = connected(network)
    heard = listening(bob)
    network.duplicates = 1.0
    alice.peers.send_unreliable([bob.member], frame(b"twice"), network.now)
    network.run(0.1)
    assert len(heard) == 1


@pytest.mark.parametrize("rate", [4_000, 64_000])
def test_what_is_above_the_rate_is_dropped_and_counted_and_messages_are_not(rate):
    network = Network(4)
    alice, bob = connected(network, peer=rate, all=10 * rate)
    heard, sent, seconds = listening(bob), 0, 10
    for tick in range(seconds * 60):
        for _ in range(20):  # some twenty times too much
            alice.peers.send_unreliable([bob.member], frame(bytes(200)), network.now)
            sent += 1
        alice.peers.send(bob.member, notice(tick), network.now)
        network.run(1 / 60)
    size = len(frame(bytes(200))) + OVERHEAD_SIZE
    assert 0.95 * rate <= len(heard) * size / seconds <= 1.05 * rate + 4_096 / seconds + rate / 8 / seconds
    assert alice.peers.counters["lane: over the rate"] == sent - len(heard)
    assert len(bob.received()) == seconds * 60


def test_where_there_is_not_enough_for_all_everybody_gets_some():
    network = Network(5)
    players = [network.player(number) for number in range(1, 6)]
    meet(*players)
    alice, *others = players
    for other in others:
        alice.peers.connect(other.member, network.now)
    network.run(1)
    alice.peers.lane.limit(64_000, 20_000)
    heard = [listening(other) for other in others]
    for _ in range(600):
        alice.peers.send_unreliable([other.member for other in others], frame(bytes(200)), network.now)
        network.run(1 / 60)
    counts = [len(each) for each in heard]
    assert max(counts) < 1.2 * min(counts)
    assert sum(counts) < 2 * 10 * 20_000 / (200 + 88)


def test_to_somebody_without_a_channel_it_is_lost_but_it_makes_one():
    network = Network(6)
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    alice.peers.lane.limit(64_000, 64_000)
    heard = listening(bob)
    alice.peers.send_unreliable([bob.member], frame(b"first"), network.now)
    network.run(1)
    assert heard == []
    assert alice.peers.counters["lane: not connected"] == 1
    alice.peers.send_unreliable([bob.member], frame(b"second"), network.now)
    network.run(1)
    assert [item.body for _, item in heard] == [b"second"]


def test_to_somebody_who_has_gone_silent_nothing_is_sent_but_initiations():
    network = Network(7)
    alice, bob = connected(network)
    network.cut.add(bob.address)
    for _ in range(60 * 10):
        alice.peers.send_unreliable([bob.member], frame(bytes(500)), network.now)
        network.run(1 / 60)
    before = len(network.log)
    for _ in range(60):
        alice.peers.send_unreliable([bob.member], frame(bytes(500)), network.now)
        network.run(1 / 60)
    assert len(network.log) - before < 5
    heard = listening(bob)
    network.cut.clear()
    for _ in range(60 * 8):
        alice.peers.send_unreliable([bob.member], frame(bytes(500)), network.now)
        network.run(1 / 60)
    assert heard


def test_nobody_but_members_is_sent_or_heard_anything():
    network = Network(8)
    alice, bob = connected(network)
    heard = listening(bob)
    bob.peers.set_members({})
    alice.peers.send_unreliable([bob.member], frame(b"x"), network.now)
    alice.peers.send_unreliable([b"n" * 32], frame(b"x"), network.now)
    network.run(0.1)
    assert heard == []
    assert bob.peers.counters["data: unknown channel"] == 1


def test_on_a_guests_channel_it_is_not_read():
    network = Network(9)
    alice, bob = connected(network)
    heard = listening(bob)
    from failover.net.peer import Role

    bob.peers._members[alice.member].role = Role.GUEST
    alice.peers.send_unreliable([bob.member], frame(b"x"), network.now)
    network.run(0.1)
    assert heard == []
    assert bob.peers.counters["guest: frame not allowed"] == 1


def test_a_bucket_gives_its_rate_and_at_once_what_was_saved_for_a_moment():
    bucket = Bucket(80_000)
    taken = 0
    while bucket.has(1_000, 100.0):
        bucket.take(1_000)
        taken += 1
    assert taken == 10
    assert not bucket.has(1_000, 100.01)
    assert not bucket.has(1_000, 50.0), "a clock that jumps back gives nothing away"
    assert bucket.has(1_000, 100.013)
    assert not Bucket(0).has(1, 1e9)
    assert Bucket(1).has(1_152 + 28, 0.0), "however low the rate, a full datagram leaves some day"


def test_on_a_slow_link_heartbeats_are_not_late_for_what_the_lane_may_take():
    """A line of 1 Mbit/s upwards, half of it for the lane; the game sends thirty times as much."""
    network = Network(10, delay_s=0.02, bytes_per_s=125_000, buffer_s=1.0)
    alice, bob = connected(network, peer=62_500, all=62_500)
    late = []
    for tick in range(600):
        for _ in range(10):
            alice.peers.send_unreliable([bob.member], frame(bytes(1_000)), network.now)
        sent_at = network.now
        alice.peers.send(bob.member, notice(tick), network.now)
        while not bob.received():
            network.run(0.001)
        late.append(network.now - sent_at - 0.02)
        network.run(sent_at + 1 / 30 - network.now)
    assert max(late) < 0.075, "a burst, once"
    assert sorted(late)[len(late) // 2] < 0.02, "two datagrams of the lane before it"
