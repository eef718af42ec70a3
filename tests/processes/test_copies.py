"""Files of storages that were copied or put back from a backup, and real members that open them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from failover.storage.machine_id import machine_id
from failover.storage.place import LASTING, file_system_name
from tests.benchmarks.children import Child
from tests.processes.conftest import WORKER
from tests.processes.watching import check_exactly_once, events_of, wait_for_event


def storage_of(cluster, child: Child) -> Path:
    return Path(cluster._storages[child])


def last_words(path: Path, folder: Path) -> str:
    """What a member says that cannot open this file."""
    options = {"name": "copy", "bind": "127.0.0.1", "storage": str(path), "folder_": str(folder)}
    with Child(WORKER, options) as child:
        status, said = child.wait_for_end(20)
    assert status == 1 and len(said) == 1, said
    return said[0]


def closed(cluster, child: Child) -> Path:
    """End this member in order; its file."""
    child.close()
    return storage_of(cluster, child)


def put_back(backup: bytes, path: Path) -> None:
    """Write the backup into the very file."""
    with path.open("r+b") as file:
        file.write(backup)
        file.truncate()
    path.with_name(path.name + "-wal").unlink(missing_ok=True)


def with_a_backup(cluster) -> tuple[Child, bytes]:
    """A member that was closed, backed up and opened again, and has accepted something since."""
    victim = cluster.others[0]
    backup = closed(cluster, victim).read_bytes()
    victim = cluster.bring_back(victim)
    cluster.wait_until_complete()
    victim.ask("request", body="after the backup")
    cluster.wait_until_complete()
    return victim, backup


def check_found_out(cluster, victim: Child, folder: Path) -> None:
    """It has stopped with the reason, took part in nothing, and its file refuses from now on."""
    stopped = wait_for_event(cluster, victim, "Stopped", 20)
    assert stopped["error"].startswith("StorageCopied(")
    heard = {event["kind"] for event in events_of(victim)}
    assert heard <= {"QuorumLost", "Stopped"}, "it took part in something"
    path = closed(cluster, victim)
    cluster.bury(victim)
    assert "StorageCopied: this storage is a copy or an old backup" in last_words(path, folder)


@pytest.fixture
def knows_copies(tmp_path, require):
    require(machine_id() is not None, "this machine has no id")
    require(file_system_name(tmp_path) in LASTING, "this file system has no lasting numbers")


@pytest.mark.parametrize("with_log", [False, True])
def test_a_copy_of_a_running_members_file_is_refused(open_cluster, tmp_path, knows_copies, with_log):
    cluster = open_cluster(2)
    original = storage_of(cluster, cluster.others[0])
    for suffix in ("", "-wal") if with_log else ("",):
        shutil.copyfile(f"{original}{suffix}", tmp_path / f"copy.db{suffix}")
    assert "StorageCopied" in last_words(tmp_path / "copy.db", tmp_path)
    cluster.members[0].ask("request", body="play goes on")


def test_a_copy_of_a_closed_members_file_is_refused_and_the_original_is_not(open_cluster, tmp_path, knows_copies):
    cluster = open_cluster(2)
    other = cluster.others[0]
    original = closed(cluster, other)
    shutil.copy2(original, tmp_path / "copy.db")
    assert "StorageCopied" in last_words(tmp_path / "copy.db", tmp_path)
    cluster.bring_back(other)
    cluster.wait_until_complete()


def test_a_backup_put_back_is_stopped_by_those_who_play(open_cluster, tmp_path):
    cluster = open_cluster(3)
    victim, backup = with_a_backup(cluster)
    victim.kill()
    put_back(backup, storage_of(cluster, victim))
    check_found_out(cluster, cluster.bring_back(victim), tmp_path)
    cluster.members[0].ask("request", body="play goes on")
    check_exactly_once(cluster, tmp_path)


def test_a_backup_put_back_is_stopped_when_everybody_was_killed_since(open_cluster, tmp_path):
    """It comes back first: what the others know of it is on their disks."""
    cluster = open_cluster(3)
    victim, backup = with_a_backup(cluster)
    others = [member for member in cluster.members if member is not victim]
    for member in cluster.members:
        member.kill()
    put_back(backup, storage_of(cluster, victim))
    returned = cluster.bring_back(victim)
    for member in others:
        cluster.bring_back(member)
    check_found_out(cluster, returned, tmp_path)
    cluster.wait_for(lambda: cluster.host is not None, "the others have no host")
    check_exactly_once(cluster, tmp_path)


def test_a_backup_of_somebody_alone_goes_on_from_there(open_cluster, tmp_path):
    """Nobody else knows better: docs/how-to/back-up.md says so."""
    cluster = open_cluster(1)
    path = closed(cluster, cluster.members[0])
    backup = path.read_bytes()
    alone = cluster.bring_back(cluster.members[0])
    cluster.wait_for(lambda: alone.ask("status")["is_host"], "it does not host")
    alone.ask("request", body="forgotten")
    alone.close()
    put_back(backup, path)
    alone = cluster.bring_back(alone)
    cluster.wait_for(lambda: alone.ask("status")["is_host"], "it does not host")
    assert alone.ask("counts")["counts"] == {}
