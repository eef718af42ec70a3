"""Who met a later run of a storage refuses its copies and backups, and tells them; nobody else can."""

from collections import Counter

import pytest
from attackers import STRANGER, initiation_by_thief_of, initiation_to, sent_to
from memory_network import Network, Player, meet, notice, pair

from failover.ids import MemberId
from failover.net.addresses import Address
from failover.net.runs import MET_MAX, NO_RUN, Run, Runs, sealed_run

KEY = b"\x02" * 32


def met_three_times(network: Network) -> tuple[Player, Player]:
    """Alice has met three runs of Bob: 10, 20 and 30."""
    alice, bob = pair(network)
    for _ in range(2):
        bob.restart()
        reconnect(network, alice, bob)
    assert alice.peers.runs.met[bob.member] == bob.peers.runs.own and bob.incarnation == 30
    return alice, bob


def reconnect(network: Network, alice: Player, bob: Player) -> None:
    meet(alice, bob)
    bob.peers.connect(alice.member, network.now)
    network.run(1)


def restarted(player: Player, **options: object) -> None:
    """The next process of the player, with what it noted of the others."""
    player.restart(met=player.peers.runs.met, **options)


def from_backup(bob: Player, of: int, incarnation: int = 1000) -> None:
    """Bob's process on a storage of long ago; its clock gives a new number."""
    bob.peers = bob.build(previous_incarnation=of, incarnation=incarnation)


OWN = sealed_run(KEY, 30, b"now now.")


def another(incarnation: int, key: bytes = KEY) -> Run:
    return sealed_run(key, incarnation, b"elswhere")


def runs() -> Runs:
    return Runs(KEY, OWN, 20, {}, Counter())


@pytest.mark.parametrize("backup_of", [0, 10, 20])
def test_a_backup_is_told_which_run_it_does_not_know_of_and_gets_no_channel(backup_of):
    network = Network()
    alice, bob = met_three_times(network)
    newest = bob.peers.runs.own
    from_backup(bob, backup_of)
    called = []
    bob.peers.runs.on_later = lambda: called.append(bob.peers.runs.later)
    reconnect(network, alice, bob)
    assert called == [newest] == [bob.peers.runs.later]
    assert bob.peers._members[alice.member].channels.is_empty
    assert alice.peers.status().rolled_back == {bob.member}


def test_nothing_passes_in_either_direction_before_it_is_told():
    network = Network(delay_s=0.05)
    alice, bob = met_three_times(network)
    from_backup(bob, 10)
    meet(alice, bob)
    alice.received()
    for number in range(50):
        bob.peers.send(alice.member, notice(number), network.now)
        alice.peers.send(bob.member, notice(number), network.now)
        network.run(0.05)
    assert alice.received() == [] and bob.received() == [] and bob.peers.runs.later is not None


def test_a_backup_is_found_by_a_peer_that_has_restarted_since():
    network = Network()
    alice, bob = met_three_times(network)
    restarted(alice)
    from_backup(bob, 20)
    reconnect(network, alice, bob)
    assert bob.peers.runs.later is not None
    assert bob.peers._members[alice.member].channels.is_empty


def test_a_backup_whose_clock_gives_a_number_that_was_there_before_is_found_too():
    network = Network()
    alice, bob = met_three_times(network)
    from_backup(bob, 20, incarnation=30)
    meet(alice, bob)
    bob.peers.connect(alice.member, network.now)
    network.run(5)
    assert bob.peers.runs.later is not None and bob.peers._members[alice.member].channels.is_empty


def test_it_is_found_whoever_begins():
    network = Network()
    alice, bob = met_three_times(network)
    restarted(alice)
    from_backup(bob, 20)
    meet(alice, bob)
    alice.peers.connect(bob.member, network.now)
    network.run(1)
    assert not alice.peers.is_connected(bob.member) and alice.received() == []
    bob.peers.connect(alice.member, network.now)
    network.run(1)
    assert bob.peers.runs.later is not None


def test_a_storage_whose_copy_ran_later_is_told_while_it_runs():
    """The copy looks like the next run; the original is the one that goes on making initiations."""
    network = Network()
    alice, bob = met_three_times(network)
    original = bob.peers
    copy = network.player(3)
    copy.private_key = bob.private_key
    copy.peers = copy.build(previous_incarnation=30, incarnation=40)
    alice.peers.set_members({bob.member: (bob.address,)})
    copy.peers.set_members({alice.member: (alice.address,)})
    copy.peers.connect(alice.member, network.now)
    network.run(1)
    assert copy.peers.is_connected(alice.member) and copy.peers.runs.later is None
    network.run(60)
    assert original.runs.later == copy.peers.runs.own
    assert copy.peers.is_connected(alice.member)


def test_the_answer_is_as_long_as_the_question_and_comes_once():
    network = Network()
    alice, bob = met_three_times(network)
    from_backup(bob, 10)
    bob.peers.set_members({alice.member: (alice.address,)})
    network.log.clear()
    network.cut.add(alice.address)
    bob.peers.connect(alice.member, network.now)
    question = network.log[0][0]
    network.cut.clear()
    network.log.clear()
    for _ in range(20):
        alice.peers.datagram_received(question, STRANGER, network.now)
    assert [len(data) for data in sent_to(network, STRANGER)] == [1152] == [len(question)]


def test_replays_of_an_honest_earlier_run_are_not_answered():
    """Recorded on the way, from processes that ended in order; sent again, as if from a victim's address."""
    network = Network()
    alice, bob = met_three_times(network)
    recorded = [data for data, source, _ in network.log if source == bob.address and data[0] == 1]
    restarted(alice)
    meet(alice, bob)
    network.log.clear()
    for data in recorded:
        alice.peers.datagram_received(data, STRANGER, network.now)
    answers = sent_to(network, STRANGER)
    of_the_newest = [data for data in recorded if data in recorded[-1:]]
    assert len(answers) <= len(of_the_newest), "the newest run alone may be asked to prove itself again"
    assert alice.peers.status().rolled_back == frozenset()


def test_a_stranger_and_a_thief_of_our_key_learn_nothing_and_move_nothing():
    network = Network()
    alice, bob = met_three_times(network)
    before = dict(alice.peers.runs.met)
    network.log.clear()
    for attempt, incarnation in enumerate((15, 31, 2**64 - 1)):
        forged = initiation_by_thief_of(alice, bob.member, incarnation=incarnation, attempt=attempt)
        alice.peers.datagram_received(forged, STRANGER, network.now)
        _, strange = initiation_to(alice, private_key=b"\x77" * 32, incarnation=incarnation, previous=0)
        alice.peers.datagram_received(strange, Address("203.0.113.9", 9), network.now)
    assert all(len(data) == 1152 for data in sent_to(network, STRANGER))
    assert sent_to(network, Address("203.0.113.9", 9)) == []
    assert alice.peers.runs.met == before
    bob.peers.send(alice.member, notice(7), network.now)
    network.run(0.1)
    assert notice(7) in alice.received()


@pytest.mark.parametrize(
    "shown",
    [
        Run(35, bytes(24)),
        another(35, key=b"\x03" * 32),
        Run(35, another(34).seal),
        OWN,
        another(20),
        another(5),
        NO_RUN,
        Run(2**64 - 1, b"x" * 24),
    ],
    ids=[
        "no seal",
        "another key",
        "of another run",
        "this run",
        "the run before",
        "an older run",
        "none",
        "guessed",
    ],
)
def test_a_lying_member_cannot_make_an_honest_one_stop(shown):
    mine = runs()
    mine.on_later = lambda: pytest.fail("believed")
    mine.shown(shown)
    assert mine.later is None and mine._counters["response: later run without proof"] == 1


@pytest.mark.parametrize("incarnation", [21, 29, 30, 31, 10**12])
def test_a_run_that_this_storage_cannot_know_of_is_believed_with_its_seal(incarnation):
    mine = runs()
    mine.shown(another(incarnation))
    assert mine.later == another(incarnation)


def test_a_member_that_lies_over_the_wire_stops_nobody():
    network = Network()
    alice, bob = pair(network)
    alice.peers._members[bob.member].freshness.run = Run(10**6, b"a guess of 24 bytes.....")
    bob.peers = bob.build(previous_incarnation=10, incarnation=10**7)
    reconnect(network, alice, bob)
    assert bob.peers.runs.later is None
    assert bob.peers.counters["response: later run without proof"] > 0


def test_a_guest_with_an_old_storage_is_told_too():
    network = Network()
    alice, bob = met_three_times(network)
    from_backup(bob, 10)
    alice.peers.set_invites({b"i" * 16: b"s" * 32})
    bob.peers.connect_as_guest(alice.member, (alice.address,), (b"i" * 16, b"s" * 32), network.now)
    network.run(1)
    assert bob.peers.runs.later is not None and not bob.peers.is_connected(alice.member)


def test_restarts_however_many_are_no_copies():
    network = Network(3, loss=0.2, jitter_s=0.03, duplicates=0.1)
    alice, bob = pair(network)
    for round_ in range(20):
        for player in (alice, bob) if round_ % 3 == 0 else ((alice,), (bob,))[round_ % 2]:
            restarted(player)
        meet(alice, bob)
        alice.peers.connect(bob.member, network.now)
        bob.peers.connect(alice.member, network.now)
        network.run(5)
        assert alice.peers.is_connected(bob.member)
    for player in (alice, bob):
        assert player.peers.runs.later is None and player.peers.status().rolled_back == frozenset()


def test_what_is_remembered_of_runs_is_bounded():
    mine = runs()
    for number in range(2 * MET_MAX):
        mine.proved(MemberId(number.to_bytes(32, "big")), another(1))
    assert len(mine.met) == MET_MAX
    newest = MemberId((2 * MET_MAX - 1).to_bytes(32, "big"))
    assert newest in mine.met and mine.of(MemberId(bytes(32))) == NO_RUN
