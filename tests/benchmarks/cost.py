"""What a cluster costs: processor, traffic and memory, and what a newcomer costs the others."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import failover
from tests.benchmarks import floor
from tests.benchmarks.bench import ENTRY_SIZE, Bench
from tests.benchmarks.cluster import Cluster
from tests.benchmarks.measures import percentile
from tests.benchmarks.report import Row, at_least, at_most

PACE_PER_S = 60
HEARTBEAT_S = failover.Timing().heartbeat_s
JOINS = 3
LOOKED_AT = tuple(k * 10**n for n in range(4, 8) for k in (1, 3))
"""After so many commits memory is looked at."""
AT_ONCE_MAX = 1_000_000
GROWTH_MAX = 1.25
"""At the first look there are 10,000 entries in the log; before each snapshot there are 25,000."""
WINDOW = 2_000
BALLAST_COMMANDS, BALLAST_SIZE = 256, 65_536
MIB = 1 << 20


def idle(bench: Bench) -> list[Row]:
    """Five members with nothing to do. CPU from getrusage, UDP payload counted in each member's `send`."""
    bench.say(f"five idle members for {bench.sizes.idle_s:g} s")
    bare = floor.beats(4, HEARTBEAT_S, bench.sizes.idle_s)
    with Cluster(5, None, counting=True) as cluster:
        time.sleep(1.0)
        host = cluster.host
        before = {member: member.ask("usage") for member in cluster.members}
        time.sleep(bench.sizes.idle_s)
        after = {member: member.ask("usage") for member in cluster.members}
    rates = [_rate(before[member], after[member], "sent") for member in before]
    others = [cpu(before[member], after[member]) for member in before if member is not host]
    return [
        Row(
            name="idle, 5 members: CPU of the host",
            value=cpu(before[host], after[host]),
            unit="%",
            goal=at_most(2),
            floor=bare,
        ),
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
    bare = floor.beats(9, 1 / (PACE_PER_S + 1 / HEARTBEAT_S), bench.sizes.paced_s)
    with Cluster(10, None) as cluster:
        host, count = cluster.host, int(bench.sizes.paced_s * PACE_PER_S)
        before = host.ask("usage")
        took = host.ask("commit_latency", count=count, size=ENTRY_SIZE, every_s=1 / PACE_PER_S)["took"]
        after = host.ask("usage")
    name = "10 members, 60 commits a second"
    return [
        Row(name=f"{name}: commit, p50", value=percentile(took, 0.5) * 1e3, unit="ms"),
        Row(name=f"{name}: commit, p99", value=percentile(took, 0.99) * 1e3, unit="ms", goal=at_most(16.7)),
        Row(name=f"{name}: CPU of the host", value=cpu(before, after), unit="%", goal=at_most(10), floor=bare),
    ]


def memory(bench: Bench) -> list[Row]:
    """Resident memory of the host and of a follower after few and after many commits, with SQLite."""
    grown = bench.sizes.grown_commits
    bench.say(f"memory after {grown:,} commits")
    seen: dict[str, list[tuple[float, float]]] = {"the host": [], "a follower": []}
    with bench.storages("SQLite") as folder, Cluster(3, folder) as cluster:
        done = 0
        for upto in [*(n for n in LOOKED_AT if n < grown), grown]:
            while done < upto:
                more = min(upto - done, AT_ONCE_MAX)
                cluster.host.ask("throughput", 600, count=more, size=ENTRY_SIZE, window=WINDOW)
                done += more
            for who, member in zip(seen, (cluster.host, cluster.others[0]), strict=True):
                seen[who].append((upto, member.ask("usage")["memory"] / MIB))
    rows = []
    for who, looks in seen.items():
        (few, first), (many, last) = looks[0], looks[-1]
        rows += [
            Row(name=f"memory of {who} after {few:,} commits", value=first, unit="MiB"),
            Row(
                name=f"memory of {who} after {many:,} commits",
                value=last,
                unit="MiB",
                goal=at_most(GROWTH_MAX * first),
                samples=looks,
            ),
        ]
    return rows


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
