"""How long a member takes to open again, with much that is stored."""

from __future__ import annotations

from pathlib import Path

from failover.ids import LogIndex
from failover.raft.effects import Write
from failover.raft.messages import Entry
from failover.records import RECORDS, AppCommand
from failover.storage.sqlite import SqliteStorage
from tests.benchmarks.bench import ENTRY_SIZE, Bench
from tests.benchmarks.children import Child
from tests.benchmarks.cluster import Cluster
from tests.benchmarks.measures import percentile
from tests.benchmarks.report import Row, at_most
from tests.benchmarks.speed import WINDOW

AT_ONCE = 10_000
RUNS = 3


def restarts(bench: Bench) -> list[Row]:
    """A member that committed much, and one that never took a snapshot; each a process, from call to open."""
    commits, entries = bench.sizes.grown_commits, bench.sizes.stored_entries
    bench.say(f"restart after {commits:,} commits")
    with bench.storages("SQLite") as folder, Cluster(1, folder) as cluster:
        cluster.host.ask("throughput", 300, count=commits, size=ENTRY_SIZE, window=WINDOW)
        usual = [_opened_s(cluster) for _ in range(RUNS)]
    bench.say(f"restart with {entries:,} entries in the log")
    with bench.storages("SQLite") as folder, Cluster(1, folder) as cluster:
        assert folder is not None
        cluster.host.close()
        _fill(next(folder.glob("*.db")), entries)
        cluster.ready_s = 120.0
        unusual = _opened_s(cluster)  # once: then it takes a snapshot
    return [
        Row(
            name=f"restart after {commits:,} commits, p50 of {RUNS}",
            value=percentile(usual, 0.5),
            unit="s",
            goal=at_most(1),
        ),
        Row(name=f"restart with {entries:,} entries in the log", value=unusual, unit="s", goal=at_most(1)),
    ]


def _opened_s(cluster: Cluster) -> float:
    """End the only member and start it again; how long `open_member` took."""
    (member,) = cluster.members
    member.close()
    again: Child = cluster.bring_back(member)
    return cluster.opened_s[again]


def _fill(path: Path, count: int) -> None:
    """Write so many entries of the application behind what is there, as if all snapshots had failed."""
    storage = SqliteStorage(path)
    last = storage.load().entries[-1]
    indices = range(last.index + 1, last.index + 1 + count)
    for start in range(0, count, AT_ONCE):
        entries = (
            Entry(LogIndex(index), last.term, RECORDS.encode(AppCommand(1, None, b"%0*d" % (ENTRY_SIZE, index))))
            for index in indices[start : start + AT_ONCE]
        )
        storage.write((Write(1, entries=tuple(entries)),))
    storage.close()
