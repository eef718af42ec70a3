"""Requests: any bytes of the right size, answered once, done once, whoever hosts."""

import pytest
import trio
from world import Air, Ledger, World, host_of, in_virtual_time, settled, until

import failover

pytestmark = pytest.mark.trio(run=in_virtual_time)


@pytest.mark.parametrize("body", [b"", b"x" * 65_537, "text", None])
async def test_a_request_has_its_bounds(world, body):
    founder = (await world.cluster(1))[0]
    with pytest.raises(failover.UsageError):
        await founder.member.request(body)


@pytest.mark.parametrize("size", [1, 1_200, 65_536])
async def test_requests_of_all_sizes_arrive(world, size):
    players = await world.cluster(3)
    assert await players[2].member.request(b"x" * size) == b"0"
    await settled(players)
    assert players[1].machine.commands == [b"x" * size]


async def test_a_request_without_a_host_ends_with_outcome_unknown(world):
    players = await world.cluster(2)
    world.air.cut.add(players[0].address)
    with pytest.raises(failover.OutcomeUnknown):
        await players[1].member.request(b"to nobody", timeout=2)


async def test_requests_under_way_when_a_member_closes_are_unknown(world):
    players = await world.cluster(2)
    world.air.cut.add(players[0].address)
    outcomes = []

    async def ask() -> None:
        with pytest.raises(failover.OutcomeUnknown):
            await players[1].member.request(b"open")
        outcomes.append("unknown")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(0.5)
        await players[1].close()
    assert outcomes == ["unknown"]


async def test_requests_are_done_once_though_datagrams_are_lost_and_doubled(nursery):
    world = World(nursery, Air(loss=0.1, doubled=0.2))
    players = await world.cluster(3)

    async def play(number: int) -> None:
        for turn in range(40):
            await players[number].member.request(b"%d %d" % (number, turn))

    async with trio.open_nursery() as games:
        for number in range(3):
            games.start_soon(play, number)
    await settled(players)
    assert sorted(players[0].machine.commands) == sorted(b"%d %d" % (n, t) for n in range(3) for t in range(40))


async def test_requests_are_done_once_while_hosts_are_cut_off(nursery):
    world = World(nursery, Air(doubled=0.1))
    players = await world.cluster(3)
    over = trio.Event()
    sent: list[bytes] = []

    async def play(number: int) -> None:
        turn = 0
        while not over.is_set():
            await players[number].member.request(b"%d %d" % (number, turn))
            sent.append(b"%d %d" % (number, turn))
            turn += 1
            await trio.sleep(0.01)

    async with trio.open_nursery() as games:
        for number in range(3):
            games.start_soon(play, number)
        for _ in range(5):
            await until(lambda: host_of(players))
            host = host_of(players)
            assert host is not None
            world.air.cut.add(host.address)
            await until(lambda host=host: (host_of(players) or host) is not host)
            await trio.sleep(0.3)
            world.air.cut.clear()
            await trio.sleep(0.5)
        over.set()
    await settled(players)
    assert sorted(players[0].machine.commands) == sorted(sent)
    assert len(sent) > 100


async def test_a_server_function_may_refuse_and_may_change_what_is_proposed(world):
    async def serve(host: failover.Host) -> None:
        async for request in host.requests():
            if request.body == b"bad":
                request.refuse("not today")
            else:
                await request.propose(b"<" + request.body + b">")

    players = await world.cluster(2, serve=serve)
    with pytest.raises(failover.Refused, match="not today"):
        await players[1].member.request(b"bad")
    assert await players[1].member.request(b"good") == b"0"
    await settled(players)
    assert players[1].machine.commands == [b"<good>"]


async def test_a_request_that_is_forgotten_is_not_done_twice(world):
    """A server function that takes a request and drops it gets it again only in the next tenure."""
    taken: list[tuple[bytes, int]] = []

    async def serve(host: failover.Host) -> None:
        async for request in host.requests():
            taken.append((request.body, host.epoch.term))
            if len(taken) > 1:
                await request.propose()

    players = await world.cluster(3, serve=serve)
    outcome = []

    async def ask() -> None:
        outcome.append(await players[1].member.request(b"dropped"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(2)
        assert len(taken) == 1
        await players[0].member.hand_over()
    assert outcome == [b"0"]
    assert [body for body, _ in taken] == [b"dropped", b"dropped"]
    assert taken[0][1] < taken[1][1]


async def test_more_requests_than_may_be_under_way_wait_for_their_turn(world):
    players = await world.cluster(2)
    async with trio.open_nursery() as nursery:
        for number in range(300):
            nursery.start_soon(players[1].member.request, b"%d" % number)
    assert sorted(players[0].machine.commands) == sorted(b"%d" % number for number in range(300))


async def test_a_request_that_is_cancelled_happens_at_most_once(world):
    players = await world.cluster(2)
    for number in range(20):
        with trio.move_on_after(0.0003 * number):
            await players[1].member.request(b"%d" % number)
    assert await players[1].member.request(b"last")
    await settled(players)
    commands = players[0].machine.commands
    assert len(commands) == len(set(commands))


async def test_a_read_barrier_shows_what_was_accepted_before(world):
    players = await world.cluster(3)
    for number in range(20):
        await players[number % 3].member.request(b"%d" % number)
        reader = players[(number + 1) % 3].member
        await reader.read_barrier()
        assert b"%d" % number in reader.state


async def test_a_read_barrier_waits_while_there_is_no_host(world):
    players = await world.cluster(2)
    world.air.cut.add(players[0].address)
    await trio.sleep(1)
    with trio.move_on_after(3) as waiting:
        await players[1].member.read_barrier()
    assert waiting.cancelled_caught
    world.air.cut.clear()
    with trio.fail_after(10):
        await players[1].member.read_barrier()


async def test_cluster_time_never_goes_back(world):
    players = await world.cluster(3)
    for number in range(10):
        await players[number % 3].member.request(b"%d" % number)
        await trio.sleep(0.05)
        if number % 4 == 3:
            await players[0].member.hand_over()
            await trio.sleep(0.3)
    times = [context.time for context in players[0].machine.contexts]
    assert times == sorted(times)
    assert times[-1] - times[0] < 10 * 0.05 + 3 * 0.3 + 1


async def test_an_apply_that_raises_stops_the_member_with_its_index(world):
    machine = Ledger()

    def choke(command: bytes) -> None:
        if command == b"poison":
            raise ValueError("poisoned")

    machine.apply_hook = choke
    players = await world.cluster(2)
    bad = await world.open(ticket=await players[0].member.invite(), machine=machine)
    await until(lambda: len(players[0].member.status().members) == 3)
    await players[0].member.request(b"poison")
    await until(lambda: bad.events(failover.Stopped))
    error = bad.events(failover.Stopped)[0].error
    assert isinstance(error, failover.ApplyFailed)
    assert error.index == players[0].machine.contexts[-1].index
    assert isinstance(error.__cause__, ValueError)
    with pytest.raises(failover.Closed):
        await bad.member.request(b"after")


async def test_members_whose_states_differ_hear_it(world):
    machine = Ledger()
    machine.apply_hook = lambda command: machine.commands.append(b"odd") if command == b"7" else None
    settings = failover.Settings(digest_every=10)
    players = await world.cluster(2, settings=settings)
    odd = await world.open(ticket=await players[0].member.invite(), machine=machine, settings=settings)
    await settled([*players, odd])
    for number in range(30):
        await players[0].member.request(b"%d" % number)
    await until(lambda: odd.events(failover.StateDiverged))
    await until(lambda: players[0].events(failover.StateDiverged))
    assert odd.events(failover.StateDiverged)[0].member == players[0].member.id
    assert not players[1].events(failover.StateDiverged)
