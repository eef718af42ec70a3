"""The LAN's notice board for real: zeroconf on the loopback interface, and whole members that meet by it."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio
import zeroconf

import failover
from failover.finding import MISSING_S
from failover.net.zeroconf_board import HEARD_MAX, VALUE_SIZE_MAX, ZeroconfBoard, read_untrusted
from tests.unit.above.tally import Tally

WITHIN_S = 15.0


async def heard(board: ZeroconfBoard, what: bytes) -> None:
    with trio.fail_after(WITHIN_S):
        while not any(note.get("f") == what for note in board.take()):  # noqa: ASYNC110
            await trio.sleep(0.05)


async def test_what_one_posts_the_other_hears_and_later_comers_too() -> None:
    said = os.urandom(40)
    one, other = (ZeroconfBoard("127.0.0.1", os.urandom) for _ in range(2))
    try:
        one.post({"f": said})
        await heard(other, said)
        late = ZeroconfBoard("127.0.0.1", os.urandom)
        await heard(late, said)
        await late.aclose()
        news = os.urandom(40)
        one.post({"f": news})
        await heard(other, news)
    finally:
        await one.aclose()
        await other.aclose()
    assert not [thread for thread in threading.enumerate() if thread.name == "failover LAN"]


def test_hostile_records_are_dropped() -> None:
    dice = random.Random(1)
    assert read_untrusted({b"f": b"x"}) == {"f": b"x"}
    for properties in (
        {},
        {b"f": None},
        {b"f": bytes(VALUE_SIZE_MAX + 1)},
        {b"ff": b"x"},
        {b"\xff": b"x"},
        {b"": b"x"},
        {bytes([97 + number]): b"" for number in range(20)},
        {dice.randbytes(5): dice.randbytes(9)},
    ):
        assert read_untrusted(properties) is None


async def test_a_flood_of_notes_is_bounded() -> None:
    board = ZeroconfBoard("127.0.0.1", os.urandom)
    try:
        board._heard.extend({"f": bytes([number % 256])} for number in range(10_000))
        assert len(board.take()) <= HEARD_MAX and board.take() == []
    finally:
        await board.aclose()


async def test_without_a_network_there_is_one_line_and_no_error(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: Any) -> None:
        raise OSError(19, "No such device")

    monkeypatch.setattr(zeroconf, "Zeroconf", refuse)
    board = ZeroconfBoard("192.0.2.77", os.urandom)
    await board.aclose()
    board.post({"f": b"x"})
    assert board.take() == []
    assert sum("LAN discovery" in record.message for record in caplog.records) == 1


def sees_all(member: failover.Member) -> bool:
    return sum(each.is_connected for each in member.status().members) == 2


async def test_two_members_that_both_moved_find_each_other(tmp_path: Path) -> None:
    files, ports = [tmp_path / name for name in ("ada.db", "bob.db")], []
    async with failover.open_member(Tally(), storage=files[0], found=True, bind="127.0.0.1", name="Ada") as ada:
        ticket = await ada.invite()
        async with failover.open_member(Tally(), storage=files[1], ticket=ticket, bind="127.0.0.1") as bob:
            ports += [ada.address.port, bob.address.port]
    taken = {each.laddr.port for each in psutil.net_connections("udp") if each.laddr} | set(ports)
    new = [port for port in range(20_000 + os.getpid() % 10_000, 40_000) if port not in taken][:2]
    async with (
        failover.open_member(Tally(), storage=files[0], bind="127.0.0.1", port=new[0]) as ada,
        failover.open_member(Tally(), storage=files[1], bind="127.0.0.1", port=new[1]) as bob,
    ):
        began = trio.current_time()
        with trio.fail_after(MISSING_S + WITHIN_S):
            while not (sees_all(ada) and sees_all(bob)):  # noqa: ASYNC110
                await trio.sleep(0.05)
        assert trio.current_time() - began > 1.0, "by their old addresses they did not"
