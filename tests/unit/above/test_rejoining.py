"""What of a log is in another generation, too, as far as that is certain."""

from __future__ import annotations

import failover
from failover.records import Ancestor, TermEnd
from failover.rejoining import shared_index


def test_entries_of_one_term_are_shared_up_to_the_first_end_that_was_told() -> None:
    shared = Ancestor(
        failover.Generation(b"g" * 16),
        failover.LogIndex(40),
        (TermEnd(failover.Term(5), failover.LogIndex(40)), TermEnd(failover.Term(3), failover.LogIndex(30))),
    )

    def upto(*places: tuple[int, int]) -> int:
        return shared_index([(failover.LogIndex(i), failover.Term(t)) for i, t in places], shared)

    assert upto((10, 3), (20, 3)) == 20
    assert upto((10, 3), (35, 5), (45, 5)) == 35
    assert upto((10, 2), (35, 4)) == 0, "how the other log was before 30, nobody said"
    assert upto((30, 3), (31, 4), (32, 4)) == 30
