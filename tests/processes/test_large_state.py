"""A state of 64 MiB goes to a newcomer while play goes on; nobody misses a heartbeat for it."""

from __future__ import annotations

from itertools import pairwise

from tests.benchmarks.cluster import Cluster
from tests.processes.watching import events_of, wait_until_equal

MEBIBYTES = 64
COMMAND = 8_192
SETTINGS = f"""
[timing]
snapshot_bytes = {MEBIBYTES * COMMAND}
snapshot_entries = 1_000_000
kept_entries = 1_000_000
kept_bytes = {4 * COMMAND}
heartbeat_s = 0.05
promise_s = 0.4
promise_ceiling_first_s = 0.4
"""
"""One snapshot, as soon as the state is as large as it shall be. Promises are so long that a busy computer ends
none of them: what this looks at are the heartbeats that are heard in the middle of a restore."""


def test_a_large_state_is_sent_and_restored_while_commits_go_on(tmp_path):
    options = {"worker": "tests.processes.bulky", "folder_": str(tmp_path), "settings": SETTINGS, "hearing": True}
    with Cluster(2, tmp_path, **options) as cluster:
        host, asker = cluster.host, cluster.others[0]
        for number in range(MEBIBYTES + 2):
            asker.ask("request", body=f"fill {number}".ljust(COMMAND))
        cluster.wait_for(lambda: host.ask("restored")["snapshot"] > MEBIBYTES, "no snapshot was stored")
        term = host.ask("status")["term"]
        load = asker.send("load", prefix="meanwhile")
        newcomer = cluster.join()
        asker.ask("unload")
        done = asker.wait(load)["done"]
        state, heard = newcomer.ask("restored"), newcomer.ask("heartbeats")["moments"]
        (restored,) = state["restored"]
        assert state["blocks"] == 16 * (MEBIBYTES + 2)
        during = [at for at in heard if restored[0] <= at <= restored[1]]
        longest_ms = 1_000 * max(answered - sent for sent, answered in done)
        gap_ms = 1_000 * max((b - a for a, b in pairwise([restored[0], *during, restored[1]])), default=0.0)
        print(
            f"{len(done)} commits meanwhile, the longest took {longest_ms:.0f} ms; restored in "
            f"{1_000 * (restored[1] - restored[0]):.0f} ms, {len(during)} heartbeats heard in it, "
            f"{gap_ms:.0f} ms between two; host's pieces {host.ask('restored')['slow_ms']:.0f} ms"
        )
        assert len(done) > 20
        assert gap_ms < 400, "a promise was not renewed for as long as it lasts"
        assert host.ask("status")["term"] == term, "the host was changed for nothing"
        assert not events_of(host, "StopHost")
        assert not events_of(asker, "QuorumLost")
        wait_until_equal(cluster)
