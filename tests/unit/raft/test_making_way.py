"""A leader that is of no use as a host makes way for one that is, by itself."""

from __future__ import annotations

from harness import A, B, Bench, C, D, entry, log_of, vote

from failover.ids import LogIndex, Term
from failover.raft.core import Role
from failover.raft.effects import StopReason
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, AppendResponse, HandOver, Heartbeat, HeartbeatResponse, Release
from failover.testing.core_simulation import CoreSimulation

WITNESSED = Membership(frozenset((A, B, C)), witnesses=frozenset((C,)))
"""A and B are players; C is a witness."""


def witness_with(*followers) -> Bench:
    """C leads since its log is the longest; these answered its vote and its heartbeat, and hold nothing yet."""
    return Bench(C, log=log_of(1, 1, 1, membership=WITNESSED)).win(followers).answer_heartbeats(*followers)


# --- a witness ---


def test_a_witness_brings_the_other_player_up_to_date_and_hands_over():
    """The host crashed after a commit with the witness; the other player lacked that."""
    witness = witness_with(B)
    assert not witness.take(HandOver), "its own no-op is not committed"
    assert witness.answer_appends(B).take(HandOver, B) == [HandOver(Term(2), Release(C, Term(2)))]
    witness.get(B, vote(3, (9, 9), Release(C, Term(2))))
    assert witness.core.role is Role.FOLLOWER and witness.core.voted_for == B


def test_a_witness_hands_over_to_whoever_is_there_first():
    witness = witness_with(A, B)
    witness.answer_appends(A)
    assert witness.take(HandOver, A)


def test_a_witness_waits_for_a_player():
    """The only live player is catching up: a witness is better than nobody, and it keeps its lease."""
    witness = witness_with(A)
    witness.get(A, AppendResponse(Term(2), True, LogIndex(2)))
    witness.keep_lease(5.0, A)
    assert witness.core.role is Role.LEADER and not witness.hosted
    assert not witness.take(HandOver)
    witness.answer_appends(A)
    assert witness.take(HandOver, A)


def test_a_witness_tries_another_player_when_the_first_goes_silent():
    witness = witness_with(A, B)
    witness.get(A, AppendResponse(Term(2), True, witness.core.log.last_index))
    assert witness.take(HandOver, A)
    witness.at(witness.now + 0.16)
    assert witness.core.leadership is None, "released, so it cannot lead on"
    witness.win((A, B)).answer_heartbeats(A, B).answer_appends(A, B)
    assert witness.take(HandOver, A) == [] and witness.core.leadership.handing_over.target == B


def test_a_witness_promotes_a_warm_player_where_no_player_votes_any_more():
    """Two witnesses outlived the only voting player."""
    membership = Membership(frozenset((A, B, C)), learners=frozenset((D,)), witnesses=frozenset((B, C)))
    witness = Bench(C, log=log_of(1, membership=membership)).win((B,)).answer_heartbeats(B, D).answer_appends(B, D)
    for _ in range(3):
        witness.keep_lease(0.05, B, D).answer_appends(B, D)
    assert D in witness.core.log.membership.voters
    assert witness.core.leadership.handing_over.target == D


# --- a leader without a vote ---


def test_a_leader_whose_vote_goes_with_the_change_it_completes_makes_way():
    """It won in the joint membership that its predecessor began, and the log obliges it to go on with that."""
    joint = Membership(frozenset((B, C, D)), outgoing=frozenset((A, B, C)), learners_next=frozenset((A,)))
    leader = Bench(A, log=[*log_of(1), entry(2, 1, membership=joint)]).win((B, C, D))
    leader.answer_heartbeats(B, C, D).answer_appends(B, C, D)
    assert leader.core.log.membership == joint.leaving()
    leader.answer_appends(B, C, D)
    assert leader.core.leadership.handing_over.stopped and leader.take(HandOver)


# --- a server function that never ends ---


def stuck_leader() -> Bench:
    """It leads again, while the server function of its earlier tenure still unwinds."""
    leader = Bench(A).lead()
    leader.host_is_slow = True
    leader.at(leader.core.lease_until).win().answer_heartbeats(B, C).answer_appends(B, C)
    assert leader.hosted == [2] and leader.core.role is Role.LEADER
    leader.sent.clear()
    return leader


def test_a_leader_whose_server_function_never_ends_hands_over_so_that_there_is_a_host():
    leader = stuck_leader()
    leader.keep_lease(0.9, B, C)
    assert not leader.take(HandOver), "most functions end within a second"
    leader.keep_lease(0.3, B, C)
    assert leader.take(HandOver), "that old tenure's lease is long over: nothing to wait for"


def test_a_leader_whose_server_function_ends_in_time_hosts():
    leader = stuck_leader()
    leader.keep_lease(0.9, B, C).core.host_stopped(leader.now)
    leader.round().keep_lease(1.0, B, C)
    assert leader.hosted == [2, leader.core.term] and not leader.take(HandOver)


def test_a_leader_whose_server_function_never_ends_stays_when_nobody_else_could_host():
    alone = Bench(A, log=log_of(1, membership=WITNESSED)).lead((C,))
    alone.host_is_slow = True
    alone.at(alone.core.lease_until).win((C,)).answer_heartbeats(C).answer_appends(C)
    alone.keep_lease(3.0, C)
    assert alone.core.role is Role.LEADER and not alone.take(HandOver)
    alone.core.host_stopped(alone.now)
    assert alone.round().hosted == [2, alone.core.term]


def test_who_still_unwinds_stands_last():
    rested, unwinding = Bench(A).lead(), Bench(A).lead()
    unwinding.host_is_slow = True
    for bench in (rested, unwinding):
        bench.sent.clear()
    assert rested.stand().now < unwinding.stand().now


# --- a leader whose entries do not arrive ---


def answer_without_entries(leader: Bench, seconds: float, *, reaches: int) -> Bench:
    """B and C renew the lease, and say that their logs reach so far."""
    until = leader.now + seconds
    while leader.now < until and leader.core.leadership is not None:
        leader.at(leader.now + 0.02)
        beats = [m for _, m in leader.sent if isinstance(m, Heartbeat)]
        leader.sent.clear()
        for follower in (B, C) if beats else ():
            answer = HeartbeatResponse(leader.core.term, beats[-1].round, beats[-1].promise_s, LogIndex(reaches))
            leader.get(follower, answer)
    return leader


def test_a_leader_whose_entries_never_arrive_makes_way():
    """Symptom: followers that still hear a useless leader elect nobody (cockroachdb/cockroach#107060)."""
    leader = Bench(A).lead()
    leader.propose()
    answer_without_entries(leader, 4.5, reaches=2)
    assert leader.core.role is Role.LEADER, "a slow link may take so long"
    answer_without_entries(leader, 1.0, reaches=2)
    assert leader.core.leadership is None and leader.stops == [StopReason.LEASE_LOST]


def test_a_leader_whose_followers_wait_for_their_disks_stays():
    leader = Bench(A).lead()
    leader.propose()
    answer_without_entries(leader, 30.0, reaches=3)
    assert leader.core.role is Role.LEADER and not leader.stops


def test_a_leader_whose_follower_takes_a_snapshot_stays():
    leader = Bench(A).lead()
    leader.propose()
    leader.core.leadership.replication.progress[B].needs_snapshot(LogIndex(2), Term(2), leader.now)
    answer_without_entries(leader, 30.0, reaches=0)
    assert leader.core.role is Role.LEADER


def test_a_leader_with_nothing_to_commit_stays():
    leader = Bench(A).lead()
    answer_without_entries(leader, 30.0, reaches=0)
    assert leader.core.role is Role.LEADER


def test_making_way_in_vain_is_done_ever_more_rarely():
    """Nobody else can lead either: its entries are the only ones that there are."""
    leader = Bench(A).lead()
    led_s = []
    for _ in range(3):
        leader.propose()
        began = leader.now
        answer_without_entries(leader, 100.0, reaches=2)
        led_s.append(leader.now - began)
        leader.sent.clear()
        leader.win().answer_heartbeats(B, C)
    assert led_s[0] < 6 < led_s[1] < 11 < led_s[2]


def test_members_whose_leader_is_of_no_use_have_another_one_soon():
    """The leader's entries are lost, its heartbeats are not; between the others all is well."""
    simulation = CoreSimulation(1, 3)
    simulation.run_until(lambda: simulation.host() is not None, 5)
    useless = simulation.host()
    deliver = simulation.send

    def send(sender, to, message):
        if sender == useless.me and isinstance(message, AppendEntries) and message.entries:
            return False
        return deliver(sender, to, message)

    simulation.send = send
    simulation.run(1.0)
    useless.propose(b"lost")
    simulation.run_until(lambda: simulation.host() not in (None, useless), 8)
    entry = simulation.host().propose(b"kept")
    simulation.run_until(lambda: len(simulation.one_history.committed) >= entry.index, 1)
