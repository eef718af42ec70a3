"""Members that mean ill: they hold valid keys, name others' addresses, forge where they are, and speak nonsense.

What they can make the others send to somebody who never asked is what each of these tests bounds.
"""

from itertools import count

from home_network import HomeNetwork, relayed_by, relayed_in_one_home, talk, two_homes, way
from memory_network import Network, append, meet, notice, pair

from failover.net import frames
from failover.net.addresses import Address
from failover.net.gatekeeper import Gatekeeper
from failover.net.places import Relayed, short_id
from failover.net.relaying import BURST_BYTES, BYTES_PER_S

VICTIM = Address("198.51.100.1", 5000)
OVERHEAD = 28
"""Bytes of the headers below, of each datagram."""


def sent_to(network, *targets):
    return [data for data, _, target in network.log if target in targets]


def is_initiation(data):
    return data[0] == 1


def answers(network, liar, honest, content):
    """What the honest one sends within a second after one datagram with these frames."""
    network.log.clear()
    peer = liar.peers._members[honest.member]
    network.send(peer.channels.sending.seal(content), liar.address, honest.address)
    network.run(0.5)
    return [data for data, source, _ in network.log if source == honest.address]


def test_many_questions_in_one_datagram_get_one_answer():
    network = Network()
    mallory, alice = pair(network)
    network.run(3)
    content = b"".join(bytes([frames.PING]) + number.to_bytes(8, "little") for number in range(120))
    got = answers(network, mallory, alice, content)
    assert sum(len(data) + OVERHEAD for data in got) < len(content)
    assert 1 <= len(got) <= 3, "one PONG, maybe a PING of its own, and a PONG for what that is answered with"


def test_many_relays_in_one_datagram_get_few_answers_and_pass_few_on():
    network = Network()
    mallory, alice, bob = (network.player(n) for n in (1, 2, 3))
    meet(mallory, alice, bob)
    talk(network, mallory, alice, bob, seconds=1)
    network.run(5)
    refused = b"".join(frames.relay(frames.PASS_ON, bytes([n]) * 12, b"") for n in range(70))
    got = answers(network, mallory, alice, refused)
    assert len(got) <= 2
    empty = frames.relay(frames.PASS_ON, short_id(bob.member), b"") * 70
    assert len(answers(network, mallory, alice, empty)) <= 2


def test_small_datagrams_cost_the_one_who_has_them_passed_on_what_they_cost_the_relay():
    network, alice, bob, carol = two_homes(fickle=True)
    talk(network, alice, bob, carol, seconds=3)
    network.log.clear()
    peer, began = alice.peers._members[carol.member], network.now
    for _ in range(300):
        for _ in range(30):
            peer.emit(frames.relay(frames.PASS_ON, short_id(bob.member), bytes(32)), network.now)
        network.run(0.01)
    passed = [data for data, source, target in network.log if source == carol.address and len(data) == 80]
    allowed = BURST_BYTES + BYTES_PER_S * (network.now - began)
    assert sum(len(data) + OVERHEAD for data in passed) <= allowed * 1.05


def test_one_member_cannot_have_others_shower_a_victim_with_initiations():
    """It names the victim's address, goes silent, comes back for a moment, and so on: all look for it again."""
    network = Network()
    mallory, *others = (network.player(n) for n in range(1, 5))
    meet(mallory, *others)
    talk(network, mallory, *others, seconds=1)
    victims = tuple(Address(VICTIM.ip, VICTIM.port + n) for n in range(8))
    network.log.clear()
    began = network.now
    for _ in range(20):
        network.cut.discard(mallory.address)
        mallory.peers.set_addresses(victims, network.now)
        for other in others:
            mallory.peers._members[other.member].handshaking.start(network.now)
        talk(network, mallory, *others, seconds=0.3)
        network.cut.add(mallory.address)
        talk(network, *others, seconds=0.01)
        for _ in range(35):
            for other in others:
                other.peers.send(mallory.member, notice(1), network.now)
            network.run(0.1)
    rate = len(list(filter(is_initiation, sent_to(network, *victims)))) / (network.now - began) / len(others)
    assert rate < 2.0, "a second, from each of them"


def test_who_lies_about_how_others_look_does_not_have_them_tell_everybody_all_the_time():
    network = Network()
    mallory, *others = (network.player(n) for n in range(1, 6))
    meet(mallory, *others)
    talk(network, mallory, *others, seconds=1)
    alice = others[0]
    network.log.clear()
    peer = mallory.peers._members[alice.member]
    lies = (Address(VICTIM.ip, 5000 + number % 7) for number in count())

    def answer(token, source, now):
        network.send(peer.channels.sending.seal(frames.pong(token, next(lies))), mallory.address, alice.address)

    peer._answer_ping = answer
    told_to = others[1].peers._members[alice.member]
    news, original = [], told_to._told
    told_to._told = lambda candidates, now: (news.append(candidates), original(candidates, now))
    for _ in range(55):
        peer.ping(network.now)  # is asked back
        network.run(1.1)
    assert next(lies).port and alice.peers.counters["pong: sees us elsewhere too often"] > 30
    assert len(news) < 10
    assert len([1 for _, source, target in network.log if target.ip == VICTIM.ip]) < 60 * len(others)


def test_who_departed_has_no_say_in_how_a_member_looks():
    network = Network()
    mallory, alice, bob = (network.player(n) for n in (1, 2, 3))
    meet(mallory, alice, bob)
    talk(network, mallory, alice, bob, seconds=1)
    alice.peers.set_members({alice.member: (), bob.member: (bob.address,)}, {mallory.member: (mallory.address,)})
    peer = mallory.peers._members[alice.member]
    peer._answer_ping = lambda token, source, now: peer.emit(frames.pong(token, VICTIM), now)
    alice.peers._members[mallory.member].ping(network.now)
    network.run(0.1)
    assert VICTIM not in alice.peers._context.candidates()
    assert mallory.member not in alice.peers._context.observed


class Forging(Network):
    """One player's DATA seem to come from elsewhere."""

    def __init__(self):
        super().__init__()
        self.forger = None
        self.kinds = ()

    def send(self, data, source, target):
        is_forged = source == self.forger and data[0] in self.kinds
        super().send(data, VICTIM if is_forged else source, target)


def forging_pair(*kinds, initiator):
    network = Forging()
    mallory, alice = network.player(1), network.player(2)
    network.forger, network.kinds = mallory.address, kinds
    meet(mallory, alice)
    one, other = (mallory, alice) if initiator == "mallory" else (alice, mallory)
    one.peers.connect(other.member, network.now)
    network.run(0.05)
    return network, mallory, alice


def flood(network, mallory, alice):
    """Alice has much to say, and Mallory keeps that path warm, blindly."""
    network.log.clear()
    for _ in range(100):
        alice.peers.send(mallory.member, append(1, 900), network.now)
        channel = mallory.peers._members[alice.member].channels.sending
        if channel is not None:
            network.send(channel.seal(bytes(8)), VICTIM, alice.address)
        network.run(0.01)
    received = sum(len(data) for data, source, target in network.log if source == VICTIM)
    return sum(map(len, sent_to(network, VICTIM))), received


def test_who_confirms_a_handshake_from_a_victims_address_has_nothing_sent_there():
    network, mallory, alice = forging_pair(4, initiator="mallory")
    sent, received = flood(network, mallory, alice)
    assert sent <= 3 * (received + 200)


def test_who_answers_a_handshake_from_a_victims_address_has_little_sent_there():
    network, mallory, alice = forging_pair(2, 4, initiator="alice")
    sent, received = flood(network, mallory, alice)
    assert sent <= 3 * (received + 1152)


def test_a_forged_source_of_the_last_step_of_a_handshake_costs_the_real_peer_little():
    """Somebody on the way sends on the RESPONSE as if from elsewhere, once; all else comes from the peer."""
    network = Forging()
    network.delay_s = 0.02
    bob, alice = network.player(1), network.player(2)
    network.forger, network.kinds = bob.address, (2,)
    meet(bob, alice)
    alice.peers.connect(bob.member, network.now)
    network.run(0.05)
    network.kinds = ()
    heard = talk(network, alice, bob, seconds=1)
    assert way(alice, bob) == bob.address
    assert heard[bob.member][0][0] < network.now - 1 + 0.3


def test_a_handshake_over_a_direct_path_moves_nothing_from_a_relayed_one_before_an_answer():
    network, alice, bob, carol = two_homes(fickle=True)
    talk(network, alice, bob, carol, seconds=3)
    peer = alice.peers._members[bob.member]
    assert isinstance(peer.paths.active, Relayed)
    peer.paths.channel_made(VICTIM, network.now, size=1152, is_new_process=False, is_proved=False)
    assert isinstance(peer.paths.active, Relayed)


def test_a_relay_cannot_speak_for_whom_it_likes():
    network, alice, bob, carol = two_homes(fickle=True)
    talk(network, alice, bob, carol, seconds=3)
    held, relaying = [], carol.peers._context.relaying
    original = carol.peers._members[bob.member].emit

    def keep(content, now, **options):
        held.append(content)
        return True

    carol.peers._members[bob.member].emit = keep
    alice.peers.send(bob.member, notice(7), network.now)
    network.run(0.1)
    as_another = bytearray(held[-1])
    as_another[2:14] = short_id(carol.member)
    original(bytes(as_another), network.now)
    network.run(0.1)
    assert Relayed(carol.member, short_id(carol.member)) not in bob.peers._members[alice.member].paths.known
    assert relaying.passed_on and bob.peers.counters["relay: in another's name"] == 1


def test_initiations_through_one_relay_have_one_rate_whomever_it_names(monkeypatch):
    network = Network()
    mallory, alice = pair(network)
    reads = []
    monkeypatch.setattr(Gatekeeper, "_read", lambda *_, **__: reads.append(1) or "not authentic")
    gate = alice.peers._gatekeeper
    monkeypatch.setattr(gate, "_secrets_of", lambda digest, mac1: alice.peers.secrets[0])
    monkeypatch.setattr(gate, "_has_valid_mac2", lambda *_: True)
    for number in range(2_000):
        datagram = bytes([1, 1, 0, 0]) + number.to_bytes(4, "little") * 287
        source = Relayed(mallory.member, number.to_bytes(12, "little"))
        gate.initiation_received(datagram, source, network.now)
    assert len(reads) <= 60


def test_a_guest_is_not_relayed():
    network = HomeNetwork()
    alice, carol = network.player(1), network.player(3)
    meet(alice, carol)
    talk(network, alice, carol, seconds=1)
    newcomer = network.player(9)
    alice.peers.set_invites({b"i" * 16: b"s" * 32})
    newcomer.peers.connect_as_guest(alice.member, (VICTIM,), (b"i" * 16, b"s" * 32), network.now)
    initiation = sent_to(network, VICTIM)[-1]
    as_whom = short_id(newcomer.member)
    carol.peers._members[alice.member].emit(frames.relay(frames.PASSED_ON, as_whom, initiation), network.now)
    network.run(0.1)
    assert not alice.peers._gatekeeper.guests
    assert relayed_by(network, alice) == []


def test_a_pong_that_slept_for_an_hour_tells_no_round_trip():
    network = Network()
    alice, bob = pair(network)
    talk(network, alice, bob, seconds=1)
    before = alice.peers.round_trip_s(bob.member)
    alice.peers._members[bob.member].ping(network.now)
    held = network._queue.copy()
    network._queue.clear()
    for _, _, data, source, target in held:
        network.players[target].peers.datagram_received(data, source, network.now)
    late = network._queue.copy()
    network._queue.clear()
    for _, _, data, source, _ in late:
        alice.peers.datagram_received(data, source, network.now + 100)
    assert abs(alice.peers.round_trip_s(bob.member) - before) < 0.1


def test_a_peer_that_was_away_for_an_hour_is_watched_as_closely_as_before():
    network = Network(delay_s=0.01)
    alice, bob = pair(network)
    talk(network, alice, bob, seconds=1)
    network.cut.add(bob.address)
    talk(network, alice, seconds=0.1)
    alice.peers.send(bob.member, notice(1), network.now)
    network.run(170 - 3)  # the channel is still good
    network.cut.clear()
    bob.peers.send(alice.member, notice(1), network.now)
    network.run(0.05)
    assert alice.peers._members[bob.member].paths._patience_s() < 5


def test_two_that_ask_each_other_over_a_very_long_way_come_to_rest():
    network = Network(delay_s=0.7)
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    alice.peers.connect(bob.member, network.now)
    network.run(20)
    network.log.clear()
    network.run(60)
    assert len(network.log) < 60


class TwoNets(Network):
    """Everybody has a second address, from which goes what is for the second of another."""

    def send(self, data, source, target):
        super().send(data, second(source) if target.ip.startswith("10.1.") else source, target)

    def receiver(self, source, target):
        return Address(target.ip.replace("10.1.", "10.0."), target.port)


def second(address):
    return Address(address.ip.replace("10.0.", "10.1."), address.port)


def test_two_that_prefer_different_ways_settle_on_one():
    network = TwoNets(delay_s=0.01)
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    talk(network, alice, bob, seconds=1)
    paths = alice.peers._members[bob.member].paths
    alice.peers._members[bob.member].ping(network.now)
    paths.ping(network.now, second(bob.address))
    network.run(0.5)
    path = paths.known[second(bob.address)]
    paths._take(path, network.now)  # as if both had chosen at the same moment
    talk(network, alice, bob, seconds=5)
    network.log.clear()
    switches = paths.switches + bob.peers._members[alice.member].paths.switches
    talk(network, alice, bob, seconds=20)
    assert paths.switches + bob.peers._members[alice.member].paths.switches - switches <= 1
    assert len(network.log) < 2 * 20 / 0.03 * 1.2, "what they say, and little else"
    assert (way(alice, bob) == bob.address) == (way(bob, alice) == alice.address)


def test_a_path_that_works_is_not_crowded_out_by_places_that_never_answer():
    network, alice, bob, carol = relayed_in_one_home()
    talk(network, alice, bob, carol, seconds=40)
    paths = alice.peers._members[bob.member].paths
    spare = next(place for place in paths.known if isinstance(place, Relayed))
    for number in range(20):
        paths.heard(Address(f"198.51.{number}.1", 4000), 100, network.now)
    assert spare in paths.known and len(paths.known) == 4
