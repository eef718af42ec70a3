"""Headless players and the host function together, over a stand-in for the library, in virtual time.

The stand-in keeps one table, gives every entry its index and time, and can end a tenure at any moment.
"""

from __future__ import annotations

import io
import math
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from demo_game.bots import Skill
from demo_game.commands import Accepted, Option, Order, SetOption, decode_reply_untrusted, encode_order
from demo_game.evidence import judge
from demo_game.host_function import Pace, server
from demo_game.machine import Hexhold
from demo_game.player import Player, play
from demo_game.records import Journal, Recorded, parsed
from demo_game.table import Phase, Table

MEMBERS = [bytes([n]) * 32 for n in range(1, 5)]


class Cluster:
    """All members in one: requests wait here for whoever hosts."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        self.machine = Recorded(Hexhold(), Journal(self.out))
        self.index = 0
        self.term = 0
        self.time = 0.0
        self.resumed = math.inf
        self.waiting: list[Request] = []
        self.present = frozenset(MEMBERS)

    def cluster_time(self) -> float:
        return self.time + max(0.0, trio.current_time() - self.resumed)

    def apply(self, command: bytes, sender: bytes | None) -> bytes:
        self.index += 1
        context = SimpleNamespace(
            index=self.index, sender=sender, time=self.cluster_time(), epoch=SimpleNamespace(term=self.term)
        )
        return self.machine.apply(command, context)  # type: ignore[arg-type]

    async def tenure(self, member: bytes, seconds: float, pace: Pace) -> None:
        """Let a member host for so long; then its host function is cancelled, wherever it is."""
        self.term += 1
        self.resumed = trio.current_time()
        with trio.move_on_after(seconds):
            await server(pace, lambda: self.present)(Host(self, member))  # type: ignore[arg-type]
        self.time, self.resumed = self.cluster_time(), math.inf

    @property
    def table(self) -> Table:
        return self.machine.view()


class Request:
    def __init__(self, cluster: Cluster, sender: bytes, body: bytes) -> None:
        self.cluster, self.sender, self.body = cluster, sender, body
        self.reply: bytes | None = None
        self.done = trio.Event()

    async def propose(self) -> None:
        await trio.lowlevel.checkpoint()
        self.reply = self.cluster.apply(self.body, self.sender)
        self.done.set()


class Host:
    def __init__(self, cluster: Cluster, member: bytes) -> None:
        self.cluster, self.id = cluster, member

    @property
    def state(self) -> Table:
        return self.cluster.table

    @property
    def time(self) -> float:
        return self.cluster.cluster_time()

    def propose(self, command: bytes) -> int:
        self.cluster.apply(command, None)
        return self.cluster.index

    async def commit(self, command: bytes) -> bytes:
        await trio.sleep(0.001)
        return self.cluster.apply(command, None)

    async def requests(self) -> AsyncIterator[Request]:
        while True:
            waiting = [request for request in self.cluster.waiting if request.reply is None]
            for request in waiting:
                yield request
            await trio.sleep(0.01)


class Member:
    def __init__(self, cluster: Cluster, member: bytes) -> None:
        self.cluster, self.id = cluster, member

    @property
    def state(self) -> Table:
        return self.cluster.table

    async def request(self, body: bytes) -> bytes:
        request = Request(self.cluster, self.id, body)
        self.cluster.waiting.append(request)
        await request.done.wait()
        self.cluster.waiting.remove(request)
        assert request.reply is not None
        return request.reply


async def session(tenures: list[tuple[int, float]], pace_s: float = 0.2) -> tuple[Cluster, dict[str, Any]]:
    """Let three players play while hosts come and go; return the cluster and everybody's records."""
    cluster = Cluster()
    journals = [io.StringIO() for _ in range(3)]
    async with trio.open_nursery() as nursery:
        for number, out in enumerate(journals):
            secret = bytes([number]) * 32
            player = Player(MEMBERS[number], f"P{number}", Skill.HARD, 0, pace_s, None, secret)
            nursery.start_soon(_play_later, number, Member(cluster, MEMBERS[number]), player, Journal(out))
        for option, value in ((Option.PLAYERS, 3), (Option.MAP, 0)):
            nursery.start_soon(_set, cluster, option, value)
        for member, seconds in tenures:
            await cluster.tenure(MEMBERS[member], seconds, Pace(bot_delay_ms=100))
            await trio.sleep(0.3)
        nursery.cancel_scope.cancel()
    written = {f"P{n}": list(parsed(out.getvalue().splitlines())) for n, out in enumerate(journals)}
    written["applied"] = list(parsed(cluster.out.getvalue().splitlines()))
    return cluster, written


async def _play_later(number: int, member: Member, player: Player, journal: Journal) -> None:
    """Sit down in order: the seats' order is a part of the seed."""
    await trio.sleep(number)
    await play(member, player, journal)  # type: ignore[arg-type]


async def _set(cluster: Cluster, option: Option, value: int) -> None:
    """Ask until the first player has his seat."""
    while not cluster.table.seats:  # noqa: ASYNC110
        await trio.sleep(0.01)
    await Member(cluster, cluster.table.seats[0].member).request(encode_order(Order(SetOption(option, value))))


def battles(written: dict[str, Any]) -> list[bytes]:
    replies = [decode_reply_untrusted(bytes.fromhex(record["reply"])) for record in written["applied"]]
    return [r.battle.attack + b"/" + r.battle.defence for r in replies if isinstance(r, Accepted) and r.battle]


async def test_players_sit_down_play_and_ask_for_a_rematch(autojump_clock: trio.testing.MockClock) -> None:
    cluster, written = await session([(0, 120.0)])
    assert cluster.table.game >= 2 and len(battles(written)) > 50
    assert any("wins" in line.text or "Another game" in line.text for line in cluster.table.lines)


async def test_the_battles_are_the_same_however_often_the_host_changes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    _, calm = await session([(0, 40.0)])
    _, wild = await session([(0, 3.0), (1, 0.7), (2, 5.0), (0, 1.13), *[(n % 3, 2.51) for n in range(16)]])
    one, other = battles(calm), battles(wild)
    shared = min(len(one), len(other))
    assert shared > 60 and one[:shared] == other[:shared]


async def test_nothing_answered_is_lost_or_done_twice(autojump_clock: trio.testing.MockClock) -> None:
    _, written = await session([(n % 3, 1.7) for n in range(12)])
    verdict = judge(written)
    assert (verdict.lost, verdict.doubled, verdict.orders_agree) == (0, 0, True)
    assert verdict.commands > 60


async def test_the_host_notes_absence_and_a_bot_plays_on(autojump_clock: trio.testing.MockClock) -> None:
    cluster = Cluster()
    async with trio.open_nursery() as nursery:
        await _two_players(cluster, nursery)
        nursery.start_soon(cluster.tenure, MEMBERS[0], 1e9, Pace(bot_delay_ms=100))
        while cluster.table.phase is not Phase.PLAY:  # noqa: ASYNC110
            await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    cluster.present = frozenset({MEMBERS[0]})  # and nobody plays by himself any more
    turn = cluster.table.turn
    with trio.move_on_after(100):
        await cluster.tenure(MEMBERS[0], 1e9, Pace(bot_delay_ms=100))
    assert any(seat.away_ms for seat in cluster.table.seats)
    assert cluster.table.turn > turn + 1


async def _two_players(cluster: Cluster, nursery: trio.Nursery) -> None:
    for number in range(2):
        player = Player(MEMBERS[number], f"P{number}", Skill.EASY, 0, 0.2, None, bytes(32))
        nursery.start_soon(play, Member(cluster, MEMBERS[number]), player, Journal())
    nursery.start_soon(_set, cluster, Option.PLAYERS, 2)


@pytest.mark.parametrize("heartbeat", [None, 0.05])
async def test_a_heartbeat_asks_even_when_it_is_not_ones_turn(
    autojump_clock: trio.testing.MockClock, heartbeat: float | None
) -> None:
    cluster = Cluster()
    out = io.StringIO()
    with trio.move_on_after(5):
        async with trio.open_nursery() as nursery:
            player = Player(MEMBERS[0], "Ada", heartbeat_s=heartbeat, secret=bytes(32))
            nursery.start_soon(play, Member(cluster, MEMBERS[0]), player, Journal(out))
            nursery.start_soon(cluster.tenure, MEMBERS[0], 1e9, Pace())
    answers = [r for r in parsed(out.getvalue().splitlines()) if r["kind"] == "answer"]
    assert len(answers) > 40 if heartbeat else len(answers) <= 3
