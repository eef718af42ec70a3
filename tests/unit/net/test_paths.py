"""Several paths to one peer: what takes over when, and what does not."""

from home_network import HomeNetwork, longest_gap, relayed_in_one_home, talk, way
from memory_network import Network, meet, notice, pair

from failover.net.addresses import Address
from failover.net.paths import PATHS_MAX
from failover.net.places import Relayed, is_fair

ELSEWHERE = Address("198.51.100.7", 4242)


def test_a_laptop_that_changes_its_network_is_heard_again_within_a_fifth_of_a_second():
    network = Network(delay_s=0.01)
    alice, bob = pair(network)
    talk(network, alice, bob, seconds=1)
    network.players.pop(bob.address)
    bob.address = Address("10.9.9.9", 5555)
    network.players[bob.address] = bob
    began = network.now
    heard = talk(network, alice, bob, seconds=3)
    assert longest_gap(heard[alice.member], since=began) < 0.1, "what it sends arrives all the time"
    assert longest_gap(heard[bob.member], since=began) < 0.2
    assert way(alice, bob) == bob.address
    assert alice.peers._members[bob.member].paths.switches == 1


def test_while_a_path_is_suspect_what_matters_goes_over_another_too_and_arrives_once():
    network = HomeNetwork(delay_s=0.01)
    alice, bob, carol = (network.player(n) for n in (1, 2, 3))
    meet(alice, bob, carol)
    talk(network, alice, bob, carol, seconds=1)
    network.blocked |= {(alice.address, bob.address)}
    began = network.now
    heard = talk(network, alice, bob, carol, seconds=4)
    from_alice = [(at, who) for at, who in heard[bob.member] if who == alice.member]
    assert longest_gap(from_alice, since=began) < 0.2
    assert way(alice, bob) == Relayed(carol.member, bob.member[:12])
    assert way(bob, alice) == alice.address or isinstance(way(bob, alice), Relayed)
    network.blocked.clear()
    assert bob.peers.counters["data: replayed or too old"] < 60, "doubles: each was taken in once"
    talk(network, alice, bob, carol, seconds=40)
    assert way(alice, bob) == bob.address, "the direct path is found again"


def test_a_dead_peer_is_not_asked_for_for_ever():
    network = Network()
    alice, bob, carol = (network.player(n) for n in (1, 2, 3))
    meet(alice, bob, carol)
    talk(network, alice, bob, carol, seconds=1)
    network.cut.add(bob.address)
    talk(network, alice, carol, seconds=5)
    network.log.clear()
    for _ in range(100):
        alice.peers.send(bob.member, notice(1), network.now)
        network.run(0.1)
    to_bob = [data for data, _, target in network.log if target == bob.address]
    assert len(to_bob) < 200, "each message once; the rest are initiations and PINGs now and then"
    refusals = carol.peers.counters["relay: cannot pass on"]
    assert refusals < 20


def test_valid_datagrams_from_elsewhere_move_nothing_while_the_active_path_works():
    network = Network()
    alice, bob = pair(network)
    talk(network, alice, bob, seconds=1)
    for number in range(60):
        bob.peers.send(alice.member, notice(number), network.now)
        data = network.log[-1][0]
        if number % 2:
            network._queue.pop()
            alice.peers.datagram_received(data, ELSEWHERE, network.now)
        network.run(0.03)
    assert way(alice, bob) == bob.address
    sent = sum(len(data) for data, _, target in network.log if target == ELSEWHERE)
    assert 0 < sent < 3 * 30 * 40, "a few PINGs"


def test_paths_of_one_peer_are_bounded():
    network = Network()
    alice, bob = pair(network)
    network.log.clear()
    for number in range(200):
        bob.peers.send(alice.member, notice(number), network.now)
        data = network.log[-1][0]
        network._queue.clear()
        alice.peers.datagram_received(data, Address(f"198.51.{number}.1", 4000), network.now)
    assert len(alice.peers._members[bob.member].paths.known) == PATHS_MAX
    assert way(alice, bob) == bob.address
    to_others = [data for data, source, target in network.log if source == alice.address and target != bob.address]
    assert len(to_others) <= 14, "no more PINGs than the bucket holds"


def test_no_way_back_within_two_seconds_unless_the_new_path_is_dead():
    network = HomeNetwork(delay_s=0.01)
    alice, bob, carol = (network.player(n) for n in (1, 2, 3))
    meet(alice, bob, carol)
    talk(network, alice, bob, carol, seconds=1)
    paths = alice.peers._members[bob.member].paths
    for _ in range(10):  # a path that comes and goes
        network.blocked |= {(alice.address, bob.address), (bob.address, alice.address)}
        talk(network, alice, bob, carol, seconds=1.2)
        network.blocked.clear()
        talk(network, alice, bob, carol, seconds=0.3)
    assert paths.switches <= 15


def test_what_others_claim_is_tried_only_where_that_is_fair():
    own = (Address("192.168.1.5", 7777), Address("2001:db8::5", 7777), Address("127.0.0.1", 7777))
    fair = ["192.0.2.1", "10.0.0.7", "fd00::1", "2001:db8::1", "169.254.3.4"]
    assert all(is_fair(Address(ip, 7000), own) for ip in fair)
    for ip in ("127.0.0.1", "127.9.9.9", "::1", "224.0.0.251", "ff02::fb", "255.255.255.255", "0.0.0.0", "::"):
        assert not is_fair(Address(ip, 7000), own)
    assert not is_fair(Address("192.0.2.1", 53), own) and not is_fair(Address("192.0.2.1", 0), own)
    assert is_fair(Address("127.0.0.1", 7000), (Address("127.0.0.1", 7777),)), "nothing but itself: a test, a demo"
    assert is_fair(Address("192.0.2.1", 443), (Address("192.0.2.9", 443),)), "it is so configured"
    assert not is_fair(Address("2001:db8::1", 7000), own[:1]), "no way there"


def test_address_lists_cannot_be_used_to_hammer_a_victim():
    network = Network()
    _alice, bob = pair(network)
    victims = tuple(Address("198.51.100.1", port) for port in range(5000, 5008))
    network.log.clear()
    began = network.now
    for _ in range(50):  # a new list each time, as a member would that means ill
        bob.peers.set_addresses(victims, network.now)
        victims = tuple(Address("198.51.100.1", address.port + 8) for address in victims)
        network.run(0.1)
    sent = [data for data, source, target in network.log if target.ip == "198.51.100.1"]
    assert 10 < len(sent) < 12 + 10 * (network.now - began) + 10
    assert sum(map(len, sent)) / (network.now - began) < 1500


def test_a_better_path_takes_over_even_if_the_old_one_works():
    network, alice, bob, carol = relayed_in_one_home()
    assert isinstance(way(alice, bob), Relayed)
    talk(network, alice, bob, carol, seconds=40)
    assert way(alice, bob) == bob.address and way(bob, alice) == alice.address
