"""Joining: a newcomer with a ticket speaks JOIN, and nothing else is read from it."""

import pytest
from memory_network import SECRETS, JoinRequest, Network, Welcome, meet, notice

from failover.net import frames
from failover.net.peers import Secrets

INVITE, SECRET = b"i" * 16, b"s" * 32


def newcomer(network, number=9):
    """It knows the gate, from its ticket, and no psk."""
    return network.player(number, secrets=Secrets(0, bytes(32), SECRETS.gate))


def party(network):
    host, guest = network.player(1), newcomer(network)
    host.peers.set_members({host.member: (host.address,)})
    host.peers.set_invites({INVITE: SECRET})
    return host, guest


def knock(network, host, guest, invite=INVITE, secret=SECRET):
    guest.peers.connect_as_guest(host.member, (host.address,), (invite, secret), network.now)
    guest.peers.send_as_guest(host.member, JoinRequest("zoe"), network.now)
    network.run(1)


def test_a_newcomer_asks_is_answered_and_becomes_a_member():
    network = Network(2, loss=0.0)
    host, guest = party(network)
    knock(network, host, guest)
    assert host.peers.guest_inbox == [(guest.member, JoinRequest("zoe"))]
    assert host.peers.peer_name(guest.member) == "player 9"
    host.peers.set_invites({})  # used up; the answer still goes out
    host.peers.send_to_guest(guest.member, Welcome(1), network.now)
    network.run(0.1)
    assert guest.peers.guest_inbox == [(host.member, Welcome(1))]
    guest.peers.set_secrets([SECRETS])
    meet(host, guest)
    guest.peers.disconnect_as_guest()
    guest.peers.connect(host.member, network.now)
    network.run(0.1)
    host.peers.send(guest.member, notice(1), network.now)
    network.run(0.1)
    assert guest.received() == [notice(1)]


def test_joining_crosses_a_lossy_network():
    for seed in range(10):
        network = Network(seed, loss=0.3, jitter_s=0.02)
        host, guest = party(network)
        for _ in range(20):
            knock(network, host, guest)
        assert (guest.member, JoinRequest("zoe")) in host.peers.guest_inbox, seed


@pytest.mark.parametrize(("invite", "secret"), [(b"x" * 16, SECRET), (INVITE, b"x" * 32)])
def test_a_closed_invite_or_a_wrong_secret_opens_nothing(invite, secret):
    network = Network()
    host, guest = party(network)
    knock(network, host, guest, invite, secret)
    assert host.peers.guest_inbox == [] and not guest.peers.is_connected(host.member)
    if invite != INVITE:
        assert [data for data, source, _ in network.log if source == host.address] == []


def test_nothing_but_join_is_read_from_a_guest():
    network = Network()
    host, guest = party(network)
    knock(network, host, guest)
    peer = guest.peers._contacts[host.member]
    codec = guest.peers._context.codec
    for content in (
        frames.message(codec.encode(notice(1))),
        frames.open_batch(1, 100),
        frames.candidate_addresses(()),
        frames.join(codec.encode(notice(1))),  # not a kind for guests
        frames.join(b"\xff"),
    ):
        peer.emit(content, network.now)
    network.run(0.1)
    assert host.peers.inbox == []
    assert host.peers.guest_inbox == [(guest.member, JoinRequest("zoe"))]
    assert host.peers.counters["guest: frame not allowed"] == 3
    assert host.peers.counters["guest: message not allowed"] == 1
    assert host.peers.counters["guest: malformed"] == 1


def test_join_on_a_members_channel_is_not_read():
    network = Network()
    alice, bob = network.player(1), network.player(2)
    meet(alice, bob)
    alice.peers.connect(bob.member, network.now)
    network.run(0.1)
    alice.peers._members[bob.member].emit(frames.join(b"x"), network.now)
    network.run(0.1)
    assert bob.peers.guest_inbox == [] and bob.peers.counters["data: frame not allowed"] == 1


def test_a_guest_that_left_is_forgotten():
    network = Network()
    host, guest = party(network)
    knock(network, host, guest)
    del network.players[guest.address]
    network.run(200)
    assert host.peers.status().guests == ()
    assert host.peers._context.channels == {}
    host.peers.send_to_guest(guest.member, Welcome(1), network.now)
    assert host.peers.counters["send: no such guest"] == 1


def test_a_join_message_larger_than_a_datagram_is_the_callers_mistake():
    network = Network()
    host, guest = party(network)
    knock(network, host, guest)
    with pytest.raises(ValueError, match="at most"):
        guest.peers.send_as_guest(host.member, JoinRequest("z" * 2000), network.now)


@pytest.mark.parametrize("says", ["nothing", "pings", "what it may not"])
def test_a_guest_that_does_not_ask_is_dropped_after_fifteen_seconds_and_one_that_asks_is_not(says):
    network = Network()
    host, guest = party(network)
    knock(network, host, guest)
    peer = guest.peers._contacts[host.member]
    for _ in range(30):
        guest.peers.send_as_guest(host.member, JoinRequest("zoe"), network.now)
        network.run(1)
    assert host.peers.status().guests == (guest.member,)
    for _ in range(16):
        if says == "pings":
            peer.ping(network.now)
        elif says == "what it may not":
            peer.emit(frames.message(b"\xff"), network.now)
        network.run(1)
    assert host.peers.status().guests == ()
    assert host.peers._context.channels == {}
