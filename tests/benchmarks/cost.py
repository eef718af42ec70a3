"""What a cluster costs: processor, traffic and memory, and what a newcomer costs the others."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.bench import ENTRY_SIZE, Bench
from tests.benchmarks.cluster import Cluster
from tests.benchmarks.measures import percentile
from tests.benchmarks.report import Row, at_least, at_most

PACE_PER_S = 60
JOINS = 3
FIRST_COMMITS = 10_000
WINDOW = 2_000
BALLAST_COMMANDS, BALLAST_SIZE = 256, 65_536
MIB = 1 << 20


def idle(bench: Bench) -> list[Row]:
    """Five members with nothing to do. CPU from getrusage, UDP payload counted in each member's `send`."""
    bench.say(f"five idle members for {bench.sizes.idle_s:g} s")
    with Cluster(5, None, counting=True) as cluster:
        time.sleep(1.0)
        host = cluster.host
        before = {member: member.ask("usage") for member in cluster.members}
        time.sleep(bench.sizes.idle_s)
        after = {member: member.ask("usage") for member in cluster.members}
    rates = [_rate(before[member], after[member], "sent") for member in before]
    others = [cpu(before[member], after[member]) for member in before if member is not host]
    return [
        Row(name="idle, 5 members: CPU of the host", value=cpu(before[host], after[host]), unit="%", goal="<= 2"),
        Row(name="idle, 5 members: CPU of the others, mean", value=sum(others) / len(others), unit="%"),
        Row(
            name="idle, 5 members: UDP payload sent, mean",
            value=sum(rates) / len(rates) / 1_000,
            unit="kB/s",
            goal="<= 4",
        ),
    ]


def ten(bench: Bench) -> list[Row]:
    """Ten members, sixty commits a second."""
    bench.say("ten members, 60 commits a second")
    with Cluster(10, None) as cluster:
        host, count = cluster.host, int(bench.sizes.paced_s * PACE_PER_S)
        before = host.ask("usage")
        took = host.ask("commit_latency", count=count, size=ENTRY_SIZE, every_s=1 / PACE_PER_S)["took"]
        after = host.ask("usage")
    name = "10 members, 60 commits a second"
    return [
        Row(name=f"{name}: commit, p50", value=percentile(took, 0.5) * 1e3, unit="ms"),
        Row(name=f"{name}: commit, p99", value=percentile(took, 0.99) * 1e3, unit="ms", goal=at_most(16.7)),
        Row(name=f"{name}: CPU of the host", value=cpu(before, after), unit="%", goal=at_most(10)),
    ]


def memory(bench: Bench) -> list[Row]:
    """Resident memory of the host after few and after many commits, with SQLite."""
    grown = bench.sizes.grown_commits
    bench.say(f"memory after {grown:,} commits")
    with bench.storages("SQLite") as folder, Cluster(3, folder) as cluster:
        host = cluster.host
        host.ask("throughput", count=FIRST_COMMITS, size=ENTRY_SIZE, window=WINDOW)
        first = host.ask("usage")["memory"]
        follower = cluster.others[0]
        first_follower = follower.ask("usage")["memory"]
        host.ask("throughput", 300, count=grown - FIRST_COMMITS, size=ENTRY_SIZE, window=WINDOW)
        last, last_follower = host.ask("usage")["memory"], follower.ask("usage")["memory"]
    return [
        Row(name=f"memory of the host after {FIRST_COMMITS:,} commits", value=first / MIB, unit="MiB"),
        Row(name=f"memory of the host after {grown:,} commits", value=last / MIB, unit="MiB"),
        Row(name=f"memory of a follower after {FIRST_COMMITS:,} commits", value=first_follower / MIB, unit="MiB"),
        Row(name=f"memory of a follower after {grown:,} commits", value=last_follower / MIB, unit="MiB"),
    ]


def newcomer(bench: Bench) -> list[Row]:
    """Somebody joins a state of 16 MiB while sixty commits a second go on: all of it comes as a snapshot."""
    joins: list[_Join] = []
    for number in range(JOINS):
        bench.say(f"a newcomer takes a snapshot of 16 MiB ({number + 1} of {JOINS})")
        joins.append(_join(bench))
    size = BALLAST_COMMANDS * BALLAST_SIZE
    whole_s = statistics.median(join.whole_s for join in joins)
    rate = statistics.median(size / (join.whole_s - join.without_state_s) for join in joins)
    name = "newcomer with 16 MiB of state"
    return [
        Row(name=f"{name}: from its first datagram to its state", value=whole_s, unit="s"),
        Row(name="joining without any state", value=min(join.without_state_s for join in joins), unit="s"),
        Row(name=f"{name}: rate of the snapshot", value=rate / 1e6, unit="MB/s", goal=at_least(20)),
        Row(name=f"{name}: rate, joining included", value=size / whole_s / 1e6, unit="MB/s"),
        Row(
            name=f"{name}: longest commit meanwhile",
            value=max(join.longest_commit_s for join in joins) * 1e3,
            unit="ms",
            goal=at_most(50),
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Join:
    whole_s: float
    """From the first datagram to the state."""
    without_state_s: float
    """What it took while there was none yet."""
    longest_commit_s: float
    """Of those that were under way meanwhile."""


def _join(bench: Bench) -> _Join:
    size = BALLAST_COMMANDS * BALLAST_SIZE
    settings = f"[timing]\nsnapshot_bytes = {size}\nkept_entries = 0\n"
    with bench.storages("SQLite") as folder, Cluster(3, folder, settings=settings) as cluster:
        host = cluster.host
        without_state_s = statistics.median(cluster.opened_s[member] for member in cluster.members[1:])
        host.ask("ballast", count=BALLAST_COMMANDS, size=BALLAST_SIZE)
        cluster.wait_until_complete()  # the others may be behind: the ballast came all at once
        cluster.wait_for(
            lambda: all(each.ask("status")["snapshot"] > 0 for each in cluster.members), "a snapshot is missing"
        )
        number = host.send("commit_latency", count=10**6, size=ENTRY_SIZE, every_s=1 / PACE_PER_S, seconds=4.0)
        began = time.monotonic()
        new = cluster.join()
        ended = time.monotonic()
        cluster.wait_for(lambda: new.ask("status")["keys"] >= BALLAST_COMMANDS, "the state did not come")
        answer = host.wait(number, 60)
        commits = zip(answer["moments"], answer["took"], strict=True)
        longest = max(took_s for at, took_s in commits if at + took_s > began and at < ended)
        return _Join(cluster.opened_s[new], without_state_s, longest)


def _rate(before: dict[str, Any], after: dict[str, Any], what: str) -> float:
    return float((after[what] - before[what]) / (after["moment"] - before["moment"]))


def cpu(before: dict[str, Any], after: dict[str, Any]) -> float:
    """In percent of one core."""
    return _rate(before, after, "cpu_s") * 100
