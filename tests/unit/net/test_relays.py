"""Between homes: through the routers if they let it, else by way of a common member."""

import pytest
from home_network import Router, longest_gap, relayed_by, talk, two_homes, way
from memory_network import append, meet, notice

from failover.net import frames
from failover.net.addresses import Address
from failover.net.places import Relayed, short_id
from failover.net.relaying import BURST_BYTES, BYTES_PER_S

STRANGER = Address("198.51.100.99", 9999)


def test_two_homes_behind_ordinary_routers_find_the_direct_path():
    network, alice, bob, carol = two_homes(fickle=False)
    heard = talk(network, alice, bob, carol, seconds=3)
    assert {sender for _, sender in heard[alice.member]} == {bob.member, carol.member}
    assert way(alice, bob).ip == "203.0.113.2" and way(bob, alice).ip == "203.0.113.1"
    assert alice.peers.status().peers[0].path == "lan" or alice.peers.status().peers[0].address is not None


def test_the_first_word_gets_through_within_half_a_second():
    network, alice, bob, carol = two_homes(fickle=False)
    for one, other in ((alice, carol), (bob, carol)):
        one.peers.connect(other.member, network.now)
    network.run(1)
    alice.peers.send(bob.member, notice(1), network.now)
    network.run(0.5)
    assert (alice.member, notice(1)) in bob.peers.inbox


def test_behind_fickle_routers_a_common_member_passes_on():
    network, alice, bob, carol = two_homes(fickle=True)
    talk(network, alice, bob, carol, seconds=3)
    assert way(alice, bob) == Relayed(carol.member, short_id(bob.member))
    assert way(bob, alice) == Relayed(carol.member, short_id(alice.member))
    heard = talk(network, alice, bob, carol, seconds=2)
    assert sum(sender == alice.member for _, sender in heard[bob.member]) > 60
    assert max(len(data) for data, _, _ in network.log) <= 1200


def test_the_relay_sees_neither_keys_nor_content():
    network, alice, bob, carol = two_homes(fickle=True)
    talk(network, alice, bob, carol, seconds=2)
    seen = []
    original = carol.peers._context.relaying._pass_on

    def spy(sender, frame, now):
        seen.append(frame.datagram)
        original(sender, frame, now)

    carol.peers._context.relaying._pass_on = spy
    alice.peers.send(bob.member, append(1, 900), network.now)
    network.run(1)
    assert bob.received()[-1] == append(1, 900)
    assert seen and not any(bytes([1]) * 16 in data for data in seen)
    indices = {data[4:8] for data in seen}
    assert not indices & {index.to_bytes(4, "little") for index in carol.peers._context.channels}


def test_a_relay_that_leaves_is_replaced_by_another():
    network, alice, bob, carol = two_homes(fickle=True)
    dave = network.player(4)
    meet(alice, bob, carol, dave)
    talk(network, alice, bob, carol, dave, seconds=3)
    relay = way(alice, bob).relay
    going, staying = (carol, dave) if relay == carol.member else (dave, carol)
    network.cut.add(going.address)
    began = network.now
    heard = talk(network, alice, bob, staying, seconds=5)
    from_alice = [(at, who) for at, who in heard[bob.member] if who == alice.member]
    assert longest_gap(from_alice, since=began) < 1.0
    assert way(alice, bob).relay == way(bob, alice).relay == staying.member


@pytest.mark.parametrize("fickle", [False, True])
def test_a_mapping_that_a_router_drops_in_the_middle_is_made_anew(fickle):
    network, alice, bob, carol = two_homes(fickle=fickle)
    talk(network, alice, bob, carol, seconds=3)
    network.homes[alice.address].forget()
    began = network.now
    heard = talk(network, alice, bob, carol, seconds=5)
    for listener, speaker in ((bob, alice), (alice, bob), (carol, alice), (alice, carol)):
        gap = longest_gap([(at, who) for at, who in heard[listener.member] if who == speaker.member], since=began)
        assert gap < 0.5, (listener.number, speaker.number, gap)


def test_a_mapping_lost_in_the_middle_of_a_transfer_costs_little():
    network, alice, bob, carol = two_homes(fickle=False, bytes_per_s=1_000_000)
    talk(network, alice, bob, carol, seconds=3)
    alice.peers.send(bob.member, append(900, 1000), network.now)
    network.run(0.3)
    network.homes[alice.address].forget()
    network.run(8)
    assert append(900, 1000) in [message for _, message in bob.peers.inbox]


def test_nothing_is_passed_on_for_who_is_no_member_nor_to_such():
    network, alice, bob, carol = two_homes(fickle=True)
    talk(network, alice, bob, carol, seconds=3)
    carol.peers.set_members({alice.member: (), carol.member: ()}, {bob.member: ()})
    talk(network, alice, bob, carol, seconds=0.2)  # what was under way arrives
    network.log.clear()
    heard = talk(network, alice, bob, carol, seconds=1)
    assert relayed_by(network, carol) == []
    assert not any(who == alice.member for _, who in heard[bob.member])
    assert carol.peers.counters["relay: cannot pass on"] and carol.peers.counters["departed: frame not allowed"]


def test_one_hop_and_no_more():
    network, alice, bob, carol = two_homes(fickle=True)
    dave = network.player(4)
    meet(alice, bob, carol, dave)
    talk(network, alice, bob, carol, dave, seconds=3)
    peer = alice.peers._members[bob.member]
    assert isinstance(peer.paths.active, Relayed)
    network.log.clear()
    peer.emit(frames.relay(frames.PASS_ON, short_id(dave.member), bytes(40)), network.now)
    peer.emit(frames.relay(frames.PASSED_ON, short_id(dave.member), bytes(40)), network.now)
    network.run(1)
    assert bob.peers.counters["relay: second hop"] == 2
    assert dave.peers.counters["data: unknown channel"] == dave.peers.counters["datagram: size or version"] == 0


def test_replays_through_a_relay_are_dropped_like_all_others():
    network, alice, bob, carol = two_homes(fickle=True)
    talk(network, alice, bob, carol, seconds=3)
    held = []
    peer = carol.peers._members[bob.member]
    original = peer.emit

    def keep(content, now, **options):
        held.append(content)
        return original(content, now, **options)

    peer.emit = keep
    alice.peers.send(bob.member, notice(77), network.now)
    network.run(0.2)
    before = bob.peers.counters["data: replayed or too old"]
    for content in held * 10:  # Carol sends them again, each in a fresh datagram of her own
        original(content, network.now)
    network.run(1)
    assert [message for _, message in bob.peers.inbox].count(notice(77)) == 1
    assert bob.peers.counters["data: replayed or too old"] - before >= 10


def test_a_relay_that_answers_with_garbage_harms_nobody():
    network, alice, bob, carol = two_homes(fickle=True)
    talk(network, alice, bob, carol, seconds=3)
    peer = carol.peers._members[bob.member]
    for size in (0, 1, 31, 32, 64, 1152):
        for kind in range(6):
            datagram = bytes([kind, 1, 0, 0]).ljust(size, b"\x07")[:size]
            peer.emit(frames.relay(frames.PASSED_ON, short_id(alice.member), datagram), network.now)
            peer.emit(frames.relay(frames.PASSED_ON, b"?" * 12, datagram), network.now)
    peer.emit(frames.relay_refused(short_id(alice.member)), network.now)
    network.run(1)
    heard = talk(network, alice, bob, carol, seconds=3)
    assert any(who == alice.member for _, who in heard[bob.member])


def test_what_is_passed_on_is_bounded_for_each_member():
    network, alice, bob, carol = two_homes(fickle=True)
    talk(network, alice, bob, carol, seconds=3)
    network.log.clear()
    peer = alice.peers._members[carol.member]
    began = network.now
    for _ in range(3_000):
        peer.emit(frames.relay(frames.PASS_ON, short_id(bob.member), bytes(1152)), network.now)
        network.run(0.001)
    passed = sum(len(data) for data in relayed_by(network, carol))
    assert passed <= (BURST_BYTES + BYTES_PER_S * (network.now - began)) * 1.05
    assert carol.peers.counters["relay: over the rate"] > 500


def test_a_punch_request_is_not_reflected_against_a_third_party():
    """RustDesk, CVE-2026-30784: whoever asks names the target. Here a relay knows its members, and asks nobody
    else; and what a member claims as its address gets a few small PINGs."""
    network, alice, bob, carol = two_homes(fickle=True)
    talk(network, alice, bob, carol, seconds=3)
    network.log.clear()
    peer = alice.peers._members[carol.member]
    for name in (b"\0" * 12, STRANGER.ip.encode()[:12].ljust(12), short_id(carol.member), short_id(alice.member)):
        peer.emit(frames.relay(frames.PASS_ON, name, bytes(1152)), network.now)
    network.run(1)
    assert not [1 for _, source, target in network.log if source == carol.address and target == STRANGER]
    assert relayed_by(network, carol) == []
    alice.peers.set_addresses((STRANGER,), network.now)
    network.run(5)
    to_stranger = [data for data, _, target in network.log if target == STRANGER]
    assert len(to_stranger) <= 2 * 15 and max(map(len, to_stranger)) < 100


def test_a_newcomer_may_be_anywhere_but_needs_one_contact_that_it_reaches():
    network, alice, bob, carol = two_homes(fickle=True)
    talk(network, alice, bob, carol, seconds=3)
    dave = network.at_home(4, Router(4, fickle=True))
    meet(alice, bob, carol, dave)
    heard = talk(network, alice, bob, carol, dave, seconds=3)
    assert {who for _, who in heard[dave.member]} == {alice.member, bob.member, carol.member}
