"""Which initiations of a peer count as new, without looking at a clock."""

from hypothesis import given
from hypothesis import strategies as st

from failover.net.freshness import ACCEPTED_MAX, Freshness
from failover.net.runs import sealed_run


def run(incarnation):
    return sealed_run(b"k" * 32, incarnation, b"n" * 8)


pairs = st.tuples(st.integers(0, 5), st.integers(0, 5))


def test_what_was_accepted_is_not_accepted_again():
    fresh = Freshness()
    assert fresh.judge(10, 1, is_at_its_address=False) is None
    fresh.accepted(10, 1)
    assert fresh.judge(10, 1, is_at_its_address=True) == "stale attempt"
    assert fresh.judge(10, 2, is_at_its_address=False) is None


def test_an_older_attempt_needs_a_mac2_and_an_older_process_has_no_chance():
    fresh = Freshness()
    fresh.proved(run(10), 5)
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
    fresh.proved(run(50))
    assert fresh.is_rolled_back(run(60), 40) and not fresh.is_rolled_back(run(60), 50)
    assert not fresh.is_rolled_back(run(50), 40)
    assert not fresh.is_rolled_back(run(40), 30)  # a replay, not a copy


def test_two_runs_of_one_number_are_of_two_storages():
    """The clock of a backup's machine stands still, or was set back: the number alone says nothing."""
    fresh = Freshness()
    fresh.proved(run(50))
    assert fresh.is_rolled_back(sealed_run(b"k" * 32, 50, b"another."), 40)
    assert fresh.is_to_be_told(sealed_run(b"k" * 32, 50, b"another."), 40, 1)


def test_the_run_before_is_told_as_long_as_it_says_something_new():
    fresh = Freshness()
    fresh.proved(run(50), 7)
    fresh.proved(run(60), 1)
    assert [fresh.is_to_be_told(run(50), 40, attempt) for attempt in (6, 7, 8, 8, 7, 9)] == [0, 0, 1, 0, 0, 1]
    assert not fresh.is_to_be_told(run(40), 30, 100)


@given(st.lists(st.tuples(st.sampled_from("ap"), pairs), max_size=40), pairs, st.booleans())
def test_as_a_slow_and_obvious_version_judges(story, pair, is_at_its_address):
    fresh, accepted, newest = Freshness(), [], (0, 0)
    for what, each in story:
        if what == "a":
            fresh.accepted(*each)
            accepted.append(each)
        else:
            fresh.proved(run(each[0]), each[1])
            newest = max(newest, each)
    refused = pair[0] < newest[0] or pair in accepted[-ACCEPTED_MAX:] or (pair <= newest and not is_at_its_address)
    assert (fresh.judge(*pair, is_at_its_address=is_at_its_address) is not None) == refused
