"""A storage that was written once is read by every later version, exactly as it was.

`data/golden.db` is written by make_golden.py. If this fails, players who update lose their games.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))  # pytest's importlib mode leaves `sys.path` alone

import failover
from failover.net.context import Secrets
from failover.raft.membership import Membership
from failover.records import ACTIONS, RECORDS, SystemCommand
from failover.storage.inspection import inspect_storage
from failover.storage.sqlite import SqliteStorage
from tests.unit.storage.make_golden import FILE, PLACE, SAYS, Sayings, picture, says, story, write


@pytest.fixture
def golden(path):
    shutil.copyfile(FILE, path)
    return path


def found_in(path: Path) -> object:
    storage = SqliteStorage(path, machine=lambda: None)
    found = json.loads(json.dumps(picture(storage)))
    storage.close()
    return found


def test_todays_code_finds_what_was_written_then(golden):
    assert found_in(golden) == json.loads(SAYS.read_text(encoding="utf-8"))


def test_todays_code_writes_what_it_finds_there(golden, tmp_path):
    """Else the generator says something else than the file: run it, and read the diff."""
    write(tmp_path / "anew.db")
    assert found_in(tmp_path / "anew.db") == found_in(golden)


def test_reading_it_twice_changes_nothing_of_it(golden):
    assert found_in(golden) == found_in(golden)


def test_the_incarnation_goes_on_after_it(golden):
    storage = SqliteStorage(golden, machine=lambda: None)
    assert storage.begin_incarnation(5) == (1_700_000_000_123, 1_700_000_000_124)
    storage.close()


def test_it_holds_every_kind_of_record_and_part_of_a_membership():
    entries = list(story())
    records = [RECORDS.decode_untrusted(entry.command) for entry in entries if entry.command]
    actions = [ACTIONS.decode_untrusted(each.action) for each in records if isinstance(each, SystemCommand)]
    assert {type(each) for each in records} == set(RECORDS.kinds.values())
    assert {type(each) for each in actions} == set(ACTIONS.kinds.values())
    for part in Membership.__dataclass_fields__:
        assert any(entry.membership and getattr(entry.membership, part) for entry in entries), part


def test_an_inspection_shows_it(golden):
    found = inspect_storage(golden)
    assert (found.first, found.last, found.snapshot.last_index, found.incarnation) == (
        11,
        23,
        17,
        1_700_000_000_123,
    )
    assert found.place == "elsewhere" and set(found.notes) == {"cluster", "port", "ticket", "met"}


async def test_a_member_resumes_from_it(golden):
    """It is one of two, and alone: it knows everything, and hosts nothing."""
    async with failover.open_member(Sayings(), storage=golden, bind="127.0.0.1") as member:
        status = member.status()
        assert (status.last_log_index, status.snapshot_index, status.term) == (23, 17, 7)
        assert [info.name for info in status.members] == ["Bob", "Ada"] and member.state == 3
        assert not member.is_host


def test_what_is_compared_has_names_for_all_fields():
    assert says(Secrets(1, b"p" * 32, b"g" * 32)) == {"epoch": 1, "psk": "70" * 32, "gate": "67" * 32}
    assert says(PLACE)["file"] == 262_145
