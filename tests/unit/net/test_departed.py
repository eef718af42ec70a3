"""Who has departed: heard for a while, in messages alone, and by nobody's other rights."""

import pytest
from memory_network import Network, append, meet, notice, pair

from failover.net import frames, noise
from failover.net.addresses import Address
from failover.net.frames import Way
from failover.net.peer import Role
from failover.net.peers import Secrets

OLD = [Secrets(epoch, bytes([epoch]) * 32, bytes([100 + epoch]) * 32) for epoch in range(1, 9)]


def departed(network):
    """Bob was a member, and keeps his channel; alice has moved on to the next epoch."""
    alice, bob = pair(network)
    alice.peers.set_members({alice.member: ()}, {bob.member: (bob.address,)})
    return alice, bob


def test_messages_of_who_has_departed_are_read_and_it_can_be_answered():
    network = Network()
    alice, bob = departed(network)
    bob.peers.send(alice.member, notice(1), network.now)
    network.run(0.1)
    alice.peers.send(bob.member, notice(2), network.now)
    network.run(0.1)
    assert alice.received() == [notice(1)] and bob.received() == [notice(2)]


def test_nothing_else_is_read_from_who_has_departed():
    network = Network()
    alice, bob = departed(network)
    peer = bob.peers._members[alice.member]
    bob.peers.send(alice.member, append(50, 1000), network.now)
    for content in (
        frames.open_batch(99, 100),
        frames.candidate_addresses((Address("192.0.2.1", 9),)),
        frames.join(b"x"),
        frames.unreliable(Way.MEMBER, b"g" * 16, 1, b"x"),
    ):
        peer.emit(content, network.now)
    network.run(3)
    there = alice.peers._members[bob.member]
    assert alice.received() == [] and alice.peers.guest_inbox == []
    assert there.told == () and there.receiver.active == 0
    assert alice.peers.counters["departed: frame not allowed"] >= 50


def test_what_was_under_way_to_who_departs_ends_at_once():
    network = Network(delay_s=0.05)
    alice, bob = pair(network)
    alice.peers.send(bob.member, append(500, 1000), network.now)
    network.run(0.06)
    alice.peers.set_members({alice.member: ()}, {bob.member: (bob.address,)})
    there = alice.peers._members[bob.member]
    assert there.sender.active == 0
    network.run(0.2)
    network.log.clear()
    network.run(5)
    assert [data for data, source, _ in network.log if source == alice.address and len(data) > 200] == []


def test_a_departed_process_that_comes_back_is_heard_with_the_old_secrets_alone_and_never_called():
    network = Network()
    alice, bob = pair(network)
    alice.peers.set_secrets([OLD[1], *alice.peers._context.secrets])
    alice.peers.set_members({alice.member: ()}, {bob.member: (bob.address,)})
    bob.peers.set_members({})
    network.run(200)
    assert alice.peers._members[bob.member].channels.is_empty
    network.log.clear()
    network.run(60)
    assert [1 for data, source, _ in network.log if source == alice.address] == []
    bob.restart()
    bob.peers.set_members({alice.member: (alice.address,)})
    bob.peers.send(alice.member, notice(1), network.now)
    network.run(1)
    assert alice.received() == [notice(1)]
    alice.peers.set_members({alice.member: ()})
    network.log.clear()
    bob.peers.connect(alice.member, network.now)
    network.run(10)
    assert [1 for data, source, _ in network.log if source == alice.address] == []


@pytest.mark.parametrize("behind", range(4))
@pytest.mark.parametrize("who", ["initiator", "responder"])
def test_one_that_knows_only_older_secrets_is_met_within_a_second(behind, who):
    network = Network()
    newest = [*reversed(OLD)][:4]
    older = [*reversed(OLD)][behind : behind + 1]
    alice, bob = network.player(1), network.player(2)
    alice.peers.set_secrets(older if who == "initiator" else newest)
    bob.peers.set_secrets(newest if who == "initiator" else older)
    meet(alice, bob)
    alice.peers.connect(bob.member, network.now)
    network.run(1)
    assert alice.peers.is_connected(bob.member) and bob.peers.is_connected(alice.member)


def test_one_that_knows_none_of_the_last_four_gets_nothing():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    alice.peers.set_secrets([*reversed(OLD)][:4])
    bob.peers.set_secrets([*reversed(OLD)][4:])
    meet(alice, bob)
    bob.peers.connect(alice.member, network.now)
    network.run(60)
    assert [1 for data, source, _ in network.log if source == alice.address] == []
    assert not alice.peers.is_connected(bob.member)


def test_a_static_key_in_a_second_spelling_is_refused_whoever_it_would_be(monkeypatch):
    """A removed member whose key is written in another way is the same key, and no member either."""
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    spelled = bytes(bytearray(bob.member[:31]) + bytes([bob.member[31] | 0x80]))
    assert noise._exchange(b"x" * 32, spelled) == noise._exchange(b"x" * 32, bob.member)
    monkeypatch.setattr(
        noise, "public_key", lambda key, real=noise.public_key: spelled if key == bob.private_key else real(key)
    )
    alice.peers.set_members({alice.member: (), spelled: (bob.address,)})  # even if somebody had written it down so
    bob.peers.connect(alice.member, network.now)
    network.run(1)
    assert alice.peers.counters["initiation: static key in a second spelling"] > 0
    assert [1 for data, source, _ in network.log if source == alice.address and data[0] == 2] == []


def test_who_departs_and_was_not_gone_is_a_member_again():
    network = Network()
    alice, bob = departed(network)
    assert alice.peers._members[bob.member].role is Role.DEPARTED
    meet(alice, bob)
    bob.peers.send(alice.member, append(50, 1000), network.now)
    network.run(3)
    assert alice.received() == [append(50, 1000)]
