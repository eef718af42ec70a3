"""Nothing fails but datagrams: whole members keep their host (`python -m tests.simulation --calm-hours 10`)."""

from __future__ import annotations

import sys
from random import Random

import pytest
import trio

from failover.member import Member
from failover.raft.measure import MissedRounds
from failover.settings import Settings
from failover.testing.guest_list import GuestList
from failover.testing.process import Program
from failover.testing.simulated_network import Link
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.__main__ import main
from tests.simulation.calm import Calm, run_calm


@pytest.mark.parametrize("settings", ["lan", "internet"])
def test_a_host_is_kept_for_minutes_though_a_third_of_all_round_trips_fails(settings):
    """Without `MissedRounds` these very seeds lost their host once or more; the loss is three times the usual."""
    held = run_calm(Calm(settings=settings, loss=0.15), 0, 60.0)
    assert held.changes == []
    assert held.happened["lost"] > 500, "or the run was worth nothing"


def test_commits_take_little_more_than_a_round_trip_though_datagrams_are_lost():
    """Four members 40 ms apart, 2 % lost each way, 80 commits a second: p50 under 1.3 round trips, p99 under 3."""
    round_trip_s = 0.040
    took_s: list[float] = []

    async def ask(member: Member, dice: Random) -> None:
        was_host, began = member.is_host, trio.current_time()
        await member.request(dice.randbytes(16))
        if was_host and member.is_host and world.time.now > 8.0:
            took_s.append(trio.current_time() - began)

    async def keep_asking(member: Member, dice: Random) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(0.05)
                nursery.start_soon(ask, member, dice)

    program = Program(machine=GuestList, serve=None, play=keep_asking, settings=Settings.internet())
    link = Link(delay_s=(round_trip_s / 2, round_trip_s / 2), loss=0.02)
    with StackSimulation("latency", program, link=link) as world:
        computers = [world.add_computer() for _ in range(4)]
        world.found()
        world.bring_in(computers[1:])
        world.run(20.0)
    took_s.sort()
    assert len(took_s) > 200
    assert took_s[len(took_s) // 2] < 1.3 * round_trip_s
    assert took_s[len(took_s) * 99 // 100] < 3 * round_trip_s


def test_hours_are_summed_up_and_a_false_change_of_host_is_printed_with_what_repeats_it(monkeypatch, capsys):
    monkeypatch.setattr(MissedRounds, "to_allow_for", lambda self: 1.0)  # as if nothing were ever lost
    options = ["--settings", "lan", "--members", "2", "--delay", "40", "--jitter", "20", "--loss", "30"]
    monkeypatch.setattr(sys, "argv", ["simulation", "--calm-hours", "0.01", *options])
    assert main() == 1
    printed = capsys.readouterr().out
    assert f"replay: python -m tests.simulation --calm-hours 0.01 {' '.join(options)} --seed 0 --trace" in printed
    assert "reason='lease lost'" in printed
    assert "0.01 simulated hours, " in printed
