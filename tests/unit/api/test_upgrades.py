"""Players update one after the other: the rules rise when all members know them, and who cannot follow is told."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from world import Air, Ledger, Player, World, host_of, in_virtual_time, settled, until, voters

import failover
from failover.directory import Directory
from failover.events import MemberJoined, Stopped, VersionRaised
from failover.ids import MemberId
from failover.net.addresses import Address
from failover.opaque import Opaque
from failover.records import ACTIONS, RECORDS, Admit, Caller, CloseInvite, MemberInfo, SystemCommand
from failover.storage.memory import MemoryStorage

pytestmark = pytest.mark.trio(run=in_virtual_time)

SHORT_LOG = failover.Settings(timing=failover.Timing(snapshot_entries=20, kept_entries=5))


class Rules(Ledger):
    """Applies each command by the rules of its time: those of 2 are loud. `Ledger` itself is the old program."""

    oldest_version = 1

    def __init__(self, version: int = 2) -> None:
        super().__init__()
        self.version = version

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        return super().apply(command if context.version < 2 else command.upper(), context)

    def migrate(self, version: int) -> None:
        self.commands.append(b"rules %d" % version)


class Table:
    """Three players, each with a storage and the program of the day."""

    def __init__(self, world: World, options: dict[str, Any]) -> None:
        self.world = world
        self._options = options
        self.storages = [MemoryStorage() for _ in range(3)]
        self.players: dict[int, Player] = {}
        self._places: dict[int, Address] = {}

    async def sit_down(self, machine: Callable[[], Ledger]) -> None:
        """All begin with this program; the first hosts."""
        await self.open(0, machine(), found=True, name="0")
        await until(lambda: self.players[0].member.is_host)
        ticket = await self.players[0].member.invite(uses=2)
        for number in (1, 2):
            await self.open(number, machine(), ticket=ticket, name=str(number))
        await until(lambda: voters(self.players[0]) == 3)
        await self.settled()

    async def open(self, number: int, machine: Ledger, **options: Any) -> Player:
        """Open this one's storage with a program, at the place where it was before."""
        given = {"machine": machine, "name": str(number), "storage": self.storages[number], **self._options}
        player = await self.world.open(**given | {"at": self._places.get(number)} | options)
        self._places[number] = player.address
        self.players[number] = player
        return player

    async def update(self, number: int, machine: Ledger | None = None, *, crashes: bool = False) -> Player:
        """Close one, in a polite way or not, and open it again with the new program."""
        player = self.players.pop(number)
        if crashes:
            await crash(player)
        else:
            await player.close()
        return await self.open(number, machine or Rules())

    async def settled(self) -> None:
        await settled(list(self.players.values()))

    def versions(self) -> set[int]:
        """That they play, each by its own word."""
        return {player.member.status().version for player in self.players.values()}

    def everybody(self) -> list[Player]:
        return list(self.players.values())

    def states(self) -> list[list[bytes]]:
        """All different states that there are."""
        found = [player.machine.commands for player in self.everybody()]
        return [state for number, state in enumerate(found) if state not in found[:number]]

    async def close(self) -> None:
        for player in self.everybody():
            await player.close()


async def crash(player: Player) -> None:
    """Gone without a word."""
    player.member._running.peers._context.transmit = lambda data, address: None
    await player.close()


@asynccontextmanager
async def table(
    *, options: dict[str, Any] | None = None, machine: Callable[[], Ledger] = Ledger
) -> AsyncIterator[Table]:
    """Three of them sit down, as a rule with the old program."""
    async with trio.open_nursery() as nursery:
        players = Table(World(nursery, Air()), options or {})
        await players.sit_down(machine)
        yield players
        await players.close()


# --- the rules rise ---


async def test_players_update_one_after_the_other_and_the_last_one_brings_the_new_rules() -> None:
    async with table() as players:
        for number in (2, 0, 1):
            assert players.versions() == {1}
            await players.players[1].member.request(b"by old rules")
            await players.update(number)
            await players.settled()
        await until(lambda: players.versions() == {2})
        await players.players[0].member.request(b"by new rules")
        await players.settled()
        assert players.states() == [[b"by old rules"] * 3 + [b"rules 2", b"BY NEW RULES"]]
        for player in players.everybody():
            assert player.events(VersionRaised) == [VersionRaised(2)]
            assert player.machine.contexts[-1].version == 2
            for info in player.member.status().members:
                assert (info.versions.newest, info.versions.oldest) == (2, 1)


async def test_the_old_program_plays_with_the_new_one_by_the_same_rules_until_the_last_has_updated() -> None:
    async with table(options={"settings": failover.Settings(digest_every=1)}) as players:
        await players.update(0)
        await players.update(1)
        for number in range(9):
            await players.players[number % 3].member.request(b"move")
        await players.settled()
        assert players.states() == [[b"move"] * 9]
        for player in players.everybody():
            assert not player.events(failover.StateDiverged) and not player.events(VersionRaised)
        assert {info.name: info.versions.newest for info in players.players[0].member.status().members} == {
            "0": 2, "1": 2, "2": 1,
        }  # fmt: skip


@pytest.mark.parametrize("after_ms", [0, 0.1, 1, 2, 5])
async def test_a_host_that_crashes_while_the_rules_rise_leaves_one_state(after_ms: float) -> None:
    """It has appended the entry: nobody else has it at 0, and everybody at 5 ms."""
    async with table() as players:
        for number in (0, 1):
            await players.update(number)
            await until(lambda: voters(players.players[0]) == 3)
            await players.settled()
        host = players.players[0]
        if not host.member.is_host:
            await hosts(players.everybody(), host)
        appended_at = cut_off_when_it_raises(host, after_ms / 1_000)
        await players.update(2, crashes=True)  # else it would vote no more
        await until(lambda: appended_at)
        await crash(players.players.pop(0))
        await until(lambda: host_of(players.everybody()))
        await players.everybody()[0].member.request(b"without it")
        await until(lambda: players.versions() == {2})
        await players.open(0, Rules())
        await until(lambda: players.versions() == {2})
        await players.players[0].member.request(b"all again")
        await players.settled()
        [state] = players.states()
        raised_at = state.index(b"rules 2")
        assert [each.lower() for each in state if each != b"rules 2"] == [b"without it", b"all again"]
        assert all(each.isupper() == (at > raised_at) for at, each in enumerate(state) if at != raised_at)


async def hosts(players: list[Player], chosen: Player) -> None:
    """Have this one host."""
    host = host_of(players)
    assert host is not None
    await host.member.hand_over(chosen.member.id)
    await until(lambda: chosen.member.is_host)
    await settled(players)


async def test_who_asks_to_join_while_the_rules_rise_is_judged_by_the_new_ones() -> None:
    async with table() as players:
        for number in (0, 1):
            await players.update(number)
        await until(lambda: voters(players.players[0]) == 3)
        host = players.players[0]
        if not host.member.is_host:
            await hosts(players.everybody(), host)
        await host.member.invite()
        changing, asked = host.member._life.hosting.changing, list[MemberId]()
        raise_it, invite = changing._raise, host.member.invites()[-1].id

        def raise_and_be_asked(directory: Directory) -> None:
            raise_it(directory)
            if changing._raised_at > 0 and not asked:
                asked.append(MemberId(b"n" * 32))
                action = Admit(MemberInfo(asked[0], "late", ()), invite)
                changing.take(Caller(host.member.id, 2**62, 1, 1), ACTIONS.encode(action))

        changing._raise = raise_and_be_asked  # type: ignore[method-assign]
        await players.update(2, crashes=True)
        await until(lambda: players.versions() == {2})
        await players.settled()
        assert asked
        assert asked[0] not in {info.member for info in host.member.status().members}
        assert not changing._changes, "it was answered"


def cut_off_when_it_raises(host: Player, after_s: float) -> list[float]:
    """From so long after it raises the version, nothing of what this host sends arrives. Returns when it did."""
    changing, context = host.member._life.hosting.changing, host.member._running.peers._context
    raise_it, transmit, appended_at = changing._raise, context.transmit, list[float]()

    def watched(directory: Directory) -> None:
        raise_it(directory)
        if changing._raised_at > 0 and not appended_at:
            appended_at.append(trio.current_time())

    def watched_transmit(data: bytes, address: Any) -> None:
        if not appended_at or trio.current_time() < appended_at[0] + after_s:
            transmit(data, address)

    changing._raise, context.transmit = watched, watched_transmit  # type: ignore[method-assign]
    return appended_at


@pytest.mark.parametrize("has_snapshot", [False, True])
async def test_who_was_away_while_the_rules_rose_catches_up_by_entries_or_by_a_snapshot(
    has_snapshot: bool,
) -> None:
    async with table(options={"settings": SHORT_LOG} if has_snapshot else {}) as players:
        await players.update(2)
        await players.settled()
        await players.players.pop(2).close()
        await players.update(0)
        await players.update(1)
        await until(lambda: players.versions() == {2})
        for number in range(60):
            await players.players[1].member.request(b"%d x" % number)
        if has_snapshot:
            await until(lambda: players.players[1].member.status().snapshot_index > 40)
        back = await players.open(2, Rules())
        await players.settled()
        assert bool(back.machine.restored) == has_snapshot
        assert back.events(VersionRaised) == [VersionRaised(2)]
        assert players.states() == [[b"rules 2", *(b"%d X" % number for number in range(60))]]


async def test_who_restarts_after_the_raise_hears_of_it_no_second_time() -> None:
    async with table() as players:
        for number in range(3):
            await players.update(number)
        await until(lambda: players.versions() == {2})
        again = await players.update(2)
        await players.settled()
        assert again.events(VersionRaised) == [] and again.machine.commands == [b"rules 2"]


async def test_the_rules_rise_when_the_last_one_who_does_not_know_them_is_removed() -> None:
    async with table() as players:
        await players.update(0)
        await players.update(1)
        gone = players.players.pop(2)
        await gone.close()
        await trio.sleep(5)
        assert players.versions() == {1}, "who is away counts: it may come back"
        await players.players[0].member.remove(gone.member.id)
        await until(lambda: players.versions() == {2})


async def test_a_version_may_be_skipped_and_each_step_of_the_migration_is_made() -> None:
    async with table() as players:
        for number in range(3):
            await players.update(number, Rules(4))
        await until(lambda: players.versions() == {4})
        await players.settled()
        assert players.states() == [[b"rules 2", b"rules 3", b"rules 4"]]


@settings(max_examples=3)
@given(steps=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([1, 2, 3]), st.booleans()), max_size=3))
async def test_any_order_of_updates_leads_to_equal_states(steps: list[tuple[int, int, bool]]) -> None:
    """Also back to an older program, as long as that knows what is played."""
    async with table(options={"settings": SHORT_LOG}, machine=lambda: Rules(1)) as players:
        numbers = itertools.count()
        for who, newest, crashes in steps:
            played = max(players.versions())
            await players.update(who, Rules(max(newest, played)), crashes=crashes)
            await until(lambda: host_of(players.everybody()))
            for player in players.everybody():
                await player.member.request(b"move %d" % next(numbers))
        for who in range(3):
            await players.update(who, Rules(3))
        await until(lambda: players.versions() == {3}, 30)
        await players.settled()
        [state] = players.states()
        assert {b"rules 2", b"rules 3"} == {each for each in state if each.startswith(b"rules")}
        moves = [each.lower() for each in state if not each.startswith(b"rules")]
        assert moves == [b"move %d" % number for number in range(next(numbers))]
        for player in players.everybody():
            assert not player.events(failover.StateDiverged) and not player.events(Stopped)


async def test_no_game_waits_for_a_witness() -> None:
    async with trio.open_nursery() as nursery:
        world, storage = World(nursery, Air()), MemoryStorage()
        players = [await world.open(found=True, storage=storage)]
        await until(lambda: players[0].member.is_host)
        witness = await world.open(machine=Opaque(), ticket=await players[0].member.invite())
        await until(lambda: [info.kind for info in players[0].member.status().members].count("witness") == 1)
        await players[0].close()
        players[0] = await world.open(machine=Rules(7), storage=storage, at=players[0].address)
        await until(lambda: players[0].member.status().version == witness.member.status().version == 7)
        await players[0].close()
        await witness.close()


# --- who cannot follow ---


async def test_an_old_program_that_comes_back_after_the_raise_is_refused_and_its_storage_stays() -> None:
    async with table() as players:
        for number in range(3):
            await players.update(number)
        await until(lambda: players.versions() == {2})
        await players.settled()
        await players.players.pop(2).close()
        before = deepcopy(vars(players.storages[2]))
        with pytest.raises(failover.WrongVersion, match="this program knows version 1: update"):
            await players.open(2, Ledger())
        assert vars(players.storages[2]) == before
        await players.players[0].member.request(b"meanwhile")
        back = await players.open(2, Rules())
        await players.settled()
        assert back.machine.commands == [b"rules 2", b"MEANWHILE"] == players.players[0].machine.commands


@pytest.mark.parametrize("has_snapshot", [False, True])
async def test_an_old_program_that_has_not_heard_of_the_raise_stops_when_it_does_and_loses_nothing(
    has_snapshot: bool,
) -> None:
    async with table(options={"settings": SHORT_LOG} if has_snapshot else {}) as players:
        for number in (2, 0):
            await players.update(number)
        await players.players[1].member.request(b"before")
        await players.settled()
        await players.players.pop(2).close()
        await players.update(1)
        await until(lambda: players.versions() == {2})
        for _ in range(60 if has_snapshot else 1):
            await players.players[0].member.request(b"after")
        if has_snapshot:
            await until(lambda: players.players[1].member.status().snapshot_index > 40)
        old = await players.open(2, Ledger())
        await until(lambda: old.events(Stopped))
        [stopped] = old.events(Stopped)
        assert isinstance(stopped.error, failover.WrongVersion) and "update the game" in str(stopped.error)
        assert old.machine.commands in ([], [b"before"]), "nothing by rules that it does not know"
        await old.close()
        back = await players.open(2, Rules())
        await players.settled()
        assert back.machine.commands == players.players[0].machine.commands
        assert back.machine.commands[:3] == [b"before", b"rules 2", b"AFTER"]


async def test_who_goes_back_to_the_old_program_in_time_holds_the_raise_up() -> None:
    async with table() as players:
        await players.update(2)
        await players.settled()
        await players.update(2, Ledger())
        await players.settled()
        await players.update(0)
        await players.update(1)
        await players.settled()
        await trio.sleep(5)
        assert players.versions() == {1}
        await players.update(2)
        await until(lambda: players.versions() == {2})


async def test_a_newcomer_with_an_old_program_is_not_admitted_and_told_both_versions() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        founder = await world.open(found=True, machine=Rules(2))
        await until(lambda: founder.member.is_host)
        ticket = await founder.member.invite()
        storage = MemoryStorage()
        with pytest.raises(
            failover.NotAdmitted, match="plays version 2 of the rules, this program knows version 1"
        ):
            await world.open(ticket=ticket, storage=storage)
        assert len(founder.member.status().members) == 1
        too_new = Rules(4)
        too_new.oldest_version = 3
        with pytest.raises(failover.NotAdmitted, match="knows versions 3 to 4: use an older program until"):
            await world.open(ticket=ticket, machine=too_new)
        joined = await world.open(ticket=ticket, storage=storage, machine=Rules(3))
        assert founder.events(MemberJoined)[0].member == joined.member.id, "the invite is not used up by a refusal"
        assert joined.member.status().version == 2 and joined.events(VersionRaised) == []
        await joined.close()
        await founder.close()


async def test_a_machine_that_says_nonsense_founds_nothing() -> None:
    async with trio.open_nursery() as nursery:
        storage = MemoryStorage()
        with pytest.raises(failover.UsageError, match="whole numbers"):
            await World(nursery, Air()).open(found=True, machine=Rules(0), storage=storage)
        assert storage.identity() is None


# --- levels of the library ---


async def one_behind(world: World) -> tuple[list[Player], MemoryStorage]:
    """A cluster whose founder has a library of level 0; the others have the present one."""
    storage = MemoryStorage()
    players = [await world.open(found=True, name="Ada", level=0, storage=storage)]
    await until(lambda: players[0].member.is_host)
    ticket = await players[0].member.invite(uses=3)
    players += [await world.open(ticket=ticket, name=name) for name in ("Ben", "Cyd")]
    await until(lambda: voters(players[0]) == 3)
    await settled(players)
    return players, storage


async def refused(player: Player, invite: bytes) -> str:
    with pytest.raises(failover.Refused) as said:
        await player.member.close_invite(invite)
    return str(said.value)


async def test_a_cluster_with_an_older_library_works_and_refuses_what_that_does_not_know() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players, _ = await one_behind(world)
        [invite] = players[1].member.invites()
        assert "does not know the action" in await refused(players[1], invite.id), "an old host says so, too"
        await hosts(players, players[1])
        last = players[1].member.status().last_log_index
        reason = await refused(players[2], invite.id)
        assert reason == "this needs level 1 of the library, and the cluster is at 0; to be updated first: Ada"
        with pytest.raises(failover.Refused, match="needs level 1 of the library"):
            await players[2].member.request(b"buy", key=b"order 7")
        assert players[1].member.status().last_log_index == last, "nothing was appended"
        for player in players:
            await player.member.request(b"play on")
        await settled(players)
        assert {len(player.machine.commands) for player in players} == {3}
        assert {player.member.status().level for player in players} == {0}
        for player in players:
            await player.close()


async def test_what_an_older_library_did_not_know_is_there_as_soon_as_that_was_updated() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players, storage = await one_behind(world)
        await hosts(players, players[1])
        await players[0].close()
        players[0] = await world.open(storage=storage, name="Ada")
        await until(lambda: {player.member.status().level for player in players} == {1})
        [invite] = players[1].member.invites()
        await players[0].member.close_invite(invite.id)
        await players[0].member.request(b"buy", key=b"order 7")
        await settled(players)
        assert players[2].member.invites() == ()
        for player in players:
            await player.close()


async def test_what_an_older_library_did_not_know_is_there_as_soon_as_that_was_removed() -> None:
    """The secrets that its departure makes due are of a newer kind, and come in the same moment."""
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players, _ = await one_behind(world)
        await hosts(players, players[1])
        old = players.pop(0)
        await players[0].member.remove(old.member.id)
        await until(lambda: {player.member.status().level for player in players} == {1})
        await until(lambda: epochs(players) == {2})
        for player in players:
            await player.close()
        await old.close()


async def test_secrets_that_are_due_wait_for_an_older_library() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players, storage = await one_behind(world)
        await hosts(players, players[1])
        gone = players.pop(2)
        await players[1].member.remove(gone.member.id)
        await trio.sleep(3)
        assert epochs(players) == {1}
        await players[0].close()
        players[0] = await world.open(storage=storage, name="Ada")
        await until(lambda: epochs(players) == {2})
        for player in (*players, gone):
            await player.close()


def epochs(players: list[Player]) -> set[int]:
    """Of the newest secrets that each has."""
    directories = [player.member._running.replica.directory for player in players]
    return {directory.secrets[0].epoch for directory in directories if directory is not None}


async def test_an_entry_of_a_newer_kind_would_stop_an_older_library_with_one_clear_line() -> None:
    """What the gate is for: here the host forgets to ask."""
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players, storage = await one_behind(world)
        await hosts(players, players[1])
        action = SystemCommand(0, None, ACTIONS.encode(CloseInvite(b"i" * 16)))
        players[1].member._running.driver.propose(RECORDS.encode(action))
        await until(lambda: players[0].events(Stopped))
        error = players[0].events(Stopped)[0].error
        assert isinstance(error, failover.WrongVersion) and "update the game" in str(error)
        await players[0].close()
        with pytest.raises(failover.WrongVersion, match="the log holds what this program does not know"):
            await world.open(storage=storage, level=0)
        players[0] = await world.open(storage=storage)
        await settled(players)
        for player in players:
            await player.close()


async def test_a_newcomer_with_an_older_library_is_not_admitted() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        founder = await world.open(found=True)
        await until(lambda: founder.member.is_host)
        ticket = await founder.member.invite()
        with pytest.raises(failover.NotAdmitted, match="at level 1 of the library, this program at 0: update"):
            await world.open(ticket=ticket, level=0)
        await founder.close()


async def test_an_older_library_that_comes_back_after_the_raise_is_refused() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players, storage = await one_behind(world)
        await hosts(players, players[1])
        await players[0].close()
        players[0] = await world.open(storage=storage, name="Ada")
        await until(lambda: {player.member.status().level for player in players} == {1})
        await settled(players)
        await players[0].close()
        with pytest.raises(failover.WrongVersion, match="at level 1 of the library, this program at 0"):
            await world.open(storage=storage, level=0)
        for player in players[1:]:
            await player.close()
