"""Majorities, against slow and obvious versions of the same."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.ids import MemberId
from failover.raft import quorum

members = st.sets(st.integers(0, 7).map(lambda number: MemberId(bytes([number]) * 32)), max_size=7)


@pytest.mark.parametrize(("size", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_a_majority_is_more_than_half(size, needed):
    assert quorum.majority(size) == needed


@given(st.integers(1, 1000))
def test_two_majorities_overlap_and_no_smaller_number_would_do(size):
    needed = quorum.majority(size)
    assert 2 * needed > size
    assert 2 * (needed - 1) <= size


@given(members, members)
def test_only_the_voters_among_the_agreeing_count(voters, agreeing):
    assert quorum.is_majority(voters, agreeing) == (2 * len(voters & agreeing) > len(voters))


def test_nobody_is_no_majority():
    assert not quorum.is_majority(set(), set())
    assert not quorum.is_majority(set(), {MemberId(b"a" * 32)})


@pytest.mark.parametrize("size", range(1, 7))
def test_any_two_majorities_share_a_voter(size):
    voters = {MemberId(bytes([number]) * 32) for number in range(size)}
    subsets = [set(chosen) for count in range(size + 1) for chosen in combinations(voters, count)]
    majorities = [chosen for chosen in subsets if quorum.is_majority(voters, chosen)]
    assert majorities
    assert all(one & other for one in majorities for other in majorities)


@given(st.lists(st.integers(0, 20) | st.floats(0, 20), min_size=1, max_size=9))
def test_the_majority_value_is_the_largest_that_a_majority_has_reached(values):
    reached = [value for value in values if 2 * sum(other >= value for other in values) > len(values)]
    assert quorum.majority_value(values) == max(reached)


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=9).flatmap(
        lambda v: st.tuples(st.just(v), st.permutations(v))
    )
)
def test_the_order_of_values_means_nothing(both):
    assert quorum.majority_value(both[0]) == quorum.majority_value(both[1])


@given(st.lists(st.integers(0, 20), min_size=1, max_size=9), st.integers(0, 8), st.integers(0, 5))
def test_progress_of_one_member_never_lowers_the_majority_value(values, which, more):
    raised = list(values)
    raised[which % len(values)] += more
    assert quorum.majority_value(raised) >= quorum.majority_value(values)
