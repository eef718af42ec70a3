"""Memberships, joint or not, against brute force over all sets of members."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from failover.ids import MemberId
from failover.raft.membership import Membership

PEOPLE = [MemberId(bytes([number]) * 32) for number in range(6)]
SUBSETS = [frozenset(chosen) for count in range(7) for chosen in combinations(PEOPLE, count)]
people = st.sampled_from(PEOPLE)
groups = st.frozensets(people)
voter_groups = st.frozensets(people, min_size=1)


@st.composite
def simple(draw) -> Membership:
    voters = draw(voter_groups)
    learners = draw(groups) - voters
    witnesses = draw(groups) & (voters | learners) - {min(voters)}
    return Membership(voters, learners=learners, witnesses=witnesses)


@st.composite
def joint(draw) -> Membership:
    voters, before = draw(voter_groups), draw(simple())
    assume(voters - before.witnesses)
    return before.entering(voters, draw(groups) - voters)


memberships = simple() | joint()


def more_than_half(half, chosen) -> bool:
    return 2 * sum(member in chosen for member in half) > len(half)


def quorums_of(membership: Membership) -> list[frozenset[MemberId]]:
    return [chosen for chosen in SUBSETS if membership.has_quorum(chosen)]


@given(memberships)
def test_a_quorum_is_a_majority_of_the_voters_and_while_joint_of_the_outgoing_too(membership):
    for chosen in SUBSETS:
        expected = more_than_half(membership.voters, chosen)
        if membership.is_joint:
            expected = expected and more_than_half(membership.outgoing, chosen)
        assert membership.has_quorum(chosen) == expected


@given(memberships, groups)
def test_what_survives_a_number_of_failures_is_what_no_such_loss_stops(membership, here):
    survives = membership.survivable(here)
    voters_here = membership.all_voters & here
    for chosen in SUBSETS:
        lost = len(voters_here - chosen)
        if chosen <= voters_here and lost <= survives:
            assert membership.has_quorum(chosen)
    worst = [chosen for chosen in SUBSETS if chosen <= voters_here and len(voters_here - chosen) == survives + 1]
    assert survives < 0 or any(not membership.has_quorum(chosen) for chosen in worst)
    assert (survives >= 0) == membership.has_quorum(here)


@given(memberships)
def test_any_two_quorums_of_one_membership_share_a_voter(membership):
    quorums = [chosen & membership.all_voters for chosen in quorums_of(membership)]
    assert all(one & other for one in quorums for other in quorums)


@given(joint())
def test_quorums_before_and_after_a_change_meet_those_of_the_joint_membership(membership):
    """Raft, 6: at no moment can the old and the new voters decide apart from each other."""
    before, after = Membership(membership.outgoing), membership.leaving()
    for together in quorums_of(membership):
        assert all(together & chosen & membership.outgoing for chosen in quorums_of(before))
        assert all(together & chosen & membership.voters for chosen in quorums_of(after))


@given(memberships)
def test_learners_count_in_nothing(membership):
    for chosen in SUBSETS:
        assert membership.has_quorum(chosen) == membership.has_quorum(chosen - membership.learners)
    assert not membership.has_quorum(membership.learners)


@given(memberships, groups)
def test_a_quorum_stays_possible_exactly_while_those_who_did_not_refuse_would_be_one(membership, refusing):
    others = membership.members - refusing
    assert membership.can_reach_quorum(refusing) == membership.has_quorum(others)


@given(memberships, st.lists(st.integers(0, 9), min_size=6, max_size=6))
def test_agreed_is_the_largest_value_that_a_quorum_has_reached(membership, numbers):
    values = dict(zip(PEOPLE, numbers, strict=True))

    def reached_by_quorum(value: int) -> bool:
        return membership.has_quorum([member for member in PEOPLE if values[member] >= value])

    assert membership.agreed(values.__getitem__) == max(filter(reached_by_quorum, range(10)))


@given(simple(), voter_groups, groups)
def test_entering_keeps_everybody_until_leaving_and_ends_exactly_as_asked(before, voters, learners):
    learners = learners - voters
    assume(voters - before.witnesses)
    during = before.entering(voters, learners)
    assert during.is_joint
    assert (during.voters, during.outgoing) == (voters, before.voters)
    assert during.members == before.voters | voters | learners
    assert during.all_voters == before.voters | voters
    assert not during.learners & during.all_voters, "who still votes is no learner yet"
    after = during.leaving()
    assert not after.is_joint
    assert (after.voters, after.learners) == (voters, learners)
    assert after.learners_next == after.outgoing == frozenset()


@given(joint(), voter_groups, groups, people)
def test_a_second_change_waits_for_the_end_of_the_first(membership, voters, learners, member):
    with pytest.raises(AssertionError):
        membership.entering(voters, learners - voters)
    with pytest.raises(AssertionError):
        membership.with_learners({member})


@given(simple(), people)
def test_learners_come_and_go_without_touching_the_quorums(membership, member):
    assume(member not in membership.members)
    more = membership.with_learners(membership.learners | {member})
    assert more.members == membership.members | {member}
    assert quorums_of(more) == quorums_of(membership)
    assert more.with_learners(membership.learners) == membership
    with pytest.raises(AssertionError):
        membership.with_learners(membership.voters)


@given(simple(), voter_groups, groups, groups)
def test_a_member_is_a_witness_from_its_first_membership_to_its_last(before, voters, learners, new_witnesses):
    learners = learners - voters
    assume(voters - before.witnesses - (new_witnesses - before.members))
    during = before.entering(voters, learners, new_witnesses)
    after = during.leaving()
    expected = before.witnesses | (new_witnesses - before.members)
    for membership in (during, after):
        assert membership.witnesses == expected & membership.members
    more = before.with_learners(learners - before.voters, new_witnesses)
    assert more.witnesses == expected & more.members


@given(memberships)
def test_there_is_always_a_voter_that_may_host(membership):
    assert membership.voters_that_may_host
    assert not membership.voters_that_may_host & membership.witnesses


@given(simple())
def test_a_membership_that_is_not_joint_has_nothing_to_leave(membership):
    assert membership.halves() == (membership.voters,)
    with pytest.raises(AssertionError):
        membership.leaving()


A, B = frozenset(PEOPLE[:1]), frozenset(PEOPLE[1:2])


@pytest.mark.parametrize(
    "sets",
    [
        {"voters": frozenset()},
        {"voters": A, "learners": A},
        {"voters": A, "outgoing": B, "learners": B},
        {"voters": A, "learners_next": B},
        {"voters": A, "outgoing": A, "learners_next": A},
        {"voters": A, "witnesses": B},
        {"voters": A, "witnesses": A},
        {"voters": A, "outgoing": A | B, "witnesses": A},
    ],
)
def test_impossible_memberships_are_not_made(sets):
    with pytest.raises(AssertionError):
        Membership(**sets)
