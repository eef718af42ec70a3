"""Leaders that were given up and were only late: what a cluster learns from it, and what it does not."""

from __future__ import annotations

import pytest
from cluster import Cluster
from harness import A, B, Bench, C, log_of

from failover.ids import MemberId
from failover.raft.core import Role
from failover.raft.suspicion import HALF_LIFE_S, LATE_MAX_S, OUTLASTED_MAX_S, Suspicion
from failover.raft.timing import LEASE_FRACTION, Timing


def three_with_a_leader() -> Cluster:
    cluster = Cluster(*(Bench(name, log=log_of(1)) for name in (A, B, C)))
    return cluster.until(lambda: leader_of(cluster)).run(6.0)


def leader_of(cluster: Cluster) -> MemberId | None:
    hosts = [name for name, bench in cluster.benches.items() if bench.core.tenure is not None]
    return hosts[0] if hosts else None


def stall(cluster: Cluster, name: MemberId, seconds: float) -> None:
    cluster.down.add(name)
    cluster.run(seconds)
    cluster.down.discard(name)


def outlasts_s(cluster: Cluster, name: MemberId) -> float:
    return cluster[name].core.standing.suspicion.to_outlast_s(cluster.now)


def test_a_stall_that_cost_one_leader_its_lease_costs_the_next_none():
    cluster = three_with_a_leader()
    first = leader_of(cluster)
    stall(cluster, first, 0.085)
    cluster.until(lambda: leader_of(cluster) not in (None, first)).run(60.0)
    second = leader_of(cluster)
    term = cluster[second].core.term
    stall(cluster, second, 0.085)
    cluster.run(1.0)
    assert leader_of(cluster) == second and cluster[second].core.term == term


def test_who_was_deposed_for_a_stall_has_learned_from_it_too():
    cluster = three_with_a_leader()
    first = leader_of(cluster)
    stall(cluster, first, 0.085)
    cluster.until(lambda: leader_of(cluster) not in (None, first)).run(0.1)
    assert outlasts_s(cluster, first) > 0.085


def test_a_leader_whose_followers_were_late_and_that_is_elected_again_has_learned():
    cluster = three_with_a_leader()
    first = leader_of(cluster)
    late = {A, B, C} - {first}
    cluster.down |= late
    cluster.run(0.080)
    cluster.down.clear()
    cluster.until(lambda: leader_of(cluster)).run(0.1)
    assert outlasts_s(cluster, leader_of(cluster)) > 0.080


def test_a_crash_teaches_nothing_even_where_the_member_is_back_soon():
    cluster = three_with_a_leader()
    first = leader_of(cluster)
    cluster.crash(first)
    cluster.run(LATE_MAX_S)
    cluster.restart(first)
    cluster.run(1.0)
    second = leader_of(cluster)
    assert second not in (None, first)
    assert [outlasts_s(cluster, name) for name in (A, B, C)] == [0.0, 0.0, 0.0]
    assert cluster[second].core.leadership.promise_s(cluster.now) == pytest.approx(Timing().promise_s, rel=0.1)


def test_a_hand_over_teaches_nothing():
    cluster = three_with_a_leader()
    first = leader_of(cluster)
    cluster[first].core.hand_over(None, cluster.now)
    cluster[first].round()
    cluster.until(lambda: leader_of(cluster) not in (None, first)).run(0.2)
    assert [outlasts_s(cluster, name) for name in (A, B, C)] == [0.0, 0.0, 0.0]


def test_a_lease_lost_under_a_learned_promise_is_no_longer_delay():
    measured = []
    for learned_s in (0.0, OUTLASTED_MAX_S):
        bench = Bench(A).lead()
        bench.core.standing.suspicion.begin(B, bench.now - learned_s)
        bench.core.standing.suspicion.end(B, bench.now)
        bench.at(bench.now + 1.0)
        assert bench.core.role is not Role.LEADER
        measured.append(bench.core.quorum_delay.value(bench.now))
    assert measured[1] <= measured[0], "what was learned would be doubled, and again at the next loss"


def test_a_delay_is_forgotten_by_halves_and_no_promise_grows_beyond_a_bound_for_it():
    suspicion = Suspicion(C)
    suspicion.begin(A, 100.0)
    suspicion.end(B, 100.1)
    assert suspicion.to_outlast_s(100.1) == 0.0, "it was not B that was given up"
    suspicion.end(A, 100.2)
    assert suspicion.to_outlast_s(100.2) == OUTLASTED_MAX_S
    assert suspicion.to_outlast_s(100.2 + HALF_LIFE_S) == pytest.approx(OUTLASTED_MAX_S / 2)
    suspicion.end(A, 100.21)
    assert suspicion.to_outlast_s(100.2 + HALF_LIFE_S) == pytest.approx(OUTLASTED_MAX_S / 2), "once is once"


def test_the_longest_promise_learned_is_short_enough_for_a_game():
    assert (OUTLASTED_MAX_S + Timing().margin_s) / LEASE_FRACTION < 0.150, "the goal for one failover in a hundred"
    bench = Bench(A).lead()
    assert bench.core.role is Role.LEADER
    bench.core.standing.suspicion.begin(B, bench.now - OUTLASTED_MAX_S)
    bench.core.standing.suspicion.end(B, bench.now)
    assert 0.145 < bench.core.leadership.promise_s(bench.now) < 0.150
