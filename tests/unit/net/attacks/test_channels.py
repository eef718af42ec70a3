"""Attacks on a channel and its counters that others met (docs/explanation/attacks.md)."""

import pytest
from attackers import STRANGER
from memory_network import Network, meet, notice, pair

from failover.net import frames
from failover.net.channel import Channel
from failover.net.replay import COUNTER_LIMIT


def talk(network, sender, receiver, number):
    """Whether a message passes."""
    sender.peers.send(receiver.member, notice(number), network.now)
    network.run(0.1)
    return receiver.received() == [notice(number)]


@pytest.mark.parametrize("ahead", [1, 2_000, 2_048, 100_000, 2**40, 2**63, COUNTER_LIMIT - 1])
def test_the_replay_window_does_not_move_before_authentication(ahead):
    network = Network()
    alice, bob = pair(network)
    alice.peers.send(bob.member, notice(1), network.now)
    genuine = network.log[-1][0]
    network._queue.clear()
    counter = int.from_bytes(genuine[8:16], "little")
    for distance in (ahead, ahead - 1):
        forged = genuine[:8] + (counter + distance).to_bytes(8, "little") + genuine[16:]
        if distance and counter + distance < 2**64:
            bob.peers.datagram_received(forged, alice.address, network.now)
    bob.peers.datagram_received(genuine, alice.address, network.now)
    assert bob.received() == [notice(1)]
    assert talk(network, alice, bob, 2)


@pytest.mark.parametrize("counter", [COUNTER_LIMIT, COUNTER_LIMIT + 1, 2**64 - 2049, 2**64 - 2, 2**64 - 1])
def test_nothing_overflows_at_the_top_of_the_window(counter):
    """Also a member that itself seals such counters harms nothing but its own datagrams."""
    network = Network()
    alice, bob = pair(network)
    channel = alice.peers._members[bob.member].channels.sending
    usual, channel.counter = channel.counter, 0
    packed = counter.to_bytes(8, "little")
    header = channel._head + packed
    sealed = header + channel._seal(bytes(4) + packed, frames.ping(1), header)
    for _ in range(2):
        bob.peers.datagram_received(sealed, alice.address, network.now)
    assert bob.peers.counters["data: replayed or too old"] == 2
    channel.counter = usual
    assert talk(network, alice, bob, 2)


@pytest.fixture
def sealed(monkeypatch):
    """Every (key, counter) that anybody seals with."""
    used = []
    begin, seal = Channel.__init__, Channel.seal
    keys = {}

    def beginning(self, **options):
        begin(self, **options)
        keys[self] = options["send_key"]

    def sealing(self, content):
        used.append((keys[self], self.counter))
        return seal(self, content)

    monkeypatch.setattr(Channel, "__init__", beginning)
    monkeypatch.setattr(Channel, "seal", sealing)
    return used


def test_no_counter_is_used_again_after_a_restart_a_fork_or_a_restored_backup(sealed):
    network = Network()
    alice, bob = pair(network)
    assert talk(network, alice, bob, 1)
    backup = alice.incarnation
    for _ in range(3):
        alice.restart()
        meet(alice, bob)
        assert talk(network, alice, bob, 2)
    newest = alice.incarnation
    for previous, incarnation in ((backup, 10**6), (newest, newest + 1), (newest, newest + 1)):
        # an old backup, and a storage that runs twice
        alice.peers = alice.build(previous_incarnation=previous, incarnation=incarnation)
        meet(alice, bob)
        alice.peers.connect(bob.member, network.now)
        network.run(3)
        talk(network, alice, bob, 3)
    assert len(sealed) > 25 and len({key for key, _ in sealed}) >= 10
    assert len(set(sealed)) == len(sealed)


def test_a_clone_with_the_same_dice_repeats_no_counter_either(sealed):
    """A machine that was copied while it ran draws the same ephemeral key; the answers differ, and so the keys."""
    network = Network()
    alice, bob = network.player(1), network.player(2)
    dice = alice.dice.getstate()
    for _ in range(2):
        alice.dice.setstate(dice)
        alice.peers = alice.build(previous_incarnation=0, incarnation=10)
        bob.restart()
        meet(alice, bob)
        alice.peers.connect(bob.member, network.now)
        network.run(1)
        assert talk(network, alice, bob, 1)
    ephemerals = [data[8:40] for data, source, _ in network.log if data[0] == 1 and source == alice.address]
    assert len(ephemerals) >= 2 and len(set(ephemerals)) == 1
    assert len(set(sealed)) == len(sealed)


def test_one_forged_byte_anywhere_kills_no_channel():
    network = Network()
    alice, bob = pair(network)
    alice.peers.send(bob.member, notice(5), network.now)
    genuine = network.log[-1][0]
    network._queue.clear()
    network.log.clear()
    for place in range(len(genuine)):
        forged = bytearray(genuine)
        forged[place] ^= 1
        bob.peers.datagram_received(bytes(forged), alice.address, network.now)
    assert bob.peers.inbox == [] and network.log == []
    bob.peers.datagram_received(genuine, alice.address, network.now)
    assert bob.received() == [notice(5)]


def test_there_is_no_unauthenticated_teardown():
    """No datagram ends a channel: not of a stranger, not damaged, not replayed, of no type and of no version."""
    network = Network()
    alice, bob = pair(network)
    said = [data for data, _, _ in network.log]
    for number in range(256):
        for known in said:
            for forged in (bytes([number]) + known[1:], known[:1] + bytes([number]) + known[2:], known[:number]):
                if forged != known:
                    for source in (alice.address, STRANGER):
                        bob.peers.datagram_received(forged, source, network.now)
    for known in said:
        bob.peers.datagram_received(known, alice.address, network.now)
    network.log.clear()
    assert talk(network, alice, bob, 1) and talk(network, bob, alice, 2)
    assert {data[0] for data, _, _ in network.log} == {4}, "the channel had to be made anew"
