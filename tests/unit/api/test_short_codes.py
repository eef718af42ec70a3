"""A person reads a code aloud, another types it, and is a member: on a LAN in memory, and over real sockets."""

from __future__ import annotations

import logging
import socket
from collections import deque
from functools import partial

import pytest
import trio
from world import Air, Ledger, World, in_virtual_time, until

import failover
from failover.net.addresses import Address
from failover.net.code_exchange import LISTED
from failover.net.rendezvous import CALL_PORT, UdpRendezvous

IN_VIRTUAL_TIME = pytest.mark.trio(run=in_virtual_time)


class MemoryLan:
    """Sockets of short codes on one LAN."""

    def __init__(self) -> None:
        self.ends: dict[Address, MemoryRendezvous] = {}
        self.said: list[bytes] = []

    def open(self, bind: str, *, hears_calls: bool) -> MemoryRendezvous:
        return MemoryRendezvous(self, Address("10.0.9.1", 1000 + len(self.ends)), hears_calls)


class MemoryRendezvous:
    def __init__(self, lan: MemoryLan, address: Address, hears_calls: bool) -> None:
        self.lan, self.address, self.hears_calls, self.is_open = lan, address, hears_calls, True
        self.queue: deque[tuple[bytes, Address]] = deque()
        self.arrived = trio.Event()
        lan.ends[address] = self

    def send(self, data: bytes, address: Address) -> None:
        self.lan.said.append(data)
        end = self.lan.ends.get(address)
        if end is not None and end.is_open:
            end.queue.append((data, self.address))
            end.arrived.set()

    def call(self, data: bytes) -> None:
        for end in self.lan.ends.values():
            if end.hears_calls:
                self.send(data, end.address)

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        return self.queue.popleft() if self.queue else None

    async def wait_readable(self) -> None:
        while not self.queue:
            self.arrived = trio.Event()
            await self.arrived.wait()

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def lan(monkeypatch):
    """`World` makes its own surroundings: they get their sockets here."""
    lan, original = MemoryLan(), failover.Surroundings
    monkeypatch.setattr(failover, "Surroundings", lambda **given: original(open_rendezvous=lan.open, **given))
    return lan


@IN_VIRTUAL_TIME
async def test_a_removal_closes_the_code_with_its_invite(lan, caplog):
    """Else it would be handed out with a ticket that lets nobody in."""
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        ada = await world.open(found=True)
        bob = await world.open(ticket=await ada.member.invite())
        code = await ada.member.short_code()
        await ada.member.remove(bob.member.id)
        with pytest.raises(failover.Unreachable, match="nobody on this network"):
            await world.open(ticket=code)
        assert [record.getMessage() for record in caplog.records if "its invite was closed" in record.getMessage()]
        assert not any(end.is_open for end in lan.ends.values())
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_a_code_is_as_good_as_a_ticket_and_good_once(lan):
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        ada = await world.open(found=True)
        code = await ada.member.short_code()
        assert len(code) == 9 and code[4] == "-"
        bob = await world.open(ticket=code.lower().replace("-", " "))
        assert len(bob.member.status().members) == 2
        with pytest.raises(failover.Unreachable, match="nobody on this network"):
            await world.open(ticket=code)
        await trio.sleep(30)
        assert not any(end.is_open for end in lan.ends.values()), "who has no code open listens to nobody"
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_any_member_may_give_a_code_and_several_people_may_use_one(lan):
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players = await world.cluster(2)
        code = await players[1].member.short_code(uses=3)
        for _ in range(3):
            players.append(await world.open(ticket=code))
        await until(lambda: len(players[0].member.status().members) == 5)
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_who_hears_no_reply_is_told_of_its_own_firewall_and_that_a_ticket_works(lan, monkeypatch):
    send = MemoryRendezvous.send

    def lost_if_from_the_giver(self: MemoryRendezvous, data: bytes, address: Address) -> None:
        if not self.hears_calls:
            send(self, data, address)

    monkeypatch.setattr(MemoryRendezvous, "send", lost_if_from_the_giver)
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        ada = await world.open(found=True)
        code, ticket = await ada.member.short_code(), await ada.member.invite()
        with pytest.raises(
            failover.Unreachable, match=r"firewall .* on this computer .*, or for a ticket, which works"
        ):
            await world.open(ticket=code)
        await world.open(ticket=ticket)
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_a_wrong_code_gets_one_clear_line(lan):
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        ada = await world.open(found=True)
        code = await ada.member.short_code()
        other = ("0" if code[0] != "0" else "1") + code[1:]
        with pytest.raises(failover.Unreachable, match="not this one"):
            await world.open(ticket=other)
        with pytest.raises(failover.BadTicket, match="8 letters and digits"):
            await world.open(ticket="K7QF-3MD")
        assert ada.member.status().dropped["code: confirm: wrong code"] == 1
        await world.open(ticket=code)
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_a_code_ends_when_it_is_closed_replaced_or_too_old_and_with_its_member(lan):
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        ada = await world.open(found=True)
        codes = [await ada.member.short_code(), await ada.member.short_code(valid_s=60)]
        await until(lambda: sum(end.is_open for end in lan.ends.values()) == 1)
        with pytest.raises(failover.Unreachable):
            await world.open(ticket=codes[0])
        await trio.sleep(61)
        codes.append(await ada.member.short_code())
        ada.member.close_short_code()
        for code in codes[1:]:
            with pytest.raises(failover.Unreachable):
                await world.open(ticket=code)
        await ada.member.short_code()
        await ada.close()
        assert not any(end.is_open for end in lan.ends.values())
        for wrong in ({"uses": 0}, {"uses": 65}, {"valid_s": 0}, {"valid_s": 1e9}):
            with pytest.raises(failover.UsageError):
                await ada.member.short_code(**wrong)
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_who_was_admitted_before_needs_no_code(lan):
    async with trio.open_nursery() as nursery:
        world, storage = World(nursery, Air()), failover.MemoryStorage()
        ada = await world.open(found=True)
        code = await ada.member.short_code()
        bob = await world.open(ticket=code, storage=storage)
        await bob.close()
        again = await world.open(ticket=code, storage=storage)
        assert again.member.id == bob.member.id
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_a_secret_is_in_no_log_no_announcement_and_no_representation(lan, caplog):
    """croc CVE-2023-43617, -43618, -43621: in its announcements, on its command line, and too short."""
    caplog.set_level(logging.DEBUG)
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        ada = await world.open(found=True)
        ticket = await ada.member.invite()
        code = await ada.member.short_code()
        bob = await world.open(ticket=code)
        with pytest.raises(failover.Unreachable) as refused:
            await world.open(ticket=code)
        shown = [caplog.text, repr(ada.member), repr(bob.member.status()), str(refused.value)]
        shown += [repr(each) for each in ada.events() + bob.events()]
        nursery.cancel_scope.cancel()
    letters = code.replace("-", "")
    for secret in (code, letters, letters.lower(), ticket[10:40]):
        assert not any(secret in text for text in shown)
        assert not any(secret.encode() in data for data in lan.said)
    assert len(lan.said) > 6


# Listed games.


async def listed(lan) -> list[tuple[str, str]]:
    games = await failover.listed_games(surroundings=failover.Surroundings(clock=trio.current_time))
    return [(game.title, game.code) for game in games]


@IN_VIRTUAL_TIME
async def test_a_listed_game_is_found_and_joined_by_a_click(lan):
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        ada, eve = await world.open(found=True), await world.open(found=True)
        codes = [await ada.member.short_code(listed="Ada\x07  plays", uses=2)]
        codes.append(await eve.member.short_code(listed="Eve · 1 of 4"))
        began = trio.current_time()
        assert await listed(lan) == [("Ada plays", codes[0]), ("Eve · 1 of 4", codes[1])]
        assert trio.current_time() - began == pytest.approx(1.0)
        bob = await world.open(ticket=(await listed(lan))[0][1])
        assert len(bob.member.status().members) == 2
        await world.open(ticket=codes[0])
        assert await listed(lan) == [("Eve · 1 of 4", codes[1])], "who is full is not listed"
        ada.member.relist("Ada · 4 of 4")  # its last place was taken a moment ago; no game need know that
        eve.member.close_short_code()
        assert await listed(lan) == []
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_without_a_title_nobody_is_told_anything(lan):
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        ada = await world.open(found=True)
        code = await ada.member.short_code()
        assert await listed(lan) == []
        assert not [data for data in lan.said if data[4] == LISTED or code.encode() in data]
        assert ada.member.status().dropped["code: list: not listed"] == 3
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_a_title_changes_while_it_is_listed_and_not_otherwise(lan):
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        ada = await world.open(found=True)
        with pytest.raises(failover.UsageError, match="no code is listed"):
            ada.member.relist("Ada")
        code = await ada.member.short_code(listed="Ada · 1 of 4 seats")
        ada.member.relist("Ada\u202e · 2 of 4 seats")
        assert await listed(lan) == [("Ada · 2 of 4 seats", code)]
        for wrong in ("", " \u200b", "ä" * 49):
            with pytest.raises(failover.UsageError, match="1 to 96 bytes"):
                ada.member.relist(wrong)
        assert await listed(lan) == [("Ada · 2 of 4 seats", code)]
        ada.member.close_short_code()
        with pytest.raises(failover.UsageError, match="no code is listed"):
            ada.member.relist("Ada")
        await ada.member.short_code()
        with pytest.raises(failover.UsageError, match="no code is listed"):
            ada.member.relist("Ada")
        await ada.close()
        with pytest.raises(failover.Closed):
            ada.member.relist("Ada")
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_a_wrong_title_or_time_is_refused_and_nothing_happens(lan):
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        ada = await world.open(found=True)
        code = await ada.member.short_code(listed="ä" * 48)
        for wrong in ("ä" * 48 + "b", "\u200b", "\x00\ud800"):
            with pytest.raises(failover.UsageError, match="1 to 96 bytes"):
                await ada.member.short_code(listed=wrong)
        assert await listed(lan) == [("ä" * 48, code)], "the code that was open still is"
        for within_s in (0.0, -1.0, 61.0, float("nan")):
            with pytest.raises(failover.UsageError, match=r"0\.1 to 60 seconds"):
                await failover.listed_games(within_s=within_s)
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_a_removal_ends_the_listing_with_its_invite(lan):
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        ada = await world.open(found=True)
        bob = await world.open(ticket=await ada.member.invite())
        await ada.member.short_code(listed="Ada")
        await ada.member.remove(bob.member.id)
        assert await listed(lan) == []
        nursery.cancel_scope.cancel()


@IN_VIRTUAL_TIME
async def test_who_asks_leaves_no_socket_open_also_when_he_is_cancelled(lan):
    with trio.move_on_after(0.3) as cancelled:
        await listed(lan)
    assert cancelled.cancelled_caught
    await listed(lan)
    assert len(lan.ends) == 2 and not any(end.is_open for end in lan.ends.values())


@IN_VIRTUAL_TIME
async def test_a_flood_of_answers_makes_the_asking_no_longer(lan):
    """Somebody answers each question faster than it is read, for ever."""
    async with trio.open_nursery() as nursery:

        class Flood(MemoryRendezvous):
            def receive_nowait(self):
                return b"x" * 136, Address("10.0.9.99", 9)

            async def wait_readable(self) -> None:
                await trio.sleep(0.001)

        lan.open = lambda bind, *, hears_calls: Flood(lan, Address("10.0.9.1", 1), hears_calls)
        with trio.fail_after(1.1):
            assert await listed(lan) == []
        nursery.cancel_scope.cancel()


# Real sockets.


async def test_a_listed_game_over_real_sockets():
    async with (
        failover.open_member(Ledger(), found=True, bind="127.0.0.1", name="Ada") as ada,
        failover.open_member(Ledger(), found=True, bind="127.0.0.1", name="another game") as other,
    ):
        code = await ada.short_code(listed="Ada · 1 of 2 seats")
        await other.short_code()
        with trio.fail_after(10):
            games = await failover.listed_games(within_s=0.3, bind="127.0.0.1")
            (game,) = [
                game for game in games if game.code == code
            ]  # other tests may have games here at this moment
            assert game.title == "Ada · 1 of 2 seats" and game.address.startswith("127.0.0.1:")
            async with failover.open_member(Ledger(), ticket=game.code, bind="127.0.0.1", name="Bob") as bob:
                assert {each.name for each in bob.status().members} == {"Ada", "Bob"}


def test_a_listed_game_from_other_threads():
    with failover.start_member(Ledger(), found=True, bind="127.0.0.1") as ada:
        code = ada.short_code(listed="Ada").result(10)
        ada.relist("Ada, alone").result(10)
        games = trio.run(partial(failover.listed_games, within_s=0.3))
        assert ("Ada, alone", code) in {(game.title, game.code) for game in games}
        ada.close_short_code().result(10)
        with pytest.raises(failover.UsageError):
            ada.relist("Ada").result(10)


async def test_over_real_sockets_on_one_machine():
    async with (
        failover.open_member(Ledger(), found=True, bind="127.0.0.1", name="Ada") as ada,
        failover.open_member(Ledger(), found=True, bind="127.0.0.1", name="another game") as other,
    ):
        await other.short_code()
        code = await ada.short_code()
        with trio.fail_after(10):
            async with failover.open_member(Ledger(), ticket=code, bind="127.0.0.1", name="Bob") as bob:
                assert {each.name for each in bob.status().members} == {"Ada", "Bob"}


def test_from_another_thread():
    with failover.start_member(Ledger(), found=True, bind="127.0.0.1") as ada:
        code = ada.short_code().result(10)
        with failover.start_member(Ledger(), ticket=code, bind="127.0.0.1") as bob:
            assert len(bob.status().result(10).members) == 2
        ada.close_short_code().result(10)


async def test_a_port_that_another_program_keeps_for_itself_is_named():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", CALL_PORT))
        async with failover.open_member(Ledger(), found=True, bind="127.0.0.1") as ada:
            with pytest.raises(failover.PortInUse, match=str(CALL_PORT)):
                await ada.short_code()


async def test_what_a_rendezvous_sends_goes_no_further_than_the_lan():
    sockets = UdpRendezvous("127.0.0.1", hears_calls=True)
    try:
        for each in sockets._sockets:
            assert each.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 1
            assert each.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 1
        sockets.send(b"x" * 70_000, Address("127.0.0.1", 9))  # too large, and nowhere: counted, no exception
        sockets.send(b"x", Address("203.0.113.1", 0))
        assert sum(sockets.counters.values()) >= 1
    finally:
        sockets.close()
        sockets.close()
