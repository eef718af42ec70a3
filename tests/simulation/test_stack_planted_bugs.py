"""The checkers for whole members are tested too: each of these bugs of the upper layers must be found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

from failover.driver import Driver
from failover.host import Request, Tenure
from failover.life import Life
from failover.replica import Replica
from failover.sessions import Sessions
from failover.storage.memory import MemoryStorage
from failover.storage.sqlite import SqliteStorage
from failover.testing.checkers import Violation
from failover.testing.stack_trial import StackTrial
from failover.wire import Verdict

SEEDS_MAX = 24
Plant = Callable[[pytest.MonkeyPatch], None]


def snapshot_forgets_sessions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sessions, "dump", lambda self: [])


def request_is_always_new(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sessions, "is_new", lambda self, caller: True)


def reply_before_commit(patch: pytest.MonkeyPatch) -> None:
    propose = Request.propose

    async def hasty(self, command=None):
        await propose(self, command)
        self._tenure.desk._send_answer(self.caller, Verdict.APPLIED, b"1")

    patch.setattr(Request, "propose", hasty)


def host_looks_at_no_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tenure, "check", lambda self: None)


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


BUGS = (
    snapshot_forgets_sessions,
    request_is_always_new,
    reply_before_commit,
    host_looks_at_no_lease,
    read_waits_for_nothing,
    answers_before_they_are_stored,
    incarnation_is_not_stored,
    snapshot_is_restored_one_too_early,
    end_of_tenure_is_not_told,
)


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    for seed in range(SEEDS_MAX):
        try:
            StackTrial(seed).run()
        except (Violation, AssertionError):
            return
    pytest.fail(f"{plant.__name__} was not found in {SEEDS_MAX} runs")
