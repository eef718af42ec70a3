"""Faults of the application: its server function raises or hangs, its state machine raises."""

import pytest

from tests.processes.watching import check_exactly_once, wait_for_event, wait_until_equal


def test_a_server_function_that_raises_hands_over_with_its_exception(open_cluster, tmp_path):
    cluster = open_cluster(3)
    host, other = cluster.host, cluster.others[0]
    host.ask("fault", kind="raise")
    stopped = wait_for_event(cluster, host, "StopHost", 5)
    assert "has had enough" in stopped["error"]
    assert other.ask("request", body="after")["reply"] == "1"
    assert host.ask("request", body="of the failed one")["reply"] == "1"
    assert not host.ask("look")["is_host"]
    cluster.wait_until_complete()
    check_exactly_once(cluster, tmp_path)


def test_a_server_function_that_raises_alone_is_started_again(open_cluster):
    cluster = open_cluster(1, settings="serve_back_off_s = 0.2")
    host = cluster.host
    host.ask("fault", kind="raise")
    wait_for_event(cluster, host, "StopHost", 5)
    wait_for_event(cluster, host, "BecomeHost", 5, after=1)
    assert host.ask("request", body="after")["reply"] == "1"


@pytest.mark.parametrize("settings", ["serve_hang_s = 0.5", "alive_s = 0.5"])
def test_a_server_function_that_hangs_is_replaced(open_cluster, tmp_path, settings):
    cluster = open_cluster(3, settings=settings, alive=settings.startswith("alive"))
    host, other = cluster.host, cluster.others[0]
    host.ask("fault", kind="hang")
    taken = [other.send("request", body=f"while it hangs {number}") for number in range(3)]
    stopped = wait_for_event(cluster, host, "StopHost", 5)
    assert "ServeHung" in stopped["error"]
    for number in taken:
        assert other.wait(number)["reply"] == "1"
    assert check_exactly_once(cluster, tmp_path) == 3


def test_a_member_whose_machine_raises_stops_and_the_others_go_on(open_cluster):
    cluster = open_cluster(2)
    bad = cluster.join(poison=True)
    cluster.wait_until_complete()
    good = next(child for child in cluster.members if child is not bad)
    assert good.ask("request", body="poison")["reply"] == "1"
    stopped = wait_for_event(cluster, bad, "Stopped", 5)
    assert "ApplyFailed" in stopped["error"]
    assert "poisoned" in stopped["error"]
    assert bad.ask("request", body="never")["refused"] == "Closed"
    cluster.bury(bad)
    assert good.ask("request", body="after")["reply"] == "1"
    wait_until_equal(cluster)
    bad.kill()


def test_a_host_whose_machine_raises_stops_and_another_hosts(open_cluster):
    cluster = open_cluster(1, poison=True)
    bad = cluster.host
    cluster.join(poison=False)
    cluster.join(poison=False)
    cluster.wait_until_complete()
    assert bad.ask("look")["is_host"]
    good = cluster.others[0]
    asked = good.send("request", body="poison")
    stopped = wait_for_event(cluster, bad, "Stopped", 5)
    assert "ApplyFailed" in stopped["error"]
    assert good.wait(asked)["reply"] == "1"
    assert good.ask("request", body="after")["reply"] == "1"
    bad.kill()
