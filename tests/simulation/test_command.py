"""The command `python -m tests.simulation`: what it prints, writes and returns."""

from __future__ import annotations

import json
import sys
from collections import Counter

import pytest

from failover.raft.leadership import Leadership
from failover.testing.checkers import TwoHosts
from tests.simulation.__main__ import main
from tests.simulation.levels import LEVELS, Variation
from tests.simulation.planted import hosts_before_own_no_op
from tests.simulation.running import Failure, Mixture, Run, run_seed
from tests.simulation.showing import Tally
from tests.simulation.shrinking import shrink


@pytest.fixture
def command(monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["simulation", *arguments])
        return main()

    return run


def failing_seed(variation):
    return next(
        seed
        for seed in range(50)
        if (found := run_seed("core", seed, variation).failure) and found.kind == "Violation"
    )


def test_runs_that_go_well_are_summed_up(command, tmp_path, capsys):
    assert (
        command("--seeds", "3..5", "--level", "core", "--seconds", "2", "--json", str(tmp_path / "sums.json")) == 0
    )
    sums = json.loads((tmp_path / "sums.json").read_text())
    assert (sums["seeds"], sums["violations"], sums["two_hosts"], sums["failures"]) == (3, 0, 0, [])
    assert sums["simulated_seconds"] > 15
    assert sums["faults"]["proposed"] > 0
    printed = capsys.readouterr().out
    assert "3 runs, core" in printed
    assert "3 seeds in" in printed


def test_a_failure_is_printed_with_what_came_before_and_the_command_that_repeats_it(
    command, tmp_path, capsys, monkeypatch
):
    hosts_before_own_no_op(monkeypatch)
    path = tmp_path / "sums.json"
    options = ("--without", "pause,slow disk")
    seed = failing_seed(Variation(without=frozenset({"pause", "slow disk"})))
    assert command("--seeds", f"{seed}..{seed}", "--level", "core", *options, "--json", str(path)) == 1
    printed = capsys.readouterr().out
    replay = f'python -m tests.simulation --level core --seed {seed} --without "pause,slow disk"'
    assert f"replay: {replay} --trace" in printed
    assert f"core seed {seed}: Violation" in printed
    assert " hosts term " in printed
    assert " messages_now=((" in printed, "the last rounds"
    sums = json.loads(path.read_text())
    assert sums["violations"] == 1
    assert sums["failures"][0]["command"] == replay
    assert command("--seed", str(seed), "--without", "pause,slow disk", "--trace") == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("Violation: ")


def test_two_hosts_are_counted(command, tmp_path, monkeypatch):
    def break_it(*_):
        raise TwoHosts("a and b host")

    monkeypatch.setattr(Leadership, "may_host", break_it)
    path = tmp_path / "sums.json"
    assert command("--seeds", "2", "--level", "core", "--json", str(path)) == 1
    assert json.loads(path.read_text())["two_hosts"] == 2


def test_a_failing_run_is_made_smaller_while_it_fails_in_the_same_way(monkeypatch):
    hosts_before_own_no_op(monkeypatch)
    seed = failing_seed(Variation())
    usual = run_seed("core", seed, Variation())
    said = []
    smallest = shrink("core", seed, usual.failure, start=Variation(), say=said.append)
    again = run_seed("core", seed, smallest)
    assert usual.failure.is_like(again.failure)
    assert smallest.seconds is not None and smallest.seconds < 5
    assert len(smallest.without) > 10
    assert said[-1] == f"still fails with{smallest.options()}"


def test_other_numbers_are_the_same_way_of_failing_and_other_words_are_not():
    one = Failure("Violation", "b'a' hosts term 4 at 0, 51 are committed")
    assert one.is_like(Failure("Violation", "b'c' hosts term 9 at 10, 2 are committed"))
    assert not one.is_like(Failure("Violation", "b'c' commits 9, durable only on [b'a']"))
    assert not one.is_like(Failure("NoProgress", "b'a' hosts term 4 at 0, 51 are committed"))
    assert not one.is_like(None)


def test_levels_share_the_time_and_not_the_seeds():
    mixture = Mixture(list(LEVELS.values()), range(100), 0)
    given = []
    for level, seed in mixture:
        given.append((level, seed))
        mixture.finished(Run(level, seed, 0.1 if level == "core" else 0.9, None, None, 0.0, Counter()))
    names = Counter(level for level, _ in given)
    assert 80 <= names["core"] <= 95
    assert [seed for level, seed in given if level == "stack"] == list(range(names["stack"]))


def test_seeds_without_end_go_on():
    mixture = Mixture([LEVELS["core"]], None, 7000)
    assert [seed for _, (_, seed) in zip(range(3), mixture, strict=False)] == [7000, 7001, 7002]


def test_what_never_occurred_in_many_runs_is_named():
    tally = Tally(Variation(without=frozenset({"burst"})))
    all_but_one = Counter(LEVELS["core"].must_occur) - Counter(["crashed"])
    for seed in range(200):
        assert tally.missing() == []
        tally.add(Run("core", seed, 0.1, None, None, 30.0, all_but_one))
    assert tally.missing() == ["core: crashed"]


def test_processes_share_the_work(command, tmp_path):
    path = tmp_path / "sums.json"
    assert command("--seeds", "4", "--jobs", "2", "--seconds", "1", "--json", str(path)) == 0
    assert json.loads(path.read_text())["seeds"] == 4


def test_whole_members_run_too(command, tmp_path):
    path = tmp_path / "sums.json"
    assert command("--seeds", "2", "--level", "stack", "--seconds", "3", "--json", str(path)) == 0
    assert json.loads(path.read_text())["seeds_by_level"] == {"stack": 2}


@pytest.mark.parametrize(
    "wrong",
    [["--trace"], ["--without", "luck"], ["--calm", "waves"], ["--seed", "1", "--trace", "--level", "both"]],
)
def test_a_wrong_option_is_refused(command, wrong, capsys):
    with pytest.raises(SystemExit):
        command(*wrong)
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "levels"), [(["--seeds", "2"], ["core", "stack"]), (["--seed", "2"], ["core"])])
def test_both_levels_take_turns_unless_one_seed_is_asked_for(command, capsys, given, levels):
    assert command(*given, "--seconds", "1") == 0
    printed = capsys.readouterr().out
    assert [level for level in LEVELS if f"1 runs, {level}" in printed] == levels
