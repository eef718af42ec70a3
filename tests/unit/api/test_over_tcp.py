"""The transport of docs/how-to/bring-your-own-transport.md: real members over real TCP, overheard on the way."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
import trio.lowlevel
from world import Ledger, until

import failover

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "bring-your-own-transport.md"
COMMAND = b"the treasure lies under the old oak"


@pytest.fixture
def tcp():
    """What the page's first block of code defines."""
    namespace: dict = {}
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    exec(code, namespace)
    namespace["PATIENCE_S"] = 0.5
    return SimpleNamespace(**namespace)


@pytest.fixture
def overheard(monkeypatch):
    """All that any stream of this process sends."""
    heard = bytearray()
    send_all = trio.SocketStream.send_all

    async def listen(self, data):
        heard.extend(data)
        await send_all(self, data)

    monkeypatch.setattr(trio.SocketStream, "send_all", listen)
    return heard


async def test_members_over_tcp_commit_and_lose_their_host_and_nothing_can_be_read_on_the_way(tcp, overheard):
    members, transports = [], []
    async with AsyncExitStack() as stack:
        ticket = None
        for name in ("anna", "benjamin", "christabel"):
            transport = await stack.enter_async_context(tcp.open_tcp("127.0.0.1"))
            opening = failover.open_member(
                Ledger(), found=ticket is None, ticket=ticket, transport=transport, name=name
            )
            members.append(await stack.enter_async_context(opening))
            transports.append(transport)
            ticket = ticket or await members[0].invite(uses=2)
        await until(lambda: any(member.status().failures_survived == 1 for member in members))
        for member in members:
            await member.request(COMMAND + member.id)
        members[1].send_unreliable(COMMAND)
        old = next(number for number, member in enumerate(members) if member.is_host)
        others = [member for member in members if member is not members[old]]
        transports[old]._send = lambda name, data: None  # the host's cable
        transports[old].arrived = lambda name, data: None
        await until(lambda: any(member.is_host for member in others))
        assert await others[0].request(COMMAND) == b"3"
        for member in others:
            await member.read_barrier()
            assert member.state == (*(COMMAND + member.id for member in members), COMMAND)
    assert len(overheard) > 20_000
    assert transports[1].name in overheard, "it listens at the right place"
    for secret in (COMMAND, COMMAND[:12], b"benjamin", b"christabel", ticket.encode(), members[2].id):
        assert secret not in overheard


async def test_who_takes_nothing_costs_a_short_queue_and_nobody_waits(tcp):
    async with tcp.open_tcp("127.0.0.1") as transport, tcp.open_tcp("127.0.0.1") as other:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        deaf = tcp.name_of("127.0.0.1", listener.socket.getsockname()[1])
        await trio.lowlevel.checkpoint()
        ways, lengths, heard = transport._send.__self__.ways, set(), []
        for number in range(5_000):
            transport.send(bytes(1_152), failover_address(deaf))
            lengths.add(len(ways[deaf].waiting))
            if number % 100 == 0:
                transport.send(b"%d" % number, failover_address(other.name))
                await trio.sleep(0.001)

        def hears_all():
            while (received := other.receive_nowait()) is not None:
                heard.append(int(received[0]))
            return heard == list(range(0, 5_000, 100))

        await until(hears_all)
        assert max(lengths) == tcp.WAITING_MAX
        await until(lambda: deaf not in ways, 10)  # given up
        await listener.aclose()


def failover_address(name):
    return failover.NamedTransport(name, send=print).local_addresses[0]


async def test_strangers_that_say_nothing_or_nonsense_are_let_go(tcp):
    async with tcp.open_tcp("127.0.0.1") as transport:
        port = int.from_bytes(transport.name[4:], "big")
        silent = await trio.open_tcp_stream("127.0.0.1", port)
        noisy = await trio.open_tcp_stream("127.0.0.1", port)
        await noisy.send_all(b"GET / HTTP/1.1\r\n\r\n" * 100)
        with trio.fail_after(5), pytest.raises((trio.BrokenResourceError, StopAsyncIteration)):
            assert await noisy.receive_some() == b""
            raise StopAsyncIteration
        with trio.fail_after(5):
            assert await silent.receive_some() == b""
        assert transport._send.__self__.ways == {}
        await silent.aclose()
        await noisy.aclose()
