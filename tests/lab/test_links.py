"""Bad links: the plan that is made for each datagram, in virtual time; then the emulator, in real time."""

from __future__ import annotations

import time

import pytest

from tests.lab.homes import Router
from tests.lab.links import HEADERS_SIZE, Line, Links, Way

PORT = 7777


def carry(links: Links, count: int, *, every_s: float, size: int = 100, to: int = 2) -> list[tuple[int, float]]:
    """Send numbered datagrams at a steady pace from home 1; returns those that arrive, with their travel times."""
    sent, arrived, now = {}, [], 0.0
    for number in range(count + 1):
        now = number * every_s
        if number == count:
            now += 10.0
        for at, data in links.due(now):
            arrived.append((at, int.from_bytes(data[:4], "big")))
        if number < count:
            sent[number] = now
            links.enter(1, to, number.to_bytes(4, "big") + bytes(size - 4), now)
    return [(number, at - sent[number]) for at, number in arrived]


def test_every_datagram_takes_the_delay_and_up_to_the_jitter_and_none_overtakes():
    links = Links(seed=1)
    links.way = Way(delay_s=0.020, jitter_s=0.010)
    arrived = carry(links, 2000, every_s=0.004)
    assert [number for number, _ in arrived] == list(range(2000))
    took = [took for _, took in arrived]
    assert 0.020 <= min(took) < 0.0205
    assert 0.0295 < max(took) < 0.0301
    assert 0.024 < sum(took) / len(took) < 0.028


def test_loss_doubles_and_stragglers_come_as_often_as_they_should():
    links = Links(seed=2)
    links.way = Way(delay_s=0.020, loss=0.05, double=0.03, straggle=0.02, straggle_s=0.015)
    arrived = carry(links, 20_000, every_s=0.001)
    counters = links.counters
    assert 0.045 < counters["lost"] / 20_000 < 0.055
    assert 0.025 < counters["doubled"] / 20_000 < 0.033
    assert 0.016 < counters["straggled"] / 20_000 < 0.022
    assert len(arrived) == 20_000 - counters["lost"] + counters["doubled"] == counters["carried"]
    order = [number for number, _ in arrived]
    assert order != sorted(order)
    assert {round(took, 4) for _, took in arrived} == {0.020, 0.035}


def test_a_seed_decides_the_fate_of_each_datagram_of_each_direction_alone():
    def fates(seed: int, *, others: bool = False, jitter_s: float = 0.0) -> set[int]:
        links = Links(seed)
        links.way = Way(loss=0.3, jitter_s=jitter_s)
        if others:
            for _ in range(50):
                links.enter(2, 1, b"", 0.0)
        return {number for number, _ in carry(links, 300, every_s=0.02)}

    assert fates(1) == fates(1) == fates(1, others=True) == fates(1, jitter_s=0.005)
    assert fates(1) != fates(2)


def test_a_line_carries_its_rate_and_its_queue_is_bounded_in_time_or_in_bytes():
    size = 1200
    per_datagram_s = 8 * (size + HEADERS_SIZE) / 10e6
    for line, longest_s in (
        (Line(rate=10e6, queue_s=0.050), 0.050 + 2 * per_datagram_s),
        (Line(rate=10e6, queue_s=9.0, queue_bytes=30_000), 30_000 * 8 / 10e6 + per_datagram_s),
    ):
        links = Links()
        links.up = line
        arrived = carry(links, 4000, every_s=0.0005, size=size)  # two seconds at twice the rate
        assert abs(len(arrived) * per_datagram_s - 2.0) < 0.06
        assert 0.9 * longest_s < max(took for _, took in arrived) <= longest_s
        assert links.counters["queue full"] == 4000 - len(arrived)


def test_who_sends_to_one_home_from_many_shares_its_line():
    links = Links()
    links.down = Line(rate=1e6, queue_s=1.0)
    for sender in (1, 2, 3):
        for _ in range(10):
            links.enter(sender, 9, bytes(1000), 0.0)
    links.enter(1, 8, bytes(1000), 0.0)
    arrived = [at for at, _ in links.due(5.0)]
    assert len(arrived) == 31
    assert arrived[-1] == pytest.approx(30 * 8 * (1000 + HEADERS_SIZE) / 1e6)
    assert links.deadline is None


def test_the_emulator_delays_what_goes_between_homes_and_loses_what_it_should(open_homes):
    homes = open_homes(Router.NONE, Router.CONE)
    links = homes.emulate(Way(delay_s=0.020), seed=3)
    outer, inner = (homes.udp_socket(place, PORT, timeout_s=1.0) for place in homes.members)
    at, tooks = (homes.members[0].address, PORT), []
    with outer, inner:
        for number in range(20):
            began = time.monotonic()
            inner.sendto(number.to_bytes(4, "big"), at)
            data, seen_as = outer.recvfrom(100)
            outer.sendto(data, seen_as)
            assert inner.recvfrom(100) == (number.to_bytes(4, "big"), at)
            tooks.append(time.monotonic() - began)
        assert min(tooks) >= 0.040
        assert sorted(tooks)[10] < 0.060, "it is there when it is due, as far as a busy machine allows"
        links.set_way(homes.homes[1], homes.homes[0], Way(loss=1.0))
        inner.sendto(b"lost", at)
        outer.sendto(b"comes", seen_as)
        assert inner.recvfrom(100)[0] == b"comes"
        outer.settimeout(0.1)
        with pytest.raises(TimeoutError):
            outer.recvfrom(100)
    report = links.report()
    assert (report["carried"], report["lost"]) == (41, 1)


def test_the_emulator_carries_ten_thousand_datagrams_a_second(open_homes):
    homes = open_homes(Router.NONE, Router.NONE)
    links = homes.emulate(Way(delay_s=0.020))
    sender, receiver = (homes.udp_socket(place, PORT) for place in homes.members)
    at, began, count = (homes.members[1].address, PORT), time.monotonic(), 10_000
    with sender, receiver:
        for number in range(count):
            sender.sendto(bytes(500), at)
            if number % 20 == 0:
                time.sleep(max(0.0, began + number / 10_000 - time.monotonic()))
        sent_s = time.monotonic() - began
        time.sleep(0.1)
    report = links.report()
    assert report["carried"] == count
    print(f"{count / sent_s:.0f} a second, {report['cpu_s']:.2f} s of CPU for all, late: {report['late_us']} us")
    assert report["cpu_s"] < count / 10_000, "one processor can do that"
