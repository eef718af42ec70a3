"""The checkers for whole members are tested too: each of these bugs of the upper layers must be found."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import trio

from failover.driver import Driver
from failover.host import Request, Tenure
from failover.keys import KeyTable
from failover.life import Life
from failover.raft import election
from failover.raft.core import Core
from failover.raft.lease import Promise
from failover.raft.timing import Timing
from failover.replica import Replica
from failover.sessions import Sessions
from failover.settings import Settings
from failover.storage.memory import MemoryStorage
from failover.storage.sqlite import SqliteStorage
from failover.testing.checkers import Violation
from failover.testing.faults import Faults, Stroke
from failover.testing.guest_list import GuestList
from failover.testing.process import Program
from failover.testing.stack_simulation import StackSimulation
from failover.testing.stack_trial import StackTrial
from failover.wire import Verdict

SEEDS_MAX = 24
Plant = Callable[[pytest.MonkeyPatch], None]


def reply_before_commit(patch: pytest.MonkeyPatch) -> None:
    propose = Request.propose

    async def hasty(self, command=None):
        await propose(self, command)
        self._tenure.desk._send_answer(self.caller, Verdict.APPLIED, b"1")

    patch.setattr(Request, "propose", hasty)


def read_waits_for_nothing(patch: pytest.MonkeyPatch) -> None:
    async def at_once(self):
        await trio.lowlevel.checkpoint()

    patch.setattr(Life, "read_barrier", at_once)


def answers_before_they_are_stored(patch: pytest.MonkeyPatch) -> None:
    carry_out = Driver._carry_out

    def hasty(self, effects, now):
        carry_out(self, effects, now)
        while self._held:
            self._send(self._held.popleft()[1], now)

    patch.setattr(Driver, "_carry_out", hasty)


def incarnation_is_not_stored(patch: pytest.MonkeyPatch) -> None:
    for storage in (MemoryStorage, SqliteStorage):
        patch.setattr(storage, "begin_incarnation", lambda self, at_least: (1, 2))


def keys_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyTable, "add", lambda self, member, mark, reply: None)


def snapshot_is_restored_one_too_early(patch: pytest.MonkeyPatch) -> None:
    restore = Replica.restore

    def shifted(self, index, chunks):
        restore(self, index, chunks)
        self.machine._items.pop()

    patch.setattr(Replica, "restore", shifted)


def end_of_tenure_is_not_told(patch: pytest.MonkeyPatch) -> None:
    emit = Life._tenure_ended

    def sometimes(self, epoch, reason, error):
        if reason == "closed":
            emit(self, epoch, reason, error)

    patch.setattr(Life, "_tenure_ended", sometimes)


def votes_while_promised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(election, "barred_until", lambda core, now: -math.inf)


def restart_forgets_promises(patch: pytest.MonkeyPatch) -> None:
    born = Promise.__init__

    def forget(self, ceiling_s, restarted_at):
        born(self, ceiling_s, restarted_at)
        self._restart_until = -math.inf

    patch.setattr(Promise, "__init__", forget)


def witness_hosts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Core, "is_witness", property(lambda self: False))


BUGS = (
    witness_hosts,
    votes_while_promised,
    restart_forgets_promises,
    reply_before_commit,
    read_waits_for_nothing,
    answers_before_they_are_stored,
    incarnation_is_not_stored,
    keys_are_forgotten,
    snapshot_is_restored_one_too_early,
    end_of_tenure_is_not_told,
)
PAUSES = Faults(
    every_s=0.3, strokes=frozenset({Stroke.PAUSE_HOST, Stroke.HEAL, Stroke.CRASH, Stroke.RESTART, Stroke.CUT_HOST})
)
ALL_CRASH = Faults(every_s=0.5, strokes=frozenset({Stroke.CRASH_ALL}))
"""All computers at once, and each is back within a second."""
KIND_OF_RUN: dict[Plant, dict[str, Any]] = {
    votes_while_promised: {"members": 3, "faults": PAUSES},
    restart_forgets_promises: {"members": 3, "faults": ALL_CRASH},
    witness_hosts: {"members": 2, "witness": True},
}
"""For a bug that would show in any run, but rarely."""


def is_found(**options: Any) -> bool:
    for seed in range(SEEDS_MAX):
        try:
            StackTrial(seed, **options).run()
        except Violation:
            return True
    return False


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert is_found(**KIND_OF_RUN.get(plant, {}))


def test_a_host_that_looks_at_no_lease_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was paused looks at its state before it is told that it is host no more."""
    monkeypatch.setattr(Tenure, "check", lambda self: None)
    assert is_found(members=3, faults=PAUSES)


def ask_once_and_be_answered_by_a_host_that_has_it_from_a_snapshot() -> list[object]:
    """A member that hears nothing asks; the others carry it out, take snapshots, and start again from them."""
    timing = replace(Timing(), snapshot_entries=10, kept_entries=0)
    program = Program(machine=GuestList, serve=None, play=None, settings=Settings(timing=timing))
    answers: list[object] = []
    with StackSimulation("snapshot", program) as world:
        ada, ben, eve = (world.add_computer() for _ in range(3))
        world.found()
        world.bring_in([ben, eve])
        world.run(2.0)
        world.network.cut = {(ada.number, eve.number), (ben.number, eve.number)}
        eve.process.carry_out(lambda member: member.request(b"once", timeout=60), answers.append)
        world.run(0.1)
        for number in range(30):
            ada.process.carry_out(lambda member, number=number: member.request(b"%d" % number), lambda _: None)
            world.run(0.1)
        for computer in (ada, ben):
            computer.crash()
            computer.start()
        world.run(1.0)
        world.network.cut.clear()
        world.run(20.0)
    return answers


def test_a_snapshot_remembers_what_was_carried_out() -> None:
    assert ask_once_and_be_answered_by_a_host_that_has_it_from_a_snapshot() == [b"1"]


def test_a_snapshot_that_forgets_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sessions, "dump", lambda self: [])
    with pytest.raises(Violation, match="carried out at"):
        ask_once_and_be_answered_by_a_host_that_has_it_from_a_snapshot()


def ask_with_a_key_and_again_when_all_have_started_from_snapshots() -> list[object]:
    """All members crash, and start from snapshots alone; the requester asks again with its key."""
    timing = replace(Timing(), snapshot_entries=10, kept_entries=0)
    program = Program(machine=GuestList, serve=None, play=None, settings=Settings(timing=timing))
    answers: list[object] = []
    with StackSimulation("keys", program) as world:
        computers = [world.add_computer() for _ in range(3)]
        world.found()
        world.bring_in(computers[1:])
        world.run(2.0)
        computers[2].process.carry_out(lambda member: member.request(b"once", key=b"order 1"), answers.append)
        for number in range(30):
            computers[0].process.carry_out(lambda member, n=number: member.request(b"%d" % n), lambda _: None)
            world.run(0.1)
        for computer in computers:
            computer.crash()
            computer.start()
        world.run(5.0)
        computers[2].process.carry_out(lambda member: member.request(b"once", key=b"order 1"), answers.append)
        world.run(20.0)
    return answers


def test_a_snapshot_remembers_keys() -> None:
    first, again = ask_with_a_key_and_again_when_all_have_started_from_snapshots()
    assert isinstance(first, bytes)
    assert again == first


def test_a_snapshot_that_forgets_keys_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeyTable, "dump", lambda self: [])
    with pytest.raises(Violation, match="order 1' was carried out at"):
        ask_with_a_key_and_again_when_all_have_started_from_snapshots()
