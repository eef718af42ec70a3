"""The checkers are tested too: they find each planted bug. As a table: `python -m tests.simulation --planted`."""

from __future__ import annotations

import pytest

from failover.raft.core import Core
from failover.testing.checkers import Violation
from failover.testing.plan import KINDS, Plan
from failover.testing.trial import Trial
from tests.simulation.planted import BUGS, SEEDS_MAX, look_for


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug):
    found = look_for(bug)
    assert found.how is not None, f"not within {SEEDS_MAX} seeds"


BY_EFFECT = (
    "lease_outlasts_promise",
    "lease_is_counted_from_the_answer",
    "restart_forgets_promises",
    "votes_while_promised",
    "vote_is_not_stored",
    "votes_are_counted_per_answer",
    "pre_votes_count_as_votes",
    "logs_are_compared_by_index_alone",
    "old_terms_are_committed_by_counting",
)


@pytest.mark.parametrize("name", BY_EFFECT)
def test_runs_that_look_for_a_bug_show_what_comes_of_it(name):
    """Two hosts, two leaders of a term, a committed entry lost: where nobody watches the rule that was broken."""
    (bug,) = (bug for bug in BUGS if bug.name == name)
    found = look_for(bug, by_effect=True)
    assert found.how is not None, f"not within {SEEDS_MAX} seeds"


def test_there_are_bugs_of_every_kind_of_run():
    assert len(BUGS) > 25
    assert {bug.kind for bug in BUGS} == {"ordinary", *(kind for kind, _ in KINDS)}


def test_a_bug_is_gone_after_it_was_looked_for():
    """Else all that follows would run with it."""
    before = {name: getattr(Core, name) for name in dir(Core)}
    for bug in BUGS:
        look_for(bug, seeds_max=0)
    assert {name: getattr(Core, name) for name in dir(Core)} == before


@pytest.mark.parametrize("kind", ["ordinary", *(kind for kind, _ in KINDS)])
def test_without_a_bug_nothing_is_found(kind):
    for seed in range(3):
        try:
            Trial(seed, plan=Plan.draw(seed, kind)).run()
        except Violation as error:
            raise AssertionError(f"seed {seed}, kind {kind}: {error}") from error
