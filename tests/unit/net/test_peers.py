"""Two and more members on a network in memory: channels come, stay and are replaced; nothing sleeps."""

import itertools

import pytest
from memory_network import CODEC, SECRETS, Network, append, meet, notice, pair

from failover.net.addresses import Address
from failover.net.peers import Secrets
from failover.net.timings import NetTimings

TIMINGS = NetTimings()


def talk(network, alice, bob, seconds, every=0.1):
    """Both send small messages for a while; what bob received."""
    received = []
    end = network.now + seconds
    number = 0
    while network.now < end:
        number += 1
        alice.peers.send(bob.member, notice(number), network.now)
        bob.peers.send(alice.member, notice(number), network.now)
        network.run(every)
        received += bob.received()
        alice.received()
    return received


def handshakes(network):
    return [entry for entry in network.log if entry[0][0] in (1, 2)]


def test_a_message_arrives_as_it_was_sent_with_its_sender():
    network = Network()
    alice, bob = pair(network)
    alice.peers.send(bob.member, notice(7), network.now)
    network.run(0.1)
    assert bob.peers.inbox == [(alice.member, notice(7))]


def test_one_encoding_serves_several_members():
    network = Network()
    players = [network.player(n) for n in range(1, 5)]
    meet(*players)
    encoded = CODEC.encode(append(3, 100))
    for other in players[1:]:
        players[0].peers.send_encoded(other.member, encoded, network.now)
    network.run(1)
    assert all(other.received() == [append(3, 100)] for other in players[1:])


def test_messages_sent_before_there_is_a_channel_wait_the_newest_sixteen():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    for number in range(20):
        alice.peers.send(bob.member, notice(number), network.now)
    network.run(1)
    assert bob.received() == [notice(number) for number in range(4, 20)]
    assert alice.peers.counters["send: no channel"] == 4


def test_one_handshake_takes_two_datagrams_and_a_ping():
    network = Network()
    pair(network)
    kinds = [data[0] for data, _, _ in network.log]
    assert kinds[:3] == [1, 2, 4]
    assert kinds.count(1) == 1


def test_the_round_trip_is_measured():
    network = Network(delay_s=0.03)
    alice, bob = pair(network)
    assert alice.peers.round_trip_s(bob.member) == pytest.approx(0.06)
    assert bob.peers.round_trip_s(alice.member) == pytest.approx(0.06)


def test_each_side_learns_how_the_other_sees_it():
    network = Network()
    alice, bob = pair(network)
    assert alice.peers.status().observed_addresses == (alice.address,)
    assert bob.peers.peer_name(alice.member) == "player 1"


@pytest.mark.parametrize("delay_s", [0.0001, 0.02, 0.3])
def test_both_initiating_at_once_makes_one_choice(delay_s):
    network = Network(delay_s=delay_s)
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    alice.peers.connect(bob.member, network.now)
    bob.peers.connect(alice.member, network.now)
    network.run(3)
    assert len(talk(network, alice, bob, 5)) >= 48
    # Both send on channels of which the other is the far end of the same handshake.
    last = {source: data for data, source, _ in network.log if data[0] == 4}
    assert len(last) == 2
    assert alice.peers.is_connected(bob.member) and bob.peers.is_connected(alice.member)


def test_a_lossy_network_is_crossed():
    for seed in range(20):
        network = Network(seed, loss=0.4, duplicates=0.2, jitter_s=0.05)
        alice, bob = network.player(1), network.player(2)
        meet(alice, bob)
        alice.peers.connect(bob.member, network.now)
        bob.peers.connect(alice.member, network.now)
        network.run(20)
        assert len(talk(network, alice, bob, 10)) > 30, seed


def test_retries_double_to_five_seconds_and_later_to_thirty():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    network.cut.add(bob.address)
    alice.peers.connect(bob.member, network.now)
    times, count = [], 0
    for _ in range(20_000):
        network.run(0.01)
        if len(network.log) > count:
            count = len(network.log)
            times.append(network.now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert 0.09 <= gaps[0] <= 0.14 and gaps[1] >= 0.19
    assert max(gaps[:14]) <= 6.3
    assert 20 <= gaps[-1] <= 38


def test_a_peer_that_comes_back_is_found_again():
    network = Network()
    alice, bob = pair(network)
    network.cut.add(bob.address)
    talk(network, alice, bob, 10)
    assert not alice.peers.is_connected(bob.member)
    network.cut.clear()
    talk(network, alice, bob, 6)
    assert alice.peers.is_connected(bob.member)


def test_a_restarted_peer_replaces_its_old_channel_at_once():
    network = Network()
    alice, bob = pair(network)
    bob.restart()
    meet(alice, bob)
    bob.peers.connect(alice.member, network.now)
    network.run(0.1)
    alice.peers.send(bob.member, notice(9), network.now)
    network.run(0.1)
    assert bob.received() == [notice(9)]


def test_a_silently_restarted_peer_is_noticed_after_two_seconds():
    network = Network()
    alice, bob = pair(network)
    bob.restart()
    meet(alice, bob)
    alice.peers.send(bob.member, notice(1), network.now)
    network.run(1.9)
    assert bob.received() == []
    network.run(0.3)
    alice.peers.send(bob.member, notice(2), network.now)
    network.run(0.1)
    assert bob.received() == [notice(2)]


def test_one_way_traffic_makes_no_new_handshakes():
    network = Network()
    alice, bob = pair(network)
    before = len(handshakes(network))
    for number in range(600):
        alice.peers.send(bob.member, notice(number), network.now)
        network.run(0.1)
    assert len(bob.received()) == 600
    assert len(handshakes(network)) == before


def test_an_idle_pair_says_little_and_stays_connected():
    network = Network()
    alice, bob = pair(network)
    network.log.clear()
    network.run(110)
    assert alice.peers.is_connected(bob.member) and bob.peers.is_connected(alice.member)
    assert sum(len(data) for data, _, _ in network.log) / 110 < 50
    assert {data[0] for data, _, _ in network.log} == {4}


def test_channels_are_renewed_and_no_message_is_lost_meanwhile():
    network = Network(delay_s=0.05)
    alice, bob = pair(network)
    received = talk(network, alice, bob, 400)
    assert len(received) >= 3998
    assert 6 <= len(handshakes(network)) <= 10
    indices = {data[4:8] for data, source, _ in network.log if data[0] == 4 and source == alice.address}
    assert len(indices) >= 3


def test_a_removed_member_gets_nothing_and_is_heard_no_more():
    network = Network()
    alice, bob = pair(network)
    alice.peers.set_members({alice.member: ()})
    network.log.clear()
    bob.peers.send(alice.member, notice(1), network.now)
    alice.peers.send(bob.member, notice(2), network.now)
    network.run(20)
    assert alice.received() == []
    assert [data for data, source, _ in network.log if source == alice.address] == []
    assert alice.peers.counters["initiation: not a member"] > 2
    assert alice.peers.counters["send: not a member"] == 1


def test_a_member_that_slept_through_a_rotation_gets_back():
    new = Secrets(2, b"P" * 32, b"G" * 32)
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    alice.peers.set_secrets([new, SECRETS])
    bob.peers.connect(alice.member, network.now)
    network.run(1)
    assert alice.peers.is_connected(bob.member)


def test_after_a_rotation_both_ends_find_a_common_epoch_whoever_begins():
    new = Secrets(2, b"P" * 32, b"G" * 32)
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    alice.peers.set_secrets([new, SECRETS])
    alice.peers.connect(bob.member, network.now)
    network.run(3)
    assert alice.peers.is_connected(bob.member)


def test_an_epoch_that_is_gone_opens_nothing():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    alice.peers.set_secrets([Secrets(2, b"P" * 32, SECRETS.gate)])
    bob.peers.connect(alice.member, network.now)
    network.run(2)
    assert not alice.peers.is_connected(bob.member)
    assert alice.peers.counters["initiation: unknown secret epoch"] > 0


def test_a_peer_that_moves_is_followed():
    network = Network()
    alice, bob = pair(network)
    moved = Address("172.16.0.9", 9009)
    del network.players[bob.address]
    bob.address = moved
    network.players[moved] = bob
    received = talk(network, alice, bob, 5)
    assert alice.peers.status().peers[0].address == moved
    assert len(received) > 30
    assert len(handshakes(network)) == 2


def test_addresses_told_later_are_candidates():
    network = Network()
    alice, bob = pair(network)
    spare = Address("172.16.0.9", 9009)
    bob.peers.set_addresses((spare,), network.now)
    network.run(0.1)
    network.cut.add(bob.address)
    network.log.clear()
    talk(network, alice, bob, 4)
    assert spare in {target for data, source, target in network.log if data[0] == 1 and source == alice.address}


def test_a_laptop_that_slept_for_an_hour_comes_back():
    network = Network()
    alice, bob = pair(network)
    network.now += 3600
    assert len(talk(network, alice, bob, 5)) > 40


def test_a_rolled_back_storage_is_refused_and_named():
    network = Network()
    alice, bob = pair(network)
    bob.restart()
    meet(alice, bob)
    bob.peers.connect(alice.member, network.now)
    network.run(1)
    # The backup of the first day: it knows only of incarnation 0, though its clock gives a new number.
    bob.peers = bob.build(previous_incarnation=0, incarnation=1000)
    meet(alice, bob)
    bob.peers.connect(alice.member, network.now)
    network.run(1)
    assert not bob.peers.is_connected(alice.member)
    assert alice.peers.status().rolled_back == {bob.member}


def test_a_clock_that_was_years_ahead_locks_nobody_out():
    network = Network()
    alice, bob = pair(network)
    for previous, incarnation in ((10, 10**15), (10**15, 10**15 + 1), (10**15 + 1, 10**15 + 2)):
        bob.peers = bob.build(previous_incarnation=previous, incarnation=incarnation)
        meet(alice, bob)
        bob.peers.connect(alice.member, network.now)
        network.run(1)
        assert bob.peers.is_connected(alice.member)


def test_members_of_another_cluster_are_strangers():
    network = Network()
    alice, bob = network.player(1), network.player(2, cluster=b"d" * 16)
    meet(alice, bob)
    bob.peers.connect(alice.member, network.now)
    network.run(3)
    assert [data for data, source, _ in network.log if source == alice.address] == []


def test_two_runs_of_a_seed_are_equal():
    def run():
        network = Network(5, loss=0.2, jitter_s=0.03)
        alice, bob = pair(network)
        talk(network, alice, bob, 3)
        alice.peers.send(bob.member, append(100, 500), network.now)
        network.run(3)
        return network.log

    assert run() == run()


def test_a_name_of_ten_thousand_characters_is_cut_between_characters():
    network = Network()
    alice, bob = pair(network, name="é" * 10_000)
    assert bob.peers.peer_name(alice.member) == "é" * 32


def test_too_large_a_message_is_the_callers_mistake():
    network = Network()
    alice, bob = pair(network)
    with pytest.raises(ValueError, match="at most"):
        alice.peers.send_encoded(bob.member, bytes(2**20 + 1), network.now)


def test_nothing_is_due_when_there_is_nobody():
    player = Network().player(1)
    assert player.peers.deadline == float("inf")
    player.peers.tick(1e9)
