"""The record of what clients asked and heard, and exactly-once."""

from __future__ import annotations

import math

import pytest
from histories import REFUSED, SILENT, UNKNOWN, Span, history_of

from failover.testing import ANY_REPLY, Append, AppendOnlyList, History, Outcome, Violation, check_exactly_once
from failover.testing.history import prefix
from failover.testing.models import Chain


def test_an_operation_has_a_beginning_and_an_end():
    history = History()
    first = history.begin("ann", Append("a"), 1.0)
    second = history.begin("bob", Append("b"), 1.0)
    history.replied(second, 1, 1.0, place=7)
    history.unknown(first, 2.5)
    one, two = history
    assert (one.caller, one.invoked_s, one.answered_s, one.outcome) == ("ann", 1.0, 2.5, Outcome.UNKNOWN)
    assert (two.reply, two.place, two.outcome) == (1, 7, Outcome.REPLIED)
    assert one.invoked_event < two.invoked_event < two.answered_event < one.answered_event
    assert one.ends_event == math.inf, "it may happen after its caller gave up"
    assert len(history) == 2


def test_an_operation_ends_once():
    history = History()
    number = history.begin("ann", Append("a"), 1.0)
    history.refused(number, 2.0)
    with pytest.raises(AssertionError, match="answered twice"):
        history.replied(number, 1, 3.0)


def test_time_does_not_run_backwards():
    history = History()
    history.begin("ann", Append("a"), 1.0)
    with pytest.raises(AssertionError):
        history.begin("ann", Append("a"), 0.9)


def test_a_prefix_does_not_know_what_comes_later():
    history = history_of(
        Span(0, 1, Append("a"), 1), Span(0.5, 2, Append("b"), REFUSED), Span(3, 4, Append("c"), 2)
    )
    known = prefix(history, history[0].answered_event)
    assert [each.outcome for each in known] == [Outcome.REPLIED, Outcome.UNANSWERED]
    assert prefix(history, math.inf) == list(history)


def test_an_operation_reads_well():
    history = history_of(
        Span(0, 1, Append("a"), 1, place=3), Span(0.5, 2, Append("b"), SILENT), Span(3, 4, Append("c"), ANY_REPLY)
    )
    assert [str(each) for each in history] == [
        "0.000000 .. 1.000000  ann: #0 Append(item='a') -> 1  [place 3]",
        "0.500000 .. ...  ann: #1 Append(item='b') unanswered",
        "3.000000 .. 4.000000  ann: #2 Append(item='c') -> acknowledged",
    ]


FOUR = (
    Span(0, 1, Append("a"), 1),
    Span(2, 3, Append("b"), UNKNOWN),
    Span(4, 5, Append("c"), REFUSED),
    Span(6, 7, Append("d"), SILENT),
)


@pytest.mark.parametrize("effects", [[0], [0, 1], [0, 1, 3], [0, 3, 1]])
def test_exactly_once_holds(effects):
    check_exactly_once(history_of(*FOUR), effects)


@pytest.mark.parametrize(
    ("effects", "says"),
    [
        ([], "acknowledged, and took no effect"),
        ([0, 0], "twice, at 0 and 1"),
        ([0, 1, 1], "twice, at 1 and 2"),
        ([0, 1, 3, 1], "twice, at 1 and 3"),
        ([0, 2], "was refused, and took effect"),
        ([0, 9], "nobody asked"),
        ([1, 0], "was over before the other was asked"),
        ([3, 0], "was over before the other was asked"),
    ],
)
def test_exactly_once_is_broken(effects, says):
    with pytest.raises(Violation, match=says):
        check_exactly_once(history_of(*FOUR), effects)


def test_chains_are_lists():
    model = AppendOnlyList()
    one = two = model.initial()
    for item in "abc":
        one, two = model.apply(one, Append(item))[0], model.apply(two, Append(item))[0]
    assert one == two and hash(one) == hash(two) and one is not two
    assert one != model.apply(one, Append("d"))[0] != model.initial()
    assert one.items() == ("a", "b", "c")
    assert one != "abc"
    assert str(one) == "['a', 'b', 'c'] (3 items)"
    long = Chain()
    for number in range(100_000):
        long = Chain(long, number)
    assert len(long.items()) == long.length == 100_000
