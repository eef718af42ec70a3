"""Real members in homes of their own: through the routers where they let them, else by way of a common member."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, pairwise
from pathlib import Path

import pytest

from tests.benchmarks.children import Child
from tests.benchmarks.cluster import Cluster
from tests.lab.homes import Home, Homes, Router
from tests.processes.watching import check_exactly_once

FOUND_S = 8.0
ROUNDS = count()


def play(homes: Homes, folder: Path) -> Cluster:
    """One member in each home's place, in their order; the first is the founder."""
    size = len(homes.members)
    return Cluster(size, folder, worker="tests.processes.worker", folder_=str(folder), places=homes.places())


def path(cluster: Cluster, one: Child, other: Child) -> str:
    """How the first reaches the second."""
    return str(one.ask("status")["paths"][cluster.ids[other]])


def wait_for_paths(cluster: Cluster, one: Child, other: Child, wanted: str) -> None:
    """Until both reach each other so."""
    cluster.wait_for(
        lambda: path(cluster, one, other) == path(cluster, other, one) == wanted,
        f"{one.name} and {other.name} do not reach each other: {wanted}",
        FOUND_S,
    )


def let_host(cluster: Cluster, member: Child) -> None:
    """Hand over to that very member."""
    if cluster.host is not member:
        cluster.host.ask("hand_over", to=cluster.ids[member])
        cluster.wait_for(lambda: bool(member.ask("look")["is_host"]), f"{member.name} does not host", 5)


@contextmanager
def load(cluster: Cluster, *members: Child) -> Iterator[Callable[[], float]]:
    """Have them send requests all the time; what is yielded says, after the block, the longest wait of all."""
    round_ = next(ROUNDS)
    loads = {member: member.send("load", prefix=f"{member.name} {round_}") for member in members}
    answers: dict[Child, list[tuple[float, float]]] = {}
    yield lambda: max(after[1] - before[1] for done in answers.values() for before, after in pairwise(done))
    for member, question in loads.items():
        member.ask("unload")
        answer = member.wait(question)
        assert answer["unknown"] == 0
        answers[member] = answer["done"]


def beat(cluster: Cluster, members: tuple[Child, ...], times: int) -> None:
    """Wait until each had so many more requests accepted."""
    for member in members:
        before = sum(member.ask("counts")["counts"].values())
        cluster.wait_for(
            lambda m=member, b=before: sum(m.ask("counts")["counts"].values()) >= b + times,
            f"nothing goes on at {member.name}",
            15,
        )


def test_two_homes_behind_ordinary_routers_find_the_direct_path(open_homes, tmp_path):
    homes = open_homes(Router.NONE, Router.CONE, Router.CONE)
    with play(homes, tmp_path) as cluster:
        public, a, b = cluster.members
        wait_for_paths(cluster, a, b, "direct")
        wait_for_paths(cluster, a, public, "direct")
        for host in (a, b):  # the host may sit behind either router
            let_host(cluster, host)
            with load(cluster, a, b, public):
                beat(cluster, (a, b, public), 20)
        assert a.ask("status")["members"][cluster.ids[b]][1]
        assert check_exactly_once(cluster, tmp_path) > 100


def test_behind_routers_that_change_ports_a_common_member_passes_on_and_may_leave(open_homes, tmp_path):
    homes = open_homes(Router.NONE, Router.RANDOM, Router.RANDOM, Router.NONE)
    with play(homes, tmp_path) as cluster:
        first, a, b, _second = cluster.members
        wait_for_paths(cluster, a, b, "relayed")
        let_host(cluster, a)
        with load(cluster, a, b) as longest_wait:
            beat(cluster, (a, b), 50)
            first.kill()
            cluster.bury(first)
            beat(cluster, (a, b), 50)
        assert longest_wait() < 3.0
        wait_for_paths(cluster, a, b, "relayed")
        assert check_exactly_once(cluster, tmp_path) > 200


@pytest.mark.parametrize("router", [Router.CONE, Router.RANDOM])
def test_a_mapping_that_is_dropped_in_the_middle_of_a_game_costs_little(open_homes, tmp_path, router):
    homes = open_homes(Router.NONE, router, router)
    with play(homes, tmp_path) as cluster:
        _public, a, b = cluster.members
        wait_for_paths(cluster, a, b, "direct" if router is Router.CONE else "relayed")
        let_host(cluster, a)
        with load(cluster, a, b) as longest_wait:
            for home in (homes.members[1].home, homes.members[2].home):  # the host's, and the other's
                beat(cluster, (a, b), 50)
                homes.drop_mappings(home)
            beat(cluster, (a, b), 50)
        assert longest_wait() < 1.5
        assert check_exactly_once(cluster, tmp_path) > 200


def test_two_in_one_home_speak_to_each_other_at_home(open_homes, tmp_path):
    homes = open_homes(Router.NONE, Home(Router.CONE, members=2))
    with play(homes, tmp_path) as cluster:
        _public, a, b = cluster.members
        wait_for_paths(cluster, a, b, "lan")
