"""The thread that writes captures and key logs: never in the way of the loop, whatever the disk does."""

import errno
import os
import threading
import time

import pytest

from failover import recording
from failover.net import keylog, pcap
from failover.net.addresses import Address
from failover.net.keylog import KeyRing
from failover.recording import WAITING_MAX, Recorder

HERE, THERE = Address("192.0.2.1", 1), Address("192.0.2.2", 2)


def recorder(tmp_path, **options):
    chosen = {"capture": str(tmp_path / "c.pcap"), "capture_size_max": 1 << 30, "key_log": str(tmp_path / "k.txt")}
    return Recorder(**(chosen | options), unix_time=lambda: 1_000.0)


def captured(tmp_path):
    with (tmp_path / "c.pcap").open("rb") as file:
        return list(pcap.read_untrusted(file))


def test_a_disk_that_hangs_holds_nobody_up_and_fills_no_memory(tmp_path, monkeypatch):
    made, released, real = recorder(tmp_path), threading.Event(), os.write

    def hang(descriptor, data):
        released.wait(30)
        return real(descriptor, data)

    monkeypatch.setattr(recording.os, "write", hang)
    slowest = 0.0
    for _ in range(WAITING_MAX + 1_000):
        began = time.thread_time()
        made.datagram(b"x" * 1152, HERE, THERE)
        slowest = max(slowest, time.thread_time() - began)
    missing = made.counters["capture: written too slowly"]
    assert 998 <= missing <= 1_000
    assert slowest < 0.05
    released.set()
    made.close()
    assert len(captured(tmp_path)) == WAITING_MAX + 1_000 - missing


@pytest.mark.parametrize("short", [False, True])
def test_a_full_disk_ends_the_capture_and_nothing_else(tmp_path, monkeypatch, caplog, short):
    made, real = recorder(tmp_path), os.write
    room = [5_000]

    def fill(descriptor, data):
        if len(data) > room[0] and not short:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= len(data)
        return real(descriptor, data[: len(data) + min(0, room[0])])

    monkeypatch.setattr(recording.os, "write", fill)
    for _ in range(100):
        made.datagram(b"x" * 1000, HERE, THERE)
        made.key(7, b"k" * 32)
    made.close()
    assert sum("capture ends here" in record.getMessage() for record in caplog.records) == 1
    assert (tmp_path / "c.pcap").stat().st_size <= 5_100
    if not short:
        assert len(captured(tmp_path)) == 4


def test_each_key_is_a_line_that_the_ring_reads(tmp_path):
    made = recorder(tmp_path, capture="")
    for number in range(100):
        made.key(number, bytes([number]) * 32)
    made.close()
    lines = (tmp_path / "k.txt").read_text().splitlines(keepends=True)
    assert lines == [keylog.line(number, bytes([number]) * 32) for number in range(100)]
    ring = KeyRing()
    ring.read_untrusted(lines)
    assert ring.count == 100


def test_a_ring_holds_so_many_keys_and_forgets_the_oldest(monkeypatch):
    monkeypatch.setattr(keylog, "KEYS_MAX", 500)
    ring = KeyRing()
    for number in range(510):
        ring.add(number.to_bytes(4, "little"), b"k" * 32)
    assert ring.count == 500
    for _ in range(100):
        ring.add(b"same", b"k" * 32)
    assert ring.count <= 500
    assert ring.knows((509).to_bytes(4, "little")) and not ring.knows(bytes(4))


def test_an_address_that_is_none_is_left_out(tmp_path):
    made = recorder(tmp_path)
    made.datagram(b"x", Address("carrier pigeon", 1), THERE)
    made.datagram(b"y", Address("fe80::1%eth0", 1), THERE)
    made.datagram(b"z", HERE, THERE)
    made.close()
    assert captured(tmp_path)[-1].payload == b"z"
