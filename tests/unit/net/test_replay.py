"""The replay window against a set that remembers everything."""

from hypothesis import given
from hypothesis import strategies as st

from failover.net.replay import COUNTER_LIMIT, WINDOW, ReplayWindow


class Dumb:
    def __init__(self):
        self.seen, self.highest = set(), 0

    def is_fresh(self, counter):
        return counter < COUNTER_LIMIT and counter not in self.seen and counter > self.highest - WINDOW

    def mark(self, counter):
        self.seen.add(counter)
        self.highest = max(self.highest, counter)


steps = st.one_of(st.integers(-3000, 3000), st.sampled_from([-WINDOW, -WINDOW + 1, 63, 64, 65, WINDOW, 2**40]))


@given(st.lists(steps, max_size=300))
def test_it_agrees_with_a_window_that_remembers_everything(moves):
    window, dumb, at = ReplayWindow(), Dumb(), 0
    for move in moves:
        at = max(0, dumb.highest + move)
        assert window.is_fresh(at) == dumb.is_fresh(at), at
        if window.is_fresh(at):
            window.mark(at)
            dumb.mark(at)


def test_zero_is_fresh_once():
    window = ReplayWindow()
    assert window.is_fresh(0)
    window.mark(0)
    assert not window.is_fresh(0)


def test_asking_changes_nothing():
    window = ReplayWindow()
    assert window.is_fresh(COUNTER_LIMIT - 1)
    assert window.is_fresh(1)


def test_the_top_of_the_range_neither_overflows_nor_locks():
    window = ReplayWindow()
    assert not window.is_fresh(2**64 - 1)
    assert not window.is_fresh(COUNTER_LIMIT)
    window.mark(COUNTER_LIMIT - 1)
    assert not window.is_fresh(COUNTER_LIMIT - 1)
    assert window.is_fresh(COUNTER_LIMIT - WINDOW)
    assert not window.is_fresh(COUNTER_LIMIT - 1 - WINDOW)
