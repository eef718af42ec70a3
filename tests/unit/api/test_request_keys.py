"""Requests that carry a key: done once, whoever asks again, after whatever restart."""

import pytest
import trio
from world import Ledger, host_of, in_virtual_time, settled, until

import failover
from failover.keys import KEYS_MAX
from failover.wire import KeyedAsk

pytestmark = pytest.mark.trio(run=in_virtual_time)


async def three(world, **options):
    """Three members, the last of which may come back from its storage."""
    storage = failover.MemoryStorage()
    players = await world.cluster(2, **options)
    players.append(await world.open(ticket=await players[0].member.invite(), storage=storage, **options))
    await settled(players)
    return players, storage


async def test_a_key_asked_again_in_the_same_run_gets_the_same_reply(world):
    players, _ = await three(world)
    ada = players[2].member
    key = ada.new_key()
    assert await ada.request(b"buy", key=key) == b"0"
    await ada.request(b"something else")
    assert await ada.request(b"buy", key=key) == b"0"
    await settled(players)
    assert players[0].machine.commands == [b"buy", b"something else"]


async def test_a_key_asked_again_after_a_restart_gets_the_same_reply(world):
    players, storage = await three(world)
    key = players[2].member.new_key()
    assert await players[2].member.request(b"buy", key=key) == b"0"
    await players[2].close()
    again = await world.open(storage=storage)
    assert await again.member.request(b"buy", key=key) == b"0"
    await players[0].member.hand_over()
    await until(lambda: host_of(players[:2]) is players[1])
    assert await again.member.request(b"buy", key=key) == b"0"
    await settled([*players[:2], again])
    assert players[0].machine.commands == [b"buy"]


@pytest.mark.parametrize("hands_over", [False, True])
async def test_a_request_that_nobody_heard_of_is_done_when_it_is_asked_again(world, hands_over):
    players, storage = await three(world)
    world.air.cut.add(players[2].address)
    key = players[2].member.new_key()
    with pytest.raises((failover.OutcomeUnknown, failover.NotHost)):
        await players[2].member.request(b"buy", timeout=0.05, key=key)
    await players[2].close()
    if hands_over:
        await players[0].member.hand_over()
    again = await world.open(storage=storage)
    assert await again.member.request(b"buy", key=key) == b"0"
    await settled([*players[:2], again])
    assert players[0].machine.commands == [b"buy"]


async def test_two_calls_with_one_key_at_once_are_one_request(world):
    players, _ = await three(world)
    ada, replies = players[2].member, []

    async def ask() -> None:
        replies.append(await ada.request(b"buy", key=b"order 1"))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
    await settled(players)
    assert replies == [b"0"] * 5
    assert players[0].machine.commands == [b"buy"]


async def test_a_key_stands_for_one_body(world):
    players, _ = await three(world)
    ada = players[2].member
    await ada.request(b"buy", key=b"order 1")
    with pytest.raises(failover.UsageError, match="another body"):
        await ada.request(b"sell", key=b"order 1")
    await settled(players)
    assert players[0].machine.commands == [b"buy"]


async def test_a_key_says_nothing_to_other_members(world):
    """Who reads another's key in the log can neither take its reply nor keep it from asking."""
    players, _ = await three(world)
    assert await players[1].member.request(b"mine", key=b"order 1") == b"0"
    assert await players[2].member.request(b"yours", key=b"order 1") == b"1"


async def test_past_the_horizon_it_is_unknown_and_never_done_again(world):
    players, storage = await three(world)
    ada = players[2].member
    keys = [ada.new_key() for _ in range(KEYS_MAX + 1)]
    async with trio.open_nursery() as nursery:
        for key in keys:
            nursery.start_soon(lambda key=key: ada.request(key, key=key))
    await players[2].close()
    again = await world.open(storage=storage)
    with pytest.raises(failover.OutcomeUnknown):
        await again.member.request(keys[0], key=keys[0])
    assert await again.member.request(keys[-1], key=keys[-1])
    assert await again.member.request(b"new", key=again.member.new_key()) == b"%d" % len(keys)
    await settled([*players[:2], again])
    assert sorted(players[0].machine.commands) == sorted([*keys, b"new"])


async def test_new_keys_rise_from_run_to_run(world):
    players, storage = await three(world)
    first = [players[2].member.new_key() for _ in range(3)]
    await players[2].close()
    again = await world.open(storage=storage)
    second = [again.member.new_key() for _ in range(3)]
    assert first + second == sorted({*first, *second})


@pytest.mark.parametrize("key", [b"", b"k" * 65, "text", 7])
async def test_a_key_has_its_bounds(world, key):
    founder = (await world.cluster(1))[0]
    with pytest.raises(failover.UsageError):
        await founder.member.request(b"body", key=key)


async def test_what_was_refused_may_be_asked_again_with_the_same_key(world):
    mood = ["no"]

    async def serve(host: failover.Host) -> None:
        async for request in host.requests():
            if mood[0] == "no":
                request.refuse("not today")
            else:
                await request.propose(b"<" + request.body + b">")

    players, _ = await three(world, serve=serve)
    ada = players[2].member
    with pytest.raises(failover.Refused):
        await ada.request(b"buy", key=b"order 1")
    mood[0] = "yes"
    assert await ada.request(b"buy", key=b"order 1") == b"0"
    mood[0] = "no"
    assert await ada.request(b"buy", key=b"order 1") == b"0", "the server function is not asked again"
    await settled(players)
    assert players[0].machine.commands == [b"<buy>"]


class Slow:
    """A server function that takes the first request and says nothing, and refuses what is like it."""

    def __init__(self) -> None:
        self.taken: list[failover.Request] = []

    async def serve(self, host: failover.Host) -> None:
        async for request in host.requests():
            if request.body == b"buy" and not self.taken:
                self.taken.append(request)
            elif request.body == b"buy":
                request.refuse("you have asked before")
            else:
                await request.propose()


async def ask(member: failover.Member, heard: list[object], seconds: float) -> None:
    try:
        heard.append(await member.request(b"buy", timeout=seconds, key=b"order 1"))
    except failover.FailoverError as error:
        heard.append(type(error))


async def test_a_second_call_with_a_key_is_not_refused_while_the_first_may_be_done(world):
    """Else it would be told that nothing happened, and then it happens."""
    slow, heard = Slow(), []
    players, _ = await three(world, serve=slow.serve)
    ada = players[2].member
    await ask(ada, heard, 1.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, ada, heard, 30.0)
        await trio.sleep(3)
        await slow.taken[0].propose()
    assert heard == [failover.OutcomeUnknown, b"0"]
    await settled(players)
    assert players[0].machine.commands == [b"buy"]


async def test_a_late_copy_of_an_earlier_call_is_not_done_after_a_later_one_was_refused(world):
    """The first call has given up, while another keeps the host from hearing so."""
    mood = ["no"]

    async def serve(host: failover.Host) -> None:
        async for request in host.requests():
            if request.body == b"buy" and mood[0] == "no":
                request.refuse("no")
            elif request.body == b"buy":
                await request.propose()

    players, _ = await three(world, serve=serve)
    ada, heard = players[2].member, []
    asks: list[KeyedAsk] = []
    requests, hosting = ada._running.requests, players[0].member._life.hosting
    send = requests._send
    requests._send = lambda host, ask: asks.append(ask) if isinstance(ask, KeyedAsk) else send(host, ask)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ada.request, b"waits", 60.0)
        await trio.sleep(0.5)
        await ask(ada, heard, 0.05)
        requests._send = send
        await ask(ada, heard, 5.0)
        assert heard == [failover.OutcomeUnknown, failover.Refused]
        mood[0] = "yes"
        hosting.ask(ada.id, asks[0])
        await trio.sleep(0.5)
        assert players[0].machine.commands == []
        await ask(ada, heard, 5.0)
        assert heard[-1] == b"0", "a new call is a new question"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("has_asked_since", [False, True])
async def test_what_a_later_run_hears_of_an_earlier_one_is_what_is_done(world, has_asked_since):
    """What the server function proposes for a run that is over counts, if the next has done nothing since."""
    slow, heard = Slow(), []
    players, storage = await three(world, serve=slow.serve)
    with trio.move_on_after(1):
        await ask(players[2].member, heard, 30.0)
    await players[2].close()
    world.air.cut.add(players[2].address)
    again = await world.open(storage=storage, serve=slow.serve)
    if has_asked_since:
        await again.member.request(b"hello")
    await slow.taken[0].propose()
    await ask(again.member, heard, 30.0)
    await settled([*players[:2], again])
    assert heard == ([b"0"] if b"buy" in players[0].machine.commands else [failover.Refused])
    assert players[0].machine.commands.count(b"buy") == (not has_asked_since)


async def test_a_snapshot_takes_the_keys_to_a_member_that_becomes_host(world):
    timing = failover.Timing(snapshot_entries=16, kept_entries=0)
    players, storage = await three(world, settings=failover.Settings(timing=timing))
    key = players[2].member.new_key()
    assert await players[2].member.request(b"buy", key=key) == b"0"
    for number in range(40):
        await players[0].member.request(b"%d" % number)
    late = await world.open(ticket=await players[0].member.invite(), settings=failover.Settings(timing=timing))
    assert isinstance(late.machine, Ledger)
    assert late.machine.restored
    await players[2].close()
    await players[0].member.hand_over()
    again = await world.open(storage=storage, settings=failover.Settings(timing=timing))
    assert await again.member.request(b"buy", key=key) == b"0"
