"""5,000 initiations a second to each of three members: heartbeats come in time, and nobody is elected."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from failover.raft.timing import Timing
from tests.benchmarks.cluster import Cluster
from tests.processes.conftest import WORKER
from tests.processes.watching import events_of

ROOT = Path(__file__).parents[2]

RATE, SECONDS = 5_000, 3.0
LATE_MAX_S = 0.050
PAUSE_MAX_S = 0.020
TRIES = 3


def flood(cluster: Cluster, ticket: str | None) -> dict[str, Any]:
    """All of it; returns what the flooder says."""
    ports = {cluster.ids[child]: child.ask("status")["port"] for child in cluster.members}
    options = {"targets": ports, "ticket": ticket, "rate": RATE, "seconds": SECONDS}
    command = [sys.executable, "-m", "tests.processes.flooder", json.dumps(options)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=60, check=True)
    return json.loads(done.stdout)


def lateness(cluster: Cluster, start: float, end: float) -> list[float]:
    """By how much each heartbeat came too late, in seconds: at the follower where that was worse."""
    found = []
    for child in cluster.others:
        moments = [moment for moment in child.ask("heartbeats")["moments"] if start <= moment <= end]
        found.append([after - before - Timing().heartbeat_s for before, after in pairwise([start, *moments, end])])
    return max(found, key=max)


@pytest.mark.parametrize("who", ["stranger", "holder of a leaked ticket"])
def test_a_flood_makes_no_heartbeat_late_and_elects_nobody(tmp_path, require, who):
    with Cluster(3, None, worker=WORKER, folder_=str(tmp_path), hearing=True) as cluster:  # disks take no part
        ticket = cluster.host.ask("invite", uses=1)["ticket"] if who != "stranger" else None
        for _ in range(TRIES):
            host, term = cluster.host, cluster.host.ask("status")["term"]
            start = time.monotonic()
            told = flood(cluster, ticket)
            late = lateness(cluster, start, time.monotonic())
            is_calm = max(late) < LATE_MAX_S and cluster.host is host and host.ask("status")["term"] == term
            print(told, f"latest heartbeat: {max(late) * 1e3:.1f} ms", events_of(host, "StopHost"))
            if is_calm or told["longest_pause_s"] < PAUSE_MAX_S:
                break
            cluster.wait_until_complete()
        else:
            require(False, "this machine is busy: not even the flooder, which hardly works, could run in time")
        assert told["sent"] > 0.9 * RATE * SECONDS
        assert cluster.host is host and host.ask("status")["term"] == term
        assert max(late) < LATE_MAX_S
        assert len(late) > 0.9 * SECONDS / Timing().heartbeat_s
        assert host.ask("request", body="after")["reply"] == "1"
        reason = "initiation: " + ("wrong mac1" if ticket is None else "under load, answered with a cookie")
        assert min(child.ask("status")["dropped"][reason] for child in cluster.members) > 0.9 * RATE * SECONDS
        if ticket is None:
            assert told["answers"] == 0
        else:
            assert told["answers"] > 0 and told["answered_bytes"] == 64 * told["answers"]
