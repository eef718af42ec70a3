"""SqliteStorage against a model that is too simple to be wrong: a dict of entries, reopened at any time."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from failover.ids import LogIndex, MemberId, Term
from failover.raft.effects import HardState, SnapshotMeta, Write
from failover.raft.membership import Membership
from failover.raft.messages import Entry
from failover.storage.sqlite import SqliteStorage

MEMBERS = [MemberId(bytes([number]) * 32) for number in range(4)]
memberships = strategies.sets(strategies.sampled_from(MEMBERS), min_size=1).map(
    lambda voters: Membership(frozenset(voters), learners=frozenset(MEMBERS) - voters)
)
contents = strategies.tuples(strategies.binary(max_size=300), strategies.none() | memberships)
hard_states = strategies.builds(
    HardState,
    strategies.integers(0, 2**40).map(Term),
    strategies.none() | strategies.sampled_from(MEMBERS),
    strategies.floats(0, 1),
)


class Model(RuleBasedStateMachine):
    """Every rule is done to both; every so often both are compared."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.storage = SqliteStorage(self.directory / "game.db")
        self.entries: dict[int, Entry] = {}
        self.last = 0
        self.term = 1
        self.snapshot: tuple[SnapshotMeta, bytes] | None = None
        self.hard_state = HardState()
        self.incarnation = 0
        self.notes: dict[str, bytes] = {}

    @property
    def floor(self) -> int:
        return self.snapshot[0].last_index if self.snapshot else 0

    @initialize(hard_state=hard_states)
    def first_write(self, hard_state):
        self.hard_state = hard_state
        self.storage.write((Write(1, hard_state=hard_state),))

    @rule(
        drop=strategies.none() | strategies.integers(0, 5),
        added=strategies.lists(contents, max_size=6),
        hard_state=strategies.none() | hard_states,
        keep=strategies.none() | strategies.integers(0, 5),
        split=strategies.booleans(),
    )
    def write(self, drop, added, hard_state, keep, split):
        truncate_from = None
        if drop is not None:
            truncate_from = LogIndex(max(self.floor + 1, self.last + 1 - drop))
            for index in range(truncate_from, self.last + 1):
                self.entries.pop(index, None)
            self.last = min(self.last, truncate_from - 1)
            self.term += 1
        new = tuple(
            Entry(LogIndex(self.last + 1 + number), Term(self.term), command, membership)
            for number, (command, membership) in enumerate(added)
        )
        self.entries |= {entry.index: entry for entry in new}
        self.last += len(new)
        compact_to = None if keep is None else LogIndex(max(0, self.floor - keep))
        for index in [index for index in self.entries if compact_to is not None and index <= compact_to]:
            del self.entries[index]
        if hard_state is not None:
            self.hard_state = hard_state
        if split:
            batch = (
                Write(1, truncate_from=truncate_from),
                Write(2, hard_state=hard_state, entries=new[:2]),
                Write(3, entries=new[2:]),
                Write(4, compact_to=compact_to),
            )
        else:
            batch = (Write(1, hard_state, truncate_from, new, compact_to),)
        self.storage.write(batch)

    @rule(back=strategies.integers(0, 5), size=strategies.integers(0, 400_000), membership=memberships)
    def own_snapshot(self, back, size, membership):
        index = max(self.floor, self.last - back)
        if index == self.floor:
            return
        meta = SnapshotMeta(LogIndex(index), self.entries[index].term, membership, LogIndex(0))
        self.save(meta, b"%d" % index * size, replaces_log=False)

    @rule(offset=strategies.integers(-4, 4), older_term=strategies.booleans(), membership=memberships)
    def foreign_snapshot(self, offset, older_term, membership):
        index = max(self.floor, self.last + offset, 1)
        if index == self.floor:
            return
        held = self.entries.get(index)
        matches = held is not None and not older_term
        if not matches:
            self.term += 1
        term = held.term if matches else Term(self.term)
        meta = SnapshotMeta(LogIndex(index), term, membership, LogIndex(index))
        self.save(meta, b"theirs", replaces_log=True)
        self.entries = {at: entry for at, entry in self.entries.items() if matches and at > index}
        self.last = max(self.entries, default=index)

    def save(self, meta, content, *, replaces_log):
        self.storage.save_snapshot(meta, [content[:1000], content[1000:]], replaces_log=replaces_log)
        self.snapshot = (meta, content)

    @rule(size=strategies.integers(0, 600_000))
    def unfinished_snapshot(self, size):
        self.storage.snapshot_writer().add(b"u" * size)

    @rule(key=strategies.text(max_size=3), value=strategies.binary(max_size=50))
    def note(self, key, value):
        self.storage.set_note(key, value)
        self.notes[key] = value

    @rule(hard_state=hard_states, value=strategies.none() | strategies.binary(max_size=50))
    def begin_anew(self, hard_state, value):
        self.storage.begin_anew(hard_state, {"a": value})
        self.hard_state, self.entries, self.last, self.snapshot = hard_state, {}, 0, None
        self.notes.pop("a", None)
        self.notes |= {"a": value} if value is not None else {}

    @rule(at_least=strategies.integers(0, 20))
    def begin_incarnation(self, at_least):
        previous, self.incarnation = self.incarnation, max(self.incarnation + 1, at_least)
        assert self.storage.begin_incarnation(at_least) == (previous, self.incarnation)

    @rule()
    def reopen(self):
        self.storage.close()
        self.storage = SqliteStorage(self.directory / "game.db")

    @invariant()
    def both_hold_the_same(self):
        stored = self.storage.load()
        assert stored.hard_state == self.hard_state
        assert stored.entries == tuple(self.entries[index] for index in sorted(self.entries))
        assert stored.snapshot == (self.snapshot[0] if self.snapshot else None)
        assert b"".join(self.storage.read_snapshot()) == (self.snapshot[1] if self.snapshot else b"")
        assert all(self.storage.get_note(key) == value for key, value in self.notes.items())

    def teardown(self):
        self.storage.close()
        shutil.rmtree(self.directory)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
