"""Faults on demand: what they do to datagrams, the same for the same seed, and nothing where they are off."""

import itertools
import statistics

import pytest
import trio
from trio.testing import MockClock

from failover.net.addresses import Address
from failover.net.faults import WAITING_MAX, Dice, FaultyWay
from failover.net.faulty import FaultyTransport
from failover.net.settings import Faults, FaultSettings

HERE, THERE = Address("192.0.2.1", 1), Address("192.0.2.2", 2)


def journey(faults: Faults, count: int = 4000, *, seed: str = "1", every_s: float = 0.01, size: int = 100):
    """When each of so many datagrams arrived, by its number."""
    way, arrived, now = FaultyWay(faults, seed), {}, 0.0
    for number in range(count):
        now = number * every_s
        way.put(number.to_bytes(4, "big").ljust(size, b"."), THERE, now)
        for at in (now, now + every_s / 2):
            while (each := way.take(at)) is not None:
                arrived.setdefault(int.from_bytes(each[0][:4], "big"), []).append(at)
    while way.deadline != float("inf"):
        at = way.deadline
        arrived.setdefault(int.from_bytes(way.take(at)[0][:4], "big"), []).append(at)
    return way, arrived


def test_without_faults_all_arrive_at_once_and_once():
    _, arrived = journey(Faults())
    assert arrived == {number: [number * 0.01] for number in range(4000)}


@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_so_many_are_lost(share):
    way, arrived = journey(Faults(loss=share))
    assert len(arrived) + way.lost == 4000
    assert abs(way.lost / 4000 - share) < 0.02


def test_so_many_are_doubled():
    _, arrived = journey(Faults(duplication=0.1, delay_s=0.02, jitter_s=0.01))
    doubled = [times for times in arrived.values() if len(times) == 2]
    assert len(arrived) == 4000 and abs(len(doubled) / 4000 - 0.1) < 0.02
    assert any(first != second for first, second in doubled), "each copy goes its own way"


def test_delay_and_jitter_are_as_asked():
    way, late = FaultyWay(Faults(delay_s=0.04, jitter_s=0.01), "1"), []
    for number in range(2000):
        way.put(b"x", THERE, float(number))
        late.append(way.deadline - number)
        assert way.take(way.deadline) == (b"x", THERE)
    assert min(late) >= 0.04 - 1e-9 and max(late) <= 0.05 + 1e-9
    assert abs(statistics.mean(late) - 0.045) < 0.001


def test_who_is_held_back_is_overtaken():
    _, arrived = journey(Faults(reordering=0.1, reordering_s=0.025))
    order = sorted(arrived, key=lambda number: arrived[number])
    overtaken = sum(1 for before, after in itertools.pairwise(order) if after < before)
    assert abs(overtaken / 4000 - 0.1) < 0.03


def test_a_line_carries_so_much_and_holds_so_much():
    """100 datagrams of 100 bytes a second on a line of 5,000 bytes a second: half of them is too much."""
    way, arrived = journey(Faults(rate_bytes_per_s=5_000.0, queue_s=0.2))
    assert way.overflowed + len(arrived) == 4000
    assert abs(len(arrived) / 4000 - 0.5) < 0.02
    waited = [times[0] - number * 0.01 for number, times in arrived.items()]
    assert max(waited) <= 0.2 + 100 / 5_000 + 0.01


def test_what_is_under_way_is_bounded():
    way = FaultyWay(Faults(delay_s=10.0), "1")
    for _ in range(WAITING_MAX + 10):
        way.put(b"x", THERE, 0.0)
    assert way.overflowed == 10


def test_the_same_seed_does_the_same_and_another_does_not():
    faults = Faults(loss=0.1, duplication=0.1, jitter_s=0.05, reordering=0.1)
    assert journey(faults)[1] == journey(faults)[1] != journey(faults, seed="2")[1]


def test_more_loss_loses_the_same_and_more():
    """So an author turns one screw, and the rest of the network stays as it was."""
    few, many = (journey(Faults(loss=loss, jitter_s=0.02))[1] for loss in (0.05, 0.2))
    assert set(many) < set(few)
    assert all(few[number] == times for number, times in many.items())


def test_the_dice_are_the_same_on_every_machine():
    dice = Dice("sent 1")
    assert [round(dice.draw(), 6) for _ in range(4)] == [0.811974, 0.477464, 0.079267, 0.564208]
    many = [dice.draw() for _ in range(20_000)]
    assert 0 <= min(many) < 0.001 and 0.999 < max(many) < 1 and abs(statistics.mean(many) - 0.5) < 0.01


# The transport.


class Wire:
    """A transport whose other end is the test."""

    def __init__(self):
        self.sent, self.waiting, self.closed = [], [], False
        self.arrived = trio.Event()
        self.counters = {"socket: send EPERM": 2}

    def send(self, data, address):
        self.sent.append((trio.current_time(), data))

    def arrive(self, data):
        self.waiting.append((data, THERE))
        self.arrived.set()

    def receive_nowait(self):
        return self.waiting.pop(0) if self.waiting else None

    async def wait_readable(self):
        while not self.waiting:
            self.arrived = trio.Event()
            await self.arrived.wait()
        await trio.lowlevel.checkpoint()

    def close(self):
        self.closed = True

    local_addresses = (HERE,)


def in_virtual_time(main, **options):
    return trio.run(main, clock=MockClock(autojump_threshold=0), instruments=options.get("instruments", ()))


async def reader(transport, found):
    while True:
        await transport.wait_readable()
        while (each := transport.receive_nowait()) is not None:
            found.append((trio.current_time(), each[0]))


def open_faulty(**faults):
    wire = Wire()
    return wire, FaultyTransport(wire, FaultSettings(**faults), trio.current_time)


def near(times, wanted):
    assert times == pytest.approx(wanted, abs=1e-6)


@pytest.mark.trio(run=in_virtual_time)
async def test_datagrams_leave_and_arrive_late():
    wire, transport = open_faulty(sent=Faults(delay_s=0.1), received=Faults(delay_s=0.3))
    found, began = [], trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader, transport, found)
        await trio.sleep(1)
        transport.send(b"a", THERE)
        wire.arrive(b"b")
        await trio.sleep(0.05)
        transport.send(b"c", THERE)
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    near([at - began for at, _ in wire.sent], [1.1, 1.15])
    near([at - began for at, _ in found], [1.3])


@pytest.mark.trio(run=in_virtual_time)
async def test_a_reader_that_waits_for_long_is_woken_for_what_is_sent_meanwhile():
    wire, transport = open_faulty(sent=Faults(delay_s=5.0, jitter_s=4.0))
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader, transport, [])
        await trio.sleep(0.5)
        for number in range(50):
            transport.send(bytes([number]), THERE)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    late = [at - began for at, _ in wire.sent]
    assert len(late) == 50 and min(late) < 5.7 and 9 < max(late) <= 9.5
    assert late == sorted(late) and sorted(data for _, data in wire.sent) != [data for _, data in wire.sent]


@pytest.mark.trio(run=in_virtual_time)
async def test_without_faults_in_a_direction_nothing_waits_there():
    wire, transport = open_faulty(received=Faults(loss=1.0))
    transport.send(b"a", THERE)
    assert [data for _, data in wire.sent] == [b"a"]
    for _ in range(200):
        wire.arrive(b"b")
    assert [transport.receive_nowait() for _ in range(10)] == [None] * 10
    assert dict(transport.counters) == {"faults: lost on demand": 200, "socket: send EPERM": 2}


@pytest.mark.trio(run=in_virtual_time)
async def test_closing_sends_what_is_under_way():
    wire, transport = open_faulty(sent=Faults(delay_s=1.0))
    transport.send(b"farewell", THERE)
    transport.close()
    assert [data for _, data in wire.sent] == [b"farewell"] and wire.closed
    assert transport.local_addresses == (HERE,)
