"""The simulated clock, network, disk and writer, one by one."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from failover.errors import StorageFailed
from failover.ids import ClusterId, LogIndex, MemberId, Term
from failover.raft.effects import HardState, Write
from failover.raft.messages import Entry
from failover.storage.contract import Identity
from failover.testing import simulated_network
from failover.testing.checkers import Violation
from failover.testing.simulated_clock import SimulatedClock
from failover.testing.simulated_disk import ProcessDied, SimulatedDisk
from failover.testing.simulated_network import Link, Network
from failover.testing.simulated_writer import SimulatedWriter
from failover.testing.virtual_time import VirtualTime

# --- clock ---


@pytest.mark.parametrize("rate", [0.9, 1.0, 1.1])
def test_a_clock_runs_at_its_rate_and_no_deadline_is_found_too_early(rate):
    time = VirtualTime()
    clock = SimulatedClock(lambda: time.now, 77_777.7, rate, 123.4)
    for seconds in (0.1, 1e-7, 3.0, 1e4 / 3):
        deadline = clock.trio_now() + seconds
        due = clock.true_time_at_trio(deadline)
        assert due - time.now == pytest.approx(seconds / rate, abs=1e-8)
        time.now = due
        assert clock.trio_now() >= deadline
    assert clock.now() - 77_777.7 == pytest.approx(time.now * rate)


def test_a_new_rate_holds_from_now_on_and_a_sleep_is_seen_by_the_members_clock_alone():
    time = VirtualTime()
    clock = SimulatedClock(lambda: time.now, 100.0, 0.9, 5.0)
    time.now = 10.0
    clock.change_rate(1.1)
    assert clock.now() == pytest.approx(109.0)
    time.now = 20.0
    assert clock.now() == pytest.approx(120.0)
    clock.slept(10.0)
    assert clock.now() == pytest.approx(120.0)
    assert clock.trio_now() == pytest.approx(120.0 + 5.0 - 11.0)


# --- network ---


class Ends:
    """Two sockets and what they got."""

    def __init__(self, **link) -> None:
        self.time, self.happened = VirtualTime(), Counter()
        self.network = Network(self.time, random.Random(1), replace(Link(), **link), self.happened)
        self.ada, self.ben = (self.network.open(n, self.network.new_address()) for n in (0, 1))

    def send(self, data=b"hello"):
        self.ada.send(data, self.ben.address)
        self.time.run(10.0)
        got = []
        while (each := self.ben.receive_nowait()) is not None:
            got.append(each)
        return got


def test_a_datagram_arrives_after_its_delay_with_its_senders_address():
    ends = Ends(delay_s=(0.2, 0.3))
    ends.ada.send(b"hello", ends.ben.address)
    ends.time.run(0.19)
    assert ends.ben.receive_nowait() is None
    ends.time.run(0.2)
    assert ends.ben.receive_nowait() == (b"hello", ends.ada.address)


def test_datagrams_are_lost_doubled_and_late_as_often_as_asked():
    assert Ends(loss=1.0).send() == []
    assert len(Ends(double=1.0).send()) == 2
    ends = Ends(late=0.5, late_s=5.0)
    for number in range(100):
        ends.ada.send(b"%d" % number, ends.ben.address)
    ends.time.run(10.0)
    got = [ends.ben.receive_nowait()[0] for _ in range(100)]
    assert sorted(got, key=int) != got, "some are overtaken"


def test_a_cut_holds_in_one_direction_and_what_moved_is_found_at_its_new_address_alone():
    ends = Ends()
    ends.network.cut.add((1, 0))
    assert len(ends.send()) == 1
    ends.network.cut = {(0, 1)}
    assert ends.send() == []
    ends.network.cut.clear()
    new = ends.network.new_address()
    ends.network.move(ends.ben, new)
    assert ends.send() == [], "nobody is at the old one"
    ends.ada.send(b"there", new)
    ends.time.run(1.0)
    assert ends.ben.receive_nowait() == (b"there", ends.ada.address)
    ends.ben.send(b"back", ends.ada.address)
    ends.time.run(1.0)
    assert ends.ada.receive_nowait() == (b"back", new)


def test_a_link_of_its_own_manners():
    ends = Ends()
    ends.network.slow[0, 1] = Link(delay_s=(5.0, 5.0))
    ends.ada.send(b"slow", ends.ben.address)
    ends.time.run(4.9)
    assert ends.ben.receive_nowait() is None
    ends.time.run(0.2)
    assert ends.ben.receive_nowait() is not None


def test_a_receive_buffer_is_bounded_and_a_datagram_has_a_size(monkeypatch):
    monkeypatch.setattr(simulated_network, "RECEIVE_BUFFER", 3)
    ends = Ends()
    for _ in range(5):
        ends.ada.send(b"x", ends.ben.address)
    assert len(ends.send()) == 3
    assert ends.happened["receive buffer full"] == 3
    with pytest.raises(Violation, match="datagram of 5000 bytes"):
        ends.ada.send(bytes(5000), ends.ben.address)


# --- disk and writer ---


def writes(count):
    return [
        Write(number=n, hard_state=HardState(Term(1)), entries=(Entry(LogIndex(n), Term(1), b"%d" % n),))
        for n in range(1, count + 1)
    ]


class Machine:
    """A disk, and a process's writer on it."""

    def __init__(self, directory, seed=1, takes_s=(0.1, 0.1)) -> None:
        self.time, self.happened = VirtualTime(), Counter()
        self.disk = SimulatedDisk(directory)
        self.said = []
        self.mounted = self.disk.mount()
        self.mounted.found(Identity(MemberId(b"m" * 32), b"k" * 32, ClusterId(b"c" * 16)), HardState())
        self.writer = SimulatedWriter(
            time=self.time,
            dice=random.Random(seed),
            disk=self.disk,
            mounted=self.mounted,
            takes_s=takes_s,
            call=lambda callback: callback(),
            happened=self.happened,
            stored=self.said.append,
            failed=self.said.append,
            troubled=self.said.append,
        )

    def crash_and_load(self):
        self.writer.crash()
        self.disk.crash()
        return [int(entry.command) for entry in self.disk.mount().load().entries]


@pytest.fixture(params=["memory", "file"])
def machine(request, tmp_path):
    made = []

    def make(**options):
        directory = tmp_path / str(len(made)) if request.param == "file" else None
        if directory is not None:
            directory.mkdir()
        made.append(Machine(directory, **options))
        return made[-1]

    yield make
    for each in made:
        each.disk.crash()


def test_what_waits_together_goes_into_one_transaction_and_is_durable_when_it_is_told(machine):
    m = machine()
    for write in writes(4):
        m.writer.write(write)
    m.time.run(0.05)
    assert m.said == []
    m.time.run(0.1)
    assert m.said == [1]
    m.time.run(0.1)
    assert m.said == [1, 4]
    assert m.crash_and_load() == [1, 2, 3, 4]


def test_a_crash_leaves_a_beginning_of_what_was_being_written(machine):
    left = set()
    for seed in range(12):
        m = machine(seed=seed)
        first, *others = writes(5)
        m.writer.write(first)
        for write in others:
            m.writer.write(write)
        m.time.run(0.15)  # the first is durable, the others are on their way
        assert m.said == [1]
        found = m.crash_and_load()
        assert found == list(range(1, len(found) + 1))
        left.add(len(found))
    assert {1, 5} <= left and left & {2, 3, 4}, "nothing more, all, and some of it"


def test_a_full_disk_says_so_and_goes_on_when_there_is_room(machine):
    m = machine()
    m.disk.is_full = True
    m.writer.write(writes(1)[0])
    m.time.run(1.0)
    assert "no room" in m.said[0] and 1 not in m.said
    with pytest.raises(StorageFailed):
        m.mounted.set_note("a", b"b")
    m.disk.is_full = False
    m.time.run(1.0)
    assert m.said[-2:] == ["", 1]


def test_a_disk_that_hangs_tells_nothing_until_it_goes_on(machine):
    m = machine()
    m.disk.stalled_until = 7.0
    m.writer.write(writes(1)[0])
    m.time.run(6.9)
    assert m.said == []
    m.time.run(0.3)
    assert m.said == [1]


def test_a_dead_process_has_no_hold_on_the_disk(machine):
    m = machine()
    m.writer.write(writes(1)[0])
    m.disk.crash()
    with pytest.raises(ProcessDied):
        m.mounted.set_note("a", b"b")
    with pytest.raises(ProcessDied):
        m.mounted.load()


def test_a_storage_that_loses_what_was_durable_is_found(machine):
    m = machine()
    m.mounted.write((writes(1)[0],))
    m.disk.durable.entries.clear()
    m.disk.unmount()
    with pytest.raises(Violation, match="the storage gave back"):
        m.disk.mount()
