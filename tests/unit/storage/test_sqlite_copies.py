"""A copy of a file on the same machine is known at once; what may have been moved there is not refused."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from failover.errors import StorageCopied
from failover.storage import place
from failover.storage.inspection import inspect_storage
from failover.storage.machine_id import machine_id
from failover.storage.place import LASTING, file_system_name, pack_place, place_of, unpack_place_untrusted
from failover.storage.sqlite import SqliteStorage


def one_machine() -> bytes:
    return b"this machine"


def another_machine() -> bytes:
    return b"another machine"


def open_here(path: Path) -> SqliteStorage:
    return SqliteStorage(path, machine=one_machine)


@pytest.fixture
def original(path, samples, monkeypatch):
    """A closed storage on a file system with lasting numbers."""
    monkeypatch.setattr(place, "file_system_name", lambda path: "ext4")
    storage = open_here(path)
    storage.found(samples.identity, samples.hard_state)
    storage.write(samples.append(1, 10))
    storage.close()
    return path


def refused(path: Path) -> str:
    """Opening it fails, and changes nothing; what is said."""
    before = path.read_bytes()
    with pytest.raises(StorageCopied) as caught:
        open_here(path)
    assert path.read_bytes() == before and "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def test_a_copy_of_a_closed_storage_is_refused_and_says_what_to_do(original):
    copy = original.with_name("copy.db")
    shutil.copy2(original, copy)
    assert "join with a ticket and a new file" in refused(copy)
    open_here(original).close()


def test_a_copy_of_an_open_storage_without_its_log_is_refused(original, samples):
    storage = open_here(original)
    storage.write(samples.append(11, 20))
    copy = original.with_name("copy.db")
    shutil.copyfile(original, copy)
    refused(copy)
    storage.close()


def test_a_copy_of_an_open_storage_with_its_log_is_refused(original, samples):
    storage = open_here(original)
    storage.write(samples.append(11, 20))
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{original}{suffix}", f"{original}.copy{suffix}")
    with pytest.raises(StorageCopied):
        open_here(original.with_name(original.name + ".copy"))
    storage.close()


def test_a_new_storage_has_its_note_before_it_has_an_identity(path, samples, monkeypatch):
    """Whatever a crash leaves: who copies a file with an identity copies the note, too."""
    monkeypatch.setattr(place, "file_system_name", lambda path: "ext4")
    storage = open_here(path)
    storage.found(samples.identity, samples.hard_state)
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as alone:
        names = {name for (name,) in alone.execute("SELECT name FROM record")}
    assert names == {"place"}, "it is in the main file, not only in the log"
    storage.close()


def test_a_backup_in_the_place_of_the_original_is_the_same_file(original, samples):
    """Nobody can tell here; the peers can."""
    backup = original.read_bytes()
    storage = open_here(original)
    storage.write(samples.append(11, 20))
    storage.close()
    original.write_bytes(backup)
    open_here(original).close()


def test_a_moved_or_renamed_file_is_the_same(original):
    elsewhere = original.parent / "somewhere" / "else.db"
    elsewhere.parent.mkdir()
    original.rename(elsewhere)
    open_here(elsewhere).close()


def test_on_another_machine_it_runs_and_from_then_on_belongs_there(original):
    copy = original.with_name("copy.db")
    shutil.copyfile(original, copy)
    SqliteStorage(copy, machine=another_machine).close()
    second = original.with_name("second.db")
    shutil.copyfile(copy, second)
    with pytest.raises(StorageCopied):
        SqliteStorage(second, machine=another_machine)


@pytest.mark.parametrize("change", ["device", "file_system"])
def test_on_another_file_system_it_runs(original, monkeypatch, change):
    copy = original.with_name("copy.db")
    shutil.copyfile(original, copy)
    real = place_of

    def elsewhere(path, machine, salt):
        found = real(path, machine, salt)
        return replace(found, **{change: getattr(found, change) + 1})

    monkeypatch.setattr("failover.storage.sqlite.place_of", elsewhere)
    open_here(copy).close()


@pytest.mark.parametrize("kind", ["vfat", "fuse.sshfs", "overlay", "cifs", "9p", ""])
def test_where_files_have_no_lasting_numbers_it_runs(original, monkeypatch, kind):
    copy = original.with_name("copy.db")
    shutil.copyfile(original, copy)
    monkeypatch.setattr(place, "file_system_name", lambda path: kind)
    open_here(copy).close()


def test_without_an_id_of_the_machine_it_runs(original):
    copy = original.with_name("copy.db")
    shutil.copyfile(original, copy)
    SqliteStorage(copy, machine=lambda: None).close()


def test_nothing_in_the_file_names_the_machine(path):
    found = b"the id of this machine"
    for name in ("a.db", "b.db"):
        SqliteStorage(path.with_name(name), machine=lambda: found).close()
    content = [path.with_name(name).read_bytes() for name in ("a.db", "b.db")]
    assert not any(found in each or found.hex().encode() in each for each in content)
    first, second = (place_of(path.with_name(name), found) for name in ("a.db", "b.db"))
    assert first.machine != second.machine, "nobody can tell that both are of one machine"


def test_a_copy_of_a_real_file_by_a_real_program_is_refused(path, samples, require):
    require(machine_id() is not None, "this machine has no id")
    require(file_system_name(path.parent) in LASTING, "this file system has no lasting numbers")
    storage = SqliteStorage(path)
    storage.found(samples.identity, samples.hard_state)
    storage.close()
    copy = path.with_name("copy.db")
    subprocess.run(["cp", "-p", path, copy], check=True)
    script = "import sys; from failover.storage.sqlite import SqliteStorage; SqliteStorage(sys.argv[1])"
    ran = subprocess.run([sys.executable, "-c", script, copy], capture_output=True, text=True, check=False)
    assert ran.returncode == 1 and "StorageCopied" in ran.stderr.splitlines()[-1]
    os.replace(copy, path)  # the original is gone, and this is another file still
    with pytest.raises(StorageCopied):
        SqliteStorage(path)


def test_an_inspection_says_whether_it_is_where_it_was(path, samples):
    storage = SqliteStorage(path)
    storage.found(samples.identity, samples.hard_state)
    storage.set_note("met", b"")
    storage.close()
    assert inspect_storage(path).place == "here" and inspect_storage(path).notes == {"met": b""}
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    known = machine_id() is not None and file_system_name(path.parent) in LASTING
    assert inspect_storage(copy).place == ("copied" if known else "elsewhere")


def test_a_place_comes_back_as_it_was(path):
    path.write_bytes(b"")
    found = replace(place_of(path, b"x"), file=2**127, device=2**64 - 1)
    assert unpack_place_untrusted(pack_place(found)) == found
