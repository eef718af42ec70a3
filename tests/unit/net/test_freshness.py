"""Which initiations of a peer count as new, without looking at a clock."""

from hypothesis import given
from hypothesis import strategies as st

from failover.net.freshness import ACCEPTED_MAX, Freshness

pairs = st.tuples(st.integers(0, 5), st.integers(0, 5))


def test_what_was_accepted_is_not_accepted_again():
    fresh = Freshness()
    assert fresh.judge(10, 1, is_at_its_address=False) is None
    fresh.accepted(10, 1)
    assert fresh.judge(10, 1, is_at_its_address=True) == "stale attempt"
    assert fresh.judge(10, 2, is_at_its_address=False) is None


def test_an_older_attempt_needs_a_mac2_and_an_older_process_has_no_chance():
    fresh = Freshness()
    fresh.proved(10, 5)
    assert fresh.judge(10, 3, is_at_its_address=False) == "stale attempt"
    assert fresh.judge(10, 3, is_at_its_address=True) is None
    assert fresh.judge(9, 9, is_at_its_address=True) == "stale incarnation"
    assert fresh.judge(10, 6, is_at_its_address=False) is None
    assert fresh.judge(11, 1, is_at_its_address=False) is None


def test_only_what_was_proved_moves_the_bounds():
    fresh = Freshness()
    fresh.accepted(2**64 - 1, 1)
    assert fresh.judge(10, 1, is_at_its_address=False) is None


def test_a_storage_that_does_not_know_of_what_we_met_was_rolled_back():
    fresh = Freshness()
    fresh.proved(50)
    assert fresh.is_rolled_back(60, 40) and not fresh.is_rolled_back(60, 50) and not fresh.is_rolled_back(50, 40)
    assert not fresh.is_rolled_back(40, 30)  # a replay, not a copy


@given(st.lists(st.tuples(st.sampled_from("ap"), pairs), max_size=40), pairs, st.booleans())
def test_as_a_slow_and_obvious_version_judges(story, pair, is_at_its_address):
    fresh, accepted, newest = Freshness(), [], (0, 0)
    for what, each in story:
        if what == "a":
            fresh.accepted(*each)
            accepted.append(each)
        else:
            fresh.proved(*each)
            newest = max(newest, each)
    refused = pair[0] < newest[0] or pair in accepted[-ACCEPTED_MAX:] or (pair <= newest and not is_at_its_address)
    assert (fresh.judge(*pair, is_at_its_address=is_at_its_address) is not None) == refused
