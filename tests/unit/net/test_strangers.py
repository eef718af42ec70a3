"""Strangers, holders of a gate, members that misbehave: what they get, and what bounds it.

What attackers and bad luck did to others is in `attacks/`, by kind.
"""

import random

import pytest
from attackers import STRANGER, initiation_to, sent_to
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_network import SECRETS, Network, append, notice, pair

from failover.net import frames, handshake, noise
from failover.net.addresses import Address
from failover.net.gatekeeper import GUESTS_MAX, PROVISIONAL_TOTAL_MAX
from failover.net.limits import LOAD_PER_S
from failover.net.peers import Secrets

SHAPES = (*range(70), 1119, 1120, 1151, 1152, 1153, 1500, 2048)


def sent_by(network, player):
    return [entry for entry in network.log if entry[1] == player.address]


def varied(captured, bob, dice, count):
    """What somebody sends who knows Bob's key and address, and has heard all that was said, but holds no gate."""
    forged_key = handshake.mac1_key(bob.member, bytes(32))
    for number in range(count):
        heard = bytearray(dice.choice(captured))
        match number % 10:
            case 0:
                yield bytes([dice.randrange(256), 1, 0, 0])[: dice.choice(SHAPES)] + dice.randbytes(
                    max(0, dice.choice(SHAPES) - 4)
                )
            case 1:
                yield bytes([dice.randrange(6), 1, 0, 0]) + dice.randbytes(dice.choice((28, 60, 1148)))
            case 2 | 3:
                heard[dice.randrange(len(heard))] ^= 1 << dice.randrange(8)
                yield bytes(heard)
            case 4:
                yield bytes(heard[: dice.randrange(len(heard))])
            case 5:
                yield bytes([dice.randrange(6)]) + bytes(heard[1:])
            case 6:
                yield b"\x03\x01\0\0" + bytes(heard[4:8]) + dice.randbytes(56)
            case 7:
                yield handshake.initiation(sender_index=number, noise_message=dice.randbytes(1112), key=forged_key)
            case 8:
                wrong = Secrets(1, dice.randbytes(32), dice.randbytes(32))
                yield initiation_to(bob, secrets=wrong, ephemeral=dice.randbytes(32))[1]
            case _:
                yield bytes(heard)


def test_a_stranger_gets_not_a_single_byte_for_ten_thousand_varied_datagrams():
    network = Network()
    alice, bob = pair(network)
    alice.peers.send(bob.member, append(3, 1000), network.now)
    network.run(0.1)
    captured = [data for data, _, _ in network.log]
    network.log.clear()
    dice = random.Random(1)
    for number, data in enumerate(varied(captured, bob, dice, 10_000)):
        for player in (alice, bob):
            player.peers.datagram_received(data, STRANGER, network.now)
        if number % 100 == 0:
            network.run(0.01)
    network.run(1)
    assert sent_to(network, STRANGER) == []
    assert sum(bob.peers.counters.values()) == 10_000
    assert bob.received() == [append(3, 1000)]
    network.log.clear()
    alice.peers.send(bob.member, notice(1), network.now)
    network.run(0.1)
    assert bob.received() == [notice(1)] and {data[0] for data, _, _ in network.log} == {4}


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
