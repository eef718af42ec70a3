"""Each oracle accepts what is allowed and raises at what is not, at the first step."""

from __future__ import annotations

import math

import pytest

from failover.ids import LogIndex, MemberId, Term
from failover.raft.effects import HardState, SnapshotMeta
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendResponse,
    Entry,
    HandOver,
    HeartbeatResponse,
    PreVoteRequest,
    PreVoteResponse,
    Release,
    VoteRequest,
    VoteResponse,
)
from failover.raft.timing import Timing
from failover.testing.checkers import (
    HeldByQuorum,
    OneHistory,
    OneHost,
    OneLeaderPerTerm,
    OneVotePerTerm,
    OnlyForwards,
    TwoHosts,
    Violation,
    quorum_of,
)
from failover.testing.promise_checkers import PromisesKept
from failover.testing.rule_checkers import OrderOfMemberships, OwnTermCommits, Reads, Sizes, stored_before_said

A, B, C, D, E = (MemberId(bytes([letter])) for letter in b"abcde")
THREE = Membership(voters=frozenset({A, B, C}))
JOINT = Membership(voters=frozenset({A, D, E}), outgoing=frozenset({A, B, C}))


def test_a_quorum_is_more_than_half_of_each_half():
    assert quorum_of(THREE, {A, B})
    assert not quorum_of(THREE, {A, D, E})
    assert not quorum_of(Membership(voters=frozenset({A, B})), {A})
    assert quorum_of(JOINT, {A, B, D})
    assert not quorum_of(JOINT, {A, D, E})
    assert not quorum_of(JOINT, {A, B, C})


class TestOneHost:
    def test_a_tenure_may_begin_when_the_lease_of_the_other_has_ended(self):
        one = OneHost()
        one.begins(A, Term(2), 1.0, 2.0)
        one.begins(B, Term(3), 2.1, 3.0)
        assert one.tenures == 2

    def test_a_tenure_may_begin_when_the_other_has_ended(self):
        one = OneHost()
        one.begins(A, Term(2), 1.0, 2.0)
        one.ends(A)
        one.begins(B, Term(3), 1.5, 3.0)

    def test_a_tenure_may_not_begin_while_another_lease_runs(self):
        one = OneHost()
        one.begins(A, Term(2), 1.0, 2.0)
        with pytest.raises(TwoHosts):
            one.begins(B, Term(3), 1.9, 3.0)

    def test_a_lease_may_not_grow_over_another_tenure(self):
        one = OneHost()
        one.begins(A, Term(2), 1.0, 2.0)
        one.begins(B, Term(3), 2.1, 3.0)
        with pytest.raises(Violation):
            one.lease_moved(A, 2.2, 4.0)

    def test_a_term_has_one_tenure(self):
        one = OneHost()
        one.begins(A, Term(2), 1.0, 2.0)
        one.ends(A)
        with pytest.raises(Violation, match="second tenure"):
            one.begins(A, Term(2), 3.0, 4.0)


def test_a_term_has_one_leader():
    one = OneLeaderPerTerm()
    one.leads(A, Term(2))
    one.leads(A, Term(2))
    with pytest.raises(Violation):
        one.leads(B, Term(2))


class TestVotes:
    def test_a_member_votes_once_in_a_term(self):
        one = OneVotePerTerm()
        one.says(A, B, VoteResponse(Term(2), Term(2), granted=True))
        one.says(A, B, VoteResponse(Term(2), Term(2), granted=True))
        one.says(A, C, VoteResponse(Term(2), Term(2), granted=False))
        one.says(A, C, VoteResponse(Term(3), Term(3), granted=True))
        with pytest.raises(Violation):
            one.says(A, C, VoteResponse(Term(2), Term(2), granted=True))

    def test_who_leads_has_voted_for_itself(self):
        one = OneVotePerTerm()
        one.says(A, B, VoteResponse(Term(2), Term(2), granted=True))
        with pytest.raises(Violation):
            one.leads(A, Term(2))

    def test_who_leads_was_elected_by_a_quorum(self):
        one = OneVotePerTerm()
        one.says(B, A, VoteResponse(Term(2), Term(2), granted=True))
        one.leads(A, Term(2))
        one.is_elected(A, Term(2), THREE)
        with pytest.raises(Violation, match="with the votes of"):
            one.is_elected(A, Term(2), JOINT)


def entry(index: int, term: int, membership: Membership | None = None) -> Entry:
    return Entry(LogIndex(index), Term(term), b"%d" % index, membership)


class TestOneHistory:
    def test_what_is_committed_stays(self):
        one = OneHistory()
        one.applies(A, [entry(1, 1), entry(2, 1)])
        one.applies(B, [entry(1, 1)])
        with pytest.raises(Violation):
            one.applies(B, [entry(2, 2)])

    def test_nothing_is_left_out(self):
        with pytest.raises(Violation):
            OneHistory().applies(A, [entry(2, 1)])

    def test_a_leader_lacks_nothing_of_earlier_terms(self):
        one = OneHistory()
        one.applies(A, [entry(1, 1), entry(2, 2)])
        one.leads(B, Term(3), LogIndex(2), [entry(1, 1), entry(2, 2)])
        one.leads(B, Term(2), LogIndex(1), [entry(1, 1)])
        with pytest.raises(Violation, match="ends at 1"):
            one.leads(B, Term(3), LogIndex(1), [entry(1, 1)])
        with pytest.raises(Violation, match="another entry at 2"):
            one.leads(B, Term(3), LogIndex(2), [entry(1, 1), entry(2, 1)])

    def test_a_host_has_applied_what_earlier_hosts_accepted(self):
        one = OneHistory()
        one.applies(A, [entry(1, 1), entry(2, 2)])
        one.hosts(B, Term(3), LogIndex(2))
        with pytest.raises(Violation):
            one.hosts(B, Term(3), LogIndex(1))


def test_terms_and_indexes_go_forwards_in_one_life():
    only = OnlyForwards()
    only.shows(A, 1, Term(2), LogIndex(5), LogIndex(5))
    only.shows(A, 2, Term(2), LogIndex(1), LogIndex(1))
    with pytest.raises(Violation):
        only.shows(A, 1, Term(2), LogIndex(4), LogIndex(5))


def test_what_counts_as_committed_is_held_by_a_quorum():
    held = HeldByQuorum()
    held.commits(A, LogIndex(3), [THREE], [A, B])
    assert not held.is_news(LogIndex(3)) and held.is_news(LogIndex(4))
    with pytest.raises(Violation):
        held.commits(A, LogIndex(4), [JOINT], [A, D, E])


class TestStoredBeforeSaid:
    def test_a_vote(self):
        vote = VoteResponse(Term(4), Term(4), granted=True)
        stored_before_said(A, B, vote, HardState(Term(4), B))
        stored_before_said(A, B, vote, HardState(Term(5), None))
        stored_before_said(A, B, VoteResponse(Term(4), Term(4), granted=False), HardState(Term(1)))
        for disk in (HardState(Term(4), None), HardState(Term(4), C), HardState(Term(3), B)):
            with pytest.raises(Violation):
                stored_before_said(A, B, vote, disk)

    def test_a_promise_and_its_term(self):
        promise = HeartbeatResponse(Term(4), 1, 0.2, LogIndex(0))
        stored_before_said(A, B, promise, HardState(Term(4), None, 0.2))
        with pytest.raises(Violation, match=r"promises 0\.200 s"):
            stored_before_said(A, B, promise, HardState(Term(4), None, 0.1))
        with pytest.raises(Violation, match="in term 4"):
            stored_before_said(A, B, promise, HardState(Term(3), None, 0.2))

    def test_the_term_of_an_answer(self):
        stored_before_said(A, B, AppendResponse(Term(4), False, LogIndex(1)), HardState(Term(3)))
        with pytest.raises(Violation):
            stored_before_said(A, B, AppendResponse(Term(4), True, LogIndex(1)), HardState(Term(3)))


def test_a_leader_commits_in_its_own_term():
    own = OwnTermCommits()
    own.leads(A, 1, Term(4), LogIndex(7), Term(3))  # known before it led
    own.leads(A, 1, Term(4), LogIndex(7), Term(3))
    own.leads(A, 1, Term(4), LogIndex(9), Term(4))
    with pytest.raises(Violation):
        own.leads(A, 1, Term(4), LogIndex(10), Term(3))


class TestMemberships:
    def rules(self, *entries: Entry) -> OrderOfMemberships:
        rules = OrderOfMemberships(THREE)
        rules.applied([entry(2, 2), *entries])
        return rules

    def test_voters_change_through_a_joint_membership(self):
        rules = self.rules(entry(3, 2, JOINT), entry(4, 2, JOINT.leaving()))
        rules.applied([entry(3, 2, JOINT)])  # by another member
        rules.snapshot(A, SnapshotMeta(LogIndex(3), Term(2), JOINT, LogIndex(3)))

    def test_learners_come_and_go(self):
        self.rules(entry(3, 2, THREE.with_learners({D})), entry(4, 2, THREE))

    @pytest.mark.parametrize(
        "wrong",
        [
            Membership(voters=frozenset({A, B})),
            Membership(voters=frozenset({A, B}), outgoing=frozenset({A, B, C, D})),
        ],
    )
    def test_voters_do_not_change_otherwise(self, wrong):
        with pytest.raises(Violation, match="follows"):
            self.rules(entry(3, 2, wrong))

    def test_a_joint_membership_is_left_and_not_entered_again(self):
        with pytest.raises(Violation, match="follows"):
            self.rules(entry(3, 2, JOINT), entry(4, 2, JOINT))

    def test_a_leader_begins_with_something_else(self):
        with pytest.raises(Violation, match="first of its term"):
            self.rules(entry(3, 3, THREE.with_learners({D})))

    def test_a_snapshot_holds_what_was_committed_there(self):
        rules = self.rules(entry(3, 2, JOINT), entry(4, 2, JOINT.leaving()))
        for membership, at in ((THREE, 1), (JOINT.leaving(), 4), (JOINT, 2)):
            with pytest.raises(Violation):
                rules.snapshot(A, SnapshotMeta(LogIndex(3), Term(2), membership, LogIndex(at)))


def test_a_read_sees_what_was_done():
    Reads().answered(A, LogIndex(5), 5)
    with pytest.raises(Violation):
        Reads().answered(A, LogIndex(5), 6)


class TestPromises:
    """A promises one second to B, leader of term 2, at true time 10; its clock is right."""

    def kept(self) -> PromisesKept:
        kept = PromisesKept()
        self.decides(kept, A, B, HeartbeatResponse(Term(2), 1, 1.0, LogIndex(0)), 10.0)
        return kept

    def decides(self, kept, member, to, message, now, life=1):
        kept.decides(member, life, to, message, now, lambda seconds: now + seconds)

    HELP = (
        PreVoteRequest(Term(3), LogIndex(0), Term(0)),
        PreVoteResponse(Term(2), Term(3), granted=True),
        VoteRequest(Term(3), LogIndex(0), Term(0)),
        VoteResponse(Term(3), Term(3), granted=True),
    )

    @pytest.mark.parametrize("message", HELP, ids=lambda message: type(message).__name__)
    def test_who_has_promised_helps_nobody_until_the_end(self, message):
        with pytest.raises(Violation, match="promised to"):
            self.decides(self.kept(), A, C, message, 10.99)
        self.decides(self.kept(), A, C, message, 11.01)
        self.decides(self.kept(), C, A, message, 10.5)  # it has promised nothing

    @pytest.mark.parametrize("message", HELP, ids=lambda message: type(message).__name__)
    def test_a_release_makes_free_from_its_leader_alone(self, message):
        kept = self.kept()
        self.decides(kept, B, C, HandOver(Term(2), Release(B, Term(2))), 10.1)
        self.decides(kept, A, C, message, 10.2)
        kept = self.kept()
        self.decides(kept, B, C, HandOver(Term(1), Release(B, Term(1))), 10.1)
        with pytest.raises(Violation, match="promised to"):
            self.decides(kept, A, C, message, 10.2)

    def test_a_refusal_is_no_help(self):
        self.decides(self.kept(), A, C, VoteResponse(Term(3), Term(3), granted=False), 10.5)
        self.decides(self.kept(), A, C, PreVoteResponse(Term(3), Term(3), granted=False), 10.5)

    def test_a_restart_ends_no_promise(self):
        kept = self.kept()
        with pytest.raises(Violation):
            self.decides(kept, A, C, self.HELP[3], 10.9, life=2)
        self.decides(kept, A, C, self.HELP[3], 10.92, life=2)  # a fast clock may show that it is over

    def test_nobody_stands_with_a_release_that_was_never_given(self):
        request = VoteRequest(Term(3), LogIndex(0), Term(0), Release(B, Term(2)))
        with pytest.raises(Violation, match="never given"):
            self.decides(self.kept(), A, C, request, 10.5)

    def test_a_lease_ends_before_the_promises_of_a_quorum(self):
        kept, lives = self.kept(), dict.fromkeys((A, B, C), 1)
        kept.leases(B, Term(2), 11.0, THREE, lives)
        for term, ends in ((2, 11.1), (3, 10.5), (2, math.inf)):
            with pytest.raises(Violation, match="by the word of"):
                kept.leases(B, Term(term), ends, THREE, lives)
        kept.leases(B, Term(2), math.inf, Membership(voters=frozenset({B})), lives)


class Lease:
    """Named as one of the core's."""

    def __init__(self, size: int) -> None:
        self._sent = dict.fromkeys(range(size))
        self._backed_until = dict.fromkeys(range(size))


def test_what_is_kept_in_memory_is_bounded():
    sizes = Sizes(Timing(), members_max=3)
    sizes.look_at(A, Lease(20))
    assert sizes.largest == {"Lease._sent": 20, "Lease._backed_until": 20}
    with pytest.raises(Violation, match=r"keeps 21 in Lease\._backed_until"):
        sizes.look_at(A, Lease(21))
