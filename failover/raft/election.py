"""Standing for leader, and judging others who do (Raft, 5.2 and 5.4.1; pre-vote: dissertation, 9.6).

A candidacy is an object that lives exactly as long as the role: nothing of an old round can act on a new one.
Judging follows three rules: a promise bars any help until it ends; a barred request changes nothing, not even
the term; a grant goes to logs at least as up to date as one's own.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

from failover.ids import MemberId, Term
from failover.raft.messages import (
    PreVoteRequest,
    PreVoteResponse,
    Release,
    VoteRequest,
    VoteResponse,
)

if TYPE_CHECKING:
    from failover.raft.core import Core

REPEAT_FIRST_S = 0.010
"""An unanswered request is sent again after this long, doubling."""
SILENT_PATIENCE_S = 0.020
"""How long a round that only silent voters could win is kept up."""
VOTE_PATIENCE_S = 0.250
"""A vote waits for disks: a candidacy lasts at least this long unless it is decided."""
VOTE_PATIENCE_MAX_S = 8.0
"""... and where the votes came too late, twice as long the next time, up to this. Disks that are slower than a
candidacy would else vote in terms that are over, for ever."""


class Stage(Enum):
    """The two rounds of a candidacy."""

    PRE_VOTE = "pre-vote"
    VOTE = "vote"


class Election:
    """One round of asking all voters; made anew for the second stage."""

    def __init__(
        self,
        core: Core,
        stage: Stage,
        term: Term,
        now: float,
        *,
        release: Release | None = None,
        silent: frozenset[MemberId] = frozenset(),
        yield_s: float = 0.0,
        patience_s: float = 0.0,
    ) -> None:
        membership = core.log.membership
        assert membership is not None
        self._core = core
        self._membership = membership
        self.stage = stage
        self.term = term
        """The term stood for."""
        self._release = release
        self._silent = silent
        """Who said nothing in the pre-vote: dead or cut off, it seems."""
        self._yield_s = yield_s
        """Waited beyond the end of another's promise: that one may stand at this moment, and wins if it is of
        better rank. Asked at the same time, each would get the other's pre-vote, and the votes would be split."""
        self._granted: set[MemberId] = {core.me} if stage is Stage.PRE_VOTE else set()
        self._refused: set[MemberId] = set()
        self._ask_at = dict.fromkeys(sorted(membership.all_voters - {core.me}), now)
        self._repeat_s = dict.fromkeys(self._ask_at, REPEAT_FIRST_S)
        self._asked_at: dict[MemberId, float] = {}
        self._expires = now + max(patience_s, core.timing.promise_s)
        self.answered: set[MemberId] = {core.me}
        """Who said anything in this round, yes or no."""

    @property
    def deadline(self) -> float:
        """When `tick` has something to do."""
        return min(self._expires, min(self._ask_at.values(), default=math.inf))

    def tick(self, now: float) -> None:
        """Ask those who are due, or give the round up."""
        if now >= self._expires:
            self._core.standing.failed(now)
            return
        for voter, due in self._ask_at.items():
            if due <= now:
                self._ask(voter, now)
                self._ask_at[voter] = now + self._repeat_s[voter]
                self._repeat_s[voter] = min(2 * self._repeat_s[voter], 0.1)

    def count_own_vote(self, now: float) -> None:
        """The candidate's vote for itself is durable."""
        self._granted.add(self._core.me)
        self._decide(now)

    def answer(self, sender: MemberId, message: PreVoteResponse | VoteResponse, now: float) -> None:
        """Count one answer to this round; answers to other rounds were filtered by term and kind."""
        if sender not in self._ask_at and sender not in self._granted | self._refused:
            return  # no voter of the membership that this round asks
        self.answered.add(sender)
        asked_at = self._asked_at.pop(sender, now)
        if message.granted:
            self._granted.add(sender)
            self._refused.discard(sender)
            self._ask_at.pop(sender, None)
            if self.stage is Stage.PRE_VOTE and self._membership.has_quorum(self._granted):
                self._core.quorum_delay.add(now - asked_at, now)  # the first promises must outlast it
        elif sender in self._granted:
            return  # a late refusal from before its grant
        elif message.retry_after_s > 0:
            self._ask_at[sender] = now + message.retry_after_s + self._yield_s
        else:
            self._refused.add(sender)
            self._ask_at.pop(sender, None)
        self._decide(now)

    def _decide(self, now: float) -> None:
        if self._core.me in self._granted and self._membership.has_quorum(self._granted):
            # The own vote is among them, so it is durable: a candidate that led before that, crashed, and stood
            # again in the same term would lead that term a second time.
            self._core.standing.won(now)
        elif not self._membership.can_reach_quorum(self._refused):
            self._core.standing.failed(now)
        elif not self._membership.can_reach_quorum(self._refused | (self._silent - self.answered)):
            # Lost to another candidate, unless the dead vote: do not keep the living waiting for them.
            self._expires = min(self._expires, now + SILENT_PATIENCE_S)

    def heard_late(self, voter: MemberId) -> None:
        """An answer to the pre-vote came after it was won: this voter lives."""
        self._silent -= {voter}

    def not_heard(self) -> frozenset[MemberId]:
        """The voters that said nothing in this round."""
        return self._membership.all_voters - self.answered

    @property
    def is_only_late(self) -> bool:
        """Whether it is a vote that nobody refused: what is missing waits for disks, as far as one can tell."""
        return self.stage is Stage.VOTE and not self._refused

    def has_quorum_of_answers(self) -> bool:
        """Whether enough voters are reachable, whatever they answered."""
        return self._membership.has_quorum(self.answered)

    def _ask(self, voter: MemberId, now: float) -> None:
        core = self._core
        self._asked_at.setdefault(voter, now)
        last_index, last_term = core.log.last_index, core.log.last_term
        if self.stage is Stage.PRE_VOTE:
            core.send_now(voter, PreVoteRequest(self.term, last_index, last_term))
        else:
            # At the same time as the own vote is written: without that one, nothing is won. But never before the
            # log is durable that the request speaks of: after a crash this member may stand in the same term with
            # what its disk holds, and a late vote for the longer log would count for the shorter one.
            send = core.send_now if core.durable_index == last_index else core.send_after_store
            send(voter, VoteRequest(self.term, last_index, last_term, self._release))


def barred_until(core: Core, now: float) -> float:
    """Until when this member may help nobody to lead."""
    if core.leadership is not None and not core.leadership.has_released:
        return now + core.timing.promise_s  # a leader with a lease; asked again, it may have lost it
    return core.promise.bars_until()


def answer_pre_vote(core: Core, sender: MemberId, message: PreVoteRequest, now: float) -> None:
    """Say whether this member would vote for the sender. Changes nothing here."""
    until = barred_until(core, now)
    if core.disk_hangs(now):  # a vote could not be stored: each that is asked for in vain would raise the term
        until = max(until, now + core.timing.promise_s)
    is_barred = until > now
    granted = (
        not is_barred
        and message.term > core.term
        and core.log.is_up_to_date(message.last_log_index, message.last_log_term)
    )
    # A member that is behind in terms must not wait for the promise: it asks again with a newer term.
    retry_after_s = until - now if is_barred and message.term > core.term else 0.0
    core.send_now(sender, PreVoteResponse(core.term, message.term, granted, retry_after_s))


def answer_vote(core: Core, sender: MemberId, message: VoteRequest, now: float) -> None:
    """Grant or refuse a vote; the answer leaves when term and vote are durable."""
    if message.term < core.term:
        core.send_after_store(sender, VoteResponse(core.term, message.term, granted=False))
        return
    if message.release is not None:
        core.promise.void(message.release)
    until = barred_until(core, now)
    if until > now:
        # Not even the term is taken over: else anybody could depose a leader that holds its lease.
        core.send_after_store(sender, VoteResponse(core.term, message.term, False, until - now))
        return
    if message.term > core.term:
        core.become_follower(message.term, None, now)
    granted = core.voted_for in (None, sender) and core.log.is_up_to_date(
        message.last_log_index, message.last_log_term
    )
    if granted:
        core.vote_for(sender, now)
    core.send_after_store(sender, VoteResponse(core.term, message.term, granted))
