"""Each checker accepts what may happen, and objects to what may not."""

from __future__ import annotations

import pytest

from failover.events import BecomeHost, QuorumLost, StopHost, Stopped
from failover.ids import Epoch, Generation, LogIndex, MemberId, Term
from failover.raft.messages import HandOver, Heartbeat, HeartbeatResponse, Release, VoteRequest, VoteResponse
from failover.records import Caller
from failover.testing.checkers import Violation
from failover.testing.stack_checkers import EventsInOrder, Once, OneTenure, PromisesKept, SameStates

ADA, BEN, EVE = (MemberId(name) for name in (b"ada", b"ben", b"eve"))


def epoch(term):
    return Epoch(Generation(b"g"), Term(term))


def test_one_tenure_at_a_time_each_in_a_later_epoch():
    checker = OneTenure()
    checker.begins(ADA, epoch(1))
    checker.run([(ADA, epoch(1))])
    checker.begins(BEN, epoch(3))
    checker.run([(BEN, epoch(3))])
    assert checker.tenures == 2
    with pytest.raises(Violation, match="2 hosts at one instant"):
        checker.run([(ADA, epoch(1)), (BEN, epoch(3))])
    with pytest.raises(Violation, match="a second tenure"):
        checker.begins(ADA, epoch(3))
    with pytest.raises(Violation, match="after one of a later term"):
        checker.begins(ADA, epoch(2))


def heartbeat(round_):
    return Heartbeat(Term(1), round_, 1.0, LogIndex(0))


def promise(round_, seconds):
    return HeartbeatResponse(Term(1), round_, seconds, LogIndex(0))


def vote(granted=True):
    return VoteResponse(Term(2), Term(2), granted)


def promised(seconds=1.0):
    """Ben has promised Ada, counted from 10.0."""
    checker = PromisesKept()
    checker.says(ADA, BEN, heartbeat(1), 10.0)
    checker.says(BEN, ADA, promise(1, seconds), 10.2)
    return checker


def test_a_vote_waits_for_the_end_of_a_promise():
    promised().says(BEN, EVE, vote(), 10.91)
    with pytest.raises(Violation, match="helps"):
        promised().says(BEN, EVE, vote(), 10.89)


def test_who_promised_does_not_stand_itself():
    request = VoteRequest(Term(2), LogIndex(0), Term(0))
    promised().says(BEN, EVE, request, 11.0)
    with pytest.raises(Violation, match="promised"):
        promised().says(BEN, EVE, request, 10.5)


def test_what_left_for_the_disk_before_the_leader_won_may_come_late():
    """A vote, or a request for votes, of the leader's own term or of an earlier one elects nobody any more."""
    late = VoteResponse(Term(1), Term(1), granted=True)
    promised().says(BEN, EVE, late, 10.5)
    promised().says(BEN, EVE, VoteRequest(Term(1), LogIndex(0), Term(0)), 10.5)


def test_a_refusal_a_promise_of_nothing_and_a_promise_to_others_hold_nobody_up():
    promised().says(BEN, EVE, vote(granted=False), 10.5)
    promised(0.0).says(BEN, EVE, vote(), 10.5)
    promised().says(EVE, BEN, vote(), 10.5)


def test_a_release_voids_the_promises_to_its_leader_and_term_alone():
    checker = promised()
    checker.says(ADA, EVE, HandOver(Term(1), Release(ADA, Term(1))), 10.3)
    checker.says(BEN, EVE, vote(), 10.5)
    checker = promised()
    checker.says(ADA, EVE, HandOver(Term(0), Release(ADA, Term(0))), 10.3)
    with pytest.raises(Violation):
        checker.says(BEN, EVE, vote(), 10.5)


def test_a_request_is_carried_out_once_and_answered_with_that_reply():
    checker, caller = Once(), Caller(ADA, 1, 7, 1)
    checker.carried_out(caller, LogIndex(5))
    checker.carried_out(caller, LogIndex(5))  # on another member
    checker.replied(caller, b"yes")
    checker.answers(ADA, 1, 7, b"yes")
    with pytest.raises(Violation, match="again at 6"):
        checker.carried_out(caller, LogIndex(6))
    with pytest.raises(Violation, match="had the replies"):
        checker.replied(caller, b"no")
    with pytest.raises(Violation, match="not b'yes'"):
        checker.answers(ADA, 1, 7, b"no")
    with pytest.raises(Violation, match="never carried out"):
        checker.answers(ADA, 2, 7, b"yes")


def test_equal_logs_give_equal_states():
    checker = SameStates()
    checker.is_at(ADA, LogIndex(3), b"x")
    checker.is_at(BEN, LogIndex(3), b"x")
    checker.is_at(BEN, LogIndex(4), b"y")
    with pytest.raises(Violation, match="another state at 4"):
        checker.is_at(ADA, LogIndex(4), b"z")


def hear(*events, epoch_now=None):
    order = EventsInOrder()
    for event in events:
        order.hears(event, epoch_now)


def test_the_events_of_tenures_come_in_turn():
    one, two = epoch(1), epoch(2)
    hear(BecomeHost(one), QuorumLost(1, 3), StopHost(one, "x"), BecomeHost(two), StopHost(two, "x"), Stopped())
    for wrong in (
        (BecomeHost(one), BecomeHost(two)),
        (BecomeHost(two), StopHost(two, "x"), BecomeHost(one)),
        (StopHost(one, "x"),),
        (BecomeHost(one), StopHost(two, "x")),
        (BecomeHost(one), Stopped()),
        (Stopped(), QuorumLost(1, 3)),
    ):
        with pytest.raises(Violation):
            hear(*wrong)
    with pytest.raises(Violation, match="still accepted"):
        hear(BecomeHost(one), StopHost(one, "x"), epoch_now=one)
