"""A game with its own network: it moves bytes between names, and knows neither members nor addresses."""

from __future__ import annotations

import pytest
import trio
from world import Ledger, idle_computer, in_virtual_time, until

import failover

pytestmark = pytest.mark.trio(run=in_virtual_time)


class Relay:
    """All players of this test, by the names that they have here."""

    def __init__(self) -> None:
        self.ends: dict[bytes, failover.NamedTransport] = {}
        self.carried: list[bytes] = []

    def enter(self, name: bytes) -> failover.NamedTransport:
        def send(to: bytes, data: bytes) -> None:
            assert len(data) <= 1200
            self.carried.append(data)
            if to in self.ends and name in self.ends:
                self.ends[to].arrived(name, data)

        end = self.ends[name] = failover.NamedTransport(name, send, close=lambda: self.ends.pop(name, None))
        return end


def options(transport, **others):
    surroundings = failover.Surroundings(clock=trio.current_time, look_at_computer=idle_computer)
    return {"transport": transport, "surroundings": surroundings, **others}


async def test_a_cluster_lives_on_a_network_that_knows_names_only_and_survives_its_host():
    relay = Relay()
    async with (
        failover.open_member(Ledger(), found=True, **options(relay.enter(b"anna"))) as one,
        failover.open_member(Ledger(), ticket=await one.invite(), **options(relay.enter(bytes(range(16))))) as two,
        failover.open_member(Ledger(), ticket=await two.invite(), **options(relay.enter(b"c"))) as three,
    ):
        await until(lambda: one.status().failures_survived == 1)
        assert await two.request(b"move") == b"0"
        assert await three.request(b"another") == b"1"
        three.send_unreliable(b"here", to=one.id)
        await trio.sleep(1)
        three.send_unreliable(b"here", to=one.id)
        await trio.sleep(1)
        assert [item.body for item in one.poll_unreliable()][-1:] == [b"here"]
        del relay.ends[b"anna"]  # the store's servers throw the host out
        await until(lambda: two.is_host or three.is_host)
        assert await two.request(b"after") == b"2"
        await two.read_barrier()
        await three.read_barrier()
        assert three.state == two.state == (b"move", b"another", b"after")
        assert two.status().dropped.get("socket: no such name", 0) == 0
    assert relay.ends == {}


async def test_who_resumes_under_another_name_is_found_again():
    """Like a new port: the member says itself where it is."""
    relay, storage = Relay(), failover.MemoryStorage()
    async with failover.open_member(Ledger(), found=True, **options(relay.enter(b"anna"))) as one:
        ticket = await one.invite()
        async with failover.open_member(Ledger(), ticket=ticket, **options(relay.enter(b"ben"), storage=storage)):
            await until(lambda: len(one.status().members) == 2)
        async with failover.open_member(Ledger(), **options(relay.enter(b"benjamin"), storage=storage)) as two:
            assert await two.request(b"back") == b"0"


async def test_who_cannot_be_reached_is_named():
    relay = Relay()
    async with failover.open_member(Ledger(), found=True, **options(relay.enter(b"anna"))) as one:
        ticket = await one.invite()
    with pytest.raises(failover.Unreachable, match="b'anna'"):
        async with failover.open_member(Ledger(), ticket=ticket, **options(relay.enter(b"ben"))):
            pass
