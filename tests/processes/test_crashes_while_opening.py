"""Members killed before a statement of SQL while they found or join: opened again, they found or join."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.children import Child, ChildFailed
from tests.processes.conftest import WORKER
from tests.processes.watching import check_exactly_once

STATEMENTS = (2, 6, 11, 16, 21)
"""A transaction has three or more; opening has about seven of them. `unit/storage` tries all of a storage's."""


def killed(folder: Path, statement: int, **options: object) -> bool:
    """Open a member that is to die before this statement; whether it did, before it was open."""
    path = folder / "crashing.db"
    asked = {"name": "crashing", "bind": "127.0.0.1", "storage": str(path), "folder_": str(folder)}
    with Child(WORKER, asked | options | {"dies_at": statement}) as child:
        try:
            child.wait(0, 20)
        except ChildFailed:
            return True
    return False


@pytest.fixture
def opened_again(tmp_path: Path) -> Iterator[object]:
    children: list[Child] = []

    def start(**options: object) -> Child:
        path = tmp_path / "crashing.db"
        asked = {"name": "crashing", "bind": "127.0.0.1", "storage": str(path), "folder_": str(tmp_path)}
        children.append(Child(WORKER, asked | options))
        children[-1].wait(0, 20)
        return children[-1]

    yield start
    for child in children:
        child.__exit__(None, None, None)


def test_founding_goes_on_wherever_it_was_cut_off(tmp_path, opened_again):
    died = 0
    for statement in STATEMENTS:
        (tmp_path / "crashing.db").unlink(missing_ok=True)
        (tmp_path / "crashing.db-wal").unlink(missing_ok=True)
        died += killed(tmp_path, statement, found=True)
        child = opened_again(found=True)
        assert child.ask("request", body=f"after {statement}")["reply"] == "1"
        child.__exit__(None, None, None)
    assert died >= 3, "it opened before it died: this test tests little"


@pytest.mark.parametrize("statement", STATEMENTS[2:4])
def test_joining_goes_on_wherever_it_was_cut_off(open_cluster, tmp_path, opened_again, statement):
    cluster = open_cluster(2)
    ticket = cluster.members[0].ask("invite", uses=1)["ticket"]
    killed(tmp_path, statement, ticket=ticket)
    child = opened_again(ticket=ticket)
    assert child.ask("request", body="of the newcomer")["reply"] == "1"
    cluster.members.append(child)
    assert check_exactly_once(cluster, tmp_path) == 1
    assert len(cluster.host.ask("status")["members"]) == 3
