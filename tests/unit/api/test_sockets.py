"""The same over real sockets and a real disk: one test of every feature that touches them."""

import socket

import pytest
import trio
from world import Ledger, until

import failover


async def test_members_on_loopback_with_sqlite_play_change_host_and_resume(tmp_path):
    async with (
        failover.open_member(Ledger(), found=True, storage=tmp_path / "one.db", bind="127.0.0.1") as first,
        trio.open_nursery() as nursery,
    ):
        await until(lambda: first.is_host)
        ticket = await first.invite()
        port = first.address.port
        gone = trio.Event()

        async def play(closing: trio.Event, **options) -> None:
            async with failover.open_member(Ledger(), bind="127.0.0.1", **options) as second:
                await until(lambda: sum(m.kind == "voter" for m in first.status().members) == 2)
                await second.request(b"move")
                await second.hand_over()
                await until(lambda: second.is_host)
                assert await first.request(b"another") == b"1"
                closing.set()
            gone.set()

        closing = trio.Event()
        nursery.start_soon(lambda: play(closing, ticket=ticket, storage=tmp_path / "two.db"))
        await gone.wait()
        await until(lambda: first.state == (b"move", b"another"))
    async with (
        failover.open_member(Ledger(), storage=tmp_path / "one.db", bind="127.0.0.1") as first,
        failover.open_member(Ledger(), storage=tmp_path / "two.db", bind="127.0.0.1") as second,
    ):
        assert first.address.port == port, "a member comes back where it was"
        assert await second.request(b"again") == b"2"
        await first.read_barrier()
        assert first.state == (b"move", b"another", b"again")


async def test_a_member_whose_port_was_taken_meanwhile_takes_another(tmp_path):
    storage = tmp_path / "one.db"
    async with failover.open_member(Ledger(), found=True, storage=storage, bind="127.0.0.1") as member:
        port = member.address.port
    taken = failover.UdpTransport("127.0.0.1", port)
    try:
        async with failover.open_member(Ledger(), storage=storage, bind="127.0.0.1") as member:
            assert member.address.port != port
            await until(lambda: member.is_host)
    finally:
        taken.close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize(("founder", "joiner"), [("::1", "::1"), ("::", "127.0.0.1"), ("127.0.0.1", "::")])
async def test_members_meet_over_ipv6_and_ipv4(founder, joiner):
    async with failover.open_member(Ledger(), found=True, bind=founder) as first:
        await until(lambda: first.is_host)
        ticket = await first.invite()
        async with failover.open_member(Ledger(), ticket=ticket, bind=joiner) as second:
            assert await second.request(b"hello") == b"0"
            (link,) = [member.link for member in second.status().members if member.link is not None]
            assert link.path in ("lan", "direct")
