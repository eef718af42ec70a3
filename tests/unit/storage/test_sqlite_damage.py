"""A damaged or foreign file gets one clear error, and stays as it is, byte for byte."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing

import pytest

from failover.errors import StorageCorrupt
from failover.ids import LogIndex
from failover.raft.effects import Write
from failover.storage import records
from failover.storage.sqlite import SqliteStorage


def everything(storage: SqliteStorage) -> object:
    snapshot = b"".join(storage.read_snapshot())
    return storage.identity(), storage.load(), snapshot, storage.get_note("address")


@pytest.fixture
def whole(path, samples):
    """A storage with something of everything, closed; what it holds."""
    storage = SqliteStorage(path)
    storage.found(samples.identity, samples.hard_state)
    storage.begin_incarnation(1)
    storage.set_note("address", b"192.0.2.1")
    storage.write(samples.append(1, 400))
    storage.save_snapshot(samples.meta(200), [bytes(range(256)) * 40], replaces_log=False)
    storage.write((Write(2, compact_to=LogIndex(100)),))
    held = everything(storage)
    storage.close()
    return held


def refused(path) -> StorageCorrupt:
    """Open and load `path`; return the error, after checking that nothing was changed and nothing left."""
    before, names = path.read_bytes(), sorted(os.listdir(path.parent))
    with pytest.raises(StorageCorrupt) as caught:
        storage = SqliteStorage(path)
        try:
            everything(storage)
        finally:
            storage.close()
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == names
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def change(path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize("first", [1, 100, 102])
def test_a_log_that_does_not_begin_where_it_was_said_to_is_refused(path, samples, whole, first):
    sealed = records.seal(records.pack_number(first), "log_first").hex()
    change(path, f"UPDATE record SET sealed = x'{sealed}' WHERE name = 'log_first'")
    change(path, "DELETE FROM entry WHERE log_index <= 100")
    if first == 102:
        change(path, "DELETE FROM entry WHERE log_index = 102")
    assert "begins at" in str(refused(path))


@pytest.mark.parametrize("content", [b"", b"x", b"My shopping list\n" * 300, b"SQLite format 3\0" + b"\0" * 84])
def test_what_is_no_database_is_refused(path, content):
    path.write_bytes(content)
    assert "move it away and join again with a ticket; nothing was changed" in str(refused(path))


def test_a_directory_is_refused(path):
    path.mkdir()
    with pytest.raises(StorageCorrupt, match="is a directory"):
        SqliteStorage(path)
    assert os.listdir(path) == []


def test_a_pipe_is_refused_and_not_waited_for(path):
    os.mkfifo(path)
    with pytest.raises(StorageCorrupt, match="not a plain file"):
        SqliteStorage(path)


def test_a_database_of_another_program_is_refused(path):
    change(path, "CREATE TABLE recipe (name TEXT)")
    assert "another program" in str(refused(path))


def test_a_database_of_another_program_keeps_its_unfinished_log(path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        with other:
            other.execute("CREATE TABLE recipe (name TEXT)")
        log = path.with_name(path.name + "-wal")
        before = log.read_bytes()
        refused(path)
        assert log.read_bytes() == before


def test_a_file_of_a_newer_version_says_update(path, whole):
    change(path, "PRAGMA user_version = 99")
    assert "update the game" in str(refused(path))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entry WHERE log_index = 150",
        "DELETE FROM entry WHERE log_index < 250",
        "DELETE FROM entry WHERE log_index > 150",
        "UPDATE entry SET log_index = -log_index",
        "UPDATE entry SET term = 2 WHERE log_index = 300",
        "UPDATE entry SET term = 'one'",
        "UPDATE entry SET term = 1.5",
        "UPDATE entry SET command = 'text' WHERE log_index = 300",
        "UPDATE entry SET command = x'00' WHERE log_index = 300",
        "UPDATE entry SET membership = x'00' WHERE log_index = 300",
        "UPDATE entry SET checksum = checksum + 1 WHERE log_index = 300",
        "DELETE FROM chunk",
        "UPDATE chunk SET data = x'00'",
        "UPDATE chunk SET number = number + 1",
        "UPDATE record SET sealed = x'0000' WHERE name = 'hard_state'",
        "UPDATE record SET sealed = 'text' WHERE name = 'identity'",
        "UPDATE record SET sealed = sealed || x'00' WHERE name = 'snapshot'",
        "UPDATE record SET sealed = (SELECT sealed FROM record WHERE name = 'incarnation')",
        "UPDATE record SET name = 'hard_stale' WHERE name = 'hard_state'",
        "UPDATE record SET name = 'note/port' WHERE name = 'note/address'",
        "DELETE FROM record WHERE name = 'hard_state'",
        "DELETE FROM record WHERE name = 'snapshot'",
        "DROP TABLE chunk",
        "CREATE TABLE guest (name TEXT)",
        "PRAGMA user_version = 0",
    ],
)
def test_impossible_content_is_refused(path, whole, statement):
    change(path, statement)
    refused(path)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
def test_a_file_that_was_cut_off_is_refused(path, whole, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path)


def outcome(path, content: bytes, whole: object) -> str:
    """What comes of opening a file with this content: "refused", or "whole". Nothing else may."""
    path.write_bytes(content)
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    try:
        storage = SqliteStorage(path)
    except StorageCorrupt as error:
        assert path.read_bytes() == content and "\n" not in str(error)
        return "refused"
    try:
        assert everything(storage) == whole
    except StorageCorrupt:
        return "refused"
    finally:
        storage.close()
    return "whole"


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_byte_of_the_files_header_is_refused_or_means_nothing(path, whole, mask):
    content = path.read_bytes()
    found = []
    for where in range(100):
        damaged = bytearray(content)
        damaged[where] ^= mask
        found.append(outcome(path, bytes(damaged), whole))
    assert found[:16] == ["refused"] * 16, "the magic word"
    assert found.count("refused") >= 24


@pytest.mark.parametrize("way", ["a byte at its start", "a byte within", "zeros", "rubbish", "another page"])
def test_every_page_is_refused_or_means_nothing(path, whole, way):
    """Of some pages nothing is in use but what the checks look at; most are full."""
    content, dice = path.read_bytes(), random.Random(way)
    size = int.from_bytes(content[16:18], "big")
    pages = [content[start : start + size] for start in range(0, len(content), size)]
    refused_pages = 0
    for number, page in enumerate(pages):
        damaged = bytearray(page)
        if way == "a byte at its start":
            damaged[dice.randrange(100, 108) if number == 0 else dice.randrange(8)] ^= 1 << dice.randrange(8)
        elif way == "a byte within":
            damaged[dice.randrange(size)] ^= 1 << dice.randrange(8)
        else:
            rest = {"zeros": bytes(size), "rubbish": dice.randbytes(size), "another page": pages[number - 1]}[way]
            damaged[:] = rest
        whole_file = b"".join((*pages[:number], bytes(damaged), *pages[number + 1 :]))
        refused_pages += outcome(path, whole_file, whole) == "refused"
    assert refused_pages >= (len(pages) // 2 if way != "a byte within" else 1)


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_is_refused_or_means_nothing(path, whole, seed):
    """Every bit belongs to a checked value, to SQLite's own structure, or to nothing."""
    dice = random.Random(seed)
    content = path.read_bytes()
    found = 0
    for _ in range(40):
        damaged = bytearray(content)
        where = dice.randrange(100 if dice.random() < 0.1 else len(content))
        damaged[where] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        try:
            storage = SqliteStorage(path)
        except StorageCorrupt:
            found += 1
        else:
            try:
                assert everything(storage) == whole, f"byte {where}"
                continue
            except StorageCorrupt:
                found += 1
            finally:
                storage.close()
        assert path.read_bytes() == damaged
    assert found, "no flip did anything: this test tests nothing"
