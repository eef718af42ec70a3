"""How often a round of heartbeats finds no quorum, and how long promises are because of that."""

from __future__ import annotations

import math
import random

import pytest
from harness import A, B, Bench, C

from failover.raft.leadership import MISSED_RISK
from failover.raft.lease import Lease
from failover.raft.measure import MissedRounds
from failover.raft.membership import Membership
from failover.raft.messages import HeartbeatResponse
from failover.raft.timing import LEASE_FRACTION, Timing

RISK = 1e-8
EVERY_S = 0.1


def measured(share: float, rounds: int = 6000, seed: int = 1) -> MissedRounds:
    """After so many rounds, of which a share found no quorum, each by itself."""
    missed, dice = MissedRounds(60.0, RISK), random.Random(seed)
    for number in range(rounds):
        if dice.random() >= share:
            missed.reached(number * EVERY_S, EVERY_S)
    return missed


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_so_many_rounds_are_allowed_for_that_missing_all_of_them_is_the_risk(share):
    assert measured(share).to_allow_for() == pytest.approx(math.log(RISK) / math.log(share), rel=0.15)


def test_where_nothing_is_lost_one_round_is_enough():
    assert measured(0.0).to_allow_for() == 1.0
    assert MissedRounds(60.0, RISK).to_allow_for() == 1.0


def test_one_gap_however_long_is_no_habit_and_two_are_forgotten_in_time():
    missed = measured(0.0, 100)
    missed.reached(10.0 + 0.9, EVERY_S)
    assert missed.to_allow_for() == 1.0
    missed.reached(10.9 + 0.2, EVERY_S)
    assert missed.to_allow_for() > 1.5
    for number in range(1, 1300):
        missed.reached(11.1 + number * EVERY_S, EVERY_S)
    assert missed.to_allow_for() == 1.0


def test_repeats_and_answers_in_another_order_count_for_nothing():
    plain, repeated = measured(0.05), MissedRounds(60.0, RISK)
    dice = random.Random(1)
    for number in range(6000):
        if dice.random() >= 0.05:
            for at in (0.0, -0.03, 0.0, -0.5):
                repeated.reached(max(0.0, number * EVERY_S + at), EVERY_S)
    assert repeated.to_allow_for() == pytest.approx(plain.to_allow_for(), rel=0.05)


def test_a_leader_that_was_alone_measures_from_its_first_follower_on():
    missed = MissedRounds(60.0, RISK)
    missed.reached(math.inf, EVERY_S)
    for number in range(0, 1000, 2):
        missed.reached(number * EVERY_S, EVERY_S)
    assert missed.to_allow_for() > 10


def test_what_a_quorum_has_answered_is_as_old_as_its_slowest_member():
    membership = Membership(frozenset((A, B, C)))
    lease = Lease(A, Timing(), 0.0)
    assert lease.reached(membership) == -math.inf
    rounds = [lease.begin_round(at) for at in (1.0, 2.0, 3.0)]
    lease.answered(B, rounds[1], 0.075)
    assert lease.reached(membership) == 2.0
    lease.answered(C, rounds[2], 0.075)
    assert lease.reached(membership) == 3.0
    lease.answered(C, rounds[0], 0.075)
    assert lease.reached(membership) == 3.0, "an answer that comes late takes nothing back"
    assert lease.reached(Membership(frozenset((A,)))) == math.inf
    joint = Membership(frozenset((A, C)), outgoing=frozenset((A, B)))
    assert lease.reached(joint) == 2.0


def test_a_leader_whose_heartbeats_are_lost_often_asks_for_promises_that_outlast_the_losses():
    leader = Bench(A).lead()
    timing, dice = Timing(), random.Random(5)
    before = leader.core.leadership.promise_s(leader.now)
    for _ in range(400):
        round_ = leader.core.leadership.lease.round
        if dice.random() >= 0.3:
            for member in (B, C):
                leader.get(member, HeartbeatResponse(leader.core.term, round_, timing.promise_max_s, 0))
        leader.oversleep(leader.now + timing.heartbeat_s).tick()
    assert leader.core.role.value == "leader"
    longest_row_s = timing.heartbeat_s * math.log(MISSED_RISK) / math.log(0.3)
    assert leader.core.leadership.promise_s(leader.now) * LEASE_FRACTION > 0.8 * longest_row_s
    assert leader.core.leadership.promise_s(leader.now) > 4 * before
