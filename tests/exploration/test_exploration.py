"""The explorer within a few seconds: every model a little way, and the planted bugs that are near.

`python -m tests.exploration` goes the whole way.
"""

from __future__ import annotations

import pytest

from tests.exploration.__main__ import explore, find
from tests.exploration.models import BY_NAME, MODELS
from tests.exploration.planted import PLANTED
from tests.exploration.story import tell

STATES_MAX = 8_000
NEAR = (
    "lease_of_95_percent",
    "release_before_the_function_stopped",
    "latest_promise_wins",
    "restart_forgets_promises",
    "votes_while_promised",
    "log_is_not_compared",
    "membership_counts_when_committed",
    "witness_hosts",
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_nothing_is_broken_near_the_beginning(model):
    search, found = explore(model, STATES_MAX)
    assert found.broken is None, "\n".join(tell(search.cluster, found))
    assert found.is_complete or found.states >= STATES_MAX


@pytest.mark.parametrize("name", NEAR)
def test_a_planted_bug_is_found_and_told(name):
    bug = next(bug for bug in PLANTED if bug.name == name)
    with bug.plant():
        search, found = find(bug, 3 * STATES_MAX)
        assert found.broken is not None
        lines = list(tell(search.cluster, found))
    assert lines[-1] == f"Broken: {found.broken}."
    assert sum(line[0].isdigit() for line in lines) == len(found.way)


def test_a_way_that_is_found_is_a_shortest_one():
    _, found = explore(BY_NAME["growing"], STATES_MAX)
    bug = next(bug for bug in PLANTED if bug.name == "restart_forgets_promises")
    _, first = find(bug, 1_000)
    assert len(first.way) == first.depth == len(first.levels)
    assert found.broken is None


def test_a_search_gives_the_same_each_time():
    runs = [explore(BY_NAME["release"], 3_000)[1] for _ in range(2)]
    assert runs[0].levels == runs[1].levels
