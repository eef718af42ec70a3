"""`send_unreliable` and what comes of it, with whole members in virtual time."""

from __future__ import annotations

import pytest
import trio
from world import host_of, in_virtual_time, until

import failover
from failover.net import frames
from failover.net.frames import Way

pytestmark = pytest.mark.trio(run=in_virtual_time)


def bodies(items):
    return [item.body for item in items]


async def echo(host):
    """A server function that tells all what it hears."""
    async for item in host.unreliable():
        host.send_unreliable(item.sender[:2] + b" says " + item.body)


async def connected(players):
    """Followers meet when they first send to each other."""
    for _ in range(2):
        for player in players:
            player.member.send_unreliable(b"hello", to="all")
        await trio.sleep(0.5)
    for player in players:
        player.member.poll_unreliable()


async def test_members_tell_the_host_and_the_host_tells_all_its_own_member_too(world):
    players = await world.cluster(3, serve=echo)
    for player in players:
        player.member.send_unreliable(b"here")
    await trio.sleep(0.1)
    (host,) = [player.member for player in players if player.member.is_host]
    for player in players:
        heard = player.member.poll_unreliable()
        assert {item.body for item in heard} == {p.member.id[:2] + b" says here" for p in players}
        assert {(item.sender, item.epoch, item.is_from_host) for item in heard} == {(host.id, host.epoch, True)}
        assert player.member.poll_unreliable() == []


async def test_members_may_tell_each_other_without_the_host_between(world):
    players = await world.cluster(3)
    await connected(players)
    one, two, three = (player.member for player in players)
    two.send_unreliable(b"to three", to=three.id)
    three.send_unreliable(b"to all", to="all")
    three.send_unreliable(b"to me", to=three.id)
    await trio.sleep(0.1)
    epoch = one.epoch
    assert one.poll_unreliable() == [failover.Unreliable(three.id, epoch, False, b"to all")]
    assert two.poll_unreliable() == [failover.Unreliable(three.id, epoch, False, b"to all")]
    assert sorted(bodies(three.poll_unreliable())) == [b"to me", b"to three"]


async def test_what_no_server_function_takes_is_bounded_and_the_newest_is_kept(world):
    taken = []

    async def serve(host):
        await trio.sleep(5)
        taken.extend(host.poll_unreliable())
        await trio.sleep_forever()

    settings = failover.Settings(unreliable_peer_bytes_per_s=10_000_000, unreliable_bytes_per_s=10_000_000)
    host, other = await world.cluster(2, serve=serve, settings=settings)
    hosted_at = trio.current_time()
    while trio.current_time() < hosted_at + 4.5:
        for _ in range(30):
            other.member.send_unreliable(b"%f" % trio.current_time())
        await trio.sleep(0.05)
    await until(lambda: taken)
    assert len(taken) <= 1024
    assert host.member.status().dropped["lane: not taken in time"] > 0
    assert float(taken[-1].body) > hosted_at + 3.0


async def test_nothing_of_an_earlier_host_comes_after_what_is_of_a_later_one(world):
    """The old host is cut off with its window, goes on sending as fast as it may, and comes back."""

    async def serve(host):
        while True:
            host.send_unreliable(b"positions")
            await trio.sleep(1 / 60)

    players = await world.cluster(3, serve=serve)
    old = host_of(players)
    others = [player for player in players if player is not old]
    await trio.sleep(0.2)
    heard = {player.member.id: player.member.poll_unreliable() for player in players}
    world.air.cut.add(old.address)
    await until(lambda: host_of(others))
    new = host_of(others)
    await trio.sleep(0.5)
    world.air.cut.clear()
    for _ in range(200):
        old.member.send_unreliable(b"of the past", to="all")
        for player in players:
            heard[player.member.id] += player.member.poll_unreliable()
        await trio.sleep(1 / 60)
    for player in players:
        items = heard[player.member.id]
        terms = [item.epoch.term for item in items]
        assert terms == sorted(terms)
        from_hosts = [item for item in items if item.is_from_host]
        assert {item.sender for item in from_hosts} == {old.member.id, new.member.id}
        assert {item.sender for item in from_hosts if item.epoch.term == terms[-1]} == {new.member.id}
    dropped = [player.member.status().dropped for player in others]
    assert any(counts.get("lane: older epoch") for counts in dropped)


async def test_what_nobody_took_before_the_host_changed_is_thrown_away(world):
    one, two = await world.cluster(2)
    one.member.send_unreliable(b"of the first", to="all")
    await trio.sleep(0.1)
    await one.member.hand_over()
    await until(lambda: two.member.is_host)
    one.member.send_unreliable(b"too early, or of the second", to="all")
    await trio.sleep(0.1)
    one.member.send_unreliable(b"of the second", to="all")
    await trio.sleep(0.1)
    heard = two.member.poll_unreliable()
    assert {item.epoch for item in heard} == {two.member.epoch}
    assert bodies(heard)[-1] == b"of the second"
    assert two.member.status().dropped["lane: older epoch"] == 1


async def test_a_member_that_speaks_for_the_host_is_not_believed(world):
    host, liar = await world.cluster(2)
    epoch = host.member.epoch
    for way in (Way.FROM_HOST, Way.MEMBER):
        frame = frames.unreliable(way, epoch.generation, epoch.term, b"you have won")
        liar.member._running.driver.send_unreliable((host.member.id,), frame)
    await trio.sleep(0.1)
    assert [item.is_from_host for item in host.member.poll_unreliable()] == [False]
    assert host.member.status().dropped["lane: not from the host"] == 1


async def test_without_a_host_nothing_is_sent_to_it_and_that_is_counted(world):
    one, two, three = await world.cluster(3)
    for player in (two, three):
        world.air.cut.add(player.address)
    await until(lambda: not one.member.is_host)
    await trio.sleep(1)
    one.member.send_unreliable(b"anybody?")
    assert one.member.status().dropped["lane: no host"] == 1


async def test_a_former_host_cannot_send_and_a_tenure_hears_only_what_is_meant_for_it(world):
    hosts = []

    async def serve(host):
        hosts.append(host)
        await trio.sleep_forever()

    one, two = await world.cluster(2, serve=serve)
    two.member.send_unreliable(b"for the first")
    await trio.sleep(0.05)
    await one.member.hand_over()
    await until(lambda: two.member.is_host)
    for call in (lambda: hosts[0].send_unreliable(b"x"), hosts[0].poll_unreliable):
        with pytest.raises(failover.NotHost):
            call()
    with pytest.raises(failover.NotHost):
        await anext(hosts[0].unreliable())
    assert hosts[1].poll_unreliable() == []
    one.member.send_unreliable(b"for the second")
    await trio.sleep(0.05)
    assert bodies(hosts[1].poll_unreliable()) == [b"for the second"]


async def test_from_a_member_that_was_removed_nothing_is_heard(world):
    players = await world.cluster(3)
    await connected(players)
    one, two, three = players
    world.air.cut.add(three.address)  # it will not hear that it was removed, and goes on sending
    await one.member.remove(three.member.id)
    await trio.sleep(0.2)
    for player in (one, two):
        player.member.poll_unreliable()
    world.air.cut.clear()
    for _ in range(100):
        three.member.send_unreliable(b"still here", to="all")
        if three.events(failover.Stopped):
            break
        await trio.sleep(0.001)
    await trio.sleep(0.1)
    assert one.member.poll_unreliable() == []
    assert two.member.poll_unreliable() == []


async def test_a_reader_waits_may_be_cancelled_and_ends_with_the_member(world):
    one, two = await world.cluster(2)
    got = []

    async def read():
        async for item in two.member.unreliable():
            got.append(item.body)
            if item.body == b"stop":
                return

    with trio.move_on_after(0.5):
        await read()
    one.member.send_unreliable(b"stop", to="all")
    await read()
    assert got == [b"stop"]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(0.1)
        await two.close()
    with pytest.raises(failover.Closed):
        two.member.send_unreliable(b"late")


async def test_calls_that_can_never_work_are_refused(world):
    (one,) = await world.cluster(1)
    for body in (b"", bytes(1025), "text", None):
        with pytest.raises(failover.UsageError):
            one.member.send_unreliable(body)
    for to in ("everybody", b"short", None, 7):
        with pytest.raises(failover.UsageError):
            one.member.send_unreliable(b"x", to=to)


async def test_after_a_stall_heartbeats_leave_before_what_the_game_sends(world):
    """The game's frame is what stalled, and it sends before the pump has had a chance to."""
    host, other = await world.cluster(2)
    driver = host.member._running.driver
    left, skew_s = [], 0.0
    send_encoded, send_unreliable = driver.peers.send_encoded, driver.peers.send_unreliable
    driver.clock = lambda: trio.current_time() + skew_s
    driver.peers.send_encoded = lambda *what: (left.append("core"), send_encoded(*what))
    driver.peers.send_unreliable = lambda *what: (left.append("lane"), send_unreliable(*what))
    for _ in range(20):
        await trio.sleep(0.1)
        left.clear()
        skew_s += driver._wake_at - driver.clock() + 0.001  # to just after the next heartbeat is due
        host.member.send_unreliable(b"late frame", to="all")
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        assert left[0] == "core"
        assert left.count("lane") == 1
    await trio.sleep(0.1)
    assert host.member.is_host
    assert len(other.member.poll_unreliable()) == 20


async def test_a_game_that_sends_far_too_much_loses_its_own_and_keeps_its_host(world):
    """A link that carries what the lane may take and little more: heartbeats and moves go on."""

    async def serve(host):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, host)
            async for request in host.requests():
                await request.propose()

    async def flood(host):
        while True:
            for _ in range(50):
                host.send_unreliable(bytes(1000))
            await trio.sleep(0.01)

    players = await world.cluster(3, serve=serve)
    term = players[0].member.status().term
    for number in range(50):
        await players[number % 3].member.request(b"%d" % number, timeout=1.0)
        await trio.sleep(0.05)
    statuses = [player.member.status() for player in players]
    assert {status.term for status in statuses} == {term}
    assert max(status.dropped.get("lane: over the rate", 0) for status in statuses) > 10_000
