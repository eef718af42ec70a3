"""What `Member.status()` shows of the network."""

import ast
import dataclasses
import inspect
import itertools
from collections import Counter

import pytest
import trio
from world import Ledger, in_virtual_time, until

import failover
from failover import status

pytestmark = pytest.mark.trio(run=in_virtual_time)


async def test_each_other_member_has_a_link_with_numbers(world):
    players = await world.cluster(2)
    await trio.sleep(30)
    for player, other in (players, reversed(players)):
        links = {info.member: info.link for info in player.member.status().members}
        assert links.pop(player.member.id) is None
        (link,) = links.values()
        assert link.address == str(other.address) and link.path
        assert 30 <= link.path_s <= 40 and link.path_changes == 0
        assert 1.0 <= link.round_trip_min_ms <= link.round_trip_ms <= 3.0  # twice 0.5 to 1 ms
        assert link.round_trip_deviation_ms < 1.0
        assert link.loss == 0.0
        assert link.handshakes == 1
        assert link.datagrams_in > 200 < link.datagrams_out
        assert link.bytes_in >= 32 * link.datagrams_in and link.bytes_out >= 32 * link.datagrams_out
        assert (link.transfers_in, link.transfers_out) == (0, 0)


async def test_what_is_dropped_and_what_the_transport_lost_is_shown(world):
    players = await world.cluster(2)
    one, two = players
    transport = world.air._ends[one.address]
    transport.counters = Counter({"socket: send EPERM": 3})
    world.air.carry(b"too short", two.address, one.address)
    world.air.carry(bytes([9]) * 100, two.address, one.address)
    await trio.sleep(0.1)
    dropped = one.member.status().dropped
    assert dropped["datagram: size"] == 1
    assert dropped["datagram: size or version"] == 1
    assert dropped["socket: send EPERM"] == 3


async def test_the_errors_of_a_real_socket_are_shown(monkeypatch):
    transport = failover.UdpTransport("127.0.0.1")
    async with failover.open_member(Ledger(), found=True, transport=transport) as member:
        transport.send(b"x" * 100_000, transport.address)
        assert member.status().dropped == {"socket: send EMSGSIZE": 1}


async def test_every_field_that_does_not_explain_itself_has_a_line():
    # Names that say all: those of ids, indices and flags.
    plain = {"member", "name", "is_host", "term", "members"} | {
        f"{word}_index" for word in ("last_log", "commit", "applied", "durable", "snapshot")
    }
    for cls in (status.LinkStatus, status.MemberStatus, status.Status):
        body = ast.parse(inspect.getsource(cls)).body[0].body
        said = {
            before.target.id
            for before, after in itertools.pairwise(body)
            if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr)
        }
        assert {field.name for field in dataclasses.fields(cls)} - said <= plain


async def test_while_votes_are_taken_nobody_who_is_there_counts_as_lost(world, nursery):
    players = await world.cluster(5)
    host, gone = players[0].member, players[4].member
    nursery.start_soon(host.remove, gone.id)
    seen, until_s = set(), trio.current_time() + 2
    while trio.current_time() < until_s:
        seen.add(host.status().failures_survived)
        await trio.sleep(0.0001)
    assert seen == {2, 1}, "of five voters, then of three"


@pytest.mark.parametrize("size", [3, 5])
async def test_a_host_that_says_it_may_go_may_go_at_that_very_moment(world, air, size):
    """While votes are given, the others need it until they are known to have the entry that ends the change."""
    founder = await world.open(found=True)
    await until(lambda: founder.member.is_host)
    ticket = await founder.member.invite(uses=size)
    others = [await world.open(ticket=ticket) for _ in range(size - 1)]
    with trio.fail_after(10):
        while not (founder.member.status().failures_survived or 0) >= 1:  # noqa: ASYNC110  # every state is to be seen
            await trio.sleep(0.00005)
    air.lose(founder.address)
    await until(lambda: any(other.member.is_host for other in others))
