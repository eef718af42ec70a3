"""A host that is paused, as by a closed lid or SIGSTOP: it wakes into a world that has gone on without it."""

import signal
import time

from tests.guarantee import guarantee
from tests.processes.watching import check_exactly_once, events_of, wait_for_event

PAUSE_S = 5.0


def test_a_host_that_was_paused_stops_first_of_all_and_follows(open_cluster, tmp_path):
    cluster = open_cluster(3)
    host, survivor = cluster.host, cluster.others[0]
    assert host.ask("commit", body="before")["reply"] == "1"
    heard = len(events_of(host))
    host.signal(signal.SIGSTOP)
    try:
        stopped_at = time.monotonic()
        commits = [host.send("commit", body=f"stale {number}") for number in range(3)]  # read when it wakes
        look = host.send("look")
        assert survivor.ask("request", body="meanwhile")["reply"] == "1"
        assert time.monotonic() - stopped_at < PAUSE_S
        new_host = next(child for child in cluster.members if child is not host and child.ask("look")["is_host"])
        time.sleep(max(0.0, stopped_at + PAUSE_S - time.monotonic()))
    finally:
        host.signal(signal.SIGCONT)
    guarantee(not host.wait(look)["is_host"], "it still believed to be host when it woke")
    for number in commits:
        assert host.wait(number)["refused"] in {"NotHost", "OutcomeUnknown"}
    cluster.wait_for(lambda: len(events_of(host)) > heard, "the paused host heard nothing", 5)
    assert events_of(host)[heard]["kind"] == "StopHost"
    cluster.wait_for(
        lambda: host.ask("status")["host"] == cluster.ids[new_host], "the paused host does not follow", 10
    )
    wait_for_event(cluster, host, "HostChanged", 5, after=1)
    assert host.ask("commit", body="stale at last")["refused"] == "NotHost"
    assert host.ask("request", body="after")["reply"] == "1"
    cluster.wait_until_complete()
    check_exactly_once(cluster, tmp_path)
    counts = new_host.ask("counts")["counts"]
    guarantee(not [body for body in counts if body.startswith("stale")], f"refused, and done: {counts}")


def test_a_follower_that_was_paused_changes_nothing(open_cluster):
    cluster = open_cluster(3)
    host, follower = cluster.host, cluster.others[0]
    term = host.ask("status")["term"]
    follower.signal(signal.SIGSTOP)
    try:
        time.sleep(1.5)
        assert host.ask("commit", body="meanwhile")["reply"] == "1"
    finally:
        follower.signal(signal.SIGCONT)
    cluster.wait_until_complete()
    time.sleep(0.3)
    assert host.ask("look")["is_host"]
    assert host.ask("status")["term"] == term
