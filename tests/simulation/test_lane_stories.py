"""Stories of whole members with the unreliable lane: positions are of one host after the other, never of both."""

from __future__ import annotations

from collections import defaultdict

import trio

import failover
from failover.testing.guest_list import GuestList
from failover.testing.process import Program
from failover.testing.simulated_network import Link
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import CALM_S, cut_off, host_of, play

TICK_S = 1 / 60


def program(heard):
    """The host tells all where everybody is; everybody notes what it hears."""

    async def serve(host):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell, host)
            async for request in host.requests():
                await request.propose()

    async def tell(host):
        while True:
            host.send_unreliable(host.id)
            await trio.sleep(TICK_S)

    async def play(member, dice):
        while True:
            member.send_unreliable(b"here", to="all")
            heard[member.id] += member.poll_unreliable()
            await trio.sleep(TICK_S)

    return Program(machine=GuestList, serve=serve, play=play, settings=failover.Settings())


def check(heard):
    """Epochs only rise, and in each of them one member spoke as host."""
    hosts = defaultdict(set)
    for items in heard.values():
        terms = [item.epoch.term for item in items]
        assert terms == sorted(terms)
        for item in items:
            if item.is_from_host:
                assert item.body == item.sender
                hosts[item.epoch].add(item.sender)
    assert all(len(senders) == 1 for senders in hosts.values())
    return hosts


def test_positions_of_a_deposed_host_never_overwrite_those_of_the_new_one():
    """What it sent is on its way for up to two seconds, and it goes on sending when it is back."""
    heard = defaultdict(list)
    link = Link(delay_s=(0.0005, 0.01), late=0.05, late_s=2.0, loss=0.02, double=0.05)
    with StackSimulation("positions", program(heard), link=link, clock_rates=(0.9, 1.1)) as world:
        computers = play(world, 3)
        for _ in range(4):
            old = host_of(world)
            others = [computer for computer in computers if computer is not old]
            cut_off(world, old, others)
            world.run_until(lambda old=old: world.onlooker.host() not in (None, old.process), 10.0)
            world.run(0.3)
            world.network.cut.clear()
            world.run(2.5)
        world.run(CALM_S)
        dropped = sum(
            (computer.process.member.status().dropped.get("lane: older epoch", 0) for computer in computers), 0
        )
    assert len(check(heard)) >= 5
    assert dropped > 100


def test_after_a_crash_of_the_host_positions_go_on_and_those_between_players_never_stopped_for_long():
    heard = defaultdict(list)
    with StackSimulation("positions after a crash", program(heard)) as world:
        computers = play(world, 3)
        old = host_of(world)
        others = [computer for computer in computers if computer is not old]
        world.run(1.0)
        old.crash()
        before = {computer.member: len(heard[computer.member]) for computer in others}
        world.run(0.5)
        for computer in others:
            new = heard[computer.member][before[computer.member] :]
            told_by = {item.sender for item in new if item.is_from_host and item.sender != old.member}
            assert told_by == {host_of(world).member}
            between = [item for item in new if not item.is_from_host and item.sender in {c.member for c in others}]
            assert len(between) > 20, "of thirty"
        check(heard)
