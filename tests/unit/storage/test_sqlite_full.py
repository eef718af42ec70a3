"""A disk that is full, or refuses: one clear line, nothing half done, and on it goes when there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from failover.errors import StorageFailed
from failover.raft.effects import Write
from failover.storage.sqlite import SqliteStorage


@pytest.fixture
def small_disk(tmp_path: Path, require) -> Iterator[Path]:
    """A file system of 2 MiB."""
    require(sys.platform == "linux" and os.geteuid() == 0, "mounting a small disk needs Linux and root")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"mounting a small disk failed: {done.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_refuses_a_write_whole_and_goes_on_when_there_is_room(small_disk, samples):
    path = small_disk / "game.db"
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"b" * 1_000_000)
    storage = SqliteStorage(path)
    last = 0
    with pytest.raises(StorageFailed) as caught:
        while True:
            two = (samples.entry(last + 1, 1, b"x" * 30_000), samples.entry(last + 2, 1, b"x" * 30_000))
            storage.write((Write(1, entries=two),))
            last += 2
    text = str(caught.value)
    assert str(path) in text and "make room" in text and "\n" not in text
    assert last > 2
    assert len(storage.load().entries) == last, "still readable, and only what was accepted is there"
    with pytest.raises(StorageFailed):
        storage.save_snapshot(samples.meta(2), [b"s" * 2_000_000], replaces_log=False)
    ballast.unlink()
    storage.write(samples.append(last + 1, last + 1))
    storage.close()
    storage = SqliteStorage(path)
    assert [entry.index for entry in storage.load().entries] == list(range(1, last + 2))
    assert storage.snapshot_meta() is None
    storage.close()


def test_a_piece_of_a_snapshot_that_the_disk_refused_is_added_again(small_disk, samples):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"b" * 1_000_000)
    storage = SqliteStorage(small_disk / "game.db")
    storage.write(samples.append(1, 4))
    writer = storage.snapshot_writer()
    pieces = [bytes([number]) * 200_000 for number in range(6)]
    added = 0
    with pytest.raises(StorageFailed):
        for piece in pieces:
            writer.add(piece)
            added += 1
    assert 0 < added < 6
    ballast.unlink()
    for piece in pieces[added:]:
        writer.add(piece)
    writer.finish(samples.meta(3), replaces_log=False)
    assert b"".join(storage.read_snapshot()) == b"".join(pieces)
    storage.close()


def test_a_disk_without_room_for_a_new_storage_is_left_clean(small_disk):
    (small_disk / "ballast").write_bytes(b"b" * 2_093_056)
    with pytest.raises(StorageFailed, match="room"):
        SqliteStorage(small_disk / "game.db")
    assert os.listdir(small_disk) == ["ballast"]


def test_a_disk_that_turned_read_only_is_named(small_disk, samples):
    path = small_disk / "game.db"
    storage = SqliteStorage(path)
    storage.write(samples.append(1, 1))
    storage.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    try:
        with pytest.raises(StorageFailed, match="read-only"):
            SqliteStorage(path)
        with pytest.raises(StorageFailed):
            SqliteStorage(small_disk / "other.db")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)


def test_a_limit_on_the_size_of_files_is_like_a_full_disk(path):
    """The same story without root: a process whose files may not grow."""
    pytest.importorskip("resource")
    script = """
import resource, signal, sys
from failover.errors import StorageFailed
from failover.ids import LogIndex, Term
from failover.raft.effects import Write
from failover.raft.messages import Entry
from failover.storage.sqlite import SqliteStorage

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
storage = SqliteStorage(sys.argv[1])
write = lambda index: storage.write((Write(1, entries=(Entry(LogIndex(index), Term(1), b"x" * 50_000),)),))
write(1)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
index = 2
try:
    while index < 100:
        write(index)
        index += 1
except StorageFailed as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
write(index)
print(len(storage.load().entries) == index)
"""
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    refusal, went_on = done.stdout.splitlines()
    assert str(path) in refusal
    assert went_on == "True"
