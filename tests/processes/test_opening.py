"""What cannot be opened says so in one line, and ends with a status that is not 0."""

import socket

import pytest

from tests.benchmarks.children import Child
from tests.processes.conftest import WORKER


def start(tmp_path, **options) -> Child:
    return Child(WORKER, {"name": "late", "folder_": str(tmp_path), **options})


@pytest.fixture
def complaint(tmp_path):
    """Return a function that starts a member which cannot open, and returns its one line."""

    def check(**options) -> str:
        with start(tmp_path, **options) as child:
            status, errors = child.wait_for_end(20)
        assert status == 1, errors
        assert len(errors) == 1, errors
        return errors[0]

    return check


def test_one_storage_is_open_in_one_process(open_cluster, tmp_path, complaint):
    cluster = open_cluster(1)
    line = complaint(storage=str(tmp_path / "member-1.db"))
    assert line.startswith("StorageInUse: ")
    assert "member-1.db" in line
    assert cluster.host.ask("request", body="still here")["reply"] == "1"


def test_a_port_in_use_is_named(tmp_path, complaint):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        line = complaint(found=True, port=port)
    assert line.startswith("PortInUse: ")
    assert str(port) in line


def test_a_storage_that_is_new_needs_a_ticket(tmp_path, complaint):
    assert complaint(storage=str(tmp_path / "new.db")).startswith("StorageMissing: ")


def test_a_ticket_that_is_cut_off_is_refused(open_cluster, complaint):
    ticket = open_cluster(1).host.ask("invite", uses=1)["ticket"]
    assert complaint(ticket=ticket[:-4]).startswith("BadTicket: ")


def test_a_ticket_of_a_game_that_has_ended_says_where_it_asked(open_cluster, complaint):
    cluster = open_cluster(1)
    ticket = cluster.host.ask("invite", uses=1)["ticket"]
    cluster.host.kill()
    line = complaint(ticket=ticket)
    assert line.startswith("Unreachable: ")
    assert "127.0.0.1" in line


def test_a_damaged_storage_is_named_and_left_alone(open_cluster, tmp_path, complaint):
    cluster = open_cluster(1)
    cluster.host.ask("request", body="before")
    cluster.host.close()
    path = tmp_path / "member-1.db"
    damaged = path.read_bytes()[:5000] + b"\xff" * 4000
    path.write_bytes(damaged)
    line = complaint(storage=str(path))
    assert line.startswith("StorageCorrupt: ")
    assert path.read_bytes() == damaged


def test_a_misspelt_setting_is_loud(complaint):
    line = complaint(found=True, settings="request_timeouts_s = 3")
    assert line.startswith("BadSettings: ")
    assert "request_timeouts_s" in line
