"""Nobody turns a member against a third party: what it sends, somebody asked for there, or it is not much.

All of this was found by fuzzing, or while it was written; `tests/fuzz/data` has the inputs.
"""

from __future__ import annotations

import pytest
from memory_network import Network, meet, pair

from failover.net import frames
from failover.net.addresses import Address
from failover.net.channel import TYPE_DATA
from failover.net.discovery import is_near
from failover.net.handshake import TYPE_RESPONSE
from failover.net.places import is_fair

VICTIM = Address("203.0.113.9", 9999)
FACTOR = 3


def bytes_to(network: Network, target: Address) -> int:
    return sum(len(data) for data, _, to in network.log if to == target)


def sealed_by(player, member, content: bytes) -> bytes:
    return player.peers._members[member].channels.sending.seal(content)


def test_a_datagram_full_of_pings_is_answered_once():
    network = Network()
    alice, bob = pair(network)
    datagram = sealed_by(alice, bob.member, b"".join(frames.ping(n)[:9] for n in range(120)))
    bob.peers.datagram_received(datagram, VICTIM, network.now)
    assert bob.peers.counters["data: second question"] == 119
    assert 0 < bytes_to(network, VICTIM) <= FACTOR * len(datagram)


def test_pings_and_pongs_count_among_what_an_address_may_get_that_has_not_answered():
    network = Network()
    alice, bob = pair(network)
    came = 0
    for number in range(20):
        datagram = sealed_by(alice, bob.member, frames.ping(number)[:9])
        came += len(datagram)
        bob.peers.datagram_received(datagram, VICTIM, network.now)
        alice.peers.set_addresses((Address("10.0.0.1", 7001 + number),), network.now)
        bob.peers.set_addresses((Address("10.0.0.2", 7001 + number),), network.now)
        network.run(0.3)
        assert bytes_to(network, VICTIM) <= FACTOR * came


def test_a_pong_that_answers_nothing_says_nothing_of_our_address():
    network = Network()
    alice, bob = pair(network)
    carol = network.player(3)
    meet(alice, bob, carol)
    bob.peers.connect(carol.member, network.now)
    network.run(1)
    before = len(network.log)
    pongs = b"".join(frames.pong(n, Address(f"198.51.100.{n}", 9)) for n in range(60))
    bob.peers.datagram_received(sealed_by(alice, bob.member, pongs), alice.address, network.now)
    assert len(network.log) == before
    assert bob.peers.counters["pong: unknown"] == 60
    assert not any(str(each).startswith("198.51.100.") for each in bob.peers.status().observed_addresses)


def test_a_response_from_where_nobody_was_asked_moves_little_there():
    """Somebody on the way, or the peer itself, writes a victim's address into the genuine RESPONSE."""
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    receive = alice.peers.datagram_received

    def rewritten(data, source, now):
        receive(data, VICTIM if data[0] == TYPE_RESPONSE else source, now)

    alice.peers.datagram_received = rewritten
    for _ in range(16):
        alice.peers.send_encoded(bob.member, b"\x83" + b"x" * 1_000, network.now)
    network.run(0.5)
    assert bytes_to(network, VICTIM) <= FACTOR * 1152
    assert alice.peers.counters["send: to an address that has not answered"]
    network.run(10)
    assert alice.peers.is_connected(bob.member), "the genuine peer is heard where it is"
    assert bytes_to(network, VICTIM) <= FACTOR * 1152 * 4


def test_data_that_ends_a_handshake_from_elsewhere_moves_little_there():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    receive, moved = bob.peers.datagram_received, []

    def rewritten(data, source, now):
        if data[0] == TYPE_DATA and not moved:
            moved.append(data)
            source = VICTIM
        receive(data, source, now)

    bob.peers.datagram_received = rewritten
    alice.peers.connect(bob.member, network.now)
    network.run(0.02)
    for number in range(50):
        bob.peers.send_encoded(alice.member, b"x" * 1_000, network.now)
        network.run(0.001 * number)
    assert bytes_to(network, VICTIM) <= FACTOR * len(moved[0])
    network.run(5)
    bob.peers.send_encoded(alice.member, b"\xf6", network.now)
    network.run(1)
    assert bob.peers.is_connected(alice.member)


MAPPED = ("::ffff:127.0.0.1", "::ffff:224.0.0.251", "::ffff:255.255.255.255", "::ffff:0.0.0.0")


@pytest.mark.parametrize("ip", MAPPED)
def test_an_ipv4_address_in_the_spelling_of_ipv6_is_judged_as_what_it_is(ip):
    own = (Address("10.0.0.1", 7000), Address("2001:db8::1", 7000))
    assert not is_fair(Address(ip, 9999), own)
    assert not is_near(Address(ip, 9999), allow_loopback=False)
    assert is_fair(Address("::ffff:10.0.0.2", 9999), own)
