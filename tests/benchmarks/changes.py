"""How long play stands still when the host is killed, hands over, or closes.

Both survivors keep a request going all the time. After a kill the gap runs from the moment before `os.kill` to
the reply of the first request that a survivor sent after it; at a hand-over it is the longest time between two
replies, whoever got them.
"""

from __future__ import annotations

import time
from itertools import pairwise

from tests.benchmarks.bench import ENTRY_SIZE, Bench
from tests.benchmarks.children import Child, ChildFailed
from tests.benchmarks.cluster import Cluster
from tests.benchmarks.measures import longest_gap, percentile, summary
from tests.benchmarks.report import Row, at_most

WATCH_S = 60.0
BEFORE_S, AFTER_S = 0.25, 1.0
PLAY_S = 0.3
GAP_S_MAX = 20.0
PHASES = ("silence", "election", "lease", "apply")


def kills(bench: Bench) -> list[Row]:
    """`kill -9` of the host; the killed one is back, and votes, before the next kill."""
    rows = []
    for storage in ("SQLite", "memory"):
        gaps, failovers = [], []
        with bench.storages(storage) as folder, Cluster(3, folder) as cluster:
            for number in range(bench.sizes.kills):
                host = cluster.host
                survivors = [member for member in cluster.members if member is not host]
                watches = _watch(survivors)
                time.sleep(PLAY_S + 0.0077 * (number % 10))  # at another place between two heartbeats each time
                killed = host.kill()
                replied = _first_reply_after(survivors, killed)
                gaps.append(replied - killed)
                failovers.append(phases(survivors, killed, replied))
                _unwatch(survivors, watches)
                cluster.bring_back(host)
                cluster.wait_until_complete()
                bench.say(
                    f"kill -9 of the host, {storage}: {number + 1} of {bench.sizes.kills}, {gaps[-1] * 1e3:.0f} ms"
                )
        found = summary(gaps, 1e3)
        name = f"kill -9 of the host to the next accepted request, {storage}"
        peers = {"p50": bench.rival("gap_ms"), "p99": {}, "worst": bench.rival("gap_worst_ms")}
        goals = {"p50": 80, "p99": 150, "worst": 300}
        rows += [
            Row(name=f"{name}, {part}", value=found[part], unit="ms", goal=at_most(goals[part]), peers=peers[part])
            for part in goals
        ]
        rows += [
            Row(
                name=f"{name}, of that {phase}, p50",
                value=percentile([each[phase] for each in failovers], 0.5) * 1e3,
                unit="ms",
                samples=[round(each[phase] * 1e3, 2) for each in failovers],
            )
            for phase in PHASES
        ]
    return rows


def phases(survivors: list[Child], killed: float, replied: float) -> dict[str, float]:
    """Where the time between the kill and the first reply went, in seconds.

    Silence: until the next host stood. Election: until its first entry was committed and applied. Lease: until
    enough promises were back for it to host. Apply: until the first request was carried out and answered.
    """
    answers = [survivor.ask("taken_over", since=killed) for survivor in survivors]
    found = min((each for each in answers if "hosts" in each), key=lambda each: float(each["hosts"]))
    moments = [killed, found["stood"], found["won"], found["hosts"], replied]
    return dict(zip(PHASES, (after - before for before, after in pairwise(moments)), strict=True))


def hand_overs(bench: Bench) -> list[Row]:
    """`hand_over()`, and closing the host, with SQLite."""
    rows = []
    for way in ("hands over", "closes"):
        gaps = []
        with bench.storages("SQLite") as folder, Cluster(3, folder) as cluster:
            for number in range(bench.sizes.hand_overs):
                host = cluster.host
                others = [member for member in cluster.members if member is not host]
                watches = _watch(others)
                time.sleep(BEFORE_S + PLAY_S)
                began = time.monotonic()
                if way == "closes":
                    host.close()
                else:
                    host.ask("hand_over")
                time.sleep(max(0.0, began + AFTER_S - time.monotonic()))
                moments = [reply for _, reply in _replies(others, began - BEFORE_S)]
                gaps.append(longest_gap(moments, began - BEFORE_S, began + AFTER_S))
                _unwatch(others, watches)
                if way == "closes":
                    cluster.bring_back(host)
                cluster.wait_until_complete()
                bench.say(f"host {way}: {number + 1} of {bench.sizes.hand_overs}, {gaps[-1] * 1e3:.1f} ms")
        found = summary(gaps, 1e3)
        name = f"host {way}: longest gap between accepted requests"
        goals = {"p50": at_most(5), "p99": at_most(20), "worst": None}
        rows += [Row(name=f"{name}, {p}", value=found[p], unit="ms", goal=goals[p]) for p in goals]
    return rows


def _watch(members: list[Child]) -> list[tuple[Child, int]]:
    return [(member, member.send("watch", size=ENTRY_SIZE, most_s=WATCH_S)) for member in members]


def _unwatch(members: list[Child], watches: list[tuple[Child, int]]) -> None:
    for member in members:
        member.ask("unwatch")
    for member, number in watches:
        member.wait(number, 10)


def _replies(members: list[Child], since: float) -> list[tuple[float, float]]:
    return [(sent, reply) for member in members for sent, reply in member.ask("watched", since=since)["replies"]]


def _first_reply_after(members: list[Child], moment: float) -> float:
    until = time.monotonic() + GAP_S_MAX
    while time.monotonic() < until:
        time.sleep(0.4)  # asking disturbs what is measured
        after = [reply for sent, reply in _replies(members, moment) if sent >= moment]
        if after:
            return min(after)
    raise ChildFailed(f"no request was accepted within {GAP_S_MAX:g} s after the kill")
