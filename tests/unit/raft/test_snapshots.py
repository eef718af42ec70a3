"""Snapshots and compaction (Raft, 7), and what others got wrong there."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from harness import FAR, THREE, A, B, Bench, C, append, beat, entry, log_of, meta

from failover.ids import LogIndex, Term
from failover.raft.effects import SnapshotMeta
from failover.raft.log import Log
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, AppendResponse, CommitNotice, InstallSnapshot
from failover.raft.progress import PATIENCE_MAX_S
from failover.raft.timing import Timing

SMALL = replace(Timing(), snapshot_entries=10, kept_entries=3)
NONE_KEPT = replace(Timing(), snapshot_entries=10, kept_entries=0)


def install(term: int, index: int, last_term: int, membership: Membership = THREE, at: int = 1) -> InstallSnapshot:
    return InstallSnapshot(Term(term), LogIndex(index), Term(last_term), membership, LogIndex(at), 0)


def finish_install(bench: Bench) -> Bench:
    bench.core.snapshot_installed(bench.now)
    return bench.round()


def compacted_leader(timing: Timing = NONE_KEPT) -> Bench:
    """A leader whose log begins after a snapshot, with `C` far behind."""
    leader = Bench(A, timing=timing).lead((B,))
    for _ in range(12):
        leader.propose()
    leader.answer_appends(B)
    take_snapshot(leader)
    assert leader.core.log.base_index > 0
    return leader


def take_snapshot(bench: Bench) -> SnapshotMeta:
    assert bench.snapshots_taken
    log, index = bench.core.log, bench.core.applied_index
    at = log.membership_at(index)
    made = meta(index, log.term_at(index), at.membership, at.index)
    bench.core.snapshot_stored(made, bench.now)
    bench.round()
    return made


def refuse(leader: Bench, follower, at: int, hint: tuple[int, int] = (0, 0)) -> Bench:
    term = leader.core.term
    return leader.get(follower, AppendResponse(term, False, LogIndex(at), LogIndex(hint[0]), Term(hint[1])))


def probe_behind(leader: Bench) -> Bench:
    """C refuses the probe that it was sent: its log ends at 1."""
    at = leader.core.leadership.replication.progress[C].next_index - 1
    return refuse(leader, C, at, (1, 1))


def test_a_follower_behind_the_compacted_log_gets_the_snapshot():
    """Symptom: never caught up behind a fully purged log (databendlabs/openraft#1828; etcd-io/etcd#10308)."""
    leader = probe_behind(compacted_leader())
    assert leader.snapshots_sent == [C]


def test_a_follower_that_answers_nothing_is_sent_no_snapshot():
    """It would be read from the disk and sent in vain, about once a second, for as long as that member is away."""
    leader = compacted_leader()
    leader.keep_lease(3.0, B)
    assert leader.snapshots_sent == []
    assert probe_behind(leader).snapshots_sent == [C], "it is back"


def test_after_the_snapshot_the_follower_gets_what_comes_behind_it():
    """Scenario: a snapshot accepted through a later append answer; etcd-io/etcd#10308."""
    leader = probe_behind(compacted_leader())
    base = leader.core.log.base_index
    leader.propose()
    leader.sent.clear()
    leader.get(C, AppendResponse(leader.core.term, True, base))
    assert leader.last(AppendEntries, C).prev_log_index == base


def test_the_lost_word_that_a_snapshot_was_installed_is_asked_for_again():
    """Symptom: a follower stays behind for as long as the leader leads (seed 44)."""
    leader = probe_behind(compacted_leader())
    leader.sent.clear()
    leader.keep_lease(PATIENCE_MAX_S + 0.05, B)
    probes = leader.take(AppendEntries, C)
    assert probes and probes[-1].prev_log_index == leader.core.log.base_index
    leader.get(C, AppendResponse(leader.core.term, True, leader.core.log.base_index))
    assert leader.core.leadership.replication.progress[C].match_index == leader.core.log.base_index


def test_a_snapshot_that_was_overtaken_by_compaction_is_followed_by_the_next():
    """Symptom: installed, yet never asked for the rest (seed 593): the log was compacted further meanwhile."""
    leader = probe_behind(compacted_leader())
    first = leader.core.log.base_index
    for _ in range(12):
        leader.propose()
    leader.answer_appends(B)
    take_snapshot(leader)
    assert leader.core.log.base_index > first
    leader.get(C, AppendResponse(leader.core.term, True, first))
    assert leader.snapshots_sent == [C, C]


def test_a_refusal_that_shows_the_overtaken_snapshot_leads_to_the_next():
    """Seed 593, with the follower's word of its snapshot lost."""
    leader = probe_behind(compacted_leader())
    first = leader.core.log.base_index
    for _ in range(12):
        leader.propose()
    leader.answer_appends(B)
    take_snapshot(leader)
    refuse(leader, C, leader.core.log.base_index, (first, leader.core.term))
    at = leader.core.leadership.replication.progress[C].next_index - 1
    refuse(leader, C, at, (first, leader.core.term))
    assert leader.snapshots_sent == [C, C]


def test_a_follower_that_was_busy_with_an_older_snapshot_gets_the_new_one_afterwards():
    """It ignored the newer one while it installed the older: nobody would send it again."""
    leader = probe_behind(compacted_leader())
    leader.get(C, AppendResponse(leader.core.term, True, LogIndex(leader.core.log.base_index - 1)))
    probe_behind(leader)
    assert leader.snapshots_sent == [C, C]


def test_a_failed_transfer_is_tried_again():
    leader = probe_behind(compacted_leader())
    leader.core.transfer_ended(C, leader.now, arrived=False)
    leader.round()
    probe_behind(leader)
    assert leader.snapshots_sent == [C, C]


def test_a_follower_that_crashed_before_the_snapshot_was_stored_gets_it_again():
    """All had arrived, so the transfer was no failure: the leader would wait for its word for ever."""
    leader = probe_behind(compacted_leader())
    leader.core.transfer_ended(C, leader.now, arrived=True)
    base = leader.core.log.base_index
    refuse(leader, C, base, (1, 1))
    assert leader.snapshots_sent == [C], "it was asked before all had arrived"
    leader.keep_lease(PATIENCE_MAX_S + 0.05, B)
    refuse(leader, C, base, (1, 1))
    probe_behind(leader)
    assert leader.snapshots_sent == [C, C]


def test_a_follower_that_refuses_while_the_snapshot_is_on_its_way_is_sent_no_other():
    leader = probe_behind(compacted_leader())
    for _ in range(5):
        leader.keep_lease(PATIENCE_MAX_S + 0.05, B)
        refuse(leader, C, leader.core.log.base_index, (1, 1))
    assert leader.snapshots_sent == [C]


def test_transfers_that_always_fail_are_tried_ever_more_rarely():
    """Each of them reads a whole snapshot: a follower that cannot take it must not keep the leader's disk busy."""
    leader = probe_behind(compacted_leader())
    began, failed_at = leader.now, []
    while leader.now < began + 30:
        if len(leader.snapshots_sent) > len(failed_at):
            failed_at.append(leader.now)
            leader.core.transfer_ended(C, leader.now, arrived=False)
            leader.round()
        leader.keep_lease(0.02, B, C)
        for probe in leader.take(AppendEntries, C):
            leader.get(C, AppendResponse(leader.core.term, False, probe.prev_log_index))
    assert 8 <= len(failed_at) <= 12
    pauses = [later - earlier for earlier, later in pairwise(failed_at)]
    assert pauses[0] < 0.1 and pauses == sorted(pauses) and pauses[-1] > 5


def test_answers_from_before_the_snapshot_do_not_end_its_transfer():
    """Symptom: a follower thought ready while its snapshot is on the way (etcd-io/raft#31)."""
    leader = probe_behind(compacted_leader())
    leader.core.leadership.replication.progress[C].match_index = LogIndex(1)
    leader.sent.clear()
    leader.get(C, AppendResponse(leader.core.term, True, LogIndex(1)))
    assert not leader.take(AppendEntries, C) and leader.snapshots_sent == [C]


def test_nothing_compacted_ever_matches():
    """Symptom: a message with term 0 "matches" what is missing (etcd-io/raft#31)."""
    log = Log(meta(10, 3), [])
    assert log.term_at(LogIndex(9)) is None
    assert log.term_at(LogIndex(11)) is None
    assert log.term_at(LogIndex(10)) == 3


def test_a_tail_is_kept_so_that_a_short_absence_needs_no_snapshot():
    leader = compacted_leader(SMALL)
    assert leader.core.log.snapshot_index - leader.core.log.base_index == 3
    assert leader.writes[-1].compact_to == leader.core.log.base_index


def test_a_snapshot_with_no_more_before_it_than_is_kept_cuts_nothing_off():
    bench = Bench(A, timing=replace(Timing(), snapshot_entries=10, kept_entries=10)).lead((B,))
    while not bench.snapshots_taken:
        bench.propose()
        bench.answer_appends(B)
    writes, made = len(bench.writes), take_snapshot(bench)
    assert bench.core.log.snapshot_index == made.last_index == 10
    assert bench.core.log.base_index == 0 and len(bench.writes) == writes


def test_a_snapshot_waits_until_what_it_covers_is_durable():
    """Apply may pass the durable index; stored snapshots and compaction may not (design.md, section 4)."""
    leader = Bench(A, timing=SMALL).lead()
    leader.disk_is_slow = True
    for _ in range(12):
        leader.propose()
    leader.answer_appends(B, C)
    assert leader.core.applied_index > leader.core.durable_index and not leader.snapshots_taken
    leader.finish_writes()
    assert leader.snapshots_taken == 1


def test_a_snapshot_that_failed_is_asked_for_again():
    """Symptom: snapshots stop for ever, dropped but recorded as tried (databendlabs/openraft#1829)."""
    leader = Bench(A, timing=SMALL).lead((B,))
    for _ in range(12):
        leader.propose()
    leader.answer_appends(B)
    leader.core.snapshot_stored(None, leader.now)
    leader.round()
    assert leader.snapshots_taken == 2


def test_a_snapshot_has_the_committed_membership_and_not_a_newer_one():
    """Symptoms: canonical/raft#250, #323; ClickHouse#105784; matrixone#23281; openraft#1808."""
    joint = THREE.entering((A, B), ())
    log = Log(None, [*log_of(1, 1, 1), entry(4, 1, membership=joint), entry(5, 1)])
    assert log.membership == joint
    at = log.membership_at(LogIndex(3))
    assert at is not None and (at.membership, at.index) == (THREE, 1)


def test_a_joint_membership_survives_a_snapshot_and_a_restart():
    """Symptoms: lost on restore (etcd-io/raft e515a67); data loss after a restart in it (openraft 6c0ccaf3)."""
    joint = THREE.entering((A,), ())
    member = Bench(A, log=[], term=5, snapshot=meta(10, 3, joint, 7)).at(FAR)
    assert member.core.log.membership == joint and member.core.log.membership_index == 7
    assert not member.hosted, "alone it is no quorum of the outgoing half"


def test_a_useful_snapshot_is_installed_and_answered():
    follower = Bench(B).at(FAR).get(A, install(3, 50, 2))
    assert follower.installs == [meta(50, 2)]
    finish_install(follower)
    assert follower.last(AppendResponse, A) == AppendResponse(Term(3), True, LogIndex(50))
    core = follower.core
    assert core.log.base_index == core.log.last_index == core.commit_index == core.applied_index == 50
    assert core.durable_index == 50


def test_a_snapshot_that_arrives_late_changes_nothing():
    """Symptoms: applied index goes backwards (openraft eed681d5); conflicting snapshot at a committed index
    (openraft#1892); two outstanding ones (tikv/raft-rs#417)."""
    follower = Bench(B, log=log_of(1, 1, 1, 1, 1)).at(FAR).get(A, append(2, (5, 1), 2, commit=6))
    follower.get(A, install(2, 4, 1))
    assert not follower.installs
    assert follower.last(AppendResponse, A).index == 6 and follower.core.applied_index == 6


def test_a_second_snapshot_waits_for_the_first():
    follower = Bench(B).at(FAR).get(A, install(3, 50, 2), install(3, 60, 2))
    assert follower.installs == [meta(50, 2)]


def test_a_suffix_that_agrees_with_the_snapshot_is_kept():
    """Raft, figure 13, step 6."""
    follower = Bench(B, log=log_of(1, 1, 1, 1, 1)).at(FAR).get(A, install(2, 3, 1))
    finish_install(follower)
    assert (follower.core.log.base_index, follower.core.log.last_index) == (3, 5)


def test_a_suffix_that_conflicts_with_the_snapshot_goes():
    """Symptom: conflicting logs after the install (openraft 674e78aa)."""
    follower = Bench(B, log=log_of(1, 1, 1, 1, 1)).at(FAR).get(A, install(3, 3, 2))
    finish_install(follower)
    assert (follower.core.log.base_index, follower.core.log.last_index) == (3, 3)
    assert follower.core.log.last_term == 2


def test_nothing_is_applied_or_appended_while_a_snapshot_is_installed():
    """Symptom: a snapshot installed concurrently with applying (openraft eed681d5, openraft#1761)."""
    follower = Bench(B, log=log_of(1, 1, 1, 1, 1)).at(FAR).get(A, beat(3)).get(A, install(3, 4, 1))
    follower.get(A, append(3, (5, 1), 3, commit=6), CommitNotice(Term(3), LogIndex(5)))
    assert not follower.applied and follower.core.log.last_index == 5
    finish_install(follower)
    assert follower.core.applied_index >= 4 and [e.index for e in follower.applied] == [5]


def test_a_candidate_takes_the_snapshot_that_it_needs():
    """Symptom: a candidate rejects the snapshot and loops for ever (vesoft-inc/nebula#1769)."""
    member = Bench(B).at(FAR).stand()
    member.get(A, install(member.core.term, 50, 2))
    assert member.installs and member.core.role.value == "follower"


def test_a_snapshot_of_an_old_leader_is_refused():
    follower = Bench(B, term=7).at(FAR).get(A, install(3, 50, 2))
    assert not follower.installs and follower.last(AppendResponse).term == 7


def test_a_later_leader_hears_of_the_installed_snapshot():
    """Symptom: the joiner stalls for ever after a change during its snapshot (NuRaft#562, #590)."""
    follower = Bench(B).at(FAR).get(A, install(3, 50, 2)).get(C, beat(4))
    finish_install(follower)
    assert follower.last(AppendResponse, C) == AppendResponse(Term(4), True, LogIndex(50))


def test_ones_own_late_snapshot_does_not_go_back_behind_a_leaders():
    """Symptom: the snapshot index goes backwards when two race (NuRaft#479)."""
    follower = Bench(B, timing=SMALL).at(FAR)
    follower.get(A, append(2, (1, 1), *[2] * 12, commit=13))
    assert follower.snapshots_taken == 1
    finish_install(follower.get(A, install(2, 50, 2)))
    follower.core.snapshot_stored(meta(13, 2), follower.now)
    follower.round()
    assert follower.core.log.snapshot_index == 50 and follower.core.log.base_index == 50


def test_the_first_no_op_after_a_restart_commits_what_the_snapshot_does_not_cover():
    """Symptom: empty reads after a restart, for want of a no-op (RedisLabs/redisraft#43, #18, #22)."""
    lone = Membership(frozenset((A,)))
    member = Bench(A, log=[entry(11, 3, "x")], term=3, snapshot=meta(10, 3, lone)).at(FAR)
    assert [e.index for e in member.applied] == [11, 12] and member.hosted == [4]


def test_a_restart_with_a_kept_tail_behind_the_snapshot():
    """Symptom: a gap between log and snapshot at restart (RedisLabs/redisraft#43)."""
    tail = [entry(index, 2 if index < 9 else 3, str(index)) for index in range(7, 13)]
    member = Bench(B, log=tail, term=3, snapshot=meta(10, 3)).at(FAR)
    log = member.core.log
    assert (log.base_index, log.base_term, log.last_index, log.snapshot_index) == (7, 2, 12, 10)
    assert member.core.applied_index == 10
    member.get(A, append(4, (12, 3), 4, commit=13))
    assert [e.index for e in member.applied] == [11, 12, 13]


def test_a_conflict_at_the_base_index_is_answered_with_the_base():
    follower = Bench(B, log=[], term=3, snapshot=meta(10, 3)).at(FAR)
    follower.get(A, append(4, (12, 4), 4))
    refusal = follower.last(AppendResponse)
    assert (refusal.success, refusal.hint_index, refusal.hint_term) == (False, 10, 3)


def test_an_append_from_before_the_snapshot_is_taken_as_far_as_it_is_news():
    """Symptom: the follower misses only the last entry, and the message begins before its base."""
    follower = Bench(B, log=[], term=3, snapshot=meta(10, 3)).at(FAR)
    follower.get(A, append(4, (7, 2), 3, 3, 3, 4))
    assert follower.last(AppendResponse).index == 11 and follower.terms == [4]


@pytest.mark.parametrize("upto", [3, 4, 5])
def test_compaction_keeps_the_membership_that_is_in_force(upto):
    """Symptom: rollback of a membership whose predecessor was compacted (canonical/raft#354)."""
    joint = THREE.entering((A, B), ())
    log = Log(None, [*log_of(1, 1, 1, 1, 1), entry(6, 1, membership=joint)])
    log.snapshot = meta(5, 1)
    log.compact_to(LogIndex(upto))
    log.truncate_from(LogIndex(6))
    assert log.membership == THREE


def test_few_large_entries_stay_behind_a_snapshot():
    """5,000 of 64 KiB would be 320 MB, in memory and on disk; a member that lacks so much takes the snapshot."""
    timing = replace(Timing(), snapshot_entries=10, kept_entries=8, kept_bytes=5_000)
    leader = Bench(A, timing=timing).lead()
    while not leader.snapshots_taken:
        leader.propose("x" * 1_000)
        leader.answer_appends(B, C)
    index = leader.core.applied_index
    leader.core.snapshot_stored(meta(index, leader.core.term), leader.now)
    leader.round()
    assert index - leader.core.log.base_index == 4
