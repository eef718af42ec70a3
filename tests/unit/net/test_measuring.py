"""What is known of the way to each peer: round trips, loss, sizes, handshakes; and the log about odd peers."""

import logging
import random

import pytest
from memory_network import Network, append, notice, pair

from failover.ids import MemberId
from failover.net import complaints, frames
from failover.net.complaints import Complaints
from failover.net.replay import ReplayWindow


def of_bob(alice):
    (status,) = alice.peers.status().peers
    return status


def test_datagrams_and_bytes_are_those_on_the_wire():
    network = Network(1)
    alice, bob = pair(network)
    for number in range(50):
        alice.peers.send(bob.member, notice(number), network.now)
        network.run(0.01)
    alice.peers.send(bob.member, append(3, 1000), network.now)
    network.run(1)
    for player, other in ((alice, bob), (bob, alice)):
        sent = [data for data, source, _ in network.log if source == player.address and data[0] == 4]
        there, here = of_bob(player).traffic, of_bob(other).traffic
        assert (there.datagrams_out, there.bytes_out) == (len(sent), sum(map(len, sent)))
        assert (here.datagrams_in, here.bytes_in) == (len(sent), sum(map(len, sent)))
    assert of_bob(alice).traffic.handshakes == 1


def test_a_rekey_loses_no_count_and_is_one_handshake_more():
    network = Network(2)
    alice, bob = pair(network)
    for number in range(400):
        alice.peers.send(bob.member, notice(number), network.now)
        network.run(0.5)
    sent = [data for data, source, _ in network.log if source == alice.address and data[0] == 4]
    traffic = of_bob(alice).traffic
    assert (traffic.datagrams_out, traffic.bytes_out) == (len(sent), sum(map(len, sent)))
    assert traffic.handshakes == 2
    assert len(alice.peers._context.channels) == 1  # the first is gone, its counts are not


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.2])
def test_loss_is_what_the_network_loses(loss):
    network = Network(3, loss=loss, duplicates=0.1, jitter_s=0.02)
    alice, bob = pair(network)
    for number in range(1500):
        bob.peers.send(alice.member, notice(number), network.now)
        network.run(0.02)
    measured = of_bob(alice).traffic.loss
    assert measured is not None and abs(measured - loss) < 0.045  # 3.5 deviations of a thousand tosses
    if not loss:
        assert measured == 0.0


def test_loss_is_not_told_from_a_few_datagrams():
    network = Network(4)
    alice, _bob = pair(network)
    assert of_bob(alice).traffic.datagrams_in < 32 and of_bob(alice).traffic.loss is None


def test_the_arrived_are_counted_as_a_slow_count_does():
    dice, window, seen, highest = random.Random(5), ReplayWindow(), set(), 0
    assert window.arrived() == (0, 0)
    for _ in range(6000):
        counter = max(0, highest + dice.randint(-30, 40))
        if window.is_fresh(counter):
            window.mark(counter)
            seen.add(counter)
            highest = max(highest, counter)
        marked, there_are = window.arrived()
        oldest = highest + 1 - there_are
        assert oldest % 64 == 0 and (oldest == 0 or 960 < there_are <= 1024)
        assert marked == sum(1 for each in range(oldest, highest + 1) if each in seen)


def test_round_trips_have_a_middle_a_shortest_and_a_spread():
    network = Network(6, delay_s=0.020, jitter_s=0.010)
    alice, _ = pair(network)
    network.run(300)  # a keepalive every 15 s measures
    status = of_bob(alice)
    assert 0.040 <= status.round_trip_min_s <= status.round_trip_s <= 0.060
    assert 0 < status.round_trip_deviation_s < 0.010


def test_before_the_first_round_trip_there_is_none():
    network = Network(7)
    alice, bob = network.player(1), network.player(2)
    alice.peers.set_members({bob.member: (bob.address,)})
    status = of_bob(alice)
    assert (status.round_trip_s, status.round_trip_min_s) == (None, None)


# The log.


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "failover"]


def test_a_member_that_sends_nonsense_is_named_once_a_minute(caplog):
    network = Network(8)
    alice, bob = pair(network)
    channel = bob.peers._members[alice.member].channels
    for second in range(150):
        for content in (frames.message(b"\xff"), frames.message(b"\x81\x19\x27\x10"), bytes([7]), bytes([200])):
            network.send(channel.sending.seal(content), bob.address, alice.address)
        network.run(1)
        if second == 0:
            assert len(warnings(caplog)) == 1
    counted = alice.peers.counters
    reasons = ("message: malformed", "message: unknown kind", "data: malformed frame", "data: unknown frame")
    assert [counted[reason] for reason in reasons] == [150] * 4
    lines = warnings(caplog)
    assert len(lines) == 3
    assert all(f"member {bob.member.hex()[:8]} " in line for line in lines)
    assert all("239 more" in line for line in lines[1:])


def test_a_stranger_writes_nothing_into_the_log(caplog):
    network = Network(9)
    alice, bob = pair(network)
    real = network.log[-1][0]
    for number in range(200):
        alice.peers.datagram_received(bytes([number % 6]) + real[1:-1] + b"x", bob.address, network.now)
    assert sum(alice.peers.counters.values()) == 200
    assert warnings(caplog) == []


def test_what_a_peer_wrote_cannot_forge_or_flood_the_log(caplog):
    noted = Complaints()
    noted.note(MemberId(b"a" * 32), 0.0, "bad\nERROR forged \x1b[2Jé" + "x" * 10_000)
    (line,) = warnings(caplog)
    assert "\n" not in line and "\x1b" not in line and line.isascii() and len(line) < 250


def test_guests_with_ever_new_keys_fill_neither_log_nor_memory(caplog):
    noted = Complaints()
    for number in range(5_000):
        noted.note(MemberId(number.to_bytes(32, "big")), number / 100, "x")
    assert len(warnings(caplog)) == complaints.PEERS_MAX
    for number in range(5_000):
        noted.note(MemberId(number.to_bytes(32, "big")), 1000 + number / 100, "x")
    assert len(warnings(caplog)) == 2 * complaints.PEERS_MAX
    assert len(noted._noted) <= complaints.PEERS_MAX


def test_the_line_is_a_warning(caplog):
    Complaints().note(MemberId(b"a" * 32), 0.0, "x")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
