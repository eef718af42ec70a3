"""Who should vote: a table of clusters and decisions, and what holds for every cluster.

A cluster is written as one word for each member: a capital votes, a small letter is warm; `*` leads, `~` is gone,
`-` is about to close, `?` is not steady, `!` failed as a host, `+` is a witness; a number is its hint.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.ids import MemberId
from failover.raft.autopilot import VOTERS_MAX, fitness_swap, fitter_host, voters_wanted
from failover.raft.membership import Membership
from failover.raft.quorum import majority, survivable
from failover.raft.ranking import Seen

AS_IT_IS = ""


def cluster(text: str) -> tuple[Membership, MemberId, dict[MemberId, Seen]]:
    voters, learners, seen, me = set(), set(), {}, None
    for word in text.split():
        letter, marks, hint = re.fullmatch(r"(\w)([*~?!+-]*)(\d*)", word).groups()
        member = MemberId(letter.lower().encode())
        (voters if letter.isupper() else learners).add(member)
        me = member if "*" in marks else me
        seen[member] = Seen(
            member=member,
            hint=int(hint or 0),
            is_witness="+" in marks,
            is_ready="?" not in marks,
            is_steady="?" not in marks and "~" not in marks,
            is_gone="~" in marks,
            is_leaving="-" in marks,
            stands_last="!" in marks,
        )
    return Membership(frozenset(voters), learners=frozenset(learners)), me, seen


def decide(text: str, *, may_swap: bool = False) -> str:
    membership, me, seen = cluster(text)
    swap = fitness_swap(membership, me=me, seen=seen, margin=48) if may_swap else None
    wanted = voters_wanted(membership, me=me, seen=seen, swap=swap)
    return AS_IT_IS if wanted is None else " ".join(sorted(member.decode().upper() for member in wanted))


@pytest.mark.parametrize(
    ("before", "voters"),
    [
        # as many as are of use, an odd number
        ("A*", AS_IT_IS),
        ("A* b", "A B"),
        ("A* B", AS_IT_IS),
        ("A* B c", "A B C"),
        ("A* b c", "A B C"),
        ("A* B C d", AS_IT_IS),
        ("A* B C D", "A B C"),
        ("A* B C d e", "A B C D E"),
        ("A* B C D E f", AS_IT_IS),
        ("A* B C D E F", "A B C D E"),
        ("A* b c d e f g h i j", "A B C D E"),
        # the fittest of them; who votes already comes first
        ("A* b10 c30 d20", "A C D"),
        ("A*1 b10 c10 d10 e20 f20 g20", "A B E F G"),
        ("A*9 B1 c200 d100", "A B C"),
        ("A*1 B10 C30 D20", "A C D"),
        ("A* b!200 c30 d20", "A C D"),
        # only who is steady is given a vote
        ("A* b?", AS_IT_IS),
        ("A* B c? d", "A B D"),
        ("A* B c- d~", AS_IT_IS),
        ("A* B C? D", "A B D"),
        # who is gone gives its vote to a warm member
        ("A* B C~ d", "A B D"),
        ("A* B~ C d20 e30", "A C E"),
        ("A* B C D~ E f", "A B C E F"),
        ("A* B C D~ E~ f g", "A B C F G"),
        ("A* B C D~ E~ f", "A B C"),
        # ... or just gives it up, where more failures are survived then
        ("A* B C D E~", AS_IT_IS),
        ("A* B C D~ E~", "A B C"),
        ("A* B C D~", "A B C"),
        ("A* B C~", AS_IT_IS),
        ("A* B C~ d?", AS_IT_IS),
        ("A* B~", "A"),  # which no lease will permit
        # who returns is warm, and votes again where that is of use
        ("A* B D c", AS_IT_IS),
        ("A* B C d e~", AS_IT_IS),
        # who is about to close gives up its vote
        ("A* B-", "A"),
        ("A* B C-", "A B"),
        ("A* B C- d", "A B D"),
        ("A* B- C-", "A"),
        ("A* B- C~", "A"),
        ("A* B C D E-", "A B C"),
        ("A* B C D- E-", "A B C"),
        ("A* B C D E- f", "A B C D F"),
        ("A* B- C~ d", "A D C"),
        ("A*- B C", AS_IT_IS),
        # a witness makes three of two, five of four, and gives way to who can host
        ("A* B w+", "A B W"),
        ("A* w+", AS_IT_IS),
        ("A* W+ b", "A B W"),
        ("A* B W+ c", "A B C"),
        ("A* B C w+", AS_IT_IS),
        ("A* B C d w+", "A B C D W"),
        ("A* B W+~", AS_IT_IS),
        ("A* B- W+", "A"),
        ("A* B~ W+", AS_IT_IS),
        # a player and a witness need each other, and one of them cannot host
        ("A* W+", "A"),
        # one that leads hands over, or gives a vote to whoever it can hand over to
        ("A*+ B c", AS_IT_IS),
        ("A*+ B~ W+ c", "A C W"),
        ("A*+ B? W+ c", "A B C"),
        ("A*+ B~ W+", AS_IT_IS),
        # more voters than we would make, made by hand, stay while they are of use
        ("A* B C D E F G", AS_IT_IS),
        ("A* B C D E F G~", AS_IT_IS),
        ("A* B C D E F~ G~", "A B C D E"),
    ],
)
def test_the_decision(before, voters):
    assert decide(before) == " ".join(sorted(voters.split()))


@pytest.mark.parametrize(
    ("before", "voters"),
    [
        ("A*9 B100 C50 d98", "A B D"),
        ("A*9 B100 C50 d97", AS_IT_IS),
        ("A*9 B100 C50 d?255 e120", "A B E"),
        ("A*9 B100 C90 d99", AS_IT_IS),
        ("A*1 B100 C100 d99", AS_IT_IS),
        ("A*9 B100 C d200", "A C D"),
        ("A*9 B100 C d", AS_IT_IS),
        ("A*9 B100 C50 d!98", AS_IT_IS),
        ("A*9 B100 C50 d?98", AS_IT_IS),
        ("A*9 B100 C50 d-98", AS_IT_IS),
        ("A*9 B100 C~50 d98", "A B D"),
        ("A*9 B9 w+200", "A B W"),
        ("A*9 B9 C9 w+200", AS_IT_IS),
    ],
)
def test_a_swap_for_mere_fitness_needs_a_margin_and_two_hints(before, voters):
    assert decide(before, may_swap=True) == voters


@pytest.mark.parametrize(
    ("members", "fitter"),
    [
        ("A*100 B164 C50", "b"),
        ("A*100 B163 C50", None),
        ("A*100 B180 C190", "c"),
        ("A*100 B190 C190", "b"),
        ("A* B190 C190", None),
        ("A*100 B~190 C50", None),
        ("A*100 B-190 C50", None),
        ("A*100 B?190 C50", None),
        ("A*100 B!190 C50", None),
        ("A*100 B50 W+190", None),
        ("A*100 B50 C50 d250", None),
    ],
)
def test_only_a_well_voter_that_is_clearly_fitter_is_worth_a_change_of_host(members, fitter):
    membership, me, seen = cluster(members)
    assert fitter_host(membership, me=me, seen=seen, margin=64) == (fitter and fitter.encode())


def test_nothing_is_decided_while_a_change_is_in_progress():
    membership, me, seen = cluster("A* B C~ d")
    joint = membership.entering(frozenset((b"a", b"b", b"d")), frozenset((b"c",)))
    assert voters_wanted(joint, me=me, seen=seen) is None


def test_four_players_survive_two_crashes_one_after_the_other():
    """design.md, section 5."""
    for first, second in (("b", "c"), ("b", "d"), ("c", "b"), ("d", "b")):
        members = {"a": "A*", "b": "B", "c": "C", "d": "d"}
        members[first] += "~"
        voters = set((decide(" ".join(members.values())) or "A B C").lower().split())
        alive = voters - {first, second}
        assert len(alive) >= majority(len(voters)), (first, second, voters)


# --- what holds for every cluster ---

LETTERS = "abcdefghij"


@st.composite
def clusters(draw, most_voters=5):
    """A cluster in which a quorum is there, as it is where anything can be decided at all."""
    size = draw(st.integers(1, 10))
    voters = draw(st.integers(1, min(size, most_voters)))
    away_max = voters - majority(voters)
    words = []
    for number, letter in enumerate(LETTERS[:size]):
        if number == 0:
            marks = "*"
        elif number < voters:
            marks = draw(st.sampled_from(["", "", "", "?", "!", "~", "-"]))
            if "~" in marks:
                marks, away_max = (marks, away_max - 1) if away_max else ("", 0)
        else:
            marks = draw(st.sampled_from(["", "", "?", "!", "~", "-", "~-"]))
        hint = draw(st.sampled_from([0, 1, 50, 100, 150, 200, 255]))
        words.append((letter.upper() if number < voters else letter) + marks + str(hint))
    if draw(st.booleans()):
        last = words.pop() if size > 1 else None
        words += [] if last is None else [re.sub(r"(\w)(\D*)", r"\1\2+", last, count=1)]
    return " ".join(words)


def after(membership: Membership, voters: frozenset[MemberId]) -> Membership:
    return Membership(voters, learners=membership.members - voters)


def here(membership: Membership, me: MemberId, seen: dict[MemberId, Seen]) -> set[MemberId]:
    there = {m for m in membership.members if not (seen[m].is_gone or seen[m].is_leaving)}
    return {m for m in there if m in membership.voters or seen[m].is_steady} | {me}


@given(clusters(), st.booleans())
@settings(max_examples=600)
def test_no_decision_lets_fewer_failures_be_survived(text, may_swap):
    membership, me, seen = cluster(text)
    swap = fitness_swap(membership, me=me, seen=seen, margin=48) if may_swap else None
    wanted = voters_wanted(membership, me=me, seen=seen, swap=swap)
    if wanted is not None:
        there = here(membership, me, seen)
        assert survivable(wanted, there) >= survivable(membership.voters, there)


@given(clusters(most_voters=9))
@settings(max_examples=600)
def test_nobody_is_removed_and_the_leader_stays(text):
    membership, me, seen = cluster(text)
    wanted = voters_wanted(membership, me=me, seen=seen)
    if wanted is not None:
        assert me in wanted
        assert wanted <= membership.members
        assert any(not seen[voter].is_witness for voter in wanted)
        assert len(wanted) <= max(VOTERS_MAX, len(membership.voters))
        assert not any(seen[voter].is_leaving for voter in wanted - {me})


@given(clusters(most_voters=9), st.booleans())
@settings(max_examples=600)
def test_decisions_come_to_an_end_and_then_nothing_changes(text, may_swap):
    membership, me, seen = cluster(text)
    decided = []
    while True:
        swap = fitness_swap(membership, me=me, seen=seen, margin=48) if may_swap else None
        wanted = voters_wanted(membership, me=me, seen=seen, swap=swap)
        if wanted is None:
            break
        assert wanted not in (membership.voters, *decided), "it goes round in circles"
        decided.append(wanted)
        membership = after(membership, wanted)
        assert len(decided) <= 10
    assert voters_wanted(membership, me=me, seen=seen) is None


@given(clusters())
@settings(max_examples=300)
def test_a_structural_change_takes_one_decision(text):
    membership, me, seen = cluster(text)
    wanted = voters_wanted(membership, me=me, seen=seen)
    if wanted is not None:
        assert voters_wanted(after(membership, wanted), me=me, seen=seen) is None


@given(clusters(), st.permutations(range(10)))
def test_the_order_of_looking_means_nothing(text, order):
    membership, me, seen = cluster(text)
    shuffled = dict(sorted(seen.items(), key=lambda item: order[item[0][0] - 97]))
    assert voters_wanted(membership, me=me, seen=shuffled) == voters_wanted(membership, me=me, seen=seen)
