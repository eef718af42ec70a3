"""The file of `SqliteStorage`: one process at a time, whole from its birth, for its owner alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from itertools import pairwise

import psutil
import pytest

from failover.errors import Closed, StorageCorrupt, StorageFailed, StorageInUse
from failover.ids import LogIndex, Term
from failover.raft.effects import HardState, Write
from failover.storage.sqlite import CHUNK_SIZE, FREED_BYTES, SqliteStorage

SECOND_PROCESS = """
import sys, time
from failover.errors import StorageInUse
from failover.storage.sqlite import SqliteStorage
start = time.monotonic()
try:
    SqliteStorage(sys.argv[1])
except StorageInUse as error:
    print(f"{time.monotonic() - start:.3f} {error}")
"""


def in_second_process(path) -> str:
    command = [sys.executable, "-c", SECOND_PROCESS, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=os.getcwd())
    return done.stdout


def test_a_second_process_hears_at_once_that_the_storage_is_in_use(path, samples):
    storage = SqliteStorage(path)
    storage.write(samples.append(1, 3))
    seconds, _, text = in_second_process(path).partition(" ")
    assert str(path) in text and "another process" in text
    assert float(seconds) < 1
    storage.write(samples.append(4, 4))
    storage.close()
    assert in_second_process(path) == ""


def test_a_second_object_in_the_same_process_is_kept_out_and_does_not_break_the_lock(path, samples):
    """Closing any descriptor of a file drops all POSIX locks that the process has on it."""
    storage = SqliteStorage(path)
    with pytest.raises(StorageInUse):
        SqliteStorage(path)
    assert "another process" in in_second_process(path)
    storage.write(samples.append(1, 1))
    storage.close()


def test_directories_are_made_and_the_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "player one" / "games #2?" / "50% ö.db"
    storage = SqliteStorage(path)
    assert sorted(os.listdir(path.parent)) == ["50% ö.db", "50% ö.db-wal"]
    if os.name == "posix":
        for name in os.listdir(path.parent):
            assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600
    storage.close()
    assert os.listdir(path.parent) == ["50% ö.db"]


def test_a_path_may_be_text(tmp_path, samples):
    storage = SqliteStorage(str(tmp_path / "game.db"))
    storage.write(samples.append(1, 1))
    storage.close()


def test_a_relative_path_is_one_file_wherever_the_process_goes_later(tmp_path, samples, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage = SqliteStorage("game.db")
    monkeypatch.chdir("/")
    storage.write(samples.append(1, 1))
    storage.close()
    storage = SqliteStorage(tmp_path / "game.db")
    assert storage.load().entries == samples.entries(1, 1)
    storage.close()


def test_a_closed_storage_says_so(path, samples):
    storage = SqliteStorage(path)
    storage.close()
    for call in (storage.load, storage.identity, lambda: storage.write(samples.append(1, 1))):
        with pytest.raises(Closed):
            call()


def test_it_may_be_used_from_one_thread_after_another(path, samples):
    storage = SqliteStorage(path)
    for index in range(1, 4):
        thread = threading.Thread(target=storage.write, args=(samples.append(index, index),))
        thread.start()
        thread.join()
    assert storage.load().entries == samples.entries(1, 3)
    storage.close()


def test_the_write_ahead_log_stays_bounded(path, samples):
    storage = SqliteStorage(path)
    log = path.with_name(path.name + "-wal")
    largest = 0
    for index in range(1, 201):
        storage.write((Write(index, entries=(samples.entry(index, 1, b"x" * 100_000),)),))
        largest = max(largest, log.stat().st_size)
    storage.close()
    assert largest < 6 * 1024 * 1024


def test_a_compacted_log_makes_room_that_is_used_again(path, samples):
    storage = SqliteStorage(path)
    for round_ in range(6):
        first = round_ * 100 + 1
        for index in range(first, first + 100):
            storage.write((Write(index, entries=(samples.entry(index, 1, b"x" * 10_000),)),))
        storage.save_snapshot(samples.meta(first + 99), [b"y" * 500_000], replaces_log=False)
        storage.write((Write(1, compact_to=LogIndex(first + 99)),))
    storage.close()
    # 9 MB went in; held at once were at most 1 MB of entries and two snapshots of 0.5 MB.
    assert path.stat().st_size < 2_500_000


def rows_of_the_log(storage):
    return storage._connection().execute("SELECT min(log_index), count(*) FROM entry").fetchone()


@pytest.fixture
def compacted(path, samples):
    """64 entries of 64 KiB, of which 60 were just compacted away."""
    storage = SqliteStorage(path)
    for index in range(1, 65):
        storage.write((Write(index, entries=(samples.entry(index, 1, b"x" * 65_536),)),))
    storage.save_snapshot(samples.meta(62), [b"y"], replaces_log=False)
    storage.write((Write(65, compact_to=LogIndex(60)),))
    yield storage
    storage.close()


def test_no_write_deletes_all_that_was_compacted(compacted, samples):
    """All members compact at the same index: the next commit would wait for it everywhere."""
    left = [rows_of_the_log(compacted)[1]]
    while rows_of_the_log(compacted)[0] <= 60:
        index = 65 + len(left) - 1
        compacted.write((Write(index, entries=(samples.entry(index),)),))
        left.append(rows_of_the_log(compacted)[1] - len(left))
    assert left[0] == 64 and left[-1] == 4
    assert max(before - after for before, after in pairwise(left)) <= FREED_BYTES // 65_536 + 1


def test_who_writes_much_deletes_more_than_he_writes(compacted, samples):
    compacted.write((Write(1, entries=tuple(samples.entry(index, 1, b"x" * 65_536) for index in range(65, 75))),))
    assert rows_of_the_log(compacted) == (25, 74 - 24)


def test_what_is_compacted_and_not_deleted_yet_is_in_no_log(compacted, path, samples):
    compacted.close()
    storage = SqliteStorage(path)
    assert [entry.index for entry in storage.load().entries] == [61, 62, 63, 64]
    assert rows_of_the_log(storage)[0] == 1
    for number in range(20):
        storage.set_note("a", b"b")
        storage.write((Write(number, HardState(Term(number + 1))),))
    assert rows_of_the_log(storage) == (61, 4)
    storage.close()


def test_a_snapshot_of_another_member_takes_the_place_of_a_log_that_was_not_deleted_yet(compacted, path, samples):
    compacted.save_snapshot(samples.meta(100), [b"z"], replaces_log=True)
    compacted.write((Write(1, entries=samples.entries(101, 102)),))
    compacted.close()
    storage = SqliteStorage(path)
    assert [entry.index for entry in storage.load().entries] == [101, 102]
    storage.close()


def test_pieces_of_an_unfinished_snapshot_are_removed_at_the_next_load(path, samples):
    storage = SqliteStorage(path)
    storage.write(samples.append(1, 3))
    storage.save_snapshot(samples.meta(2), [b"good" * 100_000], replaces_log=False)
    storage.snapshot_writer().add(b"x" * 2_000_000)
    storage.close()
    before = path.stat().st_size
    for index in range(4):
        storage = SqliteStorage(path)
        storage.load()
        assert b"".join(storage.read_snapshot()) == b"good" * 100_000
        if index < 3:
            storage.snapshot_writer().add(b"x" * 2_000_000)
        storage.close()
    assert path.stat().st_size <= before + 50_000


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_log_without_its_file_is_not_taken_for_the_log_of_a_new_one(path, suffix):
    left_over = path.with_name(path.name + suffix)
    left_over.write_bytes(b"something")
    with pytest.raises(StorageCorrupt, match="missing"):
        SqliteStorage(path)
    assert left_over.read_bytes() == b"something"
    assert not path.exists()


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(StorageFailed, match="file"):
        SqliteStorage(tmp_path / "file" / "game.db")


def test_a_name_of_ten_thousand_characters_gets_one_clear_line(tmp_path):
    with pytest.raises(StorageFailed) as caught:
        SqliteStorage(tmp_path / ("x" * 10_000))
    assert "\n" not in str(caught.value)


def test_pieces_of_a_snapshot_are_synced_now_and_then_and_all_else_at_once(tmp_path, samples):
    """A piece that power takes back is of no use anyway; a vote that it takes back elects two leaders."""
    storage = SqliteStorage(tmp_path / "game.db")
    connection, full, normal = storage._connection(), 2, 1
    level, levels = full, []

    def note(statement):
        nonlocal level
        if statement.startswith("PRAGMA synchronous ="):
            level = int(statement.split()[-1])
        elif statement == "COMMIT":
            levels.append(level)

    connection.set_trace_callback(note)
    storage.write(samples.append(1, 4))
    writer = storage.snapshot_writer()
    for number in range(8):
        writer.add(bytes([number]) * CHUNK_SIZE)
    writer.finish(samples.meta(3), replaces_log=False)
    connection.set_trace_callback(None)
    assert levels[0] == levels[-1] == full
    assert sorted(levels[1:-1]) == [normal] * 6 + [full] * 2
    assert connection.execute("PRAGMA synchronous").fetchone() == (full,)
    storage.close()


def test_two_hundred_thousand_small_writes_with_snapshots_leave_file_and_memory_flat(path, samples):
    """As a game of some hours does it: small writes, now and then a snapshot, and what it covers is compacted."""
    storage = SqliteStorage(path)
    storage._connection().execute("PRAGMA synchronous = OFF")  # the disk's speed is not the question here
    sizes, held = [], []
    for number in range(1, 200_001):
        storage.write((Write(number, entries=(samples.entry(number, command=b"%0100d" % number),)),))
        if number % 5_000 == 0:
            storage.save_snapshot(samples.meta(number), [bytes(100_000)], replaces_log=False)
            storage.write((Write(number, compact_to=LogIndex(number - 1_000)),))
        if number % 20_000 == 0:
            log = path.with_name(path.name + "-wal")
            sizes.append(path.stat().st_size + log.stat().st_size)
            held.append(psutil.Process().memory_info().rss)
    assert max(sizes[1:]) <= 1.1 * sizes[1], sizes
    assert max(held[1:]) <= held[1] + 4 * 2**20, held
    storage.close()
