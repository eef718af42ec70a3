"""A process is killed at any moment: what it acknowledged is there afterwards, and nothing is torn."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from failover.storage.sqlite import SqliteStorage

# Each round truncates, appends, moves the hard state, and at times snapshots and compacts. The entries of a round
# carry its number as term and the hard state carries it too, so a half-done round would show. The number goes
# down the pipe once `write` has returned.
WRITER = """
import os, sys
from failover.ids import ClusterId, LogIndex, MemberId, Term
from failover.raft.effects import HardState, SnapshotMeta, Write
from failover.raft.membership import Membership
from failover.raft.messages import Entry
from failover.storage.sqlite import SqliteStorage

storage = SqliteStorage(sys.argv[1])
stored = storage.load()
round_, last = stored.hard_state.term, stored.entries[-1].index if stored.entries else 0
if not stored.entries and stored.snapshot:
    last = stored.snapshot.last_index
floor = stored.snapshot.last_index if stored.snapshot else 0
membership = Membership(frozenset({MemberId(b"m" * 32)}))
os.write(1, b"ready\\n")
while True:
    round_ += 1
    keep = max(floor, last - round_ % 3)
    entries = tuple(
        Entry(LogIndex(index), Term(round_), b"%d" % round_ * (round_ % 700))
        for index in range(keep + 1, keep + 5)
    )
    last = keep + 4
    hard_state = HardState(Term(round_), MemberId(b"%032d" % round_), float(round_))
    storage.write((Write(round_, hard_state, LogIndex(keep + 1), entries),))
    os.write(1, b"%d %d\\n" % (round_, last))
    if round_ % 5 == 0:
        meta = SnapshotMeta(LogIndex(last), Term(round_), membership, LogIndex(0))
        text = b"%d." % round_
        storage.save_snapshot(meta, [text * 200_000], replaces_log=round_ % 2 == 0)
        floor = last
        storage.write((Write(round_, compact_to=LogIndex(max(0, last - 6))),))
"""


def run_until_killed(path, dice: random.Random) -> list[tuple[int, int]]:
    """Run the writer for a random while, kill it, and return what it acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        # Reading a random number of lines and then a random bit more puts the kill anywhere in a round,
        # whatever the speed of the machine.
        lines = [child.stdout.readline() for _ in range(dice.randint(1, 40))]
        spin = dice.randint(0, 40_000)
        while spin:
            spin -= 1
        child.kill()
        lines += child.stdout.read().splitlines()
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines if line]


def check(path, acknowledged: list[tuple[int, int]]) -> None:
    storage = SqliteStorage(path)
    stored = storage.load()
    round_ = stored.hard_state.term
    last_acknowledged, last_index = acknowledged[-1]
    assert round_ in (last_acknowledged, last_acknowledged + 1), "a round is there or not"
    if stored.entries:
        assert stored.entries[-1].term == round_, "hard state and entries are of one round"
        for entry in stored.entries:
            assert entry.command == b"%d" % entry.term * (entry.term % 700)
    if round_ == last_acknowledged:
        reached = stored.entries[-1].index if stored.entries else stored.snapshot.last_index
        assert reached == last_index
    assert stored.hard_state.voted_for == b"%032d" % round_
    if stored.snapshot:
        taken_in = stored.snapshot.last_term
        assert b"".join(storage.read_snapshot()) == b"%d." % taken_in * 200_000
    storage.close()


@pytest.mark.parametrize("seed", range(6))
def test_what_was_acknowledged_survives_a_kill_at_any_moment(path, seed):
    dice = random.Random(seed)
    for _ in range(3):
        acknowledged = run_until_killed(path, dice)
        check(path, acknowledged)


def test_a_kill_while_the_file_is_made_leaves_a_file_or_none(tmp_path):
    """The name appears when the file is whole, so whatever a kill leaves can be opened."""
    script = "import sys; from failover.storage.sqlite import SqliteStorage\nprint('go', flush=True)\n"
    script += "for number in range(10_000): SqliteStorage(f'{sys.argv[1]}/{number}.db').close()"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        while not any(name.startswith("5.db") for name in os.listdir(tmp_path)):
            assert child.poll() is None
        child.kill()
    made = [name for name in os.listdir(tmp_path) if name.endswith(".db")]
    assert made
    for name in made:
        SqliteStorage(tmp_path / name).close()
