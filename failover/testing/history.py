"""What clients asked, when in true time, and what they heard: the record that checkers judge.

Nobody looks inside the cluster here. An operation begins when its caller asks and ends when it hears an outcome;
in between it may take effect at any instant. The recorder is told of each moment as it comes, so that even within
one instant of virtual time it is known what was first.

    history = History()
    number = history.begin("ann", Append("a"), now=1.0)
    history.replied(number, 1, now=1.2)
    check_linearizable(history, AppendOnlyList()).require()
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum


class Outcome(Enum):
    """What the caller knows."""

    REPLIED = "replied"
    """It took effect exactly once, between asking and hearing, and this is its reply."""
    REFUSED = "refused"
    """It did not take effect and never will."""
    UNKNOWN = "unknown"
    """It takes effect at most once, at any time after it was asked, even after the caller gave up."""
    UNANSWERED = "unanswered"
    """The caller never heard anything. Means the same as `UNKNOWN`."""


class AnyReply(Enum):
    """The type of `ANY_REPLY`."""

    ANY_REPLY = "any reply"


ANY_REPLY = AnyReply.ANY_REPLY
"""The reply of an operation that was acknowledged without one, or whose reply nobody looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing asked by one caller; repeating it on the network does not make it another one."""

    number: int
    """Its name within the history, in the order of asking."""
    caller: str
    asked: object
    """What the model understands: `Append("a")`."""
    invoked_s: float
    """True time."""
    invoked_event: int
    """Its place among all beginnings and ends: what orders those of equal time."""
    outcome: Outcome = Outcome.UNANSWERED
    reply: object = None
    answered_s: float = math.inf
    """When the caller heard the outcome."""
    answered_event: float = math.inf
    place: float | None = None
    """Where the cluster says that it took effect, such as its log index. A claim, not a fact."""

    @property
    def is_certain(self) -> bool:
        """Whether it is known to have taken effect."""
        return self.outcome is Outcome.REPLIED

    @property
    def ends_event(self) -> float:
        """By when it has taken effect if it ever does."""
        return self.answered_event if self.is_certain else math.inf

    @property
    def may_have_happened(self) -> bool:
        """Whether it can have taken effect."""
        return self.outcome is not Outcome.REFUSED

    def __str__(self) -> str:
        until = f"{self.answered_s:.6f}" if self.answered_s < math.inf else "..."
        heard = f"-> {self.reply!r}" if self.is_certain else self.outcome.value
        if self.reply is ANY_REPLY:
            heard = "-> acknowledged"
        placed = f"  [place {self.place}]" if self.place is not None else ""
        return f"{self.invoked_s:.6f} .. {until}  {self.caller}: #{self.number} {self.asked!r} {heard}{placed}"


class History:
    """Records operations. Moments are told in their true order."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._events = 0
        self._now = -math.inf

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations)

    def __len__(self) -> int:
        return len(self._operations)

    def __getitem__(self, number: int) -> Operation:
        return self._operations[number]

    def begin(self, caller: str, asked: object, now: float) -> int:
        """Somebody asks for something.

        Args:
            caller: a name for explanations.
            asked: an operation of the model.
            now: true time in seconds, no less than in any earlier call.

        Returns:
            The operation's number, for telling what became of it.
        """
        number = len(self._operations)
        event = self._next_event(now)
        self._operations.append(
            Operation(number=number, caller=caller, asked=asked, invoked_s=now, invoked_event=event)
        )
        return number

    def replied(self, number: int, reply: object, now: float, *, place: float | None = None) -> None:
        """The caller hears the reply: the operation has taken effect."""
        self._answered(number, Outcome.REPLIED, reply, now)
        if place is not None:
            self.placed(number, place)

    def refused(self, number: int, now: float) -> None:
        """The caller hears that nothing happened and nothing will."""
        self._answered(number, Outcome.REFUSED, None, now)

    def unknown(self, number: int, now: float) -> None:
        """The caller hears that it may have happened, or may yet."""
        self._answered(number, Outcome.UNKNOWN, None, now)

    def placed(self, number: int, place: float) -> None:
        """The cluster says where the operation took effect (its log index), whatever its caller heard."""
        self._operations[number] = replace(self._operations[number], place=place)

    def _answered(self, number: int, outcome: Outcome, reply: object, now: float) -> None:
        known = self._operations[number]
        assert known.outcome is Outcome.UNANSWERED, f"answered twice: {known}"
        self._operations[number] = replace(
            known, outcome=outcome, reply=reply, answered_s=now, answered_event=self._next_event(now)
        )

    def _next_event(self, now: float) -> int:
        assert now >= self._now, "moments are told in their order"
        self._now = now
        self._events += 1
        return self._events


def prefix(operations: Iterable[Operation], last_event: float) -> list[Operation]:
    """Return the history as it looked just after `last_event`: what was answered later is unanswered yet."""
    return [
        each
        if each.answered_event <= last_event
        else replace(each, outcome=Outcome.UNANSWERED, reply=None, answered_s=math.inf, answered_event=math.inf)
        for each in operations
        if each.invoked_event <= last_event
    ]
