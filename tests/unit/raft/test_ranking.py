"""Who stands first: the leader's order, and what a rank does and does not do (design.md, section 4: fitness)."""

from __future__ import annotations

import pytest
from cluster import Cluster, cluster_of
from harness import FAR, THREE, A, B, Bench, C, D, E, beat, log_of, pre_vote, vote
from hypothesis import given
from hypothesis import strategies as st

from failover.ids import LogIndex, MemberId, Term
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    PreVoteRequest,
    PreVoteResponse,
    Ranked,
    RankingNotice,
    VoteResponse,
)
from failover.raft.ranking import HINT_STEP, Dwell, Ranking, Seen, fittest_first
from failover.raft.timing import Timing

VOTERS = frozenset((A, B, C))


def order(*seen: Seen, voters=VOTERS) -> str:
    return "".join(each.member.decode() for each in fittest_first(seen, voters))


# --- the order ---


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ({}, "abc"),
        ({A: {"hint": 10}, B: {"hint": 20}, C: {"hint": 30}}, "cba"),
        ({B: {"hint": 1}}, "bac"),
        ({A: {"hint": 255, "is_ready": False}}, "bca"),
        ({A: {"hint": 255, "stands_last": True}, B: {"is_ready": False}}, "cba"),
        ({A: {"hint": 255, "is_leaving": True}, B: {"is_ready": False}}, "cba"),
        ({A: {"hint": 255, "is_witness": True}, B: {"is_leaving": True}}, "cba"),
    ],
)
def test_in_reach_and_caught_up_first_then_the_hint_then_the_id(marks, expected):
    assert order(*(Seen(member=member, **marks.get(member, {})) for member in (C, A, B))) == expected


def test_who_has_no_vote_comes_behind_all_who_have():
    assert order(Seen(member=D, hint=255), Seen(member=A, is_leaving=True), voters={A}) == "ad"


@given(st.permutations([A, B, C, D, E]), st.lists(st.integers(0, 255), min_size=5, max_size=5))
def test_the_order_does_not_depend_on_who_is_looked_at_first(members, hints):
    seen = [Seen(member=member, hint=hint) for member, hint in zip((A, B, C, D, E), hints, strict=True)]
    shuffled = sorted(seen, key=lambda each: members.index(each.member))
    assert fittest_first(seen, VOTERS) == fittest_first(shuffled, VOTERS)


# --- calm ---


def look(ranking: Ranking, **hints: int) -> str:
    seen = [Seen(member=m, hint=ranking.settled(m, hints.get(m.decode(), 0))) for m in (A, B, C)]
    ranking.look(seen, VOTERS)
    return "".join(each.member.decode() for each in ranking.order)


def test_noise_reorders_nobody():
    ranking = Ranking(A, ())
    assert look(ranking, b=100, c=101) == "cba"
    for noise in (1, -3, HINT_STEP - 2, -HINT_STEP + 2):
        assert look(ranking, b=100 + noise, c=101 - noise) == "cba"
    assert look(ranking, b=100 + HINT_STEP, c=101) == "bca"


@given(st.lists(st.integers(100, 100 + HINT_STEP - 1), min_size=1, max_size=50))
def test_whatever_the_noise_an_order_that_is_there_stays(noise):
    ranking = Ranking(A, ())
    first = look(ranking, b=100, c=100)
    assert all(look(ranking, b=b, c=100) == first for b in noise)


def test_that_a_hint_is_unknown_is_news():
    ranking = Ranking(A, ())
    assert look(ranking, b=5, c=1) == "bca"
    assert look(ranking, b=0, c=1) == "cab"
    assert look(ranking, b=5, c=1) == "bca"


def test_a_new_leader_begins_with_the_hints_that_the_last_one_told():
    ranking = Ranking(C, (Ranked(A, 9), Ranked(B, 200)))
    assert ranking.settled(B, None) == 200 and ranking.settled(C, None) == 0


def test_a_look_that_finds_nothing_new_says_so():
    ranking = Ranking(A, ())
    seen = [Seen(member=member) for member in (A, B, C)]
    assert ranking.look(seen, VOTERS) and not ranking.look(seen, VOTERS)
    assert ranking.look([Seen(member=A), Seen(member=B, is_ready=False), Seen(member=C)], VOTERS)


def test_ranks_count_the_other_voters_and_neither_the_leader_nor_who_is_warm():
    ranking = Ranking(B, ())
    ranking.look([Seen(member=member) for member in (A, B, C, D)], VOTERS)
    assert [ranking.rank(member) for member in (A, B, C, D)] == [0, None, 1, None]


def test_what_lasts_is_counted_from_its_beginning_and_what_changes_begins_anew():
    dwell = Dwell()
    assert [dwell.lasts_s("x", now) for now in (1.0, 2.0, 4.0)] == [0.0, 1.0, 3.0]
    assert dwell.lasts_s("y", 5.0) == 0.0 and dwell.lasts_s(None, 6.0) == 0.0 and dwell.lasts_s(None, 7.0) == 0.0
    assert dwell.lasts_s("y", 8.0) == 0.0


# --- told ---


def hints(leader: Bench, **hints: int) -> Bench:
    """The others say how fit they are, whenever they are asked."""
    for _ in range(8):
        leader.at(leader.now + 0.03)
        round_ = max(m.round for _, m in leader.sent if isinstance(m, Heartbeat))
        last = leader.core.log.last_index
        for name, hint in hints.items():
            answer = HeartbeatResponse(leader.core.term, round_, 0.075, last, False, hint)
            leader.get(MemberId(name.encode()), AppendResponse(leader.core.term, True, last), answer)
    return leader


def test_each_voter_learns_its_rank_with_the_heartbeat():
    leader = hints(Bench(A).lead(), b=50, c=100)
    leader.sent.clear()
    leader.at(leader.now + 0.03)
    ranks = {to: message.rank for to, message in leader.sent if isinstance(message, Heartbeat)}
    assert ranks == {B: 1, C: 0}


def test_the_whole_order_is_told_when_it_changes_and_now_and_then_again():
    leader = Bench(A).lead()
    leader.core.fitness.set_hint(7)
    hints(leader, b=50, c=100)
    hints(leader, b=50, c=100)
    hints(leader, b=50, c=100)
    told = leader.last(RankingNotice, B)
    assert told == RankingNotice(leader.core.term, (Ranked(C, 100), Ranked(B, 50), Ranked(A, 7)))
    assert leader.core.fitness.told == told.members
    counts = []
    for _ in range(60):
        hints(leader, b=50, c=100)
        counts.append(len(leader.take(RankingNotice, B)))
    assert 2 <= sum(counts) <= 3, "14 seconds: it is repeated about every five, since datagrams get lost"


def test_a_follower_shows_the_order_that_its_leader_told_and_no_stranger():
    told = (Ranked(C, 9), Ranked(B, 3))
    follower = Bench(B).oversleep(FAR).get(A, beat(2), RankingNotice(Term(2), told))
    assert follower.core.fitness.told == told
    follower.get(C, RankingNotice(Term(2), ())).get(A, RankingNotice(Term(1), ()))
    assert follower.core.fitness.told == told


def test_who_hosts_next_is_told_in_the_order_that_is_known_without_leader_and_witnesses():
    follower = Bench(B).oversleep(FAR).get(A, beat(2), RankingNotice(Term(2), (Ranked(C, 9), Ranked(B, 3))))
    fitness, five = follower.core.fitness, Membership(frozenset((A, B, C, D, E)), witnesses=frozenset((E,)))
    assert fitness.next_hosts(five, A) == (C, B, D), "of whom nothing was told comes last"
    assert fitness.next_hosts(five, None) == (C, B, A, D)
    assert fitness.next_hosts(None, None) == ()
    assert fitness.hints() == {C: 9, B: 3}


def test_the_order_makes_nobody_follow():
    member = Bench(B).at(FAR).stand().get(A, RankingNotice(member_term := Term(1), (Ranked(A, 1),)))
    assert member.core.election is not None and member_term == member.core.term and not member.core.fitness.told


def test_a_member_says_with_its_promise_how_fit_it_is():
    follower = Bench(B).oversleep(FAR)
    follower.core.fitness.set_hint(123)
    assert follower.get(A, beat(2)).last(HeartbeatResponse).hint == 123
    follower.core.stand_last(FAR + 1)
    assert follower.get(A, beat(2)).last(HeartbeatResponse).stands_last
    assert not follower.oversleep(FAR + 1.5).get(A, beat(2)).last(HeartbeatResponse).stands_last


@pytest.mark.parametrize("hint", [-1, 256])
def test_a_hint_has_its_bounds(hint):
    with pytest.raises(AssertionError):
        Bench(B).core.fitness.set_hint(hint)


# --- what a rank does: it delays the own candidacy, and nothing else ---


def stands_after(rank: int | None, me: MemberId = B) -> float:
    """How long after the end of its promise a member with this rank stands."""
    member = Bench(me).oversleep(FAR).get(A, Heartbeat(Term(2), 1, 0.075, LogIndex(0), rank))
    member.sent.clear()
    member.stand()
    return round(member.now - FAR - 0.075, 6)


def test_the_best_rank_stands_at_once_and_the_others_in_their_turn():
    stagger = Timing().stagger_s
    assert [stands_after(rank) for rank in (0, 1)] == [0.0, stagger]


def test_an_unknown_rank_is_the_last():
    assert stands_after(None) >= stands_after(1)


def test_a_rank_beyond_all_reason_delays_no_more_than_the_last():
    assert stands_after(63) == 1 * Timing().stagger_s


def test_members_that_know_no_rank_stand_at_different_times():
    stood = set()
    for me in (A, B, C):
        member = Bench(me)
        member.core.fitness.rank = None
        member.core.standing.wait(0.0)
        stood.add(round(member.stand().now, 6))
    assert len(stood) == 3


def test_alone_nobody_is_waited_for():
    alone = Bench(A, log=log_of(1, membership=Membership(frozenset((A,)))))
    alone.core.fitness.rank = None
    alone.core.standing.wait(0.0)
    assert alone.at(0.1 + 1e-9).core.leadership is not None


def test_the_fittest_voter_becomes_the_next_host():
    table = with_hints(cluster_of(A, B, C, D, E), {A: 10, B: 20, C: 30, D: 200, E: 40})
    old = table.with_host()
    table.run(1.0).crash(old.core.me)
    assert table.with_host().core.me == (D if old.core.me != D else E)


def test_a_fitter_voter_with_an_older_log_is_not_elected():
    """Raft, 5.4.1: fitness never overrides it."""
    newer = log_of(1, 1, 1)
    table = cluster_of(A, B, C, logs={A: newer, B: newer})
    for name, rank in ((A, 2), (B, 1), (C, 0)):
        table[name].core.fitness.rank = rank
        table[name].core.standing.wait(0.0)
    assert table.with_host().core.me in (A, B)


def with_hints(table: Cluster, given: dict[MemberId, int]) -> Cluster:
    for name, hint in given.items():
        table[name].core.fitness.set_hint(hint)
    return table


# --- bugs of others (raft-bugs.md, 51 to 53) ---


@pytest.mark.parametrize("rank", [0, 1, None])
def test_nobody_is_refused_for_its_rank(rank):
    """Symptoms: priorities that refuse end in elections that nobody wins (NuRaft#661); who has none left to hear
    a heartbeat from still says that one is alive.

    A vote looks at promises, terms and logs; what the voter knows of ranks changes nothing.
    """
    voter = Bench(C).oversleep(FAR).get(A, Heartbeat(Term(1), 1, 0.075, LogIndex(0), rank))
    voter.core.fitness.told = (Ranked(A, 255), Ranked(C, 250), Ranked(B, 1))
    voter.oversleep(FAR + 0.1)
    assert voter.get(B, pre_vote(2)).last(PreVoteResponse).granted
    assert voter.get(B, vote(2)).last(VoteResponse).granted


def test_the_last_of_all_ranks_is_elected_if_only_it_stands():
    """Symptom: priorities decay to values that no peer has, and the election stalls (NuRaft#661)."""
    table = with_hints(cluster_of(A, B, C), {A: 255, B: 200, C: 1})
    table.with_host()
    table.run(1.0)
    table[C].core.stand_last(table.now + 60)
    for name in (A, B):  # these are there, and vote; they only never stand
        table[name].core.standing._stand = lambda now, standing=table[name].core.standing: standing.back_off(now)
        table[name].core.resign(table.now)
        table[name].round()
    assert table.with_host(2.0).core.me == C


def test_a_joiner_of_high_rank_that_cannot_stand_yet_stops_nobody():
    """Symptom: a joiner with its election timer off keeps its high priority and refuses everybody (NuRaft#270)."""
    membership = Membership(VOTERS, learners=frozenset((D,)))
    table = Cluster(*(Bench(name, log=log_of(1, membership=membership)) for name in (A, B, C)))
    table.benches[D] = Bench(D, log=[], term=0)
    with_hints(table, {A: 10, B: 10, C: 10, D: 255})
    old = table.with_host()
    table.run(1.0)
    assert old.core.leadership.tending.ranking.rank(D) is None
    table.crash(old.core.me)
    assert table.with_host(1.0).core.me in VOTERS - {old.core.me}


def test_the_least_fit_member_leads_when_it_alone_holds_the_log_or_is_left():
    """Symptoms: a member of priority 0 leads by accident, or its cluster is stuck, when it alone holds the log or
    the cluster has shrunk to it (NuRaft#436)."""
    newest = log_of(1, 1, 1, 1)
    table = with_hints(cluster_of(A, B, C, logs={C: newest}), {A: 255, B: 255, C: 1})
    table[C].core.stand_last(60.0)
    table.crash(A)
    assert table.with_host().core.me == C, "B lacks what may be committed"
    assert table[C].core.change_membership((C,), (A, B), b"", table.now)
    table[C].round()
    table.until(lambda: table[C].core.log.membership.voters == {C})
    table.crash(C)
    table.restart(C).core.stand_last(table.now + 60)
    assert table.with_host().core.me == C, "nobody else is left to vote"


# --- making way for a fitter host ---

WILLING = Timing(fitter_margin=64, fitter_dwell_s=2.0, fitter_rest_s=5.0)


def hosts_over(table: Cluster, seconds: float) -> list[MemberId]:
    """Who hosts, in turn."""
    hosts: list[MemberId] = []
    for _ in range(int(seconds / 0.05)):
        table.run(0.05)
        if table.host is not None and table.host.core.me not in hosts[-1:]:
            hosts.append(table.host.core.me)
    return hosts


def test_a_healthy_host_stays_whoever_is_fitter_unless_that_is_wished():
    table = with_hints(cluster_of(A, B, C), {A: 1, B: 255, C: 1})
    assert hosts_over(table, 20.0) == [A]


def test_a_host_makes_way_for_a_clearly_fitter_voter_after_a_while():
    table = with_hints(cluster_of(A, B, C, timing=WILLING), {A: 50, B: 114, C: 60})
    assert hosts_over(table, 4.5) == [A], "it is young"
    assert hosts_over(table, 30.0) == [A, B]


def test_a_voter_that_is_a_little_fitter_is_not_worth_a_change_of_host():
    table = with_hints(cluster_of(A, B, C, timing=WILLING), {A: 50, B: 113, C: 60})
    assert hosts_over(table, 20.0) == [A]


def test_a_short_advantage_is_not_worth_a_change_of_host():
    table = with_hints(cluster_of(A, B, C, timing=WILLING), {A: 50, B: 60, C: 60})
    assert hosts_over(table, 10.0) == [A]
    for _ in range(10):
        with_hints(table, {B: 200})
        assert hosts_over(table, 1.5) == [A]
        with_hints(table, {B: 60})
        assert hosts_over(table, 1.0) == [A]


def test_hosts_that_become_less_fit_by_hosting_take_turns_slowly():
    """The rate limit: a new host stays for its rest, whatever it finds."""
    table = with_hints(cluster_of(A, B, C, timing=WILLING), {A: 200, B: 200, C: 1})
    changes, host = 0, table.with_host()
    for _ in range(600):
        table.run(0.05)
        if table.host is not None and table.host is not host:
            host, changes = table.host, changes + 1
        with_hints(table, {A: 200, B: 200})
        host.core.fitness.set_hint(100)
    assert 2 <= changes <= 30 / WILLING.fitter_rest_s


def test_the_one_to_hand_over_to_is_the_fittest_that_lacks_little():
    leader = hints(Bench(A, log=log_of(1, membership=THREE)).lead(), b=200, c=100)
    leader.core.hand_over(None, leader.now)
    assert leader.core.leadership.handing_over.target == B
    late = hints(Bench(A).lead(), b=200, c=100)
    for _ in range(100):
        late.propose()
    late.answer_appends(C)
    late.core.hand_over(None, late.now)
    assert late.core.leadership.handing_over.target == C


def test_a_member_whose_server_function_failed_is_the_last_to_hand_over_to():
    leader = Bench(A).lead()
    leader.get(B, HeartbeatResponse(leader.core.term, 1, 0.075, leader.core.log.last_index, False, 255, True))
    leader.get(C, HeartbeatResponse(leader.core.term, 1, 0.075, leader.core.log.last_index, False, 1))
    leader.answer_appends(B, C)
    leader.core.hand_over(None, leader.now)
    assert leader.core.leadership.handing_over.target == C


def test_who_stands_asks_everybody_whatever_its_rank():
    """A rank of its own keeps nobody from asking everybody."""
    member = Bench(B).oversleep(FAR).get(A, Heartbeat(Term(2), 1, 0.075, LogIndex(0), 1))
    member.sent.clear()
    assert {to for to, m in member.stand().sent if isinstance(m, PreVoteRequest)} == {A, C}
