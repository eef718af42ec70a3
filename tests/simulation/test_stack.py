"""Whole members under seeded faults: real drivers, encryption and storage code in virtual time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from failover.testing.faults import Stroke
from failover.testing.stack_trial import StackTrial
from failover.testing.trial import Outcome

ROOT = Path(__file__).parents[2]
SEEDS = range(32)
PER_TEST = 2
SAME = (3, 5, 11, 20)
"""Of different sizes, with files and without."""

EXERCISED = (
    *(stroke.value for stroke in Stroke),
    "restarted",
    "asked again after a restart",
    "crashed in a step",
    "crashed while writing",
    "crashed in a job of the disk",
    "disk full",
    "elected",
    "membership changed",
    "witnessed",
    "witness led",
    "witness restored",
    "snapshot sent",
    "restored from a snapshot",
    "joining",
    "left",
    "removed",
    "lost",
    "doubled",
    "late",
    "BecomeHost",
    "HostChanged",
    "MemberJoined",
    "MemberLeft",
    "QuorumLost",
    "QuorumRegained",
    "Stopped",
    "stopped: handed over",
    "stopped: lease lost",
)

outcomes: dict[int, Outcome] = {}


def run(seed: int) -> Outcome:
    if seed not in outcomes:
        try:
            outcomes[seed] = StackTrial(seed).run()
        except Exception as error:
            replay = f"replay: python -m tests.simulation --level stack --seed {seed} --trace"
            raise AssertionError(f"seed {seed}: {error}\n{replay}") from error
    return outcomes[seed]


@pytest.mark.parametrize("first", SEEDS[::PER_TEST])
def test_whole_members_keep_their_word_in_a_storm_and_a_healthy_quorum_works_after_it(first):
    for seed in range(first, first + PER_TEST):
        run(seed)


def test_the_runs_exercised_their_faults():
    happened = sum((run(seed).happened for seed in SEEDS), Counter[str]())
    assert [what for what in EXERCISED if not happened[what]] == []
    assert sum(run(seed).tenures for seed in SEEDS) > 3 * len(SEEDS)
    assert happened["quorum moved away"] + happened["lost touch"] < len(SEEDS) / 10


@pytest.mark.parametrize("seed", SAME)
def test_the_same_seed_gives_the_same_run(seed):
    assert StackTrial(seed).run() == run(seed)


def test_the_order_of_sets_means_nothing():
    """Another PYTHONHASHSEED orders sets of ids otherwise; a run must not notice."""
    script = f"""
from failover.testing.stack_trial import StackTrial
print([StackTrial(seed).run().digest for seed in {SAME}])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str([run(seed).digest for seed in SAME])
