"""Bugs of others in the layers above the core, through the front door (docs/explanation/bugs-of-others.md)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from world import host_of, in_virtual_time, settled, until

import failover

pytestmark = pytest.mark.trio(run=in_virtual_time)


@pytest.mark.parametrize("where", ["tick", "receive", "take_effects", "stored", "applied"])
async def test_a_mistake_in_the_core_stops_its_member_and_another_hosts(world, where, monkeypatch):
    """Symptom: a thread dies on one assertion and the member is a zombie (bakwc/PySyncObj#189, #190)."""
    players = await world.cluster(3)
    broken, *others = players

    def mistake(*arguments: object) -> None:
        raise AssertionError("planted")

    monkeypatch.setattr(broken.member._core, where, mistake)
    with suppress(failover.OutcomeUnknown, failover.Closed):  # it may have been answered just before
        await broken.member.request(b"x", timeout=2)
    await until(lambda: host_of(others))
    stopped = broken.events()[-1]
    assert isinstance(stopped, failover.Stopped) and "planted" in str(stopped.error)
    assert not broken.member.is_host
    with pytest.raises(failover.Closed):
        await broken.member.request(b"after")
    assert await others[0].member.request(b"others go on") is not None


async def test_who_looks_late_at_the_events_hears_the_present_role(world):
    """Symptom: missed notifications of leadership (hashicorp/raft#384, vault#8547): a slow reader lost one."""
    players = await world.cluster(2)
    for player in players:
        player.events()
    for turn in range(7):
        await players[turn % 2].member.hand_over()
        await until(lambda turn=turn: players[(turn + 1) % 2].member.is_host)
    await settled(players)
    for player in players:
        roles = player.events(failover.BecomeHost, failover.StopHost)
        assert isinstance(roles[-1], failover.BecomeHost) == player.member.is_host
        assert roles[-1].epoch == player.member.epoch or not player.member.is_host


async def test_a_learner_with_another_name_and_address_is_a_learner_still(world):
    """Symptom: an update of the address drops the learner's flag (etcd-io/etcd#21694)."""
    storage = failover.MemoryStorage()
    players = await world.cluster(5)
    learner = await world.open(ticket=await players[0].member.invite(), storage=storage, name="before")
    everybody = [*players, learner]
    await settled(everybody)

    def kinds() -> dict[str, str]:
        return {info.name: info.kind for info in players[0].member.status().members}

    assert kinds()["before"] == "learner"
    await learner.close()
    await settled(players)
    back = await world.open(storage=storage, name="after")
    await settled([*players, back])
    await until(lambda: "after" in kinds())
    assert kinds()["after"] == "learner" and list(kinds().values()).count("voter") == 5
