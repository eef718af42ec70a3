"""5,000 initiations a second from holders of a leaked ticket, in virtual time, while a member restarts.

Real processes, and how late their heartbeats are, are in tests/processes/test_floods.py.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attackers import address_number, answered_with_mac2, initiation_to, sent_to, with_right_mac1
from memory_network import SECRETS, Network, Player, meet

from failover.net import handshake
from failover.net.addresses import Address
from failover.net.limits import BURST_ALL, BURST_SOURCE, LOAD_PER_S, RATE_ALL, RATE_SOURCE

RATE = 5_000
BEFORE_S, AFTER_S = 0.3, 0.7
Source = Callable[[int], Address]
ONE = Address("203.0.113.66", 666)


def trio() -> tuple[Network, Player, Player, Player]:
    """Three members that know each other; what is sent is forgotten."""
    network = Network(delay_s=0.02)
    alice, bob, carol = (network.player(number) for number in (1, 2, 3))
    meet(alice, bob, carol)
    alice.peers.connect(bob.member, network.now)
    carol.peers.connect(bob.member, network.now)
    network.run(2)
    network.log.clear()
    return network, alice, bob, carol


def flood(network: Network, bob: Player, source: Source, seconds: float, start: int = 0) -> None:
    """Garbage with a right mac1, evenly."""
    for number, datagram in enumerate(with_right_mac1(bob, int(RATE * seconds), start), start):
        bob.peers.datagram_received(datagram, source(number), network.now)
        network.run(1 / RATE)


def computed(bob: Player) -> int:
    """Initiations of the flood that cost curve arithmetic."""
    return bob.peers.counters["initiation: not authentic"]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(lambda number: ONE, id="one source"),
        pytest.param(address_number, id="many made-up sources"),
        pytest.param(lambda number: Address("10.0.0.3", 7000), id="the member's own address"),
        pytest.param(lambda number: Address("10.0.0.3", number % 60_000), id="the ports beside the member's"),
    ],
)
def test_a_member_that_restarts_in_a_flood_has_its_channel_at_once(source):
    network, alice, bob, carol = trio()
    flood(network, bob, source, BEFORE_S)
    carol.restart()
    meet(alice, bob, carol)
    carol.peers.connect(bob.member, network.now)
    flood(network, bob, source, 0.3, 10_000)
    assert carol.peers.is_connected(bob.member) and bob.peers.is_connected(carol.member)
    assert bob.peers._members[carol.member].freshness.incarnation == carol.incarnation
    flood(network, bob, source, AFTER_S, 20_000)
    assert bob.peers.is_connected(alice.member) and bob.peers.is_connected(carol.member)
    assert computed(bob) <= LOAD_PER_S
    assert len(bob.peers._gatekeeper._limits._sources) <= 256


def test_a_member_that_is_flooded_itself_comes_in_too():
    network, alice, bob, carol = trio()
    carol.restart()
    meet(alice, bob, carol)
    flood(network, carol, address_number, BEFORE_S)
    carol.peers.connect(bob.member, network.now)
    flood(network, carol, address_number, 0.3, 10_000)
    assert carol.peers.is_connected(bob.member)


def shown(network: Network, bob: Player, initiation: bytes, source: Address) -> bytes:
    """The same with mac2: the flooder is where he says, and reads what comes back."""
    network.log.clear()
    bob.peers.datagram_received(initiation, source, network.now)
    answers = sent_to(network, source)
    return answered_with_mac2(bob, initiation, answers[0]) if answers else initiation


def test_a_flooder_that_takes_cookies_gets_the_share_of_one_source():
    network, alice, bob, carol = trio()
    flood(network, bob, lambda number: ONE, 0.01)
    for number, datagram in enumerate(with_right_mac1(bob, RATE, 10_000)):
        bob.peers.datagram_received(shown(network, bob, datagram, ONE), ONE, network.now)
        network.run(1 / RATE)
        if number == RATE // 2:
            carol.restart()
            meet(alice, bob, carol)
            carol.peers.connect(bob.member, network.now)
    assert carol.peers.is_connected(bob.member)
    assert computed(bob) <= LOAD_PER_S + BURST_SOURCE + RATE_SOURCE
    assert bob.peers.counters["initiation: too many from one source"] > RATE / 2


def test_very_many_real_sources_use_up_what_all_share_but_not_the_place_of_a_member():
    network, alice, bob, carol = trio()
    flood(network, bob, address_number, 0.01)
    for number, datagram in enumerate(with_right_mac1(bob, RATE, 10_000)):
        source = address_number(number % 300)
        bob.peers.datagram_received(shown(network, bob, datagram, source), source, network.now)
        network.run(1 / RATE)
        if number == RATE // 2:
            carol.restart()
            meet(alice, bob, carol)
            carol.peers.connect(bob.member, network.now)
    assert carol.peers.is_connected(bob.member)
    assert bob.peers.counters["initiation: too many in all"] > RATE / 2
    assert computed(bob) <= LOAD_PER_S + BURST_ALL + RATE_ALL


def test_a_flood_of_garbage_leaves_no_trace_in_memory():
    network, _, bob, _ = trio()
    context = bob.peers._context
    before = (len(context.channels), len(context.attempts), context.provisional_count)
    flood(network, bob, address_number, 0.5)
    assert (len(context.channels), len(context.attempts), context.provisional_count) == before
    assert len(bob.peers._gatekeeper._seen) <= LOAD_PER_S + 10


def test_forged_responses_to_an_attempt_cost_no_more_than_a_share():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    alice.peers.connect(bob.member, network.now)
    ((initiation, _, _),) = network.log
    _, like = initiation_to(alice)
    for number in range(RATE):
        forged = b"\x02\x01\0\0" + number.to_bytes(4, "little") + initiation[4:8] + like[12:1120]
        alice.peers.datagram_received(signed_for(alice, forged), bob.address, network.now)
    assert alice.peers.counters["response: not authentic"] == BURST_ALL
    network.run(1)
    assert alice.peers.is_connected(bob.member)


def signed_for(player: Player, body: bytes) -> bytes:
    """With the mac1 that any holder of the gate can make."""
    key = handshake.mac1_key(player.member, SECRETS.gate)
    return body + handshake.mac1(key, handshake.body_digest(body)) + handshake.NO_MAC2
