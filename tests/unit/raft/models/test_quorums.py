"""Quorums of neighbouring memberships always share a voter: by looking at every set of voters there is.

For every size of the old and of the new voters up to five, and every overlap of the two. Who the voters are does
not matter, so one example for each shape is all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.ids import MemberId
from failover.raft import quorum
from failover.raft.membership import Membership

SIZES = range(1, 6)
SHAPES = [(old, new, shared) for old in SIZES for new in SIZES for shared in range(min(old, new) + 1)]


def people(numbers: range) -> frozenset[MemberId]:
    return frozenset(MemberId(bytes([number])) for number in numbers)


def all_sets(of: frozenset[MemberId]) -> Iterator[frozenset[MemberId]]:
    ordered = sorted(of)
    return (frozenset(chosen) for count in range(len(ordered) + 1) for chosen in combinations(ordered, count))


def can_decide_apart(one: Membership, other: Membership) -> bool:
    """Whether somebody could be a quorum of `one` while all the rest are a quorum of `other`."""
    everybody = one.all_voters | other.all_voters
    return any(one.has_quorum(side) and other.has_quorum(everybody - side) for side in all_sets(everybody))


@pytest.mark.parametrize(("old", "new", "shared"), SHAPES)
def test_neighbouring_memberships_cannot_decide_apart(old, new, shared):
    """Raft, 6: old and joint, joint and new, and each with itself."""
    before = Membership(people(range(old)))
    during = before.entering(people(range(old - shared, old - shared + new)), ())
    after = during.leaving()
    for one, other in ((before, before), (before, during), (during, during), (during, after), (after, after)):
        assert not can_decide_apart(one, other)


def test_old_and_new_could_decide_apart_which_is_why_there_is_a_joint_one():
    """The check above can fail: it does where the joint step is left out (Raft, figure 10)."""
    three, five = Membership(people(range(3))), Membership(people(range(5)))
    assert can_decide_apart(three, five)
    assert not can_decide_apart(three, Membership(people(range(4)))), "one at a time is the other remedy"


@pytest.mark.parametrize("size", SIZES)
def test_learners_and_witnesses_change_no_quorum(size):
    """A learner is nobody, a witness is a voter like any other."""
    plain = Membership(people(range(size)))
    learning = Membership(plain.voters, learners=people(range(size, 8)))
    witnessed = Membership(plain.voters, witnesses=people(range(1, size)))
    for chosen in all_sets(people(range(8))):
        assert plain.has_quorum(chosen) == learning.has_quorum(chosen) == witnessed.has_quorum(chosen)


voters = st.sets(st.integers(0, 9), min_size=1, max_size=5)


@given(voters, voters, st.lists(st.integers(0, 20), min_size=10, max_size=10))
def test_what_a_joint_membership_agrees_on_is_held_by_a_quorum_of_old_and_of_new(old, new, values):
    """For indexes and for times alike: the largest value that enough members of both halves have reached."""
    old_ids, new_ids = (frozenset(MemberId(bytes([n])) for n in numbers) for numbers in (old, new))
    during = Membership(old_ids).entering(new_ids, ())
    by_member = {MemberId(bytes([n])): value for n, value in enumerate(values)}

    def held(value: int, half: set[int]) -> bool:
        return 2 * sum(values[n] >= value for n in half) > len(half)

    agreed = during.agreed(by_member.__getitem__)
    assert held(agreed, old) and held(agreed, new)
    assert not (held(agreed + 1, old) and held(agreed + 1, new))
    assert agreed == min(Membership(half).agreed(by_member.__getitem__) for half in (old_ids, new_ids))


@given(voters, st.sets(st.integers(0, 9)))
def test_refusals_lose_an_election_exactly_when_no_quorum_can_come_any_more(electorate, refusing):
    """Counted by hand: more than half of the voters must still be able to say yes."""
    membership = Membership(frozenset(MemberId(bytes([n])) for n in electorate))
    hopeful = 2 * len(electorate - refusing) > len(electorate)
    assert membership.can_reach_quorum({MemberId(bytes([n])) for n in refusing}) == hopeful
    assert quorum.is_majority(electorate, electorate - refusing) == hopeful  # type: ignore[type-var, arg-type]
