"""Where the time of a commit goes: cProfile in the host's and in a follower's process."""

from __future__ import annotations

from tests.benchmarks.bench import ENTRY_SIZE, Bench
from tests.benchmarks.cluster import Cluster


def profile(bench: Bench) -> str:
    """The top costs of commits one at a time and of many in flight, memory storage."""
    parts = []
    for title, do, options in (
        ("commit, one at a time", "commit_latency", {"count": bench.sizes.latencies}),
        ("commits, many in flight", "throughput", {"count": bench.sizes.commits // 4, "window": 2_000}),
    ):
        with Cluster(3, None) as cluster:
            host, follower = cluster.host, cluster.others[0]
            host.ask(do, size=ENTRY_SIZE, **options)
            for member in (host, follower):
                member.ask("profile", on=True)
            host.ask(do, size=ENTRY_SIZE, **options)
            for name, member in (("host", host), ("follower", follower)):
                parts.append(f"=== {title}: {name}\n{member.ask('profile', on=False, lines=30)['text']}")
    return "\n".join(parts)
