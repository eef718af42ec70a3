"""Attacks by way of addresses that others met (docs/explanation/attacks.md)."""

from attackers import STRANGER
from memory_network import Network, meet, notice, pair


def test_a_rewritten_source_address_does_not_capture_a_peer():
    network = Network()
    alice, bob = pair(network)
    for number in range(50):
        alice.peers.send(bob.member, notice(number), network.now)
        data = network.log[-1][0]
        network._queue.pop()
        bob.peers.datagram_received(data, STRANGER, network.now)  # taken from the wire, sent on from elsewhere
        network.run(0.1)
    assert bob.peers.status().peers[0].address == alice.address
    to_stranger = sum(len(data) for data, _, target in network.log if target == STRANGER)
    assert to_stranger <= 3 * sum(len(data) for data, source, _ in network.log if source == alice.address)


def test_replayed_data_captures_no_peer_either():
    network = Network()
    alice, bob = pair(network)
    alice.peers.send(bob.member, notice(5), network.now)
    replay = network.log[-1][0]
    network.run(0.1)
    for _ in range(5):
        bob.peers.datagram_received(replay, STRANGER, network.now)
    assert bob.received() == [notice(5)]
    assert bob.peers.counters["data: replayed or too old"] == 5
    assert bob.peers.status().peers[0].address == alice.address


def test_two_members_do_not_answer_each_others_errors_for_ever():
    network = Network()
    alice, bob = pair(network)
    network.run(20)
    network.log.clear()
    for n in range(100):
        alice.peers.datagram_received(bytes([n % 6]) + bytes(200), bob.address, network.now)
        bob.peers.datagram_received(bytes([n % 6]) + bytes(200), alice.address, network.now)
    assert network.log == []


def test_demultiplexing_is_not_by_address_swap_two_peers_addresses():
    network = Network()
    alice, bob, carol = (network.player(n) for n in (1, 2, 3))
    meet(alice, bob, carol)
    carol.peers.connect(alice.member, network.now)
    carol.peers.connect(bob.member, network.now)
    network.run(1)
    network.log.clear()
    alice.peers.send(carol.member, notice(1), network.now)
    bob.peers.send(carol.member, notice(2), network.now)
    (first, _, _), (second, _, _) = network.log
    carol.peers.datagram_received(first, bob.address, network.now)
    carol.peers.datagram_received(second, alice.address, network.now)
    assert carol.peers.inbox == [(alice.member, notice(1)), (bob.member, notice(2))]
