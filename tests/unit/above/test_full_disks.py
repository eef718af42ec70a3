"""A member whose disk is full accepts nothing and votes for nobody, says so, keeps what it has, and recovers."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from tally import member, until, voters

import failover
from failover.raft.core import Core
from failover.raft.messages import AppendResponse, VoteResponse
from failover.storage.memory import MemoryStorage

FULL = "there is no room left on the disk; make room, then it goes on"


class FillingDisk:
    """A `failover.Storage` that refuses all changes while it is full; a thread of its own writes to it."""

    def __init__(self) -> None:
        self.inside = MemoryStorage()
        self.is_full = False
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        def changing(*arguments: Any, **options: Any) -> Any:
            if self.is_full:
                self.refused += 1
                raise failover.StorageFailed(FULL)
            return getattr(self.inside, name)(*arguments, **options)

        is_reading = name in ("identity", "load", "snapshot_meta", "read_snapshot", "get_note", "close")
        return getattr(self.inside, name) if is_reading else changing


@pytest.fixture
def sent_by(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, object]]:
    """(sender, message) of what reached any core."""
    heard: list[tuple[object, object]] = []
    receive = Core.receive

    def noting(core: Core, sender: Any, message: Any, now: float) -> None:
        heard.append((sender, message))
        receive(core, sender, message, now)

    monkeypatch.setattr(Core, "receive", noting)
    return heard


async def test_a_full_disk_is_said_accepts_nothing_and_recovers(sent_by: list[tuple[object, object]]) -> None:
    disk = FillingDisk()
    async with member(found=True) as host, member(ticket=await host.invite(), storage=disk) as other:
        await voters(2, host, other)
        await host.request(b"before")
        await other.read_barrier()
        assert other.status().trouble == ""
        disk.is_full = True
        sent_by.clear()
        with pytest.raises(failover.OutcomeUnknown):  # the quorum is both
            await host.request(b"needs both", 1.0)
        await until(lambda: FULL in other.status().trouble)
        answers = [m for sender, m in sent_by if sender == other.id and isinstance(m, AppendResponse)]
        assert "needs both" not in (*host.state, *other.state), "accepted though it is not stored"  # type: ignore[misc]
        last = host.status().last_log_index
        assert not [each for each in answers if each.success and each.index >= last], "said to be stored"
        refused = disk.refused
        disk.is_full = False
        await until(lambda: other.status().trouble == "")
        assert refused >= 2, "it does not ask again"
        assert await host.request(b"after") == b"3"
        await other.read_barrier()
        assert host.state == other.state == ("before", "needs both", "after")


async def test_a_full_disk_votes_for_nobody_and_the_others_go_on(sent_by: list[tuple[object, object]]) -> None:
    disk = FillingDisk()
    async with (
        member(found=True, name="first") as host,
        member(ticket=await host.invite(), name="second") as second,
        member(ticket=await host.invite(), storage=disk, name="full") as other,
    ):
        await voters(3, host, second, other)
        await until(lambda: host.status().failures_survived == 1)  # the votes are given, not being given
        disk.is_full = True
        for number in range(5):
            await host.request(b"%d" % number)
        await until(lambda: other.status().trouble)
        await trio.sleep(0.3)  # now it counts as hanging
        sent_by.clear()
        await host.hand_over()
        await until(lambda: second.is_host)
        votes = [m for sender, m in sent_by if sender == other.id and isinstance(m, VoteResponse) and m.granted]
        assert votes == [], "it gave a vote that a crash would take back"
        await host.request(b"5")
        assert not other.is_host
        disk.is_full = False
        await until(lambda: other.state == host.state == tuple("012345"))


async def test_a_host_whose_disk_is_full_makes_way_and_one_alone_waits_for_room() -> None:
    disk = FillingDisk()
    async with member(found=True, storage=disk) as host:
        await until(lambda: host.is_host)
        await host.request(b"alone")
        disk.is_full = True
        with pytest.raises(failover.OutcomeUnknown):
            await host.request(b"waits", 0.5)
        assert FULL in host.status().trouble and host.state == ("alone",)
        disk.is_full = False
        await until(lambda: host.state == ("alone", "waits"))
        async with (
            member(ticket=await host.invite()) as second,
            member(ticket=await host.invite()) as third,
        ):
            await voters(3, host, second, third)
            await until(lambda: host.status().failures_survived == 1)  # the votes are given, not being given
            disk.is_full = True
            await second.request(b"goes on", 10)
            await until(lambda: second.is_host or third.is_host)
            disk.is_full = False
            await until(lambda: host.state == second.state == ("alone", "waits", "goes on"))
