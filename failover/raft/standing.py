"""When this member stands for leader, and what becomes of it.

It stands when its own promise has ended, after those of better rank; a lost or undecided round is followed by a
random wait, so that duels end. A hand-over makes it stand at once, without a pre-vote: the leader has said so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from failover.ids import Term
from failover.raft.election import VOTE_PATIENCE_MAX_S, VOTE_PATIENCE_S, Election, Stage
from failover.raft.messages import HandOver, PreVoteResponse, VoteResponse
from failover.raft.suspicion import Suspicion

if TYPE_CHECKING:
    from failover.ids import MemberId
    from failover.raft.core import Core
    from failover.raft.membership import Membership

FORGET_LEADER_S = 1.0
"""A member that never stands forgets a silent leader after this long."""


class Standing:
    """The candidate's side of the core: waits, stands, wins or loses."""

    def __init__(self, core: Core, dice: Callable[[], float]) -> None:
        self._core = core
        self._dice = dice
        self.election: Election | None = None
        """The round under way, None in the other roles."""
        self._due = math.inf
        self._last_until = -math.inf
        self._vote_patience_s = VOTE_PATIENCE_S
        self._stood_at = -math.inf
        self._round_s = 0.0
        """Answers were seen to take so long that a shorter round of pre-votes would miss them."""
        self.suspicion = Suspicion(core.me)
        self.quorum_is_lost = False
        """Whether the last round of asking reached too few voters."""
        self.reachable = 0
        """How many voters answered in it, this member included."""

    @property
    def deadline(self) -> float:
        """When `tick` has something to do."""
        return self.election.deadline if self.election is not None else self._due_with_host_stopped()

    def tick(self, now: float) -> None:
        """Go on asking, or stand if it is time."""
        if self.election is not None:
            self.election.tick(now)
        elif now >= self._due_with_host_stopped():
            self._stand(now)

    def wait(self, now: float) -> None:
        """Stand when the promise has ended, in the order of rank."""
        self._due = max(self._core.promise.until(), now) + self._stagger_s(now)

    def wait_for_vote_given(self, now: float) -> None:
        """Another candidate got this member's vote: give it time to win."""
        self._due = now + self._core.timing.promise_s + self._stagger_s(now)

    def back_off(self, now: float, at_least_s: float = 0.0) -> None:
        """Stand again after a random wait."""
        waited = now + self._dice() * max(self._core.timing.promise_s, self._round_s)
        self._due = max(self._core.promise.until(), waited, now + at_least_s) + self._stagger_s(now)

    def be_last(self, until: float) -> None:
        """Let every other voter stand first, until then."""
        self._last_until = max(self._last_until, until)

    def leader_is_known(self) -> None:
        """Somebody leads, by the word of a quorum: what failed before says nothing about the next time."""
        self.quorum_is_lost = False
        self._vote_patience_s, self._round_s = VOTE_PATIENCE_S, 0.0

    def is_last(self, now: float) -> bool:
        """Whether every other voter shall stand first."""
        return now < self._last_until

    def failed(self, now: float) -> None:
        """The round was lost, or nobody decided it."""
        assert self.election is not None
        self.reachable = len(self.election.answered)
        self.quorum_is_lost = not self.election.has_quorum_of_answers()
        if self.election.is_only_late:
            self._vote_patience_s = min(2 * self._vote_patience_s, VOTE_PATIENCE_MAX_S)
        self.election = None
        self.back_off(now)

    def won(self, now: float) -> None:
        """A quorum said yes to the present round."""
        assert self.election is not None
        if self.election.stage is Stage.PRE_VOTE:
            self._campaign(now, None, self.election.not_heard())
        else:
            self._core.lead(now)

    def answered(
        self, stage: Stage, sender: MemberId, message: PreVoteResponse | VoteResponse, now: float
    ) -> None:
        """Count an answer if it is one to the present round; a higher term always counts."""
        election = self.election
        is_ours = election is not None and election.stage is stage and message.request_term == election.term
        if message.term > self._core.term and not (is_ours and message.granted):
            self._core.become_follower(message.term, None, now)
        elif is_ours:
            assert election is not None
            election.answer(sender, message, now)
        elif election is not None and message.request_term == election.term:
            election.heard_late(sender)
        elif stage is Stage.PRE_VOTE and message.request_term == self._core.term + 1:
            self._answer_missed_its_round(now)

    def _answer_missed_its_round(self, now: float) -> None:
        """Rounds, and the random waits between them, must outlast the round trip: else duels have no end."""
        took_s = now - self._stood_at
        self._round_s = max(self._round_s, min(2 * took_s, self._core.timing.promise_max_s))

    def own_vote_is_durable(self, now: float) -> None:
        """Count it, in the round that it was given in."""
        if self.election is not None and self.election.stage is Stage.VOTE:
            self.election.count_own_vote(now)

    def take_hand_over(self, sender: MemberId, message: HandOver, now: float) -> None:
        """The leader asks this member to stand at once; its release voids the promises made to it."""
        core = self._core
        membership = core.log.membership
        is_voter = membership is not None and core.me in membership.voters_that_may_host
        is_current = message.term == core.term and sender == message.release.leader
        if not is_voter or not is_current or core.leadership is not None or self.election is not None:
            return
        core.promise.void(message.release)
        if core.promise.bars_until() > now or self._is_busy(now):
            return  # it will be asked again
        self._campaign(now, message, frozenset())

    def _stand(self, now: float) -> None:
        core = self._core
        membership = core.log.membership
        if membership is None or not self.has_vote() or self._is_busy(now):
            self._due = now + core.timing.promise_s
            if now - core.leader_heard_at > FORGET_LEADER_S:
                core.leader = None
                if membership is not None:  # as far as one can tell who asks nobody
                    self.quorum_is_lost, self.reachable = True, 1
            return
        if (barred := core.promise.bars_until()) > now:
            self._due = barred
            return
        yield_s = self._stagger_s(now)  # before the leader is forgotten: it is not among those who may stand
        if core.leader is not None:
            self.suspicion.begin(core.leader, core.leader_heard_at)
        core.leader = None
        self._stood_at = now
        self.election = Election(
            core, Stage.PRE_VOTE, Term(core.term + 1), now, yield_s=yield_s, patience_s=self._round_s
        )
        if membership.has_quorum({core.me}):
            self.won(now)
        else:
            self.election.tick(now)

    def has_vote(self) -> bool:
        """Whether this member counts, or did by the membership before, unless that one is known to be over.

        Who is to lose its vote may be the only one with the entry that says so, and then nobody else can win; it
        wins with the votes of the others, its own does not count (Raft dissertation, 4.2.2 and figure 4.6).
        """
        core = self._core
        return any(core.me in each.all_voters for each in core.log.possible_memberships(core.commit_index))

    def _is_busy(self, now: float) -> bool:
        """Whether this member would be of no use as a leader: its disk hangs, or its state is being replaced."""
        return self._core.disk_hangs(now) or self._core.following.installing is not None

    def _campaign(self, now: float, handed_over: HandOver | None, silent: frozenset[MemberId]) -> None:
        core = self._core
        core.vote_for_self(now)
        release = handed_over.release if handed_over else None
        patience_s = self._vote_patience_s
        self.election = Election(
            core, Stage.VOTE, core.term, now, release=release, silent=silent, patience_s=patience_s
        )
        self.election.tick(now)

    def _due_with_host_stopped(self) -> float:
        """While a server function of this member still unwinds it could not host: others stand first."""
        membership = self._core.log.membership
        if self._core.host_is_stopped or membership is None:
            return self._due
        return self._due + self._last_place_s(membership)

    def _last_place_s(self, membership: Membership) -> float:
        return 2 * len(membership.all_voters) * self._core.timing.stagger_s

    def _stagger_s(self, now: float) -> float:
        """Members of different rank stand at different times, so that one of them wins at once."""
        core = self._core
        membership = core.log.membership
        if membership is None:
            return 0.0
        others = membership.all_voters - {core.me, core.leader}
        if self.is_last(now) or core.is_leaving or core.me not in membership.all_voters:
            return self._last_place_s(membership)
        if core.fitness.rank is not None:
            before = min(core.fitness.rank, len(others))
        else:  # nobody said: last, and in the order of the ids where that is so of several, witnesses behind
            mine = (core.is_witness, core.me)
            before = len(others) + sum((voter in membership.witnesses, voter) < mine for voter in others)
        return before * core.timing.stagger_s
