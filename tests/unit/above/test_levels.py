"""Who understands what: how it is judged, and what an entry that raises it does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tally import A, Tally, member, until

from failover import levels
from failover.directory import Directory
from failover.errors import MachineFailed, UsageError, WrongVersion
from failover.ids import ClusterId, Generation, LogIndex, MemberId, Term
from failover.machine import Context
from failover.net.peers import Secrets
from failover.opaque import Opaque
from failover.raft.messages import Entry
from failover.records import (
    ACTIONS,
    FEATURE_LEVEL,
    RECORDS,
    SINCE,
    VERSION_MAX,
    Admit,
    AppCommand,
    CloseInvite,
    Depart,
    Founding,
    MemberInfo,
    Moved,
    NewGeneration,
    Raise,
    SystemAction,
    SystemCommand,
    Versions,
)
from failover.replica import Replica
from failover.snapshot_format import framed, unframed

B, C = (MemberId(letter * 32) for letter in (b"b", b"c"))
SECRETS = Secrets(1, bytes(32), bytes(32))


class Rules(Tally):
    """A machine that knows some versions, and notes each command with the one by which it was applied."""

    def __init__(self, oldest: int, newest: int) -> None:
        super().__init__()
        self.oldest_version, self.version = oldest, newest

    def apply(self, command: bytes, context: Context) -> bytes:
        return super().apply(b"%s by %d" % (command, context.version), context)

    def migrate(self, version: int) -> None:
        self.items.append(f"to {version}")


class Log:
    """One log, applied by as many machines as one likes."""

    def __init__(self, founder: Versions) -> None:
        record = Founding(ClusterId(b"c" * 16), Generation(b"g" * 16), MemberInfo(A, "a", (), founder), SECRETS)
        self.records: list[bytes] = [RECORDS.encode(record)]

    def then(self, *what: SystemAction | bytes) -> Log:
        for each in what:
            record = AppCommand(0, None, each) if isinstance(each, bytes) else _system(each)
            self.records.append(RECORDS.encode(record))
        return self

    def applied_by(self, replica: Replica, upto: int | None = None) -> Replica:
        for index in range(replica.applied_index, len(self.records) if upto is None else upto):
            replica.apply(Entry(LogIndex(index + 1), Term(1), self.records[index]))
        return replica


def _system(action: SystemAction) -> SystemCommand:
    return SystemCommand(0, None, ACTIONS.encode(action))


def info(member: MemberId, oldest: int, newest: int, level: int = FEATURE_LEVEL) -> MemberInfo:
    return MemberInfo(member, "x", (), Versions(newest, oldest, level))


def version_of(replica: Replica) -> int:
    assert replica.directory is not None
    return replica.directory.version


# --- judging ---


def test_every_kind_of_record_and_action_says_which_level_brought_it() -> None:
    assert {*RECORDS.kinds.values(), *ACTIONS.kinds.values()} == set(SINCE)
    assert max(SINCE.values()) == FEATURE_LEVEL, "a level that brings nothing, or a kind of a level to come"


def test_no_kind_ever_comes_with_another_level_than_it_came_with() -> None:
    assert {kind.__name__ for kind, level in SINCE.items() if level == 1} == {
        "CloseInvite",
        "BeginEpoch",
        "KeyedCommand",
        "AdmitWitness",
    }


def test_what_is_appended_without_asking_is_known_to_all() -> None:
    for kind in (Founding, AppCommand, SystemCommand, NewGeneration, Admit, Depart, Moved, Raise):
        assert SINCE[kind] == 0


def test_a_newer_kind_waits_for_the_level_and_says_for_whom() -> None:
    behind, ahead = MemberInfo(B, "Bob", (), Versions(level=0)), MemberInfo(A, "Ada", ())
    directory = Directory(
        ClusterId(b"c" * 16), Generation(b"g" * 16), (SECRETS,), {A: ahead, B: behind}, {}, level=0
    )
    assert levels.why_not_yet(Admit, directory) is None
    assert levels.why_not_yet(CloseInvite, directory) == (
        "this needs level 1 of the library, and the cluster is at 0; to be updated first: Bob"
    )


@pytest.mark.parametrize(
    ("machine", "versions"),
    [
        (SimpleNamespace(), (1, 1)),
        (SimpleNamespace(version=4), (4, 4)),
        (SimpleNamespace(version=4, oldest_version=2), (4, 2)),
        (Opaque(), (VERSION_MAX, 1)),
    ],
)
def test_a_machine_says_what_it_knows(machine: object, versions: tuple[int, int]) -> None:
    found = levels.versions_of(machine, 7)  # type: ignore[arg-type]
    assert found == Versions(*versions, level=7)


@pytest.mark.parametrize(
    "machine",
    [
        SimpleNamespace(version=0),
        SimpleNamespace(version="2"),
        SimpleNamespace(version=True),
        SimpleNamespace(version=VERSION_MAX + 1),
        SimpleNamespace(version=2, oldest_version=3),
        SimpleNamespace(oldest_version=0),
    ],
)
def test_a_machine_that_says_nonsense_is_told_so(machine: object) -> None:
    with pytest.raises(UsageError, match=r"whole numbers from 1 to 65535"):
        levels.versions_of(machine, 1)  # type: ignore[arg-type]


def test_the_reason_names_both_versions_and_fits_into_a_refusal() -> None:
    for said, played, words in (
        (Versions(1, 1), (2, 1), "plays version 2 of the rules, this program knows version 1: update the game"),
        (Versions(3, 2), (4, 1), "plays version 4 of the rules, this program knows versions 2 to 3: update"),
        (Versions(3, 2), (1, 1), "plays version 1 of the rules, this program knows versions 2 to 3: use an older"),
        (Versions(1, 1, 0), (1, 1), "at level 1 of the library, this program at 0: update the game"),
    ):
        reason = levels.why_not(said, *played)
        assert reason is not None and words in reason and len(reason) <= 200
    assert levels.why_not(Versions(3, 1), 2, 1) is None
    assert levels.why_not(Versions(3, 1, 9), 3, 1) is None, "a newer library plays at any level below its own"


def test_a_library_of_an_older_level_does_not_know_the_newer_kinds() -> None:
    newer = {kind for kind, level in SINCE.items() if level > 0}
    old = levels.kinds_of(0)
    assert not newer & {*old.records.kinds.values(), *old.actions.kinds.values()}
    with pytest.raises(WrongVersion, match="update the game"):
        old.action(ACTIONS.encode(CloseInvite(b"i" * 16)))
    assert levels.kinds_of(FEATURE_LEVEL).action(ACTIONS.encode(CloseInvite(b"i"))) == CloseInvite(b"i")


async def test_a_file_that_a_newer_program_has_written_is_not_changed_by_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "game.db"
    async with member(Rules(1, 2), storage=path, found=True) as founder:
        await founder.request(b"x")
    before = path.read_bytes()
    with pytest.raises(WrongVersion, match="plays version 2 of the rules, this program knows version 1"):
        async with member(Rules(1, 1), storage=path):
            pass
    assert path.read_bytes() == before
    async with member(machine := Rules(1, 3), storage=path) as again:
        await until(lambda: again.status().version == 3)
        await again.request(b"y")
    assert machine.items == ["to 2", "x by 2", "to 3", "y by 3"]


# --- raising ---


def test_a_cluster_begins_with_what_its_founder_knows() -> None:
    replica = Log(Versions(3, 1)).then(b"x").applied_by(Replica(machine := Rules(1, 3)))
    assert version_of(replica) == 3
    assert machine.items == ["to 2", "to 3", "x by 3"], "the first state is that of the oldest version"


def test_commands_are_applied_by_the_version_of_their_time() -> None:
    log = Log(Versions(1, 1)).then(b"x", Moved(info(A, 1, 3)), b"y", Raise(3, 1), b"z")
    log.applied_by(Replica(machine := Rules(1, 3)))
    assert machine.items == ["x by 1", "y by 1", "to 2", "to 3", "z by 3"]


def test_a_version_is_raised_as_far_as_all_members_know_it() -> None:
    log = Log(Versions(1, 1)).then(Admit(info(B, 1, 2), b""), Moved(info(A, 1, 4)), Raise(4, 1), b"x")
    replica = log.applied_by(Replica(machine := Rules(1, 4)))
    assert version_of(replica) == 2 and machine.items == ["to 2", "x by 2"]


def test_who_went_back_to_an_older_program_in_time_keeps_the_version() -> None:
    log = Log(Versions(1, 1)).then(Moved(info(A, 1, 2)), Moved(info(A, 1, 1)), Raise(2, 1), b"x")
    log.applied_by(Replica(machine := Rules(1, 2)))
    assert machine.items == ["x by 1"]


def test_a_version_is_raised_once_though_two_hosts_raised_it_and_never_lowered() -> None:
    log = Log(Versions(2, 1)).then(Moved(info(A, 1, 3)), Raise(3, 1), Raise(3, 1), Raise(1, 0), b"x")
    replica = log.applied_by(Replica(machine := Rules(1, 3)))
    assert machine.items == ["to 2", "to 3", "x by 3"]
    assert replica.directory is not None and replica.directory.level == FEATURE_LEVEL


def test_nobody_is_raised_above_what_somebody_still_plays() -> None:
    log = Log(Versions(3, 1)).then(Admit(info(B, 3, 5), b""), Moved(info(A, 1, 4)))
    assert _known(log.applied_by(Replica(Rules(1, 5)))) == Raise(4, 1)
    log.then(Moved(info(B, 5, 5)))
    assert _known(log.applied_by(Replica(Rules(1, 5)))) == Raise(3, 1)


def _known(replica: Replica) -> Raise:
    assert replica.directory is not None
    return replica.directory.known_to_all()


def test_an_old_program_stops_at_the_entry_that_it_cannot_follow_with_its_state_as_it_was() -> None:
    log = Log(Versions(1, 1)).then(b"x", Moved(info(A, 1, 2)), Raise(2, 1), b"y")
    replica = Replica(machine := Rules(1, 1))
    with pytest.raises(WrongVersion, match="plays version 2 of the rules, this program knows version 1"):
        log.applied_by(replica)
    assert machine.items == ["x by 1"] and version_of(replica) == 1


def test_a_migration_that_raises_stops_the_member_with_its_index() -> None:
    class Clumsy(Rules):
        def migrate(self, version: int) -> None:
            raise KeyError("seat")

    log = Log(Versions(1, 1)).then(Moved(info(A, 1, 2)), Raise(2, 1))
    with pytest.raises(MachineFailed, match=r"migrate\(2\) raised at log index 3: KeyError") as failed:
        log.applied_by(Replica(Clumsy(1, 2)))
    assert failed.value.index == 3


STEPS = st.lists(
    st.one_of(
        st.builds(lambda who, newest: Moved(info(who, 1, newest)), st.sampled_from([A, B]), st.integers(1, 4)),
        st.builds(Raise, st.integers(1, 4), st.just(1)),
        st.binary(min_size=1, max_size=1).filter(bytes.isalnum),
    ),
    max_size=12,
)


@given(STEPS, st.integers(1, 4), st.integers(0, 14))
def test_every_program_that_can_follow_comes_to_the_same_state_by_entries_and_by_a_snapshot(
    steps: list[SystemAction | bytes], known: int, restored_at: int
) -> None:
    log = Log(Versions(1, 1)).then(Admit(info(B, 1, 1), b""), *steps)
    newest = log.applied_by(Replica(everything := Rules(1, 4)))
    replica = log.applied_by(Replica(Rules(1, 4)), upto=min(2 + restored_at, len(log.records)))
    other = Replica(machine := Rules(1, known))
    try:
        other.restore(replica.applied_index, replica.snapshot())
        log.applied_by(other)
    except WrongVersion:
        assert version_of(newest) > known
        assert machine.items == everything.items[: len(machine.items)]
    else:
        assert machine.items == everything.items and other.directory == newest.directory
        assert version_of(newest) <= known


# --- snapshots ---


def raised() -> tuple[Log, Replica]:
    log = Log(Versions(1, 1)).then(b"x", Moved(info(A, 1, 2)), Raise(2, 1), b"y")
    return log, log.applied_by(Replica(Rules(1, 2)))


def test_a_snapshot_holds_what_is_played_and_what_all_members_know() -> None:
    log, replica = raised()
    restored = Replica(machine := Rules(1, 2))
    restored.restore(replica.applied_index, replica.snapshot())
    assert restored.directory == replica.directory
    log.then(b"z").applied_by(restored)
    assert machine.items == ["x by 1", "to 2", "y by 2", "z by 2"]


def test_a_snapshot_that_only_newer_programs_understand_is_refused_before_anything_is_touched() -> None:
    _, replica = raised()
    old = Log(Versions(1, 1)).then(b"mine").applied_by(Replica(machine := Rules(1, 1)))
    with pytest.raises(WrongVersion, match="plays version 2"):
        old.restore(replica.applied_index, replica.snapshot())
    assert machine.items == ["mine by 1"] and old.applied_index == 2


def test_a_snapshot_of_a_level_to_come_is_refused_whatever_else_is_in_it() -> None:
    """It may hold more tables, and longer ones; two numbers keep their place."""
    _, replica = raised()
    (time_us, sessions, directory, *more), first = unframed(pieces := iter(replica.snapshot()))
    directory[5], directory[10] = "nobody knows", 99
    other = framed([time_us, sessions, [*directory, "more"], *more, ["even", "this"]], first, pieces)
    with pytest.raises(WrongVersion, match="level 99 of the library, this program at 1"):
        Replica(Rules(1, 2)).restore(LogIndex(5), other)
