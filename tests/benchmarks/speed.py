"""How fast commits and requests are while nothing happens."""

from __future__ import annotations

from tests.benchmarks.bench import ENTRY_SIZE, Bench
from tests.benchmarks.cluster import Cluster
from tests.benchmarks.measures import summary
from tests.benchmarks.report import Row, at_least, at_most

WINDOW = 2_000
THROUGHPUT_GOALS = {"memory": 50_000, "SQLite": 30_000}


def floors(bench: Bench) -> list[Row]:
    """The bare machine."""
    found = bench.floors
    return [
        Row(name="floor: encrypted UDP quorum round trip, p50", value=found.round_trip_us["p50"], unit="us"),
        Row(name="floor: encrypted UDP quorum round trip, p99", value=found.round_trip_us["p99"], unit="us"),
        Row(name="floor: quorum round trips, 64 in flight", value=found.round_trips_per_s, unit="1/s"),
        Row(name="floor: fdatasync of 4 KiB, p50", value=found.sync_us["p50"], unit="us"),
        Row(name="floor: fdatasync of 4 KiB, p99", value=found.sync_us["p99"], unit="us"),
        Row(name="floor: fdatasync, three at once, p50", value=found.syncs_together_us["p50"], unit="us"),
        Row(name="floor: fdatasync, three at once, p99", value=found.syncs_together_us["p99"], unit="us"),
    ]


def commits(bench: Bench) -> list[Row]:
    """`host.commit` in the server function, one at a time."""
    rows = []
    for storage in ("memory", "SQLite"):
        bench.say(f"commit latency, {storage}")
        floor, count = bench.floors.round_trip_us, bench.sizes.latencies
        goal = at_most(3 * floor["p50"])
        base = dict(floor)
        if storage == "SQLite":
            count = bench.sizes.disk_latencies
            base = {key: floor[key] + bench.floors.sync_us[key] for key in ("p50", "p99")}
            goal = at_most(2 * base["p50"])
        with bench.storages(storage) as folder, Cluster(3, folder) as cluster:
            host = cluster.host
            host.ask("commit_latency", count=count // 10, size=ENTRY_SIZE)  # warm
            took = host.ask("commit_latency", count=count, size=ENTRY_SIZE)["took"]
        found = summary(took, 1e6)
        peers = bench.rival("latency_us"), bench.rival("latency_p99_us")
        name = f"commit, one at a time, {storage}"
        rows.append(
            Row(
                name=f"{name}, p50",
                value=found["p50"],
                unit="us",
                goal=goal,
                floor=base["p50"],
                peers=peers[0],
                samples=[round(each * 1e6, 1) for each in took],
            )
        )
        rows.append(Row(name=f"{name}, p99", value=found["p99"], unit="us", floor=base["p99"], peers=peers[1]))
    return rows


def throughput(bench: Bench) -> list[Row]:
    """`host.propose`, two thousand in flight."""
    rows = []
    for storage in ("memory", "SQLite"):
        bench.say(f"commits per second, {storage}")
        count = bench.sizes.commits if storage == "memory" else bench.sizes.disk_commits
        with bench.storages(storage) as folder, Cluster(3, folder) as cluster:
            host = cluster.host
            host.ask("throughput", count=count // 20, size=ENTRY_SIZE, window=WINDOW)  # warm
            found = host.ask("throughput", 120, count=count, size=ENTRY_SIZE, window=WINDOW)
        rows.append(
            Row(
                name=f"commits, {WINDOW:,} in flight, {storage}",
                value=count / found["seconds"],
                unit="1/s",
                goal=at_least(THROUGHPUT_GOALS[storage]),
                floor=bench.floors.round_trips_per_s,
                peers=bench.rival("per_s"),
            )
        )
    return rows


def requests(bench: Bench) -> list[Row]:
    """`member.request` on a member that is not host, one at a time."""
    rows = []
    for storage in ("memory", "SQLite"):
        bench.say(f"request latency, {storage}")
        count = bench.sizes.latencies if storage == "memory" else bench.sizes.disk_latencies
        with bench.storages(storage) as folder, Cluster(3, folder) as cluster:
            member = cluster.others[0]
            member.ask("request_latency", count=count // 10, size=ENTRY_SIZE)  # warm
            found = summary(member.ask("request_latency", count=count, size=ENTRY_SIZE)["took"], 1e6)
        name = f"request from another member, {storage}"
        rows += [Row(name=f"{name}, {part}", value=found[part], unit="us") for part in ("p50", "p99")]
    return rows
