"""Founding, joining, closing, leaving: a member's life."""

from types import SimpleNamespace

import pytest
import trio
from world import Ledger, host_of, in_virtual_time, settled, until, voters

import failover
from failover.opening import NOTE_CLUSTER
from failover.records import MemberInfo, Moved

pytestmark = pytest.mark.trio(run=in_virtual_time)


async def test_a_founder_hosts_and_accepts(world):
    founder = await world.open(found=True, name="Ada")
    await until(lambda: founder.member.is_host)
    assert await founder.member.request(b"first") == b"0"
    assert founder.member.state == (b"first",)
    status = founder.member.status()
    assert (status.name, status.role, status.host) == ("Ada", "leader", founder.member.id)
    assert status.epoch == founder.member.epoch
    assert [info.name for info in status.members] == ["Ada"]


async def test_members_that_join_get_the_state_and_vote(world):
    founder = await world.open(found=True)
    await until(lambda: founder.member.is_host)
    await founder.member.request(b"early")
    guest = await world.open(ticket=await founder.member.invite(), name="Bob")
    assert guest.member.state == (b"early",), "a newcomer's block begins when its state has come"
    assert await guest.member.request(b"late") == b"1"
    await until(lambda: voters(founder) == 2)
    await settled([founder, guest])
    assert [event.name for event in founder.events(failover.MemberJoined)] == ["Bob"]
    assert founder.machine.contexts[-1].sender == guest.member.id


@pytest.mark.parametrize("size", range(1, 8))
async def test_clusters_of_all_sizes_accept_from_everybody(world, size):
    players = await world.cluster(size)
    for player in players:
        await player.member.request(player.member.id)
    await settled(players)
    assert sorted(players[-1].machine.commands) == sorted(player.member.id for player in players)


async def test_who_is_removed_before_its_state_has_come_is_told_so(world):
    founder = (await world.cluster(1))[0]
    ticket = await founder.member.invite()

    async def remove_at_once() -> None:
        await until(lambda: len(founder.member.status().members) == 2)
        await trio.sleep(0.002)  # it has been told that it is admitted, and its state is on the way
        (newcomer,) = (info.member for info in founder.member.status().members if info.member != founder.member.id)
        await founder.member.remove(newcomer)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(remove_at_once)
        with pytest.raises(failover.NotAdmitted, match="removed again"):
            await world.open(ticket=ticket)


async def test_an_invite_for_one_lets_in_one(world):
    founder = (await world.cluster(1))[0]
    ticket = await founder.member.invite()
    joined, refused = [], []

    async def join() -> None:
        try:
            joined.append(await world.open(ticket=ticket))
        except failover.NotAdmitted as error:
            refused.append(str(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(join)
        nursery.start_soon(join)
    assert (len(joined), len(refused)) == (1, 1)
    assert "used up" in refused[0]
    assert len(founder.member.status().members) == 2


async def test_an_invite_for_three_lets_in_three(world):
    founder = (await world.cluster(1))[0]
    ticket = await founder.member.invite(uses=3)
    for _ in range(3):
        await world.open(ticket=ticket)
    with pytest.raises(failover.NotAdmitted):
        await world.open(ticket=ticket)


@pytest.mark.parametrize("uses", [0, 65])
async def test_an_invite_is_for_one_to_sixty_four(world, uses):
    founder = (await world.cluster(1))[0]
    with pytest.raises(failover.UsageError):
        await founder.member.invite(uses=uses)


async def test_a_ticket_is_good_at_every_member_and_after_a_change_of_host(world):
    players = await world.cluster(3)
    ticket = await players[2].member.invite()
    await players[0].close()
    await until(lambda: host_of(players[1:]))
    newcomer = await world.open(ticket=ticket)
    await settled([*players[1:], newcomer])


async def test_a_member_that_is_closed_stays_a_member_and_resumes(world):
    storage = failover.MemoryStorage()
    founder = (await world.cluster(1))[0]
    guest = await world.open(ticket=await founder.member.invite(), storage=storage)
    await guest.member.request(b"before")
    name, old = guest.member.id, guest.member
    await guest.close()
    with pytest.raises(failover.Closed):
        await old.request(b"too late")
    with pytest.raises(failover.Closed):
        await old.read_barrier()
    assert name in {info.member for info in founder.member.status().members}
    again = await world.open(storage=storage)
    assert again.member.id == name
    await settled([founder, again])
    assert again.machine.commands == [b"before"]
    assert await again.member.request(b"after") == b"1"


async def test_a_new_storage_needs_a_ticket_or_the_wish_to_found(world):
    with pytest.raises(failover.StorageMissing):
        await world.open()


async def test_a_ticket_for_another_cluster_is_refused(world):
    one, other = (await world.cluster(1))[0], (await world.cluster(1))[0]
    storage = failover.MemoryStorage()
    guest = await world.open(ticket=await one.member.invite(), storage=storage)
    await guest.close()
    with pytest.raises(failover.BadTicket):
        await world.open(ticket=await other.member.invite(), storage=storage)


async def test_a_ticket_that_nobody_answers_says_where_it_asked(world):
    founder = (await world.cluster(1))[0]
    ticket = await founder.member.invite()
    await founder.close()
    with pytest.raises(failover.Unreachable, match=r"10\.0\.0\.1:1"):
        await world.open(ticket=ticket)


@pytest.mark.parametrize("name", ["", "x" * 65, "\N{SNOWMAN}" * 22])
async def test_a_name_has_its_bounds(world, name):
    with pytest.raises(failover.UsageError):
        await world.open(found=True, name=name)


async def test_a_name_moves_no_cursor_and_turns_no_line_round(world, monkeypatch):
    """Terminals and windows show it. The second member is a liar: it says its name as it is."""
    founder = await world.open(found=True, name="\x1b[2JAda\u202e")
    await until(lambda: founder.member.is_host)
    monkeypatch.setattr(
        "failover.opening.MemberInfo", lambda *said: SimpleNamespace(shown=lambda: MemberInfo(*said))
    )
    bob = await world.open(ticket=await founder.member.invite(), name="Bob\r\n\N{SNOWMAN} \u0417\u043e\u044f")

    def names():
        return {info.name for info in founder.member.status().members}

    assert names() == {"?[2JAda?", "Bob??\N{SNOWMAN} \u0417\u043e\u044f"}
    assert founder.events(failover.MemberJoined)[-1].name == "Bob??\N{SNOWMAN} \u0417\u043e\u044f"
    await bob.member._life.act(Moved(MemberInfo(bob.member.id, "\u202eboB", ())))
    await until(lambda: names() == {"?[2JAda?", "?boB"})


async def test_leaving_ends_a_membership_for_good(world):
    players = await world.cluster(3)
    leaver, others = players[2], players[:2]
    await leaver.member.leave()
    await until(lambda: len(others[0].member.status().members) == 2)
    await settled(others)
    assert leaver.events()[-1] == failover.Stopped(None)
    name = leaver.member.status().name
    assert others[1].events(failover.MemberLeft) == [failover.MemberLeft(leaver.member.id, name)] and name
    assert voters(others[0]) == 2
    assert await others[1].member.request(b"after") == b"0"


async def test_a_host_that_leaves_hands_over_first(world):
    players = await world.cluster(3)
    await players[0].member.leave()
    await until(lambda: host_of(players[1:]))
    await until(lambda: len(players[1].member.status().members) == 2)
    assert await players[1].member.request(b"after") == b"0"
    assert players[1].events(failover.HostChanged)[-1].reason == "handed over"


async def test_the_only_voter_cannot_leave(world):
    founder = (await world.cluster(1))[0]
    with pytest.raises(failover.Refused):
        await founder.member.leave()
    assert await founder.member.request(b"still here") == b"0"


@pytest.mark.parametrize("victim", [0, 1])
async def test_a_removed_member_is_told_and_cannot_come_back(world, victim):
    storages = [failover.MemoryStorage() for _ in range(3)]
    founder = await world.open(found=True, storage=storages[0])
    await until(lambda: founder.member.is_host)
    ticket = await founder.member.invite(uses=2)
    players = [founder, *[await world.open(ticket=ticket, storage=storage) for storage in storages[1:]]]
    await until(lambda: voters(founder) == 3)
    removed = players.pop(victim)
    await players[1].member.remove(removed.member.id)
    await until(lambda: any(isinstance(event, failover.Stopped) for event in removed.events()))
    name = removed.member.status().name
    assert removed.events(failover.MemberLeft) == [failover.MemberLeft(removed.member.id, name)] and name
    assert players[0].events(failover.MemberLeft) == [failover.MemberLeft(removed.member.id, name)]
    await until(lambda: host_of(players))
    await removed.close()
    again = await world.open(storage=storages[victim])
    with pytest.raises(failover.Closed):  # it had nobody to ask before it was told so
        await again.member.request(b"from outside", timeout=5)
    assert await players[0].member.request(b"inside") == b"0"


async def test_removing_a_stranger_is_refused(world):
    players = await world.cluster(2)
    with pytest.raises(failover.Refused):
        await players[0].member.remove(failover.MemberId(b"s" * 32))


async def test_a_late_joiner_gets_a_snapshot(world):
    timing = failover.Timing(snapshot_entries=50, kept_entries=10)
    settings = failover.Settings(timing=timing)
    players = await world.cluster(2, settings=settings)
    for number in range(200):
        await players[number % 2].member.request(b"command %d" % number)
    await until(lambda: players[0].member.status().snapshot_index > 100)
    late = await world.open(ticket=await players[1].member.invite(), settings=settings)
    await settled([*players, late])
    assert late.machine.restored == 1
    assert late.machine.commands == players[0].machine.commands
    assert len(late.machine.contexts) < 100, "most of it came in the snapshot"
    assert await late.member.request(b"after") == b"200"


async def test_a_member_resumes_from_its_own_snapshot(world):
    settings = failover.Settings(timing=failover.Timing(snapshot_entries=50, kept_entries=10))
    storage = failover.MemoryStorage()
    founder = await world.open(found=True, settings=settings, storage=storage)
    await until(lambda: founder.member.is_host)
    for number in range(120):
        await founder.member.request(b"%d" % number)
    await until(lambda: founder.member.status().snapshot_index >= 100)
    await founder.close()
    again = await world.open(settings=settings, storage=storage)
    await until(lambda: again.member.is_host)
    assert again.machine.commands == [b"%d" % number for number in range(120)]
    assert again.machine.restored == 1


async def test_an_application_whose_view_is_looked_at_sees_whole_batches(world):
    machine = Ledger()
    founder = await world.open(found=True, machine=machine)
    await until(lambda: founder.member.is_host)
    seen = founder.member.state
    await founder.member.request(b"one")
    assert seen == ()
    assert founder.member.state == (b"one",)


async def test_a_newcomer_hears_the_host_though_old_entries_do_not_know_it(world):
    settings = failover.Settings(timing=failover.Timing(batch_bytes=300))
    players = await world.cluster(2, settings=settings)
    for number in range(50):
        await players[0].member.request(b"%d" % number)
    host = await world.open(ticket=await players[0].member.invite(), settings=settings)
    await until(lambda: voters(host) == 3)
    await settled([*players, host])
    await host.member.hand_over(host.member.id)
    await until(lambda: host.member.is_host)
    newcomer = await world.open(ticket=await players[1].member.invite(), settings=settings)
    await settled([*players, host, newcomer])
    assert len(newcomer.machine.commands) == 50


async def test_who_was_away_follows_a_host_that_joined_meanwhile(world):
    storage = failover.MemoryStorage()
    players = await world.cluster(2)
    away = await world.open(ticket=await players[0].member.invite(), storage=storage)
    await settled([*players, away])
    await away.close()
    host = await world.open(ticket=await players[0].member.invite())
    await until(lambda: voters(host) == 3)
    await settled([*players, host])
    await host.member.hand_over(host.member.id)
    await until(lambda: host.member.is_host)
    back = await world.open(storage=storage)
    await settled([*players, host, back])
    assert await back.member.request(b"back") == b"0"


async def test_a_member_that_moved_finds_the_others_by_its_log_if_its_note_is_older(world):
    """The note follows what was applied, and a crash may come before it is written; the log holds who came in."""
    storage = failover.MemoryStorage()
    founder = await world.open(found=True, storage=storage)
    await until(lambda: founder.member.is_host)
    before = storage.get_note(NOTE_CLUSTER)
    guest = await world.open(ticket=await founder.member.invite())
    await until(lambda: voters(founder) == 2)
    await founder.close()
    assert before is not None
    storage.set_note(NOTE_CLUSTER, before)
    founder = await world.open(storage=storage)  # on another address: the guest cannot find it
    await until(lambda: founder.member.status().host == guest.member.id)
    assert await founder.member.request(b"here") == b"0"
