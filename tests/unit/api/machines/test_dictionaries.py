"""Dictionaries on whole members, in virtual time: through losses, changes of host, snapshots and restarts."""

from __future__ import annotations

import pytest
import trio
from world import Air, World, host_of, in_virtual_time, settled, until, voters

import failover
from failover.machines import (
    ABSENT,
    PLAIN,
    RAW,
    TEXT,
    Change,
    Dictionary,
    DictionaryMachine,
    Full,
    QueueMachine,
    use_queue,
)
from failover.machines.changes import DONE, reply

pytestmark = pytest.mark.trio(run=in_virtual_time)


async def boards(world: World, size: int, **options) -> tuple[list, list[Dictionary]]:
    """A cluster whose members have a dictionary each."""
    make = options.pop("make", DictionaryMachine)
    founder = await world.open(found=True, machine=make(), **options)
    await until(lambda: founder.member.is_host)
    players = [founder]
    for _ in range(size - 1):
        players.append(await world.open(ticket=await founder.member.invite(), machine=make(), **options))
    await until(lambda: voters(founder) == size)
    await settled(players)
    return players, [Dictionary(player.member) for player in players]


async def cut_host_off(world: World, players: list) -> object:
    """The host is heard no more; returns it when another one hosts."""
    host = host_of(players)
    world.air.cut.add(host.address)
    others = [player for player in players if player is not host]
    await until(lambda: host_of(others))
    return host


async def test_who_writes_and_then_reads_sees_what_he_wrote(world):
    _, (_, board, other) = await boards(world, 3)
    for number in range(20):
        await board.set("a", number)
        assert board["a"] == number
    assert (await other.latest())["a"] == 19
    await board.delete("a")
    assert (board.get("a"), "a" in board, len(board), list(board)) == (None, False, 0, [])
    await board.delete("a")


async def test_a_comparison_decides_and_nothing_is_not_none(world):
    _, (board, other) = await boards(world, 2)
    assert await board.compare_and_set("lock", ABSENT, None)
    assert not await other.compare_and_set("lock", ABSENT, "other")
    assert await other.compare_and_set("lock", None, "other")
    assert not await board.compare_and_set("lock", None, ABSENT)
    assert await board.compare_and_set("lock", "other", ABSENT)
    assert "lock" not in board


async def test_a_transaction_is_done_whole_or_not_at_all(world):
    _, (board, other) = await boards(world, 2)
    await board.transact({}, {"ann": 5, "bob": 0})
    assert not await other.transact({"ann": 5, "bob": 1}, {"ann": 0, "bob": 5})
    assert dict(await other.latest()) == {"ann": 5, "bob": 0}
    assert await other.transact({"ann": 5, "eve": ABSENT}, {"ann": ABSENT, "bob": 5})
    assert dict(other.picture) == {"bob": 5}


async def test_updates_of_many_at_once_lose_nothing(world):
    _, all_boards = await boards(world, 3)
    await all_boards[0].set("n", 0)
    for board in all_boards:
        await board.latest()

    def add(draft):
        draft["n"] += 1
        assert draft["n"] == draft.get("n")
        return draft["n"]

    seen = []

    async def play(board):
        for _ in range(10):
            seen.append(await board.update(add))

    async with trio.open_nursery() as nursery:
        for board in all_boards:
            nursery.start_soon(play, board)
    assert sorted(seen) == list(range(1, 31))


async def test_an_update_depends_on_what_was_not_there_too(world):
    _, (board, other) = await boards(world, 2)
    empty, calls = other.picture, []

    def claim(draft):
        calls.append(1)
        if "seat" in draft:
            return False
        draft["seat"] = "mine"
        return True

    await board.set("seat", "taken")
    await other.latest()
    other._looks_at = Stale(other.member, empty)
    assert not await other.update(claim)
    assert len(calls) == 2
    assert other["seat"] == "taken"


async def test_an_update_does_not_fail_for_what_is_no_longer_so(world):
    _, (board, other) = await boards(world, 2)
    empty = other.picture
    await board.set("n", 1)
    await other.latest()
    other._looks_at = Stale(other.member, empty)
    assert await other.update(lambda draft: draft["n"]) == 1


async def test_a_draft_is_read_and_written_like_a_dict(world):
    _, (board,) = await boards(world, 1)

    def play(draft):
        draft["a"] = 1
        assert ("a" in draft, draft["a"], draft.get("b", 7)) == (True, 1, 7)
        del draft["a"]
        assert "a" not in draft
        draft["b"] = 2

    await board.update(play)
    assert dict(board.picture) == {"b": 2}
    with pytest.raises(KeyError):
        await board.update(lambda draft: draft.__delitem__("nothing"))
    with pytest.raises(KeyError):
        await board.update(lambda draft: draft["nothing"])
    assert dict(board.picture) == {"b": 2}


async def test_an_update_that_somebody_came_before_runs_again(world):
    _, (board, other) = await boards(world, 2)
    await other.set("n", 1)
    stale, values = other.picture, []

    def double(draft):
        values.append(draft["n"])
        draft["n"] *= 2

    await board.set("n", 10)
    await other.latest()
    other._looks_at = Stale(other.member, stale)  # as if this member had not heard of it yet
    await other.update(double)
    assert values == [1, 10]
    assert (await board.latest())["n"] == 20


class Stale:
    """A member whose picture is old at the first look."""

    def __init__(self, member, picture):
        self._member, self._picture = member, picture

    @property
    def state(self):
        picture, self._picture = self._picture, None
        return self._member.state if picture is None else picture


async def test_what_is_too_large_or_does_not_fit_is_said_before_or_after(world):
    _, (board,) = await boards(world, 1, make=lambda: DictionaryMachine(TEXT, RAW, size_max=200_000))
    for key, value in (("k" * 1_025, b""), ("k", bytes(60_001)), ("k", "text"), (7, b"")):
        with pytest.raises(failover.UsageError):
            await board.set(key, value)
    with pytest.raises(failover.UsageError, match="256"):
        await board.transact({}, {str(number): b"" for number in range(257)})
    with pytest.raises(failover.UsageError, match="65536"):
        await board.transact({}, {str(number): bytes(1_000) for number in range(80)})
    for number in range(3):
        await board.set(str(number), bytes(60_000))
    with pytest.raises(Full):
        await board.set("3", bytes(60_000))
    await board.delete("0")
    await board.set("3", bytes(60_000))


async def test_a_watch_sees_each_change_through_a_change_of_host(nursery):
    world = World(nursery, Air(loss=0.05, doubled=0.1))
    players, all_boards = await boards(world, 3)
    values: dict[int, list[int]] = {number: [] for number in range(3)}

    async def watch(number):
        async for change in all_boards[number].watch("n"):
            values[number].append(change.after)

    for number in range(3):
        nursery.start_soon(watch, number)
    await all_boards[1].set("other", 0)
    for number in range(50):
        await all_boards[1 + number % 2].set("n", number, timeout=60)
        if number == 25:
            cut = await cut_host_off(world, players)
            assert cut is players[0]
    world.air.cut.clear()
    await settled(players)
    await trio.lowlevel.checkpoint()
    for seen in values.values():
        assert seen == sorted(set(seen)), "in order, none twice"
        assert seen[-1] == 49
    assert all(len(values[number]) > 25 for number in (1, 2))
    nursery.cancel_scope.cancel()


async def test_a_watch_begins_where_it_is_told_and_misses_nothing(world):
    _, (board, other) = await boards(world, 2)
    await board.set("a", 1)
    picture = board.picture
    await board.set("a", 2)
    await board.set("b", 1)
    await board.delete("b")
    watch = board.watch(since=picture)
    with trio.move_on_after(1):
        assert await anext(watch) == Change("a", 1, 2)
        await anext(watch)
        pytest.fail("b came and went between two looks")
    await other.set("c", 1)
    await other.delete("a")
    await board.latest()
    assert watch.poll() == [Change("a", 2, ABSENT), Change("c", ABSENT, 1)]
    assert watch.poll() == []


async def test_waiting_ends_when_the_member_does(world):
    players, (_, other) = await boards(world, 2)
    ended = []

    async def watch():
        with pytest.raises(failover.Closed):
            await anext(other.watch())
        ended.append(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await trio.sleep(0.1)
        await players[1].close()
    assert ended == [1]


async def test_what_was_accepted_is_no_error_though_the_member_ends_before_it_saw_it(world):
    _, (board,) = await boards(world, 1)

    class Ending:
        """A member that has the host's answer, and never comes to apply the entry."""

        state = board.picture

        async def request(self, body, timeout):  # noqa: ASYNC109  # as the real one
            return reply(DONE, 1_000)

        def check_open(self):
            raise failover.Closed("ended")

    await Dictionary(Ending()).set("a", 1)
    with pytest.raises(failover.Closed):
        await anext(Dictionary(Ending()).watch())


async def test_a_restarted_member_and_a_newcomer_have_all_of_it(world):
    settings = failover.Settings(timing=failover.Timing(snapshot_entries=30, kept_entries=5))
    stored = failover.MemoryStorage()
    players, all_boards = await boards(world, 3, settings=settings)
    late = await world.open(
        ticket=await players[0].member.invite(), machine=DictionaryMachine(), settings=settings, storage=stored
    )
    board = Dictionary(late.member)
    await board.set("from", "late")
    watched = board.picture
    await late.close()
    for number in range(200):
        await all_boards[number % 3].set(str(number), number)
    again = await world.open(machine=DictionaryMachine(), settings=settings, storage=stored)
    board = Dictionary(again.member)
    expected = {"from": "late"} | {str(number): number for number in range(200)}
    assert dict(await board.latest()) == expected
    assert {change.key for change in board.watch(since=watched).poll()} == set(expected) - {"from"}
    new = await world.open(ticket=await players[0].member.invite(), machine=DictionaryMachine(), settings=settings)
    assert dict(await Dictionary(new.member).latest()) == expected
    await settled([*players, again, new])


async def test_a_handle_needs_its_own_machine(world):
    players, (board,) = await boards(world, 1)
    with pytest.raises(failover.UsageError):
        async with use_queue(players[0].member):
            pass
    other = await world.open(found=True, machine=QueueMachine())
    with pytest.raises(failover.UsageError):
        Dictionary(other.member)
    assert board.picture.encode_value(1) == PLAIN.encode(1)
