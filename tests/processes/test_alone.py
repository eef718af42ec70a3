"""Two players of whom one is gone: who is left goes on alone, and what becomes of the other, in real processes."""

import json
import time
from pathlib import Path

from tests.processes.watching import check_exactly_once, events_of, wait_for_event


def test_a_crashed_host_comes_back_and_plays_where_the_other_went_on(open_cluster, tmp_path):
    cluster = open_cluster(2)
    host, other = cluster.host, cluster.others[0]
    host_id = cluster.ids[host]
    assert other.ask("request", body="together")["reply"] == "1"
    host.kill()
    assert other.ask("continue_alone")["refused"] == "Refused", "there may be a quorum yet"
    wait_for_event(cluster, other, "QuorumLost", 3)
    loss = other.ask("continue_alone")
    assert (loss["entries"], loss["left_behind"]) == (0, [host_id])
    assert other.ask("request", body="alone")["reply"] == "1"
    back = cluster.bring_back(host)
    assert wait_for_event(cluster, back, "GenerationMet", 10)["has_host"] == "True"
    assert "Superseded" in wait_for_event(cluster, back, "Stopped", 5)["error"]
    back.kill()
    again = cluster.bring_back(back)
    assert cluster.ids[again] == host_id, "it is who it was"
    assert wait_for_event(cluster, again, "Rejoined", 5)["kept_entries"] == "0"
    cluster.wait_until_complete()
    assert again.ask("request", body="together again")["reply"] == "1"
    assert check_exactly_once(cluster, tmp_path) == 3
    other.kill()
    wait_for_event(cluster, again, "QuorumLost", 3)  # two vote again


def test_after_a_restart_of_both_each_goes_on_alone_and_one_gives_up(open_cluster):
    cluster = open_cluster(2)
    first, second = cluster.host, cluster.others[0]
    assert second.ask("request", body="shared")["reply"] == "1"
    cluster.wait_until_complete()
    first.kill()
    second.kill()
    for name, dead in (("first", first), ("second", second)):
        cluster.bury(dead)
        started = cluster._start(storage=cluster._storages[dead])  # nothing is known to be accepted, nor applied
        wait_for_event(cluster, started, "QuorumLost", 5)
        assert started.ask("continue_alone")["entries"] == 0
        assert started.ask("request", body=f"{name} alone")["reply"] == "1"
        started.kill()
        cluster.bury(started)
    first, second = (cluster._start(storage=cluster._storages[dead]) for dead in (first, second))
    for member in (first, second):
        wait_for_event(cluster, member, "GenerationMet", 20)
    time.sleep(2)
    for name, member in (("first", first), ("second", second)):
        assert not events_of(member, "Stopped"), "both went on: somebody must decide"
        assert member.ask("look")["is_host"]
        assert member.ask("counts")["counts"] == {"shared": 1, f"{name} alone": 1}, "never mixed"
    second.ask("rejoin", generation=events_of(second, "GenerationMet")[-1]["generation"])
    wait_for_event(cluster, second, "Stopped", 5)
    second.kill()
    again = cluster.bring_back(second)
    told = wait_for_event(cluster, again, "Rejoined", 5)
    assert told["kept_entries"] == "1"
    [kept] = Path(told["kept_in"].strip("'")).read_text(encoding="utf-8").splitlines()
    assert json.loads(kept)["sender"] == cluster.ids[again]
    cluster.wait_until_complete()
    assert again.ask("counts")["counts"] == {"shared": 1, "first alone": 1}
