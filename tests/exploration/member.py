"""One explored member: a real core, its disk, and the server function that it began. One action, one step.

A member knows nothing of the others: what it sends is handed back. Its clock always shows 0 (`freezing.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from failover.ids import MemberId, Term
from failover.raft.core import Core
from failover.raft.effects import Effects, HardState, Write
from failover.raft.election import Election, Stage
from failover.raft.messages import (
    Entry,
    HandOver,
    Heartbeat,
    HeartbeatResponse,
    Message,
    PreVoteRequest,
    PreVoteResponse,
    Release,
    VoteRequest,
)
from failover.testing.rounds import taken
from tests.exploration.model import Model

NOW = 0.0
Sent = tuple[MemberId, Message]


def earliest() -> float:
    """Dice that always let a member stand at once: that it is called later covers every other throw."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Receive:
    """A datagram arrives."""

    sender: MemberId
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Do:
    """Something else happens to the member; `arguments` are those of the core's method."""

    what: str
    arguments: tuple[object, ...] = ()


class Outcome:
    """What a step did besides changing the member."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.began: Term | None = None
        """The term of a tenure that began."""
        self.broken: str | None = None
        """The guarantee that this member broke."""


class Member:
    """A process, alive or starting, with everything that decides what it will do."""

    def __init__(self, me: MemberId, tick_s: float, hard_state: HardState, entries: tuple[Entry, ...]) -> None:
        self.me = me
        self.tick_s = tick_s
        """How far its clock moves while true time moves by one tick."""
        self.hard_state = hard_state
        self.entries = entries
        """On the disk."""
        self.pending: list[tuple[Write, tuple[Sent, ...]]] = []
        """Being written, and what leaves when it is."""
        self.function_until = -math.inf
        """Until when its server function may act: to the end of the lease, unless it has unwound before."""
        self.promised: dict[Release, float] = {}
        """What its answers have promised, which no restart undoes."""
        self.core: Core

    def start(self, model: Model) -> None:
        """Start the process from its disk."""
        self.pending = []
        self.function_until = -math.inf
        self.core = Core(
            self.me,
            timing=model.timing,
            hard_state=self.hard_state,
            snapshot=None,
            entries=self.entries,
            dice=earliest,
            now=NOW,
        )

    def act(self, action: Receive | Do, model: Model) -> Outcome:
        """Let one thing happen, and carry out everything that follows from it at once."""
        outcome = Outcome()
        before = self._helped()
        if isinstance(action, Receive):
            for message in action.messages:
                self.core.receive(action.sender, message, NOW)
        else:
            self._do(action, model, outcome)
        self._carry_out(model, outcome)
        self._watch_promises(before, action, outcome)
        self.forget()
        return outcome

    def _do(self, action: Do, model: Model, outcome: Outcome) -> None:
        match action.what:
            case "tick":
                self.core.tick(NOW)
            case "write":
                self._complete_write(outcome)
            case "crash":
                self.start(model)
            case "unwind":
                self._unwind()
            case "propose":
                self.core.propose(b"x", NOW)
            case "resign":
                self.core.resign(NOW)
            case "hand over":
                self.core.hand_over(*action.arguments, NOW)  # type: ignore[arg-type]
            case "change":
                self.core.change_membership(*action.arguments, b"", NOW)  # type: ignore[call-arg,arg-type]
            case "ask":
                self.core.quorum_delay.value_s = action.arguments[0]  # type: ignore[attr-defined]
            case _:
                raise ValueError(action.what)

    def _carry_out(self, model: Model, outcome: Outcome) -> None:
        while True:
            effects = taken(self.core, NOW)
            again = self._carry_out_once(effects, model, outcome)
            if not model.pre_votes:
                again = self._grant_pre_votes() or again
            if self.me not in model.slow_disks and self.pending:
                self._complete_write(outcome)
                again = True
            if not model.slow_function and not self.core.host_is_stopped and self.core.tenure is None:
                self._unwind()
                again = True
            if not again:
                break
        if self.core.tenure is not None:
            self.function_until = self.core.lease_until

    def _carry_out_once(self, effects: Effects, model: Model, outcome: Outcome) -> bool:
        assert effects.install_snapshot is None and not effects.send_snapshot and not effects.take_snapshot
        self._send(effects.messages_now, model, outcome)
        if effects.write is not None:
            self.pending.append((effects.write, effects.messages_after_store))
        elif effects.messages_after_store and self.pending:
            write, waiting = self.pending[-1]
            # Once each: the network keeps what was sent, and a state must not grow with every repeated question.
            self.pending[-1] = (write, tuple(dict.fromkeys(waiting + effects.messages_after_store)))
        else:
            self._send(effects.messages_after_store, model, outcome)
        if effects.apply:
            self.core.applied(effects.apply[-1].index, NOW)
        if effects.become_host is not None:
            outcome.began = effects.become_host
        return bool(effects.apply)

    def _send(self, messages: tuple[Sent, ...], model: Model, outcome: Outcome) -> None:
        for to, message in messages:
            if isinstance(message, PreVoteRequest) and not model.pre_votes:
                continue
            outcome.sent.append((to, message))

    def _grant_pre_votes(self) -> bool:
        """Everybody would vote for this member."""
        election = self.core.election
        if election is None or election.stage is not Stage.PRE_VOTE:
            return False
        membership = self.core.log.membership
        assert membership is not None
        for voter in sorted(membership.all_voters - {self.me}):
            self.core.receive(voter, PreVoteResponse(self.core.term, election.term, True), NOW)
        return True

    def _complete_write(self, outcome: Outcome) -> None:
        write, waiting = self.pending.pop(0)
        self.hard_state = write.hard_state or self.hard_state
        kept = self.entries
        if write.truncate_from is not None:
            kept = tuple(entry for entry in kept if entry.index < write.truncate_from)
        self.entries = kept + write.entries
        assert [entry.index for entry in self.entries] == list(range(1, len(self.entries) + 1))
        self.core.stored(write.number, NOW)
        outcome.sent += waiting

    def _unwind(self) -> None:
        self.core.host_stopped(NOW)
        self.function_until = -math.inf

    # --- promises, judged from what is said ---

    def _helped(self) -> tuple[Term, MemberId | None, Election | None]:
        return self.core.term, self.core.voted_for, self.core.election

    def _watch_promises(
        self,
        before: tuple[Term, MemberId | None, Election | None],
        action: Receive | Do,
        outcome: Outcome,
    ) -> None:
        core = self.core
        received = action.messages if isinstance(action, Receive) else ()
        said = [message for _, message in self._said(outcome) if isinstance(message, HeartbeatResponse)]
        for asked in received:
            for answer in said:
                if isinstance(asked, Heartbeat) and (answer.round, answer.term) == (asked.round, asked.term):
                    holder = Release(action.sender, answer.term)
                    self.promised[holder] = max(self.promised.get(holder, NOW), NOW + answer.promise_s)
        for message in received:
            if isinstance(message, VoteRequest | HandOver) and message.release is not None:
                self.promised.pop(message.release, None)
        has_voted = (core.term, core.voted_for) != before[:2] and core.voted_for is not None
        if has_voted and not (isinstance(action, Do) and action.what == "crash"):
            for holder, until in self.promised.items():
                if until > NOW:
                    whom = "itself" if core.voted_for == self.me else core.voted_for.decode()
                    outcome.broken = f"votes for {whom} while its promise to {holder.leader.decode()} runs"

    def _said(self, outcome: Outcome) -> list[Sent]:
        return outcome.sent + [said for _, waiting in self.pending for said in waiting]

    def forget(self) -> None:
        """Let go of what can make no difference any more, so that states repeat."""
        self.promised = {holder: until for holder, until in self.promised.items() if until > NOW}
        if self.function_until <= NOW:
            self.function_until = -math.inf
        if not self.pending:
            self.core.writing._number = 0
        if self.core.leadership is not None:
            lease = self.core.leadership.lease
            oldest = NOW - self.core.timing.promise_max_s
            lease._sent = {number: sent for number, sent in lease._sent.items() if sent > oldest}
