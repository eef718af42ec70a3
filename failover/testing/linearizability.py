"""Whether a history is linearizable: whether each operation can have happened at one instant while it was asked,
so that one machine that never fails would have given the same replies (Herlihy and Wing 1990).

The search is that of Wing and Gong (1993) with Lowe's memory (2017): linearise one operation after the other,
never past an answer that is still due, and never try the same set of operations with the same state twice. It is
exponential in what runs at the same time, at worst; so its effort is bounded, and `UNDECIDED` is an answer.

Three things keep ordinary histories linear. Parts that cannot touch each other are judged alone (`Model.part`).
A read that gets its reply is taken at once: later it could only be in the way. And where the cluster
(`Operation.place`) or the replies (`OnlyGrows`) say in which order things happened, that order is tried first; it
is never believed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import Enum

from failover.testing.checkers import Violation
from failover.testing.history import ANY_REPLY, Operation, Outcome, prefix
from failover.testing.linear_search import Search
from failover.testing.models import Model

STEPS_MAX = 500_000
"""Applications of the model, a few seconds."""
EXPLAINING_STEPS_MAX = 50_000
"""The same, for each of the few searches that make an explanation short."""
SHOWN_MAX = 12
"""Operations in an explanation, on either side of the one that does not fit."""


class Undecided(Exception):
    """The search was given up: neither is it proved that all is well, nor that it is not."""


class Result(Enum):
    """What a check found."""

    LINEARIZABLE = "linearizable"
    VIOLATED = "not linearizable"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found, and why."""

    result: Result
    steps: int
    """How often the model was applied."""
    explanation: str = ""
    """For people: the shortest beginning that does not fit, and what happened around its end."""
    operations: tuple[Operation, ...] = ()
    """If violated: that beginning, of the part that does not fit."""

    @property
    def is_linearizable(self) -> bool:
        """Whether it is proved that all is well."""
        return self.result is Result.LINEARIZABLE

    def require(self) -> None:
        """Raise unless all is well.

        Raises:
            Violation: the history is not linearizable; its text says why.
            Undecided: the effort was not enough. Give `steps_max`, places, or replies that say more.
        """
        if self.result is Result.VIOLATED:
            raise Violation(self.explanation)
        if self.result is Result.UNDECIDED:
            raise Undecided(self.explanation)


def check_linearizable(operations: Iterable[Operation], model: Model, *, steps_max: int = STEPS_MAX) -> Verdict:
    """Judge a history.

    Args:
        operations: a `History`, or operations of one.
        model: what one machine would reply.
        steps_max: how often the model is applied at most, for finding the verdict.

    Returns:
        The verdict. A violation in one part counts even if another part is undecided.
    """
    steps, undecided = 0, ""
    for part, members in _parts(operations, model):
        search = Search(members, model, steps_max - steps)
        found = search.run()
        steps += search.steps
        if found is False:
            return _explained(part, members, model, steps, min(steps_max, EXPLAINING_STEPS_MAX))
        if found is None:
            undecided = f"undecided after {steps} steps{_named(part)}: {len(members)} operations"
            break
    return Verdict(Result.UNDECIDED if undecided else Result.LINEARIZABLE, steps, undecided)


def check_order(operations: Iterable[Operation], model: Model) -> None:
    """Demand that the given order of places *is* a linearization: stricter than that there is one, and linear.

    An acknowledged operation needs a place; one without a place did not happen. Operations of one place (a read
    that was answered after log index 7 was applied, at 7) follow each other as they were asked.

    Raises:
        Violation: a reply is another one, a refused operation has a place, or one was over before another
            began that comes earlier in the order.
    """
    everything = list(operations)
    order = [(each.place, each.invoked_event, each) for each in everything if each.place is not None]
    ordered = [each for _, _, each in sorted(order, key=lambda item: item[:2])]
    for each in everything:
        if each.place is None and each.is_certain:
            raise Violation(f"acknowledged, and has no place in the order:\n  {each}")
        if each.place is not None and not each.may_have_happened:
            raise Violation(f"it was refused, and has a place:\n  {each}")
    _check_real_time(ordered)
    state: Hashable = model.initial()
    for each in ordered:
        state, reply = model.apply(state, each.asked)
        if each.is_certain and each.reply is not ANY_REPLY and each.reply != reply:
            raise Violation(f"at its place the reply would be {_short(reply)}:\n  {each}")


def check_exactly_once(operations: Iterable[Operation], effects: Iterable[int]) -> None:
    """Demand that each acknowledged operation took effect exactly once, and each other at most once.

    Args:
        operations: a whole `History`.
        effects: the numbers of the operations that took effect, in their order: what the state machine counted.

    Raises:
        Violation: one took effect twice, or was refused and did, or was acknowledged and did not, or took effect
            before it was asked for (in the order of effects, as far as answers show it), or nobody asked for it.
    """
    known = {each.number: each for each in operations}
    happened: list[Operation] = []
    positions: dict[int, int] = {}
    for position, number in enumerate(effects):
        each = known.get(number)
        if each is None:
            raise Violation(f"operation #{number} took effect, and nobody asked for it")
        if number in positions:
            raise Violation(f"it took effect twice, at {positions[number]} and {position}:\n  {each}")
        if not each.may_have_happened:
            raise Violation(f"it was refused, and took effect at {position}:\n  {each}")
        positions[number] = position
        happened.append(each)
    for each in known.values():
        if each.is_certain and each.number not in positions:
            raise Violation(f"it was acknowledged, and took no effect:\n  {each}")
    _check_real_time(happened)


def _check_real_time(order: Iterable[Operation]) -> None:
    """Demand that nothing stands behind what was asked only when it was over."""
    latest: Operation | None = None
    for each in order:
        if latest is not None and each.ends_event < latest.invoked_event:
            raise Violation(f"it was over before the other was asked, and comes after it:\n  {each}\n  {latest}")
        if latest is None or each.invoked_event > latest.invoked_event:
            latest = each


def _parts(operations: Iterable[Operation], model: Model) -> list[tuple[Hashable, list[Operation]]]:
    everything = list(operations)
    parts: dict[Hashable, list[Operation]] = {}
    for each in everything:
        part = model.part(each.asked)
        if part is None:
            return [(None, everything)]
        parts.setdefault(part, []).append(each)
    return list(parts.items())


def _named(part: Hashable) -> str:
    return "" if part is None else f" in part {part!r}"


def _explained(part: Hashable, operations: list[Operation], model: Model, steps: int, effort: int) -> Verdict:
    """Find the shortest beginning of the history that does not fit: what fits, fits up to every moment."""
    ends = sorted(each.answered_event for each in operations if each.outcome in (Outcome.REPLIED, Outcome.REFUSED))
    low, high = 0, len(ends) - 1  # up to ends[high] it does not fit
    while low < high:
        middle = (low + high) // 2
        if Search(prefix(operations, ends[middle]), model, effort).run() is False:
            high = middle
        else:
            low = middle + 1
    beginning = prefix(operations, ends[high])
    culprit = next(each for each in beginning if each.answered_event == ends[high])
    lines = [
        f"not linearizable{_named(part)}: {len(operations)} operations, the first {len(beginning)} do not fit"
    ]
    lines += _story(beginning, culprit, model, effort)
    return Verdict(Result.VIOLATED, steps, "\n".join(lines), tuple(beginning))


def _story(beginning: list[Operation], culprit: Operation, model: Model, effort: int) -> list[str]:
    """Say what an order that fits is like without the last answer, and why that answer does not fit."""
    search = Search(prefix(beginning, culprit.answered_event - 1), model, effort)
    lines = []
    if search.run():
        shown = search.order[-SHOWN_MAX:]
        lines += [f"  before that, {len(search.order)} can have happened in this order:"]
        lines += ["    ..."] if len(shown) < len(search.order) else []
        lines += [f"    {each}" for each in shown]
        lines += [f"    then the state is {_short(search.state)}"]
        lines += [f"    and its reply would be {_short(_reply_of(culprit, search.order, model))}"]
    lines += ["  this answer fits no order:", f"    {culprit}"]
    around = [
        each
        for each in beginning
        if each is not culprit and each.may_have_happened and each.answered_event > culprit.invoked_event
    ]
    if around:
        lines += [f"  at the same time ({len(around)}):", *(f"    {each}" for each in around[-SHOWN_MAX:])]
    return lines


def _reply_of(culprit: Operation, order: list[Operation], model: Model) -> object:
    """Return what the model replies to `culprit` where it stands in this order, or at its end."""
    state: Hashable = model.initial()
    for each in order:
        after, reply = model.apply(state, each.asked)
        if each.number == culprit.number:
            return reply
        state = after
    return model.apply(state, culprit.asked)[1]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:90]} ... {text[-90:]}"
