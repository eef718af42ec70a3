"""Looking into a storage changes nothing, whatever state it is in."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from failover.errors import StorageCorrupt, StorageFailed, StorageInUse
from failover.storage.inspection import inspect_storage
from failover.storage.sqlite import SqliteStorage


@pytest.fixture
def filled(path, samples):
    storage = SqliteStorage(path)
    storage.found(samples.identity, samples.hard_state)
    storage.begin_incarnation(41)
    storage.write(samples.append(1, 20))
    storage.save_snapshot(samples.meta(8), [b"state"], replaces_log=True)
    return storage


def test_it_says_what_is_there(path, filled, samples):
    filled.close()
    before, names = path.read_bytes(), os.listdir(path.parent)
    seen = inspect_storage(path)
    assert (seen.member, seen.cluster) == (samples.identity.member, samples.identity.cluster)
    assert (seen.incarnation, seen.hard_state) == (41, samples.hard_state)
    assert (seen.snapshot, seen.snapshot_size) == (samples.meta(8), 5)
    assert (seen.first, seen.last) == (9, 20)
    assert seen.entries_size == sum(len(entry.command) for entry in samples.entries(9, 20))
    assert seen.membership == samples.membership
    assert seen.file_size == len(before)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == names


def test_a_storage_in_use_says_so_and_stays_usable(path, filled, samples):
    with pytest.raises(StorageInUse):
        inspect_storage(path)
    filled.write(samples.append(21, 21))
    filled.close()
    assert inspect_storage(path).last == 21


def test_what_a_crash_left_in_the_log_is_seen_and_stays_there(path):
    script = """
import os, sys
from failover.ids import LogIndex, Term
from failover.raft.effects import Write
from failover.raft.messages import Entry
from failover.storage.sqlite import SqliteStorage
SqliteStorage(sys.argv[1]).write((Write(1, entries=(Entry(LogIndex(1), Term(3), b"kept"),)),))
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=60)
    log = path.with_name(path.name + "-wal")
    before = path.read_bytes(), log.read_bytes()
    assert inspect_storage(path).last == 1
    assert (path.read_bytes(), log.read_bytes()) == before
    storage = SqliteStorage(path)
    assert storage.load().entries[0].command == b"kept"
    storage.close()
    assert os.listdir(path.parent) == [path.name]


def test_a_new_storage_is_nobodys(path):
    SqliteStorage(path).close()
    seen = inspect_storage(path)
    assert (seen.member, seen.snapshot, seen.membership, seen.last) == (None, None, None, 0)


def test_nothing_is_made_where_nothing_is(path):
    with pytest.raises(StorageFailed, match="no such file"):
        inspect_storage(path)
    assert not path.exists()


def test_a_text_file_is_refused(path):
    path.write_text("a shopping list")
    with pytest.raises(StorageCorrupt):
        inspect_storage(path)
