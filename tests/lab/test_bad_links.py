"""Real members on bad links elect, commit in time and survive a crash; a laptop moves in the middle of a game."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from failover.settings import Settings
from tests.benchmarks.children import Child
from tests.benchmarks.cluster import Cluster
from tests.lab.homes import Homes, Router
from tests.lab.links import Line, Way
from tests.processes.watching import check_exactly_once

ROUND_TRIP_MS = 40.0
FAR = Way(delay_s=ROUND_TRIP_MS / 2000, loss=0.02)
OpenCluster = Callable[[Homes], Cluster]
Timed = list[tuple[float, float, bool]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """For storages and journals, in memory: the links are measured here, and not this machine's disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def play_in(folder: Path) -> Iterator[OpenCluster]:
    """Return a function that starts a member in each place of some homes, with the settings for the internet."""
    with ExitStack() as stack:

        def start(homes: Homes) -> Cluster:
            cluster = Cluster(
                len(homes.members),
                folder,
                worker="tests.lab.player",
                folder_=str(folder),
                settings=Settings.internet().to_toml(),
                places=homes.places(),
            )
            return stack.enter_context(cluster)

        yield start


def timed(child: Child) -> Timed:
    """What the member got accepted since this was last asked; none of its requests may have got lost."""
    news = child.ask("news")
    assert (news["unknown"], news["skipped"]) == (0, 0)
    return [tuple(each) for each in news["timed"]]


def longest_gap(timed: Timed) -> float:
    """Seconds between two moments at which something was accepted."""
    moments = sorted(at for at, _, _ in timed)
    return max(later - earlier for earlier, later in pairwise(moments))


def rest(cluster: Cluster) -> None:
    for child in cluster.members:
        child.ask("rest", seconds=20)


def test_far_members_commit_in_time_and_survive_the_crash_of_their_host(open_homes, play_in, folder):
    """40 ms away from each other, 2 % lost; then with 10 ms of jitter and lines of 10 Mbit/s, too."""
    homes = open_homes(*[Router.NONE] * 4)
    links = homes.emulate(Way(delay_s=ROUND_TRIP_MS / 2000), seed=11)
    cluster = play_in(homes)
    links.set_way(None, None, FAR)
    for child in cluster.members:
        child.send("play", rate=30.0)
    time.sleep(5.0)
    commits = sorted(ms for child in cluster.members for _, ms, is_host in timed(child) if is_host)
    p50, p99 = commits[len(commits) // 2], commits[len(commits) * 99 // 100]
    print(f"{len(commits)} commits: p50 {p50:.1f} ms, p99 {p99:.1f} ms; {links.report()}")
    assert len(commits) >= 100
    assert p50 < 1.3 * ROUND_TRIP_MS
    assert p99 < 3 * ROUND_TRIP_MS
    links.set_way(None, None, replace(FAR, jitter_s=0.010))
    for direction in ("up", "down"):
        links.set_line(direction, None, Line(rate=10e6))
    time.sleep(0.5)
    host = cluster.host
    host.kill()
    cluster.bury(host)
    cluster.wait_for(lambda: any(child.ask("status")["is_host"] for child in cluster.members), "nobody hosts", 10)
    time.sleep(0.5)
    rest(cluster)
    assert max(longest_gap(timed(child)) for child in cluster.members) < 3.0
    assert check_exactly_once(cluster, folder) > 500


def test_a_laptop_that_changes_its_address_in_the_middle_of_a_game_goes_on(open_homes, play_in, folder):
    """Once it is any member, once it is the host."""
    homes = open_homes(*[Router.NONE] * 3)
    homes.emulate(FAR, seed=13)
    cluster = play_in(homes)
    members = set(cluster.host.ask("status")["members"])
    for child in cluster.members:
        child.send("play", rate=20.0)
    for mover in (cluster.others[0], cluster.host):
        place = homes.members[cluster.members.index(mover)]
        before = place.address
        time.sleep(1.0)
        homes.change_address(place)
        assert place.address != before
        time.sleep(2.0)
        gaps = {child.name: round(longest_gap(timed(child)), 3) for child in cluster.members}
        print(f"{mover.name} moved; longest gaps between accepted requests, in seconds: {gaps}")
        assert max(gaps.values()) < 1.5
    rest(cluster)
    assert set(cluster.host.ask("status")["members"]) == members
    assert check_exactly_once(cluster, folder) > 300
