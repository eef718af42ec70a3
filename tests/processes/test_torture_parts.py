"""The parts of the torture, without any members: its judges find what they should and accuse nobody else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

import failover
from failover.ids import Epoch, Generation, LogIndex, Term
from tests.processes.torture import histories, judging
from tests.processes.torture.clocks import RatedClock, true_ns
from tests.processes.torture.judging import Tenure, Verdict
from tests.processes.torture.notes import Notes, newest_note, read_notes
from tests.processes.torture.registers import Registers
from tests.processes.torture.strokes import CUTS, Kind, Stroke, draw_clock, draw_storm
from tests.processes.torture.worker import watch_tenure

S = 1_000_000_000


def row(client: str, op: str, call: int, ret: int | None, **values: Any) -> histories.Row:
    """An operation on one key; without `ret` nobody heard of its end."""
    given = {"client": client, "number": 0, "key": "k", "op": op, "via": "log", "call": call, "ret": ret}
    return dict.fromkeys(histories.FIELDS) | given | {"ok": ret is not None, "unknown": ret is None} | values


def book(*places: tuple[str, int], **values: Any) -> dict[str, Any]:
    """The last state of a member."""
    held = {client: [place] for client, place in places}
    return {"digest": "d", "values": {}, "places": held, "again": [], "epochs_back": []} | values


def kinds(rows: list[histories.Row], **books: dict[str, Any]) -> set[str]:
    """What the judges of states and histories find."""
    verdict = Verdict()
    judging.judge_states(rows, books, verdict)
    judging.judge_order(rows, books, verdict)
    return {kind for kind, count in verdict.counts.items() if count}


WRITE = row("ann", "w", 1 * S, 2 * S, arg="x", place=7)
BOOK = book(("ann", 7))


def test_a_write_that_is_in_all_states_and_is_read_is_nothing_to_complain_of():
    read = row("ben", "r", 3 * S, 4 * S, out="x", via="local", place=7.5)
    assert kinds([WRITE, read], a=BOOK, b=BOOK) == set()


def test_an_acknowledged_write_that_one_state_lacks_is_lost():
    assert kinds([WRITE], a=BOOK, b=book()) == {"lost"}


def test_what_was_applied_twice_is_doubled():
    assert kinds([WRITE], a=BOOK | {"again": [["ann", 0, 9]]}) == {"doubled"}


def test_what_nobody_asked_for_is_found():
    assert kinds([WRITE], a=book(("ann", 7), ("eve", 8))) == {"unasked"}


def test_states_that_differ_are_found():
    assert kinds([WRITE], a=BOOK, b=BOOK | {"digest": "e"}) == {"diverged"}


def test_a_command_of_an_earlier_host_after_one_of_a_later_is_found():
    assert kinds([WRITE], a=BOOK | {"epochs_back": [7]}) == {"epochs back"}


def test_a_read_that_misses_what_was_over_before_is_found():
    stale = row("ben", "r", 3 * S, 4 * S, out=None, via="local", place=6.5)
    assert kinds([WRITE, stale], a=BOOK) == {"not linearizable", "order of the log"}


@pytest.mark.parametrize(("out", "places"), [("y", (("ann", 7), ("eve", 8))), ("x", (("ann", 7),))])
def test_what_was_never_answered_may_have_happened_or_not(out, places):
    killed = row("eve", "w", 3 * S, None, arg="y")
    read = row("ben", "r", 5 * S, 6 * S, out=out, via="local", place=places[-1][1] + 0.5)
    assert kinds([WRITE, killed, read], a=book(*places)) == set()


def test_tenures_that_ran_at_one_moment_are_two_hosts():
    verdict = Verdict()
    long = Tenure("a", 1, 0, 10 * S)
    judging.judge_tenures([long, Tenure("b", 2, 2 * S, 3 * S), Tenure("c", 3, 9 * S, 12 * S)], verdict)
    assert verdict.counts["two hosts"] == 2


def test_tenures_that_follow_each_other_are_not():
    verdict = Verdict()
    judging.judge_tenures([Tenure("a", 1, 0, S), Tenure("b", 2, S + 1, 2 * S)], verdict)
    assert not verdict.total


def test_two_hosts_of_one_term_are_found_though_they_followed_each_other():
    verdict = Verdict()
    judging.judge_tenures([Tenure("a", 1, 0, S), Tenure("b", 1, 2 * S, 3 * S)], verdict)
    assert verdict.counts["two hosts"] == 1


class FakeHost:
    """Says so many times that its tenure runs."""

    def __init__(self, looks: int) -> None:
        self.epoch = Epoch(Generation(b"g"), Term(3))
        self.looks = looks

    def is_running(self) -> bool:
        self.looks -= 1
        return self.looks >= 0


@pytest.mark.parametrize(("looks", "waits"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)])
def test_a_moment_of_a_tenure_counts_if_it_ran_before_and_after(tmp_path, looks, waits):
    waited: list[int] = []
    watch_tenure(FakeHost(looks), Notes(tmp_path / "a.tenures"), lambda _: waited.append(true_ns()))  # type: ignore
    noted = judging.tenures_in(tmp_path)
    assert len(waited) == waits
    assert [each.term for each in noted] == ([3] if waits else [])
    assert all(each.since <= each.until <= waited[-1] for each in noted), (
        "what came after the last wait is not sure"
    )


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path):
    path = tmp_path / "a.history"
    notes = Notes(path)
    notes.add(client="ann", number=0, key="k", op="w", arg="x", via="log", call=1)
    with path.open("ab") as file:
        file.write(b'{"client":"ann","number":0,"ok":tr')
    assert newest_note(path) == next(read_notes(path))
    assert [(each["unknown"], each["ret"]) for each in histories.join(tmp_path)] == [(True, None)]


def test_the_longest_time_without_an_answer_counts_in_calm_phases_alone():
    rows = [row("ann", "r", 0, moment * S) for moment in (1, 9, 12, 13)]
    assert judging.longest_gap_s(rows, [(8 * S, 14 * S)]) == 3.0
    assert judging.longest_gap_s(rows, [(2 * S, 8 * S)]) == 6.0


def command(number: int, op: str = "w", term: int = 3, **values: Any) -> bytes:
    asked = {"client": "ann", "number": number, "op": op, "key": "k", "arg": f"v{number}", "term": term}
    return json.dumps(asked | values).encode()


def context(index: int, term: int = 3) -> failover.Context:
    return failover.Context(LogIndex(index), Epoch(Generation(b"g"), Term(term)), None, 0.0)


def test_registers_note_what_was_applied_again_and_what_came_from_an_earlier_host():
    machine = Registers()
    assert json.loads(machine.apply(command(0), context(5))) == {"out": None, "place": 5}
    assert json.loads(machine.apply(command(0), context(6)))["out"] == "v0"
    machine.apply(command(1, term=4), context(7, 4))
    machine.apply(command(2, term=3), context(8, 4))
    assert machine.again == [("ann", 0, 6)]
    assert machine.epochs_back == [8]
    assert machine.places == {"ann": [5, 7, 8]}


def test_registers_that_were_restored_are_equal_and_stay_so():
    one, other = Registers(), Registers()
    one.apply(command(3), context(5))
    pieces = one.snapshot()
    one.apply(command(4, op="cas", arg="v3", arg2="z"), context(6))
    other.restore(pieces)
    assert other.values == {"k": "v3"}, "what came after the snapshot was asked for is not in it"
    other.apply(command(4, op="cas", arg="v3", arg2="z"), context(6))
    assert (one.digest(), one.values, one.places) == (other.digest(), other.values, other.places)


def test_a_seed_draws_the_same_storm_again_with_a_stroke_of_each_kind():
    storm = draw_storm(random.Random(7), 5, 14.0)
    assert storm == draw_storm(random.Random(7), 5, 14.0)
    assert {stroke.kind for stroke in storm} == set(Kind)
    assert [stroke.at_s for stroke in storm] == sorted(stroke.at_s for stroke in storm)


def test_a_stroke_at_the_host_strikes_whoever_hosts():
    stroke = Stroke(0.0, Kind.KILL, 1.0, True, (3, 1, 0, 2, 4), 2)
    assert stroke.struck(0) == (0, 1)
    assert stroke.struck(None) == (3, 1)


@pytest.mark.parametrize("kind", [kind for kind in CUTS if kind is not Kind.UNPLUG])
def test_a_cut_leaves_nobody_deaf_to_himself_and_is_of_its_kind(kind):
    for places in ((0, 1, 2, 3, 4), (4, 2, 0, 3, 1)):
        pairs = set(Stroke(0.0, kind, 1.0, False, places, 1).pairs(None))
        assert pairs and all(who != other for who, other in pairs)
        assert ({(other, who) for who, other in pairs} == pairs) is (kind is not Kind.ONE_WAY)


def test_clocks_stay_within_what_promises_count_on():
    rates = {draw_clock(random.Random(seed))["rate"] for seed in range(50)}
    assert {0.9, 1.0, 1.1} < rates
    assert all(0.9 <= rate <= 1.1 for rate in rates)
    clock = RatedClock(1.1, 1000.0)
    assert clock.deadline_to_sleep_time(clock() + 1.1) == pytest.approx(1.0, abs=0.01)
