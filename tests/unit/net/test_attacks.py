"""What attackers and bad luck did to others (protocol.md, 7), as far as it is built: each is a test."""

import random

import pytest
from attackers import STRANGER, initiation_to
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_network import SECRETS, Network, append, meet, notice, pair

from failover.net import frames, handshake, noise
from failover.net.addresses import Address
from failover.net.gatekeeper import GUESTS_MAX, PROVISIONAL_TOTAL_MAX
from failover.net.limits import LOAD_PER_S
from failover.net.peers import Secrets

SHAPES = (*range(70), 1119, 1120, 1151, 1152, 1153, 1500, 2048)


def sent_by(network, player):
    return [entry for entry in network.log if entry[1] == player.address]


def test_a_stranger_gets_not_a_single_byte():
    network = Network()
    alice, bob = pair(network)
    captured = [data for data, _, _ in network.log]
    network.log.clear()
    dice = random.Random(1)
    for size in SHAPES:
        for kind in range(6):
            data = bytes([kind, 1, 0, 0])[:size] + dice.randbytes(max(0, size - 4))
            bob.peers.datagram_received(data, STRANGER, network.now)
    for data in captured * 3:
        bob.peers.datagram_received(data, STRANGER, network.now)
        alice.peers.datagram_received(data, STRANGER, network.now)
    network.run(1)
    assert [target for _, _, target in network.log if target == STRANGER] == []
    assert sum(bob.peers.counters.values()) >= len(SHAPES) * 6
    alice.peers.send(bob.member, notice(1), network.now)
    network.run(0.1)
    assert bob.received() == [notice(1)]


def test_a_holder_of_the_gate_that_is_no_member_gets_no_answer():
    network = Network()
    _, bob = pair(network)
    network.log.clear()
    _, datagram = initiation_to(bob, private_key=b"\x66" * 32)
    bob.peers.datagram_received(datagram, STRANGER, network.now)
    assert network.log == [] and bob.peers.counters["initiation: not a member"] == 1


def test_a_member_with_another_gate_is_not_even_computed_for():
    network = Network()
    _, bob = pair(network)
    _, datagram = initiation_to(bob, secrets=Secrets(1, SECRETS.psk, b"x" * 32))
    bob.peers.datagram_received(datagram, STRANGER, network.now)
    assert bob.peers.counters["initiation: wrong mac1"] == 1


def test_a_thief_of_the_static_key_without_the_psk_gets_no_channel():
    network = Network()
    _alice, bob = pair(network)
    wrong = Secrets(1, b"?" * 32, SECRETS.gate)
    initiator, datagram = initiation_to(bob, secrets=wrong)
    network.log.clear()
    bob.peers.datagram_received(datagram, STRANGER, network.now)
    (response, _, _) = network.log[0]
    with pytest.raises(Exception, match="tag"):
        initiator.read_response_untrusted(response[12:1120], wrong.psk)
    assert len(response) <= len(datagram)


@pytest.mark.parametrize("kind", [1, 2])
def test_one_forged_byte_in_a_handshake_datagram_changes_nothing_and_the_genuine_one_works(kind):
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    alice.peers.connect(bob.member, network.now)
    if kind == 2:
        bob.peers.datagram_received(network.log[0][0], alice.address, network.now)
    genuine, source, _target = network.log[-1]
    assert genuine[0] == kind
    victim, other = (bob, alice) if kind == 1 else (alice, bob)
    network._queue.clear()
    count = len(network.log)
    for place in range(0, 1136, 1 if kind == 1 else 7):  # mac2 is reserved
        forged = bytearray(genuine)
        forged[place] ^= 0x10
        victim.peers.datagram_received(bytes(forged), source, network.now)
    assert len(network.log) == count
    assert not victim.peers.is_connected(other.member)
    victim.peers.datagram_received(genuine, source, network.now)
    network.run(0.05)
    assert len(network.log) > count
    assert alice.peers.is_connected(bob.member) and bob.peers.is_connected(alice.member)


def test_one_forged_byte_with_a_right_mac1_changes_nothing_either():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    _, genuine = initiation_to(bob)
    key = handshake.mac1_key(bob.member, SECRETS.gate)
    for place in range(8, 1120, 5):
        message = bytearray(genuine[8:1120])
        message[place - 8] ^= 0x10
        forged = handshake.initiation(sender_index=77, noise_message=bytes(message), key=key)
        bob.peers.datagram_received(forged, STRANGER, network.now)
        network.now += 0.1
    assert network.log == []
    bob.peers.datagram_received(genuine, alice.address, network.now)
    assert len(network.log) == 1


def test_a_replayed_initiation_neither_resets_nor_moves_a_peer():
    network = Network()
    _alice, bob = pair(network)
    first = network.log[0][0]
    before = bob.peers.status().peers
    network.log.clear()
    for _ in range(10):
        bob.peers.datagram_received(first, STRANGER, network.now)
    assert network.log == [] and bob.peers.status().peers == before


def test_a_replayed_initiation_to_a_restarted_peer_gets_one_answer_and_no_channel():
    network = Network()
    alice, bob = pair(network)
    first = network.log[0][0]
    bob.restart()
    meet(alice, bob)
    network.log.clear()
    bob.peers.datagram_received(first, STRANGER, network.now)
    bob.peers.datagram_received(first, STRANGER, network.now)
    assert [len(data) for data, _, _ in network.log] == [1152]
    bob.peers.send(alice.member, notice(3), network.now)  # acts on nothing that the replay brought
    network.run(1)
    assert alice.received() == [notice(3)]
    assert bob.peers.status().peers[0].address == alice.address


def test_the_responder_sends_nothing_on_a_channel_before_its_first_data():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    _, datagram = initiation_to(bob)
    bob.peers.datagram_received(datagram, STRANGER, network.now)
    network.log.clear()
    bob.peers.send(alice.member, notice(1), network.now)
    assert {data[0] for data, _, _ in network.log} == {1}


def test_replayed_data_is_dropped_and_does_not_move_the_address():
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


def test_every_byte_of_data_counts():
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


def test_two_members_addresses_swapped_change_nothing_of_who_is_who():
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


def test_two_members_never_answer_each_others_garbage():
    network = Network()
    alice, bob = pair(network)
    network.run(20)
    network.log.clear()
    for n in range(100):
        alice.peers.datagram_received(bytes([n % 6]) + bytes(200), bob.address, network.now)
        bob.peers.datagram_received(bytes([n % 6]) + bytes(200), alice.address, network.now)
    assert network.log == []


def test_a_flood_of_initiations_is_bounded_in_work_and_in_memory():
    network = Network()
    _, bob = pair(network)
    network.log.clear()
    for number in range(1000):
        _, datagram = initiation_to(
            bob, incarnation=50, attempt=number + 1, ephemeral=(number + 1).to_bytes(32, "big"), index=number
        )
        bob.peers.datagram_received(datagram, Address(f"198.51.{number % 100}.1", 5), network.now + number / 5000)
    sizes = [len(data) for data, _, _ in network.log]
    assert sizes == [1152] * LOAD_PER_S + [64] * (1000 - LOAD_PER_S)
    assert bob.peers._context.provisional_count <= 4
    assert len(bob.peers._context.channels) <= 8


def test_provisional_channels_are_bounded_over_all_peers():
    network = Network()
    bob = network.player(250)
    everybody = {bob.member: ()}
    keys = [bytes([n]) * 32 for n in range(1, 41)]
    for key in keys:
        everybody[noise.public_key(key)] = ()
    bob.peers.set_members(everybody)
    for round_number in range(1, 4):
        for key in keys:
            _, datagram = initiation_to(
                bob, private_key=key, attempt=round_number, ephemeral=bytes([round_number]) + key[1:]
            )
            network.now += 0.06
            bob.peers.datagram_received(datagram, Address(f"198.51.{key[0]}.1", 5), network.now)
    assert bob.peers._context.provisional_count == PROVISIONAL_TOTAL_MAX
    network.run(11)
    assert bob.peers._context.provisional_count == 0
    assert bob.peers._context.channels == {}


def test_guests_are_bounded():
    network = Network()
    bob = network.player(250)
    bob.peers.set_members({bob.member: ()})
    bob.peers.set_invites({b"i" * 16: b"s" * 32})
    for n in range(1, 60):
        _, datagram = initiation_to(
            bob, private_key=bytes([n]) * 32, ephemeral=bytes([n]) * 32, invite_id=b"i" * 16
        )
        bob.peers.datagram_received(datagram, Address(f"198.51.{n}.1", 5), network.now)
    assert len(bob.peers.status().guests) == GUESTS_MAX
    network.run(20)
    assert bob.peers.status().guests == ()


def test_a_version_that_we_do_not_speak_is_counted():
    network = Network()
    _, bob = pair(network)
    _, datagram = initiation_to(bob, version=9)
    bob.peers.datagram_received(datagram, STRANGER, network.now)
    assert bob.peers.counters["initiation: no common version"] == 1


def test_a_member_that_speaks_garbage_keeps_its_channel_and_is_counted():
    network = Network()
    alice, bob = pair(network)
    peer = alice.peers._members[bob.member]
    for content in (frames.message(b"\xff\xff"), b"\xee\1\2", frames.chunk(9, 0, b"x"), b"\x03\xff\xff", b"\x04"):
        peer.emit(content, network.now)
    network.run(0.1)
    counters = bob.peers.counters
    assert counters["message: malformed"] == 1
    assert counters["data: unknown frame"] == 1
    assert counters["data: malformed frame"] == 2
    assert counters["transfer: chunk of none"] == 1
    alice.peers.send(bob.member, notice(1), network.now)
    network.run(0.1)
    assert bob.received() == [notice(1)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=1100), max_size=8))
def test_any_content_of_a_member_raises_nothing(contents):
    network = Network()
    alice, bob = pair(network)
    for content in contents:
        alice.peers._members[bob.member].emit(content, network.now)
    network.run(3)
    alice.peers.send(bob.member, notice(1), network.now)
    network.run(0.1)
    assert notice(1) in bob.received()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=1300))
def test_any_datagram_raises_nothing_and_gets_no_answer(data):
    network = Network()
    bob = network.player(2)
    bob.peers.datagram_received(data, STRANGER, network.now)
    assert network.log == [] and sum(bob.peers.counters.values()) == 1


def test_the_inbox_is_bounded():
    network = Network()
    alice, bob = pair(network)
    for number in range(5000):
        alice.peers.send(bob.member, notice(number), network.now)
    network.run(0.5)
    assert len(bob.peers.inbox) == 4096 and bob.peers.counters["message: inbox full"] == 904


def test_no_secret_shows_in_a_repr():
    assert repr(SECRETS) == "Secrets(epoch=1)"
    network = Network()
    alice, _ = pair(network)
    assert "pppp" not in repr(alice.peers._context.secrets)


def test_append_entries_to_a_removed_member_stop_in_the_middle():
    network = Network(delay_s=0.05)
    alice, bob = pair(network)
    alice.peers.send(bob.member, append(500, 1000), network.now)
    network.run(0.06)
    alice.peers.set_members({alice.member: ()})
    network.log.clear()
    network.run(5)
    assert sent_by(network, alice) == []
