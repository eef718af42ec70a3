"""A few explored members and the network between them: one action on one state gives the next state.

A state is one number, put together from numbers of parts that states share: each member's state (`freezing.py`),
what is on its way to it, and the history that the checks need. So each member's step from each of its states is
computed by the real core once, however many states of the cluster contain it.

A message that was sent stays: it arrives at any later moment, any number of times, or never. That is loss, delay,
reordering and duplication in one. It is forgotten when it can do nothing any more: an answer when its receiver
is durably in a later term, anything else when its sender is, too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from failover.ids import MemberId, Term
from failover.raft.effects import HardState
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendResponse,
    Entry,
    HeartbeatResponse,
    Message,
    PreVoteResponse,
    VoteResponse,
)
from tests.exploration.checks import History, Seen, check
from tests.exploration.freezing import Freezer
from tests.exploration.member import Do, Member, Receive, Sent
from tests.exploration.model import TICK_S, Model

WIDTH = 24
"""Bits for each part of a state's number."""
MASK = (1 << WIDTH) - 1

Parts = list[int]
"""Per member its state and its inbox, last the history: [member 0, inbox 0, member 1, ..., history]."""

ANSWERS = (HeartbeatResponse, AppendResponse)
VOTE_ANSWERS = (PreVoteResponse, VoteResponse)


class Step(NamedTuple):
    """What an action makes of one member, whatever the others are doing."""

    after: int
    sent: tuple[tuple[int, int], ...]
    """To which member, which `Receive`."""
    began: Term | None
    broken: str | None


class Cluster:
    """All states of one model, as far as they have been asked for."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.names = model.members
        self.freezer = Freezer()
        self.seen: list[Seen] = []
        """What the checks look at, for each member state."""
        self._states: list[bytes] = []
        self._state_numbers: dict[bytes, int] = {}
        self._steps: list[dict[int, Step | None]] = []
        self.actions: list[Receive | Do] = []
        self._action_numbers: dict[Receive | Do, int] = {}
        self.inboxes: list[tuple[int, ...]] = []
        self._inbox_numbers: dict[tuple[int, ...], int] = {}
        self._living: dict[tuple[int, int, tuple[int, ...]], int] = {}
        self.histories: list[History] = []
        self._history_numbers: dict[History, int] = {}
        self.kinds = tuple(model.budget)
        self.by_itself = {what: self.action(Do(what)) for what in ("time", "tick", "write", "unwind")}
        self._rationed = self._rationed_actions()
        self._time = self.by_itself["time"]
        self.rounds_before: tuple[Term, int] | None = None
        """The term of the first host, and the rounds of heartbeats that it had before the search began."""

    # --- states and their parts ---

    def first(self, rates: tuple[float, ...]) -> int:
        """The founding: nobody leads, clocks run at these rates."""
        voters = frozenset(self.model.voters)
        founding = Entry(1, Term(1), b"", Membership(voters=voters, witnesses=frozenset(self.model.witnesses)))  # type: ignore[arg-type]
        hard_state = HardState(Term(1), None, self.model.timing.promise_ceiling_first_s)
        parts: Parts = []
        for me, rate in zip(self.names, rates, strict=True):
            member = Member(me, rate * TICK_S, hard_state, (founding,))
            member.start(self.model)
            if self.model.asks_long:
                member.act(Do("ask", (1.0,)), self.model)
            member.core.take_effects(0.0)
            parts += [self._state_number(member), self.inbox(())]
        budget = tuple(self.model.budget.values())
        return self.together([*parts, self.history(History((), (), ((founding, Term(1)),), budget, 0))])

    def together(self, parts: Parts) -> int:
        """Make one number of the parts."""
        number = 0
        for part in reversed(parts):
            number = number << WIDTH | part
        return number

    def apart(self, state: int) -> Parts:
        """Take a state's number apart."""
        return [state >> WIDTH * place & MASK for place in range(2 * len(self.names) + 1)]

    def member(self, number: int, after_s: float = 0.0) -> Member:
        """A live member in this state."""
        member: Member = self.freezer.thaw(self._states[number], after_s)
        return member

    def action(self, action: Receive | Do) -> int:
        """Number an action."""
        number = self._action_numbers.setdefault(action, len(self.actions))
        if number == len(self.actions):
            self.actions.append(action)
        return number

    def _rationed_actions(self) -> dict[str, tuple[int, ...]]:
        model = self.model
        choices: dict[str, list[tuple[object, ...]]] = {
            "hand over": [(to,) for to in model.hand_over_to],
            "change": list(model.changes),
            "ask": [(0.0,), (1.0,)],
        }
        return {
            kind: tuple(self.action(Do(kind, arguments)) for arguments in choices.get(kind, [()]))
            for kind in self.kinds
        }

    def _state_number(self, member: Member) -> int:
        frozen = self.freezer.freeze(member)
        number = self._state_numbers.setdefault(frozen, len(self._states))
        if number == len(self._states):
            self._states.append(frozen)
            self._steps.append({})
            self.seen.append(Seen.of(member))
            assert number < MASK
        return number

    def inbox(self, messages: tuple[int, ...]) -> int:
        """Number the messages on their way to one member."""
        number = self._inbox_numbers.setdefault(messages, len(self.inboxes))
        if number == len(self.inboxes):
            self.inboxes.append(messages)
            assert number < MASK
        return number

    def history(self, history: History) -> int:
        """Number a history."""
        number = self._history_numbers.setdefault(history, len(self.histories))
        if number == len(self.histories):
            self.histories.append(history)
        return number

    # --- what can happen, and what it leads to ---

    def possible(self, parts: Parts) -> list[tuple[int, int]]:
        """All that may happen next: (member, action); member -1 for time."""
        found = [(-1, self._time)]
        budget = self.histories[parts[-1]].budget
        for place in range(len(self.names)):
            seen = self.seen[parts[2 * place]]
            found += [(place, message) for message in self.inboxes[parts[2 * place + 1]]]
            if seen.leads or self.names[place] not in self.model.passive:
                found += [(place, self.by_itself[what]) for what in seen.own]
            elif "write" in seen.own:
                found.append((place, self.by_itself["write"]))
            for kind, left in zip(self.kinds, budget, strict=True):
                if left and self._may(kind, seen, self.names[place]):
                    found += [(place, action) for action in self._rationed[kind]]
        return found

    def _may(self, kind: str, seen: Seen, name: MemberId) -> bool:
        if kind == "crash":
            return name in self.model.crashing
        return seen.is_host if kind == "propose" else seen.leads is not None

    def after(self, parts: Parts, place: int, action: int) -> tuple[Parts, str | None] | None:
        """The parts of the next state and the guarantee broken on the way there, if one is.

        None if nothing changes, or what comes is out of the model's bounds.
        """
        if place < 0:
            return self._time_passes(parts)
        before = parts[2 * place]
        steps = self._steps[before]
        step = steps[action] if action in steps else self._first_time(before, action)
        if step is None:
            return None
        result = parts.copy()
        result[2 * place] = step.after
        for to, message in step.sent:
            inbox = self.inboxes[result[2 * to + 1]]
            if message not in inbox:
                result[2 * to + 1] = self.inbox(tuple(sorted((*inbox, message))))
        was, now = self.seen[before], self.seen[step.after]
        if step.sent or was.durable_term != now.durable_term:
            self._forget_messages(result)
        history = self.histories[parts[-1]]
        new, broken = check(self, result, place, was, step.began, history)
        if type(done := self.actions[action]) is Do and done.what in self._rationed:
            new = new.spent(self.kinds.index(done.what))
        if new is not history:
            result[-1] = self.history(new)
        if result == parts:
            return None
        return result, step.broken or broken

    def _first_time(self, before: int, action: int) -> Step | None:
        """Let the real core do it."""
        member, done = self.member(before), self.actions[action]
        try:
            outcome = member.act(done, self.model)
        except AssertionError as error:
            step: Step | None = Step(before, (), None, f"the core's own assertion fails: {error!r}")
        else:
            sent = self._datagrams(member.me, outcome.sent)
            after = self._state_number(member)
            seen = self.seen[after]
            is_outside = seen.term > self.model.term_max or seen.rounds > self._rounds_max(seen.term)
            is_nothing = after == before and not sent and outcome.began is None and outcome.broken is None
            step = None if is_outside or is_nothing else Step(after, sent, outcome.began, outcome.broken)
        self._steps[before][action] = step
        return step

    def _rounds_max(self, term: Term) -> int:
        if self.rounds_before is None or self.rounds_before[0] != term:
            return self.model.rounds_max
        return self.rounds_before[1] + self.model.rounds_more

    def _datagrams(self, sender: MemberId, sent: list[Sent]) -> tuple[tuple[int, int], ...]:
        """Put what was sent on the network: who gets which `Receive`."""
        for_each: dict[int, list[Message]] = {}
        for to, message in sent:
            if to in self.names:
                for_each.setdefault(self.names.index(to), []).append(_rounded(message))
        return tuple(
            (to, self.action(Receive(sender, tuple(datagram))))
            for to, messages in for_each.items()
            for datagram in ([messages] if self.model.bundled else dict.fromkeys((each,) for each in messages))
        )

    def _time_passes(self, parts: Parts) -> tuple[Parts, str | None] | None:
        history = self.histories[parts[-1]]
        if self.model.ticks_max is not None and history.ticks >= self.model.ticks_max:
            return None
        result = parts.copy()
        for place in range(0, len(parts) - 1, 2):
            before = parts[place]
            steps = self._steps[before]
            step = steps.get(self._time)
            if step is None:
                member = self.member(before, self.member(before).tick_s)
                member.forget()
                step = steps[self._time] = Step(self._state_number(member), (), None, None)
            result[place] = step.after
        if result == parts:
            return None
        if self.model.ticks_max is not None:
            result[-1] = self.history(history._replace(ticks=history.ticks + 1))
        return result, None

    def _forget_messages(self, parts: Parts) -> None:
        terms = tuple(self.seen[parts[2 * place]].durable_term for place in range(len(self.names)))
        for place in range(len(self.names)):
            key = (parts[2 * place + 1], place, terms)
            living = self._living.get(key)
            if living is None:
                kept = tuple(m for m in self.inboxes[key[0]] if self._matters(m, place, terms))
                living = self._living[key] = self.inbox(kept)
            parts[2 * place + 1] = living

    def _matters(self, number: int, place: int, terms: tuple[int, ...]) -> bool:
        action = self.actions[number]
        assert isinstance(action, Receive)
        sender = self.names.index(action.sender)
        return any(_matters(message, terms[place], terms[sender]) for message in action.messages)


def _matters(message: Message, receivers_term: int, senders_term: int) -> bool:
    if isinstance(message, ANSWERS):
        return message.term >= receivers_term
    if isinstance(message, VOTE_ANSWERS):
        return max(message.term, message.request_term) >= receivers_term
    return message.term >= min(receivers_term, senders_term)


def _rounded(message: Message) -> Message:
    """The same message, so that sums of floats that differ in the last bit make no difference."""
    if isinstance(message, VOTE_ANSWERS):
        return replace(message, retry_after_s=round(message.retry_after_s, 6))
    if isinstance(message, HeartbeatResponse):
        return replace(message, promise_s=round(message.promise_s, 6))
    return message
