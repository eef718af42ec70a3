"""A snapshot whose transfer broke off goes on where it was: by its content's digest, and by what is there."""

from __future__ import annotations

import pytest
from memory_network import Network, Player, announcement, meet, pair

from failover.net import frames
from failover.net.arriving import KEPT_S, Arriving
from failover.net.transfers import SNAPSHOT_SILENCE_S, SNAPSHOTS_AT_ONCE, MemorySink, MemorySource

SIZE = 2_000_000
CHUNKS = -(-SIZE // 1088)
CONTENT = bytes(range(250)) * (SIZE // 250)


def send(network: Network, sender: Player, receiver: Player, content: bytes = CONTENT) -> None:
    source = MemorySource(content)
    sender.peers.send_snapshot(receiver.member, announcement(sender, source.size), source, network.now)


def chunks_sent(network: Network, sender: Player) -> int:
    return sum(len(data) == 1131 for data, source, _ in network.log if source == sender.address)


def slow() -> Network:
    """The whole snapshot takes 1.6 s."""
    return Network(1, delay_s=0.01, bytes_per_s=1_250_000)


def arrived_whole(receiver: Player, sender: Player) -> bool:
    return receiver.peers.snapshot_inbox == [(sender.member, announcement(sender, SIZE), CONTENT)]


def test_a_transfer_that_fell_silent_goes_on_where_it_was():
    network = slow()
    alice, bob = pair(network)
    send(network, alice, bob)
    network.run(1)
    network.cut.add(bob.address)
    network.run(SNAPSHOT_SILENCE_S + 5)
    assert alice.peers.snapshots_done == [(bob.member, False)] and alice.peers.status().peers[0].transfers_out == 0
    network.cut.clear()
    network.run(5)
    network.log.clear()
    send(network, alice, bob)
    network.run(3)
    assert arrived_whole(bob, alice)
    assert chunks_sent(network, alice) < 0.6 * CHUNKS


def test_a_silence_that_is_not_too_long_costs_nothing_but_time():
    network = slow()
    alice, bob = pair(network)
    send(network, alice, bob)
    network.run(1)
    network.cut.add(bob.address)
    network.run(10)
    network.cut.clear()
    network.run(6)
    assert arrived_whole(bob, alice) and alice.peers.snapshots_done == [(bob.member, True)]
    assert chunks_sent(network, alice) < 1.15 * CHUNKS


def test_another_leader_with_the_same_snapshot_goes_on():
    network = slow()
    alice, bob, carol = (network.player(number) for number in (1, 2, 3))
    meet(alice, bob, carol)
    for each in (alice, carol):
        each.peers.connect(bob.member, network.now)
    network.run(1)
    send(network, alice, bob)
    network.run(1)
    network.cut.add(alice.address)
    send(network, carol, bob)  # at once: bob has not even noticed that alice is gone
    network.run(3)
    assert arrived_whole(bob, carol)
    assert chunks_sent(network, carol) < 0.6 * CHUNKS
    assert not bob.peers._context.shelf.arriving


def test_the_sender_begins_anew_with_another_process():
    network = slow()
    alice, bob = pair(network)
    send(network, alice, bob)
    network.run(1)
    alice.restart()
    meet(alice, bob)
    alice.peers.connect(bob.member, network.now)
    network.run(1)
    network.log.clear()
    send(network, alice, bob)
    network.run(3)
    assert arrived_whole(bob, alice)
    assert chunks_sent(network, alice) < 0.6 * CHUNKS


def test_another_content_begins_at_its_beginning():
    """Two members' snapshots of one index need not have the same bytes: only the digest says so."""
    network = slow()
    alice, bob = pair(network)
    send(network, alice, bob)
    network.run(1)
    other = CONTENT[::-1]
    send(network, alice, bob, other)
    network.run(4)
    assert bob.peers.snapshot_inbox == [(alice.member, announcement(alice, SIZE), other)]


def test_a_rekey_in_the_middle_changes_nothing():
    network = slow()
    alice, bob = pair(network)
    send(network, alice, bob)
    network.run(0.5)
    before = alice.peers._members[bob.member].channels.sending
    alice.peers._members[bob.member].handshaking.start(network.now)
    network.run(3)
    assert alice.peers._members[bob.member].channels.sending is not before
    assert arrived_whole(bob, alice)
    assert chunks_sent(network, alice) < 1.05 * CHUNKS


# What is kept is bounded.


class Counted(MemorySink):
    """Counts how many there are."""

    there = 0

    def __init__(self):
        super().__init__()
        Counted.there += 1

    def abort(self):
        Counted.there -= 1


@pytest.fixture
def counted():
    Counted.there = 0
    return lambda member, header, size: Counted()


def test_what_nobody_comes_for_is_deleted(counted):
    network = slow()
    alice, bob = pair(network, open_sink=counted)
    send(network, alice, bob)
    network.run(1)
    network.cut.add(alice.address)
    network.run(SNAPSHOT_SILENCE_S + 5)
    assert Counted.there == 1 and bob.peers.status().peers[0].transfers_in == 0
    network.run(KEPT_S + 30)
    assert Counted.there == 0


def test_one_is_kept_and_no_more(counted):
    network = slow()
    alice, bob = pair(network, open_sink=counted)
    for number in range(5):
        send(network, alice, bob, bytes([number]) * SIZE)
        network.run(0.3)
    assert Counted.there == 2  # the last one, and the one before


def test_of_many_senders_two_at_once_may_fill_the_disk(counted):
    network = slow()
    bob = network.player(1, open_sink=counted)
    others = [network.player(2 + number) for number in range(5)]
    meet(bob, *others)
    for each in others:
        each.peers.connect(bob.member, network.now)
    network.run(1)
    for number, each in enumerate(others):
        send(network, each, bob, bytes([number]) * SIZE)
        network.run(0.1)
    assert Counted.there == SNAPSHOTS_AT_ONCE
    assert bob.peers.counters["transfer: too many snapshots"] == 3
    assert [bool(each.peers.snapshots_done) for each in others] == [False, False, True, True, True]


def test_rubbish_under_anothers_digest_costs_one_transfer():
    """The next transfer goes on from it, ends with a wrong digest, and the one after that begins anew."""
    network = slow()
    alice, mallory, bob = (network.player(number) for number in (1, 2, 3))
    meet(alice, mallory, bob)
    for each in (alice, mallory):
        each.peers.connect(bob.member, network.now)
    network.run(1)
    peer = mallory.peers._members[bob.member]
    header = alice.peers._context.codec.encode(announcement(mallory, SIZE))
    peer.emit(frames.open_snapshot(1, SIZE, MemorySource(CONTENT).digest, header), network.now)
    peer.emit(frames.chunk(1, 0, bytes(1088)), network.now)
    network.run(0.1)
    send(network, alice, bob)
    network.run(3)
    assert bob.peers.counters["transfer: wrong digest"] == 1
    assert alice.peers.snapshots_done == [(bob.member, False)] and not bob.peers.snapshot_inbox
    send(network, alice, bob)
    network.run(3)
    assert arrived_whole(bob, alice)


@pytest.mark.parametrize(("below", "bitmap"), [(CHUNKS, 0), (CHUNKS + 1, 0), (2**32 - 1, 0), (CHUNKS - 1, 1)])
def test_an_accept_that_tells_of_too_much_is_dropped(below, bitmap):
    network = slow()
    alice, bob = pair(network, open_sink=lambda member, header, size: None)
    network.cut.add(bob.address)
    send(network, alice, bob)
    peer = alice.peers._members[bob.member]
    peer.sender.accepted(frames.Accept(1, below, bitmap), network.now)
    assert alice.peers.counters["transfer: impossible ACCEPT"] == 1 and chunks_sent(network, alice) == 0


def test_an_answer_that_is_lost_at_the_end_is_asked_for():
    """All chunks were answered one by one, only that it is complete was not."""
    network = slow()
    alice, bob = pair(network)
    peer = bob.peers._members[alice.member]
    lost = []

    def emit(content, now):
        if content == frames.ack(1, CHUNKS, 0) and not lost:
            lost.append(content)
            return True
        return peer.emit(content, now)

    peer.receiver._emit = emit
    send(network, alice, bob)
    network.run(4)
    assert lost and alice.peers.snapshots_done == [(bob.member, True)]


class Slow(MemorySink):
    """Its disk is behind, then it takes a while to look."""

    looks = 0

    @property
    def is_busy(self):
        return 200 < len(self._pieces) < 1000 and self.is_behind

    is_behind = True

    def outcome(self):
        self.looks += 1
        return super().outcome() if self.looks > 50 else None


def test_a_slow_disk_holds_the_sender_back_and_the_check_is_waited_for():
    network = slow()
    sink = Slow()
    alice, bob = pair(network, open_sink=lambda member, header, size: sink)
    send(network, alice, bob)
    network.run(1)
    assert len(sink._pieces) == 201 and bob.peers.counters["transfer: no room for chunk"] > 10
    sink.is_behind = False
    network.run(6)
    assert arrived_whole(bob, alice) and alice.peers.snapshots_done == [(bob.member, True)]
    assert sink.looks == 51


def test_what_arrived_is_kept_like_a_set():
    """Against the obvious way, in an order that has many gaps."""
    arriving, there = Arriving(frames.Open(1, True, 1088 * 300, b"", b"h"), 0.0), set()
    for step in range(300):
        number = step * 77 % 300
        arriving.take(number)
        there.add(number)
        below = next(n for n in range(301) if n not in there)
        assert arriving.below == below and all(arriving.has(n) == (n in there) for n in range(300))
    assert arriving.is_complete and arriving.arrived == (299, 0)
