"""Promise and Lease against models that forget nothing, and against each other under clocks that run apart.

A `Promise` keeps only what it needs; the model keeps every promise ever made, and asks at each moment whether one
of them is running. A `Lease` keeps a time per member; the model keeps every answer, and tries every moment.
"""

from __future__ import annotations

import math

import pytest
from harness import A, B, C, D, E
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from failover.ids import Term
from failover.raft.lease import ROUNDS_KEPT, Lease, Promise
from failover.raft.membership import Membership
from failover.raft.messages import Release
from failover.raft.timing import LEASE_FRACTION, Timing

MAX_S = 1.0
LEADERS = [Release(leader, Term(term)) for leader, term in ((A, 1), (B, 1), (A, 2), (C, 3))]
holders = st.sampled_from(LEADERS)


class EveryPromise(RuleBasedStateMachine):
    """All promises ever made in this life of the member."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 5.0
        self.promise = Promise(0.1, self.now)
        self.ends: list[tuple[Release | None, float]] = [(None, self.now + 0.1)]
        """Of each promise to whom, and when it ends; to nobody after a restart."""
        self.durable_s = 0.1

    @rule(seconds=st.sampled_from((0.003, 0.008, 0.07, 0.095, 2.0)))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(holder=holders, asked_s=st.sampled_from((0.01, 0.075, 0.1, 5.0)))
    def ask(self, holder, asked_s):
        granted = self.promise.grant(holder, min(asked_s, MAX_S), self.now)
        assert granted == min(asked_s, MAX_S, self.durable_s), "all that may be promised is, and no more"
        self.ends.append((holder, self.now + granted))

    @rule(holder=holders)
    def a_leader_says_that_its_tenure_is_over(self, holder):
        """Void is what was promised to it in that term, for good, and nothing else."""
        self.promise.void(holder)
        self.ends = [each for each in self.ends if each[0] != holder]

    @rule(asked_s=st.sampled_from((0.05, 0.3, 0.9, 5.0)))
    def want_a_higher_ceiling(self, asked_s):
        written = self.promise.ceiling_written_s
        is_news = self.promise.raise_ceiling(asked_s, MAX_S)
        assert is_news == (asked_s > self.durable_s and written == self.durable_s < MAX_S)
        if is_news:
            assert min(asked_s, MAX_S) <= self.promise.ceiling_written_s <= MAX_S
            assert self.promise.ceiling_written_s < max(2 * asked_s, MAX_S + 1e-9)
        assert self.promise.ceiling_s == self.durable_s, "what is only being written counts for nothing"

    @rule()
    def the_write_is_done(self):
        self.promise.ceiling_is_durable()
        self.durable_s = self.promise.ceiling_written_s

    @rule()
    def crash_and_restart(self):
        """Nothing is known any more but the ceiling; the wait covers all that can have been promised."""
        last = max((end for _, end in self.ends), default=self.now)
        self.promise = Promise(self.durable_s, self.now)
        self.ends = [(None, self.now + self.durable_s)]
        assert last <= self.promise.until()

    @invariant()
    def it_bars_as_long_as_any_promise_runs(self):
        assert max(self.promise.until(), self.now) == max([self.now, *(end for _, end in self.ends)])


def test_a_member_is_barred_exactly_while_one_of_its_promises_runs():
    """With ceilings, releases, crashes and restarts."""
    run_state_machine_as_test(
        EveryPromise, settings=settings(max_examples=100, stateful_step_count=40, deadline=None)
    )


FIVE = (A, B, C, D, E)
groups = st.frozensets(st.sampled_from(FIVE), min_size=1)


@st.composite
def electorates(draw) -> Membership:
    """With A among the voters, joint or not: A leads."""
    before = Membership(draw(groups) | {A})
    return before.entering(draw(groups) | {A}, ()) if draw(st.booleans()) else before


answers = st.lists(
    st.tuples(st.sampled_from(FIVE[1:]), st.integers(0, 20), st.sampled_from((0.0, 0.05, 0.075, 0.2)))
)


@settings(deadline=None)
@given(electorates(), answers)
def test_the_lease_lasts_as_long_as_the_cut_promises_of_a_quorum(membership, given_answers):
    """Tried at every moment at which any of them ends; the leader itself counts without limit."""
    lease, times = Lease(A, Timing(), first_due=9.0), [0.0]
    for n in range(1, 21):
        times.append(0.03 * n)
        assert lease.begin_round(times[n]) == n
    backed: list[tuple[bytes, float]] = []

    def is_held_until(moment: float) -> bool:
        return membership.has_quorum({A} | {member for member, end in backed if end >= moment})

    for member, number, granted in given_answers:
        sent = lease.answered(member, number, granted)
        assert sent == (times[number] if number else None), "round 0 was never sent"
        if number and granted:
            backed.append((member, times[number] + LEASE_FRACTION * granted))
        best = max((end for _, end in backed if is_held_until(end)), default=-math.inf)
        expected = math.inf if membership.has_quorum({A}) else best
        assert lease.until(membership) == lease.until(membership) == expected


def test_an_answer_to_a_round_that_is_forgotten_counts_for_nothing():
    lease, membership = Lease(A, Timing(), first_due=0.0), Membership(frozenset((A, B)))
    for n in range(ROUNDS_KEPT + 1):
        lease.begin_round(float(n))
    assert lease.answered(B, 1, 1.0) is None and lease.until(membership) == -math.inf
    assert lease.answered(B, 2, 1.0) == 1.0


@given(st.lists(st.tuples(st.floats(0, 0.1), st.booleans()), min_size=1, max_size=30))
def test_a_leader_is_given_one_promise_of_time_and_then_only_what_its_lease_says(steps):
    """Held once, the end of the lease is the end; before that, it may wait until `first_due`."""
    timing = Timing()
    lease, membership = Lease(A, timing, first_due=timing.promise_s), Membership(frozenset((A, B)))
    now, was_held = 0.0, False
    for passes, answered in steps:
        now += passes
        number = lease.begin_round(now)
        if answered:
            lease.answered(B, number, timing.promise_s)
        usable = lease.until(membership) - timing.margin_s
        was_held = was_held or usable > now
        assert lease.lost_at(membership, now) == (usable if was_held else max(usable, timing.promise_s))


FIRST_ROUND_S = 100.0
heartbeats = st.tuples(
    st.sampled_from(FIVE[1:]),
    st.integers(0, 5).map(lambda tenths: FIRST_ROUND_S + tenths / 10),
    st.sampled_from((0.0, 0.001, 0.1)),
    st.sampled_from((0.075, 0.3, 1.0)),
)


def free_before_the_lease_ends(membership, said, clock_rates) -> set[bytes]:
    """Who could vote for another at the last moment of A's lease.

    Everything is written in true time; each member's own clock runs at its rate. A heartbeat leaves at `sent`, is
    answered at `sent + travels` with a promise, and the answer is there at once (late ones help nobody).
    """
    rate = dict(zip(FIVE, clock_rates, strict=True))
    lease = Lease(A, Timing(), first_due=9.0)
    promises = {member: Promise(1.0, 0.0) for member in FIVE}
    for member, sent, travels, asked_s in sorted(said, key=lambda each: each[1]):
        number = lease.begin_round(sent * rate[A])
        granted = promises[member].grant(LEADERS[0], asked_s, (sent + travels) * rate[member])
        lease.answered(member, number, granted)
    until = lease.until(membership)
    if not math.isfinite(until):
        return set()
    moment = until / rate[A] - 1e-9
    return {member for member in FIVE[1:] if promises[member].until() <= moment * rate[member]}


@settings(max_examples=300, deadline=None)
@given(
    electorates(),
    st.lists(heartbeats),
    st.lists(st.sampled_from((0.9, 1.0, 1.1)) | st.floats(0.9, 1.1), min_size=5, max_size=5),
)
def test_while_the_lease_runs_those_who_are_free_are_no_quorum(membership, said, clock_rates):
    """The proof of one host, by trial: clocks run at any rate within the bound, messages take any time."""
    assert not membership.has_quorum(free_before_the_lease_ends(membership, said, clock_rates))


@pytest.mark.parametrize(("fraction", "is_safe"), [(0.81, True), (0.83, False), (1.0, False)])
def test_the_lease_is_as_long_as_it_may_be(fraction, is_safe, monkeypatch):
    """The check above can fail: A's clock is slow, the others' are fast, and the lease is a little longer."""
    monkeypatch.setattr("failover.raft.lease.LEASE_FRACTION", fraction)
    three, said = Membership(frozenset((A, B, C))), [(member, FIRST_ROUND_S, 0.0, 1.0) for member in (B, C)]
    assert three.has_quorum(free_before_the_lease_ends(three, said, (0.9, 1.1, 1.1, 1.0, 1.0))) != is_safe
