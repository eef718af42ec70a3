"""An append that was lost while others came is sent again at the first word of that, and once per round trip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from harness import TIMING, A, B, Bench, C

from failover.ids import LogIndex
from failover.raft.effects import SnapshotMeta
from failover.raft.messages import AppendEntries, AppendResponse
from failover.raft.progress import Sending

ROUND_TRIP_S = 0.04


def leader_of_far_members(**options: Any) -> Bench:
    """Whose appends were answered after 40 ms so often that it knows."""
    leader = Bench(A, **options).lead()
    for _ in range(40):
        leader.propose()
        leader.keep_lease(ROUND_TRIP_S, B, C).answer_appends(B, C)
    leader.sent.clear()
    return leader


def refuses(leader: Bench, at: int, log_ends: int) -> Bench:
    """B had an append after `at`, and its log ends before that."""
    term = leader.core.term
    return leader.get(B, AppendResponse(term, False, LogIndex(at), LogIndex(log_ends), term))


@pytest.fixture
def leader() -> Bench:
    """Three appends are under way to everybody, of one entry each, 10 ms apart; C has them."""
    leader = leader_of_far_members()
    for command in "xyz":
        leader.propose(command)
        leader.keep_lease(0.01, B, C)
    leader.answer_appends(C).sent.clear()
    return leader


def test_what_is_missing_is_sent_at_once_and_nothing_else(leader):
    end = leader.core.log.last_index
    refuses(leader, at=end - 2, log_ends=end - 3)
    (message,) = leader.take(AppendEntries, B)
    assert (message.prev_log_index, [entry.command for entry in message.entries]) == (end - 3, [b"x"])


def test_the_pipeline_goes_on_meanwhile(leader):
    end = leader.core.log.last_index
    refuses(leader, at=end - 2, log_ends=end - 3).sent.clear()
    leader.propose("w")
    (message,) = leader.take(AppendEntries, B)
    assert [entry.command for entry in message.entries] == [b"w"]


def test_many_refusals_tell_of_one_loss(leader):
    end = leader.core.log.last_index
    refuses(leader, at=end - 2, log_ends=end - 3).sent.clear()
    refuses(leader, at=end - 1, log_ends=end - 3)
    assert leader.take(AppendEntries, B) == []
    leader.keep_lease(1.1 * ROUND_TRIP_S, B, C)
    leader.sent.clear()
    refuses(leader, at=end - 1, log_ends=end - 3)
    (message,) = leader.take(AppendEntries, B)
    assert [entry.command for entry in message.entries] == [b"x"], "the repair was lost, too"


def test_another_gap_is_another_loss(leader):
    end = leader.core.log.last_index
    refuses(leader, at=end - 2, log_ends=end - 3)
    refuses(leader, at=end - 1, log_ends=end - 2)
    assert [message.entries[0].command for message in leader.take(AppendEntries, B)] == [b"x", b"y"]


def round_trip_of(leader: Bench) -> float:
    assert leader.core.leadership is not None
    return leader.core.leadership.replication.progress[B]._append_round_trip.smoothed_s


def test_a_repair_is_not_measured_as_a_slow_answer(leader):
    """Else every loss would make the next one wait for longer."""
    end, before = leader.core.log.last_index, round_trip_of(leader)
    refuses(leader, at=end - 2, log_ends=end - 3)
    leader.keep_lease(ROUND_TRIP_S, B, C).answer_appends(B)
    assert round_trip_of(leader) == before == pytest.approx(ROUND_TRIP_S, rel=0.01)


def test_a_pipeline_does_not_make_the_way_look_short():
    """Answers come as close together as appends leave; what one takes is another matter."""
    leader, sent = leader_of_far_members(), list[tuple[float, int]]()
    for _ in range(200):
        leader.propose()
        sent.append((leader.now, leader.core.log.last_index))
        leader.keep_lease(0.005, B, C)
        while sent and sent[0][0] + ROUND_TRIP_S <= leader.now + 1e-9:
            index = LogIndex(sent.pop(0)[1])
            leader.get(B, AppendResponse(leader.core.term, True, index))
            leader.get(C, AppendResponse(leader.core.term, True, index))
    assert round_trip_of(leader) == pytest.approx(ROUND_TRIP_S, rel=0.05)


def test_what_was_overtaken_by_a_hair_is_given_time():
    leader = leader_of_far_members()
    for command in "xy":
        leader.propose(command)
        leader.oversleep(leader.now + 1e-6)
    end = leader.core.log.last_index
    assert leader.core.leadership is not None
    leader.core.leadership.replication.progress[B]._append_round_trip.deviation_s = 0.002
    leader.sent.clear()
    refuses(leader, at=end - 1, log_ends=end - 2)
    assert leader.take(AppendEntries, B) == []


def test_a_transfer_that_is_overtaken_is_not_sent_again_in_small():
    leader = leader_of_far_members()
    for command in ("x" * 1_500, "y", "z"):
        leader.propose(command)
        leader.oversleep(leader.now + 0.01)
    leader.sent.clear()
    end = leader.core.log.last_index
    refuses(leader, at=end - 2, log_ends=end - 3)
    refuses(leader, at=end - 1, log_ends=end - 3)
    assert leader.take(AppendEntries, B) == []


def test_a_conflicting_tail_is_backed_up_over_and_not_repaired():
    leader = leader_of_far_members()
    for command in "xy":
        leader.propose(command)
        leader.oversleep(leader.now + 0.01)
    leader.sent.clear()
    end = leader.core.log.last_index
    term = leader.core.term
    leader.get(B, AppendResponse(term, False, LogIndex(end - 1), LogIndex(end - 2), type(term)(term - 1)))
    assert leader.core.leadership is not None
    assert leader.core.leadership.replication.progress[B].sending is Sending.PROBE


def test_a_late_refusal_of_what_has_come_since_stops_no_pipeline(leader):
    end, term = leader.core.log.last_index, leader.core.term
    leader.get(B, AppendResponse(term, True, LogIndex(end - 1)))
    refuses(leader, at=end, log_ends=end - 3)
    assert leader.core.leadership is not None
    assert leader.core.leadership.replication.progress[B].sending is Sending.REPLICATE


def test_what_travels_as_a_transfer_looks_after_itself():
    leader = leader_of_far_members()
    leader.propose("x" * 2_000)
    leader.propose("y")
    leader.answer_appends(C).sent.clear()
    end = leader.core.log.last_index
    refuses(leader, at=end - 1, log_ends=end - 2)
    assert leader.take(AppendEntries, B) == []


def test_what_is_compacted_meanwhile_cannot_be_sent_again():
    leader = leader_of_far_members(timing=replace(TIMING, snapshot_entries=45, kept_entries=0))
    end = leader.core.log.last_index
    for _ in range(10):
        leader.propose()
        leader.oversleep(leader.now + 0.001)
    leader.answer_appends(C).sent.clear()
    assert leader.snapshots_taken == 1
    leader.core.snapshot_stored(snapshot_of(leader), leader.now)
    leader.round()
    assert leader.core.log.base_index > end
    refuses(leader, at=end + 2, log_ends=end)
    assert leader.take(AppendEntries, B) == []


def snapshot_of(leader: Bench) -> SnapshotMeta:
    """What it would store now."""
    log = leader.core.log
    index = leader.core.applied_index
    at, term = log.membership_at(index), log.term_at(index)
    assert at is not None and term is not None
    return SnapshotMeta(index, term, at.membership, at.index)
