"""Three members in three network namespaces: the host is cut off, and there is never more than one host."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.benchmarks.children import Child
from tests.benchmarks.cluster import Cluster
from tests.guarantee import guarantee
from tests.processes.watching import check_exactly_once, events_of, wait_for_event

WORKER = "tests.processes.worker"


@pytest.fixture
def cluster(lan, tmp_path) -> Iterator[Cluster]:
    """A member in each namespace; all are killed before the network is taken apart."""
    places = iter({"prefix": lan.inside(number), "bind": address} for number, address in enumerate(lan.addresses))
    with Cluster(3, tmp_path, worker=WORKER, folder_=str(tmp_path), places=places) as cluster:
        yield cluster


def heard_after(child: Child, kind: str, moment: float) -> float:
    """When the member first heard this after `moment`, on the clock that counts suspend."""
    return min(event["at"] for event in events_of(child, kind) if event["at"] > moment)


def boot_time() -> float:
    """The clock of the workers' stamps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def check_the_others_go_on(cluster: Cluster, host: Child, cut_at: float) -> Child:
    """One of the others hosts, and began only when the old host had heard of its end; returns the new host."""
    others = [child for child in cluster.members if child is not host]
    cluster.wait_for(lambda: any(child.ask("look")["is_host"] for child in others), "the others have no host", 10)
    new_host = next(child for child in others if child.ask("look")["is_host"])
    for child in others:
        assert child.ask("request", body=f"meanwhile {child.name}")["reply"] == "1"
    stopped, began = heard_after(host, "StopHost", cut_at), heard_after(new_host, "BecomeHost", cut_at)
    guarantee(stopped < began, f"two hosts for {(stopped - began) * 1e3:.1f} ms")
    return new_host


@pytest.mark.parametrize("attempt", range(3))
def test_a_host_that_is_cut_off_stops_before_another_begins(lan, cluster, tmp_path, attempt):
    host = cluster.host
    place = cluster.members.index(host)
    assert host.ask("commit", body="before")["reply"] == "1"
    time.sleep(0.011 * attempt)  # at another place between two heartbeats
    cut_at = boot_time()
    lan.cut(place)
    try:
        new_host = check_the_others_go_on(cluster, host, cut_at)
        assert host.ask("commit", body="cut off")["refused"] == "NotHost"
        assert host.ask("request", body="cut off, asking", within_s=1.0)["refused"] == "NotHost"
        wait_for_event(cluster, host, "QuorumLost", 5)
        assert not host.ask("look")["is_host"]
        term = new_host.ask("status")["term"]
    finally:
        lan.mend(place)
    cluster.wait_for(lambda: host.ask("status")["host"] is not None, "it does not follow", 10)
    cluster.wait_until_complete()
    if (now := new_host.ask("status")["term"]) != term:
        told = {child.name: [e for e in events_of(child) if e["at"] > cut_at] for child in cluster.members}
        raise AssertionError(f"another host after the cut: term {term}, now {now}; {told}")
    assert len([event for event in events_of(host, "BecomeHost") if event["at"] > cut_at]) == 0
    assert host.ask("request", body="after")["reply"] == "1"
    assert check_exactly_once(cluster, tmp_path) == 3
    done = [body for body in new_host.ask("counts")["counts"] if body.startswith("cut off")]
    guarantee(not done, f"refused, and done: {done}")


def test_a_host_that_nobody_hears_stops_before_another_begins(lan, cluster, tmp_path):
    host = cluster.host
    place = cluster.members.index(host)
    cut_at = boot_time()
    lan.lose_answers(place)
    try:
        check_the_others_go_on(cluster, host, cut_at)
        assert host.ask("commit", body="unheard")["refused"] == "NotHost"
    finally:
        lan.heed_answers(place)
    cluster.wait_until_complete()
    check_exactly_once(cluster, tmp_path)


def test_a_follower_that_is_cut_off_changes_nothing(lan, cluster, tmp_path):
    host, follower = cluster.host, cluster.others[0]
    term, place = host.ask("status")["term"], cluster.members.index(follower)
    lan.cut(place)
    try:
        asked = follower.send("request", body="cut off")
        wait_for_event(cluster, follower, "QuorumLost", 5)
        assert host.ask("commit", body="meanwhile")["reply"] == "1"
    finally:
        lan.mend(place)
    assert follower.wait(asked)["reply"] == "1"
    cluster.wait_until_complete()
    assert host.ask("look")["is_host"]
    assert host.ask("status")["term"] == term
    assert check_exactly_once(cluster, tmp_path) == 1
