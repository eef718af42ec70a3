"""Without a quorum nothing is accepted, and everybody hears it."""

import time

from tests.processes.watching import check_exactly_once, events_of, wait_for_event


def test_of_two_the_one_that_stays_hears_that_the_quorum_is_lost(open_cluster, tmp_path):
    cluster = open_cluster(2)
    host, other = cluster.host, cluster.others[0]
    assert other.ask("request", body="before")["reply"] == "1"
    host.kill()
    wait_for_event(cluster, other, "QuorumLost", 3)
    asked = other.send("request", body="meanwhile")
    assert other.ask("request", body="impatient", within_s=0.5)["refused"] == "NotHost"
    assert not other.ask("look")["is_host"]
    assert set(other.ask("counts")["counts"]) <= {"before"}  # committed, maybe not heard of here yet
    cluster.bring_back(host)
    wait_for_event(cluster, other, "QuorumRegained", 10)
    assert other.wait(asked)["reply"] == "1"
    cluster.wait_until_complete()
    check_exactly_once(cluster, tmp_path)


def test_a_host_that_loses_its_quorum_stops_within_a_second(open_cluster, tmp_path):
    cluster = open_cluster(2)
    host, other = cluster.host, cluster.others[0]
    other.kill()
    wait_for_event(cluster, host, "StopHost", 1.5)
    wait_for_event(cluster, host, "QuorumLost", 1.5)
    assert host.ask("commit", body="alone")["refused"] == "NotHost"
    assert not events_of(host, "QuorumRegained")
    cluster.bring_back(other)
    wait_for_event(cluster, host, "QuorumRegained", 10)
    assert host.ask("request", body="together")["reply"] == "1"
    cluster.wait_until_complete()
    check_exactly_once(cluster, tmp_path)


def test_a_quorum_that_stays_is_never_called_lost(open_cluster):
    cluster = open_cluster(3)
    host, *others = cluster.host, *cluster.others
    host.kill()
    wait_for_event(cluster, others[0], "HostChanged", 5, after=1)
    time.sleep(0.5)
    assert not events_of(others[0], "QuorumLost")
    assert not events_of(others[1], "QuorumLost")
