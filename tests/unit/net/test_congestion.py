"""Transfers over a bottleneck, in virtual time: how much of it they use, how long a queue they leave in it, how
they share it, and what they make of loss, jitter and change. With the real `Sender` and `Receiver` at both ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from memory_network import Network, announcement, meet, pair

from failover.net.congestion import WINDOW_MAX, WINDOW_MIN, Controller

MBIT = 125_000


class Zeros:
    """A large snapshot that takes no memory."""

    def __init__(self, size):
        self.size = size
        self.digest = bytes(32)

    def read(self, offset, size):
        return bytes(size)


class Tray:
    """A sink that only counts."""

    is_busy = False

    def __init__(self):
        self.size = 0

    def write(self, offset, data):
        self.size += len(data)

    def finish(self, digest): ...

    def outcome(self):
        return self.size

    def abort(self): ...


@dataclass
class Line:
    """One sender behind a line of so many Mbit/s, `others` behind no line at all; a snapshot goes to each."""

    mbit: float
    round_trip_s: float
    loss: float = 0.0
    jitter_s: float = 0.0
    buffer_s: float = 0.2
    others: int = 1
    queues: list[float] = field(default_factory=list)

    def __post_init__(self):
        self.network = Network(
            7,
            delay_s=self.round_trip_s / 2,
            jitter_s=self.jitter_s,
            bytes_per_s=self.mbit * MBIT,
            buffer_s=self.buffer_s,
        )
        self.trays = [Tray() for _ in range(self.others)]
        self.alice = self.network.player(1)
        self.receivers = [
            self.network.player(2 + n, open_sink=lambda member, header, size, tray=tray: tray)
            for n, tray in enumerate(self.trays)
        ]
        meet(self.alice, *self.receivers)
        for each in self.receivers:
            self.alice.peers.connect(each.member, self.network.now)
        self.network.run(1)
        self.network.loss = self.loss

    def send(self, size, to=0):
        member = self.receivers[to].member
        self.alice.peers.send_snapshot(member, announcement(self.alice, size), Zeros(size), self.network.now)

    def run(self, seconds):
        """Until so much time has passed, or all arrived; returns how much of the line was used."""
        before, began = sum(tray.size for tray in self.trays), self.network.now
        while self.network.now < began + seconds and not self.alice.peers.snapshots_done:
            self.network.run(0.01)
            self.queues.append(self.network.queue_s(self.alice.address))
        used = sum(tray.size for tray in self.trays) - before
        return used / (self.network.now - began) / (self.mbit * MBIT)

    def queue_s(self, part):
        """This part of the time a small message of play waits no longer than that."""
        return sorted(self.queues)[int(len(self.queues) * part)]

    @property
    def sent_again(self):
        return self.alice.peers.counters["transfer: chunks sent again"]


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.02])
@pytest.mark.parametrize("buffer_s", [0.02, 0.1, 0.2])
def test_a_home_line_is_used_to_four_fifths_and_play_waits_little(loss, buffer_s):
    line = Line(10, 0.040, loss, buffer_s=buffer_s)
    line.send(4_000_000)
    assert line.run(20) > 0.84  # 0.94 is all there is: the rest are headers
    assert line.alice.peers.snapshots_done
    assert line.queue_s(0.5) < 0.020 and line.queue_s(1 - 1e-9) < 0.050


def test_fifty_megabytes_over_a_home_line_that_loses_one_in_a_hundred():
    line = Line(10, 0.040, 0.01)
    line.send(50_000_000)
    assert line.run(60) > 0.9
    assert line.alice.peers.snapshots_done
    assert line.queue_s(0.99) < 0.040


@pytest.mark.parametrize(
    ("mbit", "round_trip_s", "least"), [(1, 0.04, 0.9), (10, 0.3, 0.8), (50, 0.003, 0.9), (100, 0.0001, 0.9)]
)
def test_lines_of_all_kinds(mbit, round_trip_s, least):
    line = Line(mbit, round_trip_s, 0.01)
    line.send(200_000_000)
    line.run(30 * round_trip_s + 0.2)  # the start
    assert line.run(1 + 15 * round_trip_s) > least


@pytest.mark.parametrize("jitter_s", [0.01, 0.02])
def test_jitter_and_reordering_are_neither_loss_nor_queue(jitter_s):
    line = Line(10, 0.040, jitter_s=jitter_s)
    line.send(4_000_000)
    assert line.run(20) > 0.8
    assert line.sent_again < 50  # of 3,676
    assert line.queue_s(0.99) < 0.050


def test_two_transfers_share_a_line_and_the_late_one_takes_no_more_than_its_part():
    line = Line(10, 0.040, others=2)
    line.send(100_000_000)
    line.run(3)
    line.send(100_000_000, to=1)
    line.run(3)
    before = [tray.size for tray in line.trays]
    line.run(15)
    shares = [(tray.size - start) / (15 * 10 * MBIT) for tray, start in zip(line.trays, before, strict=True)]
    assert sum(shares) > 0.88 and min(shares) > 0.2


def test_a_line_that_becomes_ten_times_slower_and_fast_again():
    line = Line(10, 0.040, 0.01)
    line.send(100_000_000)
    line.run(3)
    line.network.bytes_per_s = 1 * MBIT
    line.run(2)  # what was under way drains
    line.queues.clear()
    slow = line.run(2)
    assert slow * 10 > 0.8 and line.queue_s(0.99) < 0.060  # a chunk alone takes 9 ms now
    line.network.bytes_per_s = 10 * MBIT
    line.run(1)
    assert line.run(2) > 0.88


def test_a_second_in_which_two_of_five_datagrams_are_lost():
    line = Line(10, 0.040)
    line.send(100_000_000)
    line.run(1.5)
    line.network.loss = 0.4
    line.run(1)
    assert line.alice.peers._members[line.receivers[0].member].sender.controller.window < 20  # heavy loss counts
    line.network.loss = 0.0
    line.run(2)
    assert line.run(2) > 0.88


def test_a_transfer_leaves_in_no_bursts():
    """Of 64 datagrams a home router's small buffer would keep a part."""
    line = Line(10, 0.040)
    line.send(2_000_000)
    network, moments = line.network, []
    for _ in range(3000):
        before = len(network.log)
        network.run(0.001)
        moments.append(sum(source == line.alice.address for _, source, _ in network.log[before:]))
    assert max(moments) <= 10


# The controller alone.


def round_trips(controller: Controller, seconds: Callable[[int], float], rounds: int, now: float = 0.0) -> float:
    """So many round trips, each acknowledged whole; returns when they are over."""
    for number in range(rounds):
        took, count = seconds(number), int(controller.window)
        now += took
        for _ in range(count):
            controller.acknowledged(1, took, count, now)
        now += 1e-6
    return now


def test_the_window_grows_only_where_it_is_used():
    controller = Controller()
    for number in range(1000):
        controller.acknowledged(1, 0.04, 1, number * 0.04)
    assert controller.window == 8
    round_trips(controller, lambda _: 0.04, 20, 41.0)
    assert controller.window > 100


def test_the_window_is_bounded():
    controller = Controller()
    now = round_trips(controller, lambda _: 0.01, 50)
    assert controller.window == WINDOW_MAX
    round_trips(controller, lambda n: 0.02 * 1.05**n, 50, now)
    assert WINDOW_MIN <= controller.window < 20


def test_heavy_loss_shrinks_the_window_to_what_came_through():
    controller = Controller()
    now = round_trips(controller, lambda _: 0.04, 12)
    before = controller.window
    controller.lost(int(before / 2))
    for _ in range(int(before / 2)):
        controller.acknowledged(1, 0.04, int(before), now + 0.05)
    controller.acknowledged(1, 0.04, int(before), now + 0.1)
    assert not controller.is_starting and before * 0.3 < controller.window < before * 0.7


def test_another_path_has_another_shortest_round_trip():
    controller = Controller()
    round_trips(controller, lambda _: 0.001, 5)
    controller.moved()
    assert controller.base_s == float("inf") and controller.round_trip.smoothed_s is None


def test_pace_spreads_the_window_over_the_round_trip():
    controller = Controller()
    round_trips(controller, lambda _: 0.1, 5)
    now, left = 10.0, 0
    while now < 10.1:
        count = controller.may_leave(now)
        assert count <= 8
        controller.left(count)
        left += count
        now = max(controller.next_at(now), now + 1e-4)
    assert controller.window < left < 2 * controller.window + 8


@pytest.mark.parametrize(("mbit", "round_trip_s", "buffer_s"), [(100, 0.001, 0.001), (300, 0.001, 0.0003)])
def test_a_small_buffer_on_a_short_way_does_not_make_the_receiver_wait_with_its_word(mbit, round_trip_s, buffer_s):
    """The window is small there: who waits for 32 chunks before an acknowledgement waits for the timer."""
    network = Network(3, bytes_per_s=mbit * MBIT, delay_s=round_trip_s / 2, buffer_s=buffer_s)
    alice, bob = pair(network, open_sink=lambda member, header, size: Tray())
    size = 8_000_000
    alice.peers.send_snapshot(bob.member, announcement(alice, size), Zeros(size), network.now)
    began = network.now
    while not alice.peers.snapshots_done:
        network.run(0.05)
    assert size / (network.now - began) > 0.45 * min(mbit, 200) * MBIT
