"""The judge is judged: wrong histories are refused with a reason, right ones accepted, and brute force agrees."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from histories import REFUSED, SILENT, UNKNOWN, Span, history_of, is_linearizable_by_brute_force, random_spans
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.testing import (
    ANY_REPLY,
    Add,
    Append,
    AppendOnlyList,
    CompareAndPut,
    CompareAndSet,
    Counter,
    Get,
    KeyValue,
    Put,
    Read,
    Register,
    Result,
    Undecided,
    Violation,
    Write,
    check_linearizable,
    check_order,
)

REGISTER, COUNTER, LIST, MAP = Register(0), Counter(), AppendOnlyList(), KeyValue()
ASKS = {
    REGISTER: [Read(), Write(1), Write(2), CompareAndSet(1, 2), CompareAndSet(2, 3)],
    COUNTER: [Read(), Add(1), Add(2)],
    LIST: [Read(), Append("x"), Append("y")],
    MAP: [Get("a"), Put("a", 1), Put("b", 2), Get("b"), CompareAndPut("a", 1, 3), Put("a", None)],
}
MODELS = pytest.mark.parametrize("model", ASKS, ids=lambda model: type(model).__name__)

WRONG = {
    "a stale read": (REGISTER, Span(0, 1, Write(1), None), Span(2, 3, Write(2), None), Span(4, 5, Read(), 1)),
    "a read of what nobody wrote": (REGISTER, Span(0, 1, Write(1), None), Span(2, 3, Read(), 7)),
    "an old value after the new one was seen": (
        REGISTER,
        Span(0, 9, Write(1), None),
        Span(1, 2, Read(), 1),
        Span(3, 4, Read(), 0),
    ),
    "a lost update": (COUNTER, Span(0, 1, Add(1), 1), Span(2, 3, Add(1), 2), Span(4, 5, Read(), 1)),
    "two that both won": (
        REGISTER,
        Span(0, 3, CompareAndSet(0, 1), True),
        Span(1, 4, CompareAndSet(0, 2), True),
    ),
    "a duplicate effect": (LIST, Span(0, 1, Append("a"), 1), Span(2, 3, Read(), ("a", "a"))),
    "a duplicate effect long after": (
        LIST,
        Span(0, 1, Append("a"), 1),
        Span(2, 3, Append("b"), 2),
        Span(4, 5, Append("c"), 4),
    ),
    "the effect of a refused request": (
        LIST,
        Span(0, 1, Append("a"), REFUSED),
        Span(2, 3, Read(), ("a",)),
    ),
    "the effect of a request refused later": (
        LIST,
        Span(0, 9, Append("a"), REFUSED),
        Span(2, 3, Read(), ("a",)),
    ),
    "the reply of another operation": (COUNTER, Span(0, 1, Add(1), 3), Span(2, 3, Add(2), 1)),
    "an order against real time": (
        LIST,
        Span(0, 1, Append("a"), ANY_REPLY),
        Span(2, 3, Append("b"), ANY_REPLY),
        Span(4, 5, Read(), ("b", "a")),
    ),
    "two readers that saw different orders": (
        LIST,
        Span(0, 9, Append("a"), ANY_REPLY),
        Span(0, 9, Append("b"), ANY_REPLY),
        Span(10, 11, Read(), ("a", "b")),
        Span(10, 11, Read(), ("b", "a")),
    ),
    "an unknown that happened twice": (
        LIST,
        Span(0, 1, Append("a"), UNKNOWN),
        Span(2, 3, Read(), ("a",)),
        Span(4, 5, Read(), ("a", "a")),
    ),
    "an unknown that happened twice, around another": (
        COUNTER,
        Span(0, 1, Add(5), UNKNOWN),
        Span(2, 3, Add(1), 6),
        Span(4, 5, Add(1), 12),
    ),
    "an unknown that happened and did not": (
        REGISTER,
        Span(0, 1, Write(1), UNKNOWN),
        Span(2, 3, Read(), 1),
        Span(4, 5, Read(), 0),
    ),
    "an effect before it was asked for": (REGISTER, Span(0, 1, Read(), 1), Span(2, 3, Write(1), UNKNOWN)),
    "an acknowledged one that never happened": (LIST, Span(0, 1, Append("a"), 1), Span(2, 3, Read(), ())),
    "an acknowledged one of nobody's knowledge": (
        LIST,
        Span(0, 1, Append("a"), ANY_REPLY),
        Span(2, 3, Read(), ()),
    ),
    "a stale read of one key among many": (
        MAP,
        *(Span(i, i + 20, Put(f"k{i}", i), None) for i in range(20)),
        Span(50, 51, Put("a", 1), None),
        Span(52, 53, Get("a"), None),
    ),
}

RIGHT = {
    "nothing": (REGISTER,),
    "a read between two writes at the same time": (
        REGISTER,
        Span(0, 9, Write(1), None),
        Span(0, 9, Write(2), None),
        Span(1, 2, Read(), 1),
        Span(3, 4, Read(), 2),
    ),
    "an unknown that never happened": (REGISTER, Span(0, 1, Write(1), UNKNOWN), Span(2, 3, Read(), 0)),
    "an unknown that happened much later": (
        REGISTER,
        Span(0, 1, Write(1), UNKNOWN),
        Span(2, 3, Read(), 0),
        Span(4, 5, Write(2), None),
        Span(6, 7, Read(), 2),
        Span(8, 9, Read(), 1),
    ),
    "one that was never answered, and happened": (
        LIST,
        Span(0, 1, Append("a"), SILENT),
        Span(2, 3, Append("b"), 2),
        Span(4, 5, Read(), ("a", "b")),
    ),
    "a refused one without effect": (LIST, Span(0, 1, Append("a"), REFUSED), Span(2, 3, Read(), ())),
    "two equal unknowns, both happened": (
        COUNTER,
        Span(0, 1, Add(5), UNKNOWN),
        Span(0, 1, Add(5), UNKNOWN),
        Span(4, 5, Read(), 10),
    ),
    "an end and a beginning of the same time": (REGISTER, Span(0, 1, Write(1), None), Span(1, 2, Read(), 0)),
    "a write of what is there already, which must happen later": (
        REGISTER,
        Span(0, 9, Write(1), None),
        Span(0, 9, Write(0), None),
        Span(10, 11, Read(), 0),
    ),
    "a wrong claim of places": (
        REGISTER,
        Span(0, 1, Write(1), None, place=9),
        Span(2, 3, Write(2), None, place=1),
        Span(4, 5, Read(), 2),
    ),
}


@pytest.mark.parametrize("story", WRONG)
def test_a_wrong_history_is_refused_with_a_reason(story):
    model, *spans = WRONG[story]
    history = history_of(*spans)
    verdict = check_linearizable(history, model)
    assert verdict.result is Result.VIOLATED
    assert "this answer fits no order" in verdict.explanation
    assert len(verdict.operations) <= len(history)
    with pytest.raises(Violation, match="not linearizable"):
        verdict.require()


@pytest.mark.parametrize("story", RIGHT)
def test_a_right_history_is_accepted(story):
    model, *spans = RIGHT[story]
    verdict = check_linearizable(history_of(*spans), model)
    assert verdict.is_linearizable
    verdict.require()


@MODELS
@given(seed=st.integers(0, 2**32), number=st.integers(0, 40), width=st.sampled_from([0.1, 1.0, 3.0, 8.0]))
@settings(deadline=None, max_examples=60)
def test_what_happened_one_after_the_other_is_always_accepted(model, seed, number, width):
    for with_places in (True, False):
        spans = random_spans(seed, model, ASKS[model], number, width=width, with_places=with_places)
        verdict = check_linearizable(history_of(*spans), model)
        assert verdict.is_linearizable, verdict.explanation


@MODELS
@given(seed=st.integers(0, 2**32), number=st.integers(1, 6), changes=st.integers(0, 3))
@settings(deadline=None, max_examples=150)
def test_brute_force_agrees_about_tiny_histories(model, seed, number, changes):
    dice = random.Random(seed)
    spans = random_spans(seed, model, ASKS[model], number, with_places=dice.random() < 0.5)
    for _ in range(changes):
        spans = spoilt(spans, dice)
    history = history_of(*spans)
    verdict = check_linearizable(history, model)
    assert verdict.is_linearizable == is_linearizable_by_brute_force(list(history), model)
    if verdict.result is Result.VIOLATED:
        assert not is_linearizable_by_brute_force(list(verdict.operations), model)


def spoilt(spans: list[Span], dice: random.Random) -> list[Span]:
    """Change something that matters, or may."""
    at, other = dice.randrange(len(spans)), dice.randrange(len(spans))
    one = spans[at]
    match dice.randrange(5):
        case 0:  # the reply of another
            one = replace(one, heard=spans[other].heard)
        case 1:  # another time
            shift = dice.uniform(-5, 5)
            one = replace(one, begins=one.begins + shift, ends=one.ends + shift)
        case 2:  # it is said that it did not happen
            one = replace(one, heard=REFUSED)
        case 3:  # never asked for
            return spans[:at] + spans[at + 1 :] if len(spans) > 1 else spans
        case 4:
            one = replace(one, ends=one.begins + (one.ends - one.begins) / 4)
    return [*spans[:at], one, *spans[at + 1 :]]


def test_spoiling_spoils():
    """Else the comparison with brute force would compare little."""
    wrong = 0
    for seed in range(200):
        dice = random.Random(seed)
        spans = random_spans(seed, COUNTER, ASKS[COUNTER], 6)
        wrong += not check_linearizable(history_of(*spoilt(spoilt(spans, dice), dice)), COUNTER).is_linearizable
    assert 50 < wrong < 190


@pytest.mark.parametrize("with_places", [True, False])
@pytest.mark.parametrize("model", [REGISTER, COUNTER, MAP], ids=["register", "counter", "map"])
def test_thousands_of_operations_are_judged_quickly(model, with_places):
    spans = random_spans(1, model, ASKS[model], 3000, width=15.0, with_places=with_places)
    verdict = check_linearizable(history_of(*spans), model)
    assert verdict.is_linearizable, verdict.explanation
    assert verdict.steps < 60 * len(spans)


@pytest.mark.parametrize("with_places", [True, False])
def test_a_list_shows_its_order_itself(with_places):
    asks = [Append(number) for number in range(2000)]
    spans = []
    dice = random.Random(2)
    state = LIST.initial()
    for instant, ask in enumerate(asks):
        begins, ends = instant - dice.uniform(0, 15), instant + dice.uniform(0, 15)
        if dice.random() < 0.03:
            spans.append(Span(begins, ends, ask, UNKNOWN))
            continue
        state, reply = LIST.apply(state, ask)
        heard = dice.choice((UNKNOWN, SILENT)) if dice.random() < 0.1 else reply
        spans.append(Span(begins, ends, ask, heard, instant if with_places else None))
    spans.append(Span(5000, 5001, Read(), state.items()))
    assert check_linearizable(history_of(*spans), LIST).is_linearizable
    spans[-1] = Span(5000, 5001, Read(), state.items()[:-1])
    assert check_linearizable(history_of(*spans), LIST).result is Result.VIOLATED


def test_too_much_work_is_undecided_and_no_success():
    spans = [Span(0, 100, Write(number), None) for number in range(14)]
    spans.append(Span(101, 102, Read(), "nothing like it"))
    verdict = check_linearizable(history_of(*spans), REGISTER, steps_max=2000)
    assert verdict.result is Result.UNDECIDED
    assert not verdict.is_linearizable
    assert verdict.steps < 2200
    with pytest.raises(Undecided, match="undecided after"):
        verdict.require()


def test_parts_are_judged_alone():
    """Together these would be 2**40 sets of operations."""
    spans = [Span(0, 100, Put(f"key {key}", value), ANY_REPLY) for key in range(20) for value in range(2)]
    spans += [Span(101, 102, Get(f"key {key}"), 1) for key in range(19)]
    assert check_linearizable(history_of(*spans), MAP).is_linearizable
    spans += [Span(101, 102, Get("key 19"), 2)]
    verdict = check_linearizable(history_of(*spans), MAP)
    assert verdict.result is Result.VIOLATED
    assert "in part 'key 19'" in verdict.explanation
    assert {each.asked.key for each in verdict.operations} == {"key 19"}


def test_the_explanation_ends_where_it_went_wrong():
    spans = [Span(number, number + 0.5, Add(1), number + 1) for number in range(100)]
    spans[40] = Span(40, 40.5, Add(1), 40)
    verdict = check_linearizable(history_of(*spans), COUNTER)
    assert len(verdict.operations) == 41
    assert verdict.explanation.splitlines() == [
        "not linearizable: 100 operations, the first 41 do not fit",
        "  before that, 40 can have happened in this order:",
        "    ...",
        *(
            f"    {number}.000000 .. {number}.500000  ann: #{number} Add(amount=1) -> {number + 1}"
            for number in range(28, 40)
        ),
        "    then the state is 40",
        "    and its reply would be 41",
        "  this answer fits no order:",
        "    40.000000 .. 40.500000  ann: #40 Add(amount=1) -> 40",
    ]


def test_a_given_order_is_held_to_its_word():
    history = history_of(
        Span(0, 3, Add(1), 1, place=1), Span(1, 4, Add(2), 3, place=2), Span(5, 6, Read(), 3, place=2)
    )
    check_order(history, COUNTER)


@pytest.mark.parametrize(
    ("spans", "says"),
    [
        ([Span(0, 3, Add(1), 1)], "no place"),
        ([Span(0, 3, Add(1), REFUSED, place=1)], "was refused"),
        ([Span(0, 3, Add(1), 2, place=1)], "reply would be 1"),
        ([Span(0, 1, Add(1), ANY_REPLY, place=2), Span(2, 3, Add(2), ANY_REPLY, place=1)], "was over before"),
        ([Span(0, 3, Add(1), UNKNOWN, place=1), Span(4, 5, Read(), 0, place=1)], "reply would be 1"),
    ],
)
def test_a_given_order_that_is_not_one_is_refused(spans, says):
    with pytest.raises(Violation, match=says):
        check_order(history_of(*spans), COUNTER)


@given(seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=30)
def test_the_order_that_happened_is_one(seed):
    spans = random_spans(seed, COUNTER, ASKS[COUNTER], 40, with_places=True)
    check_order(history_of(*spans), COUNTER)
