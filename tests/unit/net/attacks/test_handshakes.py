"""Attacks on the handshake that others met (docs/explanation/attacks.md): each item is a test, named after it."""

import ast
import hmac
import itertools
from pathlib import Path

import pytest
from attackers import STRANGER, initiation_by_thief_of, initiation_to
from memory_network import SECRETS, Network, meet, notice, pair

from failover.net import handshake, noise
from failover.storage.memory import MemoryStorage

NET = Path(handshake.__file__).parent
YEARS_MS = 10 * 365 * 86_400 * 1_000
PRIME = 2**255 - 19


@pytest.mark.parametrize("kind", [1, 2])
def test_one_forged_byte_anywhere_kills_no_handshake(kind):
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


def test_one_forged_byte_behind_a_right_mac1_kills_no_handshake():
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


@pytest.mark.parametrize("wrong_for", ["alice", "bob", "both"])
@pytest.mark.parametrize("wrong_by_ms", [YEARS_MS, -YEARS_MS])
def test_a_clock_ten_years_wrong_locks_no_peer_out(wrong_for, wrong_by_ms):
    """Also not when it is put right, and wrong again: no clocks are compared, only the runs of one storage."""
    network = Network()
    players = {"alice": network.player(1), "bob": network.player(2)}
    storages = {name: MemoryStorage() for name in players}
    right_ms = 1_800_000_000_000
    for is_wrong in (False, True, False, False, True):
        for name, player in players.items():
            wall = right_ms + wrong_by_ms * (is_wrong and wrong_for in (name, "both"))
            previous, incarnation = storages[name].begin_incarnation(wall)
            player.peers = player.build(previous_incarnation=previous, incarnation=incarnation)
        meet(*players.values())
        players["alice"].peers.connect(players["bob"].member, network.now)
        network.run(0.1)
        assert players["alice"].peers.is_connected(players["bob"].member)
        assert players["bob"].peers.is_connected(players["alice"].member)
        right_ms += 1_000


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


@pytest.mark.parametrize(
    ("delay_s", "later_s", "loss"), [*itertools.product((0.0001, 0.02, 0.15), (0.0, 0.001, 0.03), (0.0, 0.1))]
)
def test_both_initiate_at_once_and_have_a_channel_at_once(delay_s, later_s, loss):
    """wireguard-go waits five seconds then, others waited for ever; here the next message passes, both ways."""
    network = Network(1, delay_s=delay_s, loss=loss)
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    alice.peers.send(bob.member, notice(1), network.now)
    network.run(later_s)
    bob.peers.send(alice.member, notice(2), network.now)
    network.run(4 * delay_s + 0.002 if not loss else 2.0)
    assert alice.peers.is_connected(bob.member) and bob.peers.is_connected(alice.member)
    for number in range(20):
        alice.peers.send(bob.member, notice(10 + number), network.now)
        bob.peers.send(alice.member, notice(10 + number), network.now)
        network.run(0.05)
    network.run(2 * delay_s)
    heard = [len(player.received()) for player in (alice, bob)]
    assert min(heard) >= (21 if not loss else 13)


def test_a_responder_does_not_act_on_the_first_message():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    _, datagram = initiation_to(bob)
    bob.peers.datagram_received(datagram, STRANGER, network.now)
    network.log.clear()
    bob.peers.send(alice.member, notice(1), network.now)
    assert {data[0] for data, _, _ in network.log} == {1}


@pytest.mark.parametrize("incarnation", [1_000, 2**64 - 1])
def test_key_compromise_impersonation_with_a_stolen_key_of_ours_changes_nothing(incarnation):
    """Who stole Bob's static key can forge a first message of anybody to Bob, and nothing else."""
    network = Network()
    alice, bob = pair(network)
    before, channel = bob.peers.status(), bob.peers._members[alice.member].channels.sending
    for attempt in range(1, 10):
        forged = initiation_by_thief_of(bob, alice.member, incarnation=incarnation, attempt=attempt)
        network.log.clear()
        bob.peers.datagram_received(forged, STRANGER, network.now)
        assert [len(data) for data, _, _ in network.log] == [1152]  # taken for Alice, until she should prove it
        network.run(0.1)
    after = bob.peers.status()
    assert (after.peers[0].name, after.peers[0].address) == (before.peers[0].name, alice.address)
    assert bob.peers._members[alice.member].channels.sending is channel and after.rolled_back == frozenset()
    alice.peers.send(bob.member, notice(1), network.now)
    bob.peers.send(alice.member, notice(2), network.now)
    network.run(0.1)
    assert (bob.received(), alice.received()) == ([notice(1)], [notice(2)])
    alice.restart()
    meet(alice, bob)
    alice.peers.connect(bob.member, network.now)
    network.run(0.1)
    assert alice.peers.is_connected(bob.member), "locked out by a number that it will never reach"
    assert network.random and not [data for data, _, to in network.log if to == ("198.51.100.99", 53)]


def other_encodings(key):
    """The same point for X25519: the top bit is ignored (RFC 7748, 5), and numbers above the prime wrap around."""
    number = int.from_bytes(key, "little")
    found = [number | 1 << 255] + [number + PRIME] * (number + PRIME < 1 << 255)
    return [each.to_bytes(32, "little") for each in found]


def test_a_revoked_member_does_not_return_by_a_second_encoding_of_its_key():
    network = Network()
    alice, bob = pair(network)
    bob.peers.set_members({bob.member: ()})
    network.run(1)
    network.log.clear()
    for number, encoding in enumerate([alice.member, *other_encodings(alice.member)]):
        datagram = initiation_as(bob, alice.private_key, encoding, number)
        responder = noise.Responder(
            static=bob.private_key,
            prologue=handshake.prologue(bob.peers._context.cluster),
            message=datagram[8:1120],
        )
        assert responder.initiator_static == encoding, "the handshake itself takes it for the same key"
        bob.peers.datagram_received(datagram, alice.address, network.now)
    assert network.log == [] and bob.peers._context.channels == {}
    assert bob.peers.counters["initiation: not a member"] == 1
    seen = bob.peers.counters["initiation: static key in a second spelling"]
    assert seen == len(other_encodings(alice.member)) > 0


def initiation_as(bob, private_key, static, number):
    """By the holder of `private_key`, with its public key spelt `static`."""
    ephemeral = bytes([9 + number]) * 32
    state = noise.Symmetric.start(handshake.prologue(bob.peers._context.cluster), bob.member)
    state = state.mix_ephemeral(noise.public_key(ephemeral)).mix_key(noise._exchange(ephemeral, bob.member))
    state, sealed_static = state.seal(static)
    state = state.mix_key(noise._exchange(private_key, bob.member))
    payload = handshake.InitiationPayload(
        1_000, 999, 1, 1, 1, SECRETS.epoch, handshake.NO_INVITE, "back again"
    ).pack()
    _, sealed_payload = state.seal(payload)
    key = handshake.mac1_key(bob.member, SECRETS.gate)
    message = noise.public_key(ephemeral) + sealed_static + sealed_payload
    return handshake.initiation(sender_index=number, noise_message=message, key=key)


def test_secrets_are_compared_in_constant_time(monkeypatch):
    """Every mac that the handshake checks goes through `hmac.compare_digest` ..."""
    compared = []
    genuine = hmac.compare_digest

    def noting(first, second):
        compared.append(bytes(second))
        return genuine(first, second)

    monkeypatch.setattr(hmac, "compare_digest", noting)
    network = Network()
    _, bob = pair(network)
    (initiation, _, _), (response, _, _) = network.log[:2]
    assert initiation[1120:1136] in compared and response[1120:1136] in compared
    bob.peers._gatekeeper._jar.renew(network.now, bytes(48))
    _, datagram = initiation_to(bob, attempt=9)
    shown = handshake.with_cookie(datagram, bytes(16))
    bob.peers.datagram_received(shown, STRANGER, network.now)
    assert shown[1136:] in compared


SECRET_WORDS = {"mac", "mac1", "mac2", "cookie", "psk", "gate", "secret", "tag", "password", "key"}


def test_no_secret_is_compared_with_an_equals_sign():
    """... and nowhere in this room is anything with the name of a secret compared in another way."""
    found = []
    for path in sorted(NET.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
                names = {last_name(each) for each in (node.left, *node.comparators)}
                if any(name.split("_")[-1] in SECRET_WORDS for name in names):  # constants are in capitals
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []


def last_name(node):
    if isinstance(node, ast.Call):
        return last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
