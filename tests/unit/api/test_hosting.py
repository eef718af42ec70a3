"""The host: who it is, what it may do, and when it ends."""

import pytest
import trio
from world import host_of, in_virtual_time, settled, until, voters

import failover

pytestmark = pytest.mark.trio(run=in_virtual_time)


class Tenures:
    """A server function that keeps each `Host` that it was given."""

    def __init__(self) -> None:
        self.hosts: list[failover.Host] = []
        self.running = 0

    async def serve(self, host: failover.Host) -> None:
        """Propose everything."""
        self.hosts.append(host)
        self.running += 1
        assert self.running == 1, "two server functions at once"
        try:
            async for request in host.requests():
                if request.body == b"raise":
                    raise RuntimeError("enough")
                if request.body == b"return":
                    return
                await request.propose()
        finally:
            self.running -= 1


async def test_a_host_commits_and_proposes(world):
    tenures = Tenures()
    players = await world.cluster(3, serve=tenures.serve)
    host = tenures.hosts[0]
    assert await host.commit(b"one") == b"0"
    indexes = [host.propose(b"two"), host.propose(b"three")]
    assert indexes[1] == indexes[0] + 1
    assert await host.commit(b"four") == b"3"
    assert host.state == (b"one", b"two", b"three", b"four")
    assert host.is_running()
    assert host.id == players[0].member.id
    assert players[0].machine.contexts[0].sender is None
    with pytest.raises(failover.UsageError):
        host.propose(b"")


@pytest.mark.parametrize("named", [False, True])
async def test_a_host_hands_over(world, named):
    tenures = Tenures()
    players = await world.cluster(3, serve=tenures.serve)
    target = players[2]
    await players[0].member.hand_over(target.member.id if named else None)
    await until(lambda: (host_of(players) or players[0]) is not players[0])
    if named:
        assert host_of(players) is target
    with pytest.raises(failover.NotHost):
        tenures.hosts[0].propose(b"stale")
    with pytest.raises(failover.NotHost):
        await tenures.hosts[0].commit(b"stale")
    with pytest.raises(failover.NotHost):
        tenures.hosts[0].alive()
    assert not tenures.hosts[0].is_running()
    stop = players[0].events(failover.StopHost)[-1]
    assert (stop.epoch, stop.reason, stop.error) == (tenures.hosts[0].epoch, "handed over", None)
    await until(lambda: players[1].events(failover.HostChanged)[-1].reason == "handed over")
    assert tenures.hosts[1].epoch > tenures.hosts[0].epoch


async def test_any_member_may_ask_for_a_hand_over(world):
    players = await world.cluster(3)
    await players[1].member.hand_over(players[2].member.id)
    await until(lambda: host_of(players) is players[2])


async def test_a_lonely_host_has_nobody_to_hand_over_to(world):
    founder = (await world.cluster(1))[0]
    with pytest.raises(failover.NotHost):
        await founder.member.hand_over()
    assert await founder.member.request(b"still here") == b"0"


async def test_a_hand_over_to_a_stranger_is_refused_and_changes_nothing(world):
    players = await world.cluster(3)
    with pytest.raises(failover.NotHost):
        await players[0].member.hand_over(failover.MemberId(b"s" * 32))
    await trio.sleep(2)
    assert players[0].member.is_host


async def test_a_host_that_closes_hands_over(world):
    players = await world.cluster(3)
    await players[0].close()
    await until(lambda: host_of(players[1:]), 0.5)
    assert await players[1].member.request(b"after") == b"0"


async def test_a_host_that_is_cut_off_stops_before_another_begins(world):
    tenures = Tenures()
    players = await world.cluster(3, serve=tenures.serve)
    commits = []

    async def commit() -> None:
        with pytest.raises(failover.OutcomeUnknown):
            await tenures.hosts[0].commit(b"lost")
        commits.append("unknown")

    async with trio.open_nursery() as nursery:
        world.air.cut.add(players[0].address)
        nursery.start_soon(commit)
        await until(lambda: host_of(players) not in (None, players[0]))
    assert commits == ["unknown"]
    assert players[0].events(failover.StopHost)[-1].reason == "lease lost"
    await until(lambda: players[0].events(failover.QuorumLost))
    assert not players[1].events(failover.QuorumLost)
    world.air.cut.clear()
    await until(lambda: players[0].events(failover.QuorumRegained))
    await settled(players)
    assert players[0].events(failover.HostChanged)[-1].reason == "silent"
    assert b"lost" not in players[0].machine.commands


async def test_a_founders_first_events(world):
    players = await world.cluster(2)
    kinds = [type(event) for event in players[0].events()]
    assert kinds.index(failover.BecomeHost) < kinds.index(failover.MemberJoined)
    changed = players[0].events(failover.HostChanged)[0]
    assert (changed.host, changed.name, changed.reason) == (players[0].member.id, "member 1", "founded")
    assert players[0].events(failover.BecomeHost)[0].epoch == changed.epoch == players[0].member.epoch


async def test_a_change_of_host_is_told_with_the_name_that_the_others_know(world):
    players = await world.cluster(2)
    ticket = await players[0].member.invite()
    players.append(await world.open(ticket=ticket, name="Chloé"))
    await until(lambda: voters(players[0]) == 3)
    await players[0].member.hand_over(players[2].member.id)
    await until(lambda: players[2].member.is_host)
    for player in players:
        await until(lambda player=player: player.events(failover.HostChanged)[-1].host == players[2].member.id)
        assert player.events(failover.HostChanged)[-1].name == "Chloé"
    assert players[2].events(failover.HostChanged)[0].name == "member 1"
    assert players[0].member.status().timeline[-1].event.name == "Chloé"


async def test_events_come_to_a_reader_and_end_with_stopped(world):
    players = await world.cluster(2)
    heard = []

    async def read() -> None:
        async for event in players[0].member.events():
            heard.append(type(event))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await players[1].member.leave()
        await trio.sleep(1)
        await players[0].close()
    assert heard[-1] is failover.Stopped
    assert failover.MemberLeft in heard


async def test_wake_is_called_for_every_event(world):
    woken = []
    founder = await world.open(found=True, wake=lambda: woken.append(True))
    await until(lambda: founder.member.is_host)
    await trio.sleep(0.1)
    assert len(woken) >= len(founder.events()) > 0
    before = len(woken)
    await founder.close()
    assert len(woken) > before


async def test_a_queue_of_events_that_nobody_reads_is_bounded(world):
    players = await world.cluster(2)
    for turn in range(300):
        await players[turn % 2].member.hand_over()
        await until(lambda turn=turn: players[(turn + 1) % 2].member.is_host)
        await trio.sleep(0.05)  # a tenure that ends at once is heard of by few
    await settled(players)
    events = players[0].member.poll()
    assert isinstance(events[0], failover.EventsDropped)
    assert len(events) <= 257
    assert sum(isinstance(event, failover.BecomeHost) for event in events) <= 1


@pytest.mark.parametrize("body", [b"raise", b"return"])
async def test_a_server_function_that_ends_hands_over_and_says_why(world, body):
    tenures = Tenures()
    players = await world.cluster(3, serve=tenures.serve)
    with trio.move_on_after(2):
        await players[1].member.request(body)  # asked of each host in turn
    stops = [event for player in players for event in player.events(failover.StopHost)]
    errors = {type(stop.error) for stop in stops}
    assert errors == ({RuntimeError} if body == b"raise" else {failover.ServeReturned})


async def test_a_server_function_that_raises_alone_is_started_again_later(world):
    tenures = Tenures()
    settings = failover.Settings(serve_back_off_s=5.0)
    founder = (await world.cluster(1, serve=tenures.serve, settings=settings))[0]
    with trio.move_on_after(1):
        await founder.member.request(b"raise")
    assert not founder.member.is_host
    began = trio.current_time()
    await until(lambda: founder.member.is_host)
    assert 3 < trio.current_time() - began < 7
    assert await founder.member.request(b"after") == b"0"


async def test_a_server_function_that_takes_no_requests_is_replaced(world):
    async def hang(host: failover.Host) -> None:
        async for request in host.requests():
            await request.propose()
            if request.body == b"hang":
                await trio.sleep_forever()

    players = await world.cluster(3, serve=hang)
    assert await players[1].member.request(b"hang") == b"0"
    assert await players[1].member.request(b"while it hangs") == b"1"
    stop = players[0].events(failover.StopHost)[-1]
    assert isinstance(stop.error, failover.ServeHung)


async def test_a_host_with_a_quorum_of_its_own_loses_no_tenure_over_a_long_time(world):
    players = await world.cluster(3)
    epoch = players[0].member.epoch
    await trio.sleep(90)
    assert players[0].member.epoch == epoch
    assert [player.events(failover.StopHost) for player in players] == [[], [], []]
