"""Histories for tests: written as intervals, drawn at random, and judged by brute force."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import permutations

from failover.testing import ANY_REPLY, History, Model, Operation, Outcome

UNKNOWN, REFUSED, SILENT = Outcome.UNKNOWN, Outcome.REFUSED, Outcome.UNANSWERED
INTERNAL = object()


@dataclass(frozen=True)
class Span:
    """One operation as an interval. Without a reply it is known to have ended so."""

    begins: float
    ends: float
    asked: object
    heard: object
    place: float | None = None
    caller: str = "ann"


def history_of(*spans: Span) -> History:
    """Tell a history its moments in their order; of equal times, beginnings come first: they overlap."""
    history = History()
    moments = [(span.begins, 0, position) for position, span in enumerate(spans)]
    moments += [(span.ends, 1, position) for position, span in enumerate(spans) if span.heard is not SILENT]
    numbers: dict[int, int] = {}
    for when, is_end, position in sorted(moments):
        span = spans[position]
        if not is_end:
            numbers[position] = history.begin(span.caller, span.asked, when)
        elif span.heard is UNKNOWN:
            history.unknown(numbers[position], when)
        elif span.heard is REFUSED:
            history.refused(numbers[position], when)
        else:
            history.replied(numbers[position], span.heard, when)
        if not is_end and span.place is not None:
            history.placed(numbers[position], span.place)
    return history


def random_spans(
    seed: int, model: Model, asks: list[object], number: int, *, width: float = 3.0, with_places: bool = False
) -> list[Span]:
    """Draw what really happened, one operation after the other, and then widen the instants to intervals.

    Such a history is linearizable by construction. Some that happened are only unknown to their callers; some that
    did not happen are refused, unknown, or never answered.
    """
    dice = random.Random(seed)
    spans, state = [], model.initial()
    for instant in range(number):
        asked = dice.choice(asks)
        begins, ends = instant - dice.uniform(0, width), instant + dice.uniform(0, width)
        fate = dice.random()
        if fate < 0.15:  # it never happened
            spans.append(Span(begins, ends, asked, dice.choice((UNKNOWN, REFUSED, SILENT))))
            continue
        state, reply = model.apply(state, asked)
        heard = reply
        if fate < 0.3:
            heard, begins = dice.choice((UNKNOWN, SILENT)), begins - dice.uniform(0, 5 * width)
            ends = dice.uniform(begins, ends)  # it may have given up before it happened
        elif fate < 0.35:
            heard = ANY_REPLY
        spans.append(Span(begins, ends, asked, heard, instant if with_places else None, f"p{instant % 5}"))
    dice.shuffle(spans)
    return spans


def is_linearizable_by_brute_force(operations: list[Operation], model: Model) -> bool:
    """Try every order of every subset that can have happened. Slow and obvious."""
    certain = [each for each in operations if each.outcome is Outcome.REPLIED]
    optional = [each for each in operations if each.outcome in (UNKNOWN, SILENT)]
    for choice in range(1 << len(optional)):
        chosen = certain + [each for bit, each in enumerate(optional) if choice >> bit & 1]
        if any(fits(order, model) for order in permutations(chosen)):
            return True
    return False


def fits(order: tuple[Operation, ...], model: Model) -> bool:
    """Whether these can have happened in this order, and no other operation at all."""
    state = model.initial()
    for position, each in enumerate(order):
        if any(
            later.outcome is Outcome.REPLIED and later.answered_event < each.invoked_event
            for later in order[position + 1 :]
        ):
            return False
        state, reply = model.apply(state, each.asked)
        if each.outcome is Outcome.REPLIED and each.reply is not ANY_REPLY and each.reply != reply:
            return False
    return True
