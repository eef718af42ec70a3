"""Two players and a witness: whoever crashes, real processes and real files (architecture.md has the table).

That play goes on without a change of host is told in virtual time (tests/simulation/test_witness_stories.py): here
a busy machine may keep any process waiting for longer than a lease.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.benchmarks.children import Child
from tests.benchmarks.cluster import Cluster
from tests.processes.keeper import KeeperProcess
from tests.processes.watching import check_exactly_once, wait_for_event


class Trio:
    """Two players and a witness."""

    def __init__(self, cluster: Cluster, stack: ExitStack, tmp_path) -> None:
        self.cluster = cluster
        self.stack = stack
        self.folder = tmp_path / "witness"
        ticket = cluster.host.ask("invite", uses=1)["ticket"]
        self.witness = stack.enter_context(KeeperProcess(self.folder, tickets=(ticket,)))
        self.witness.wait_for("joined; it listens")
        self.wait_until_complete()

    def wait_until_complete(self) -> None:
        """Until a failure is survived, and both players have the same."""

        def look() -> bool:
            statuses = [child.ask("status") for child in self.cluster.members]
            host = self.cluster.host.ask("status")
            same = {(each["applied"], each["host"]) for each in statuses}
            return len(statuses) == 2 and host["survives"] == 1 and len(same) == 1

        self.cluster.wait_for(look, "the cluster is not complete")

    def start_witness_again(self) -> None:
        """From its folder, without a ticket."""
        self.witness = self.stack.enter_context(KeeperProcess(self.folder))
        self.witness.wait_for("resumed; it listens")


@pytest.fixture
def three(open_cluster, tmp_path) -> Iterator[Trio]:
    with ExitStack() as stack:
        yield Trio(open_cluster(2), stack, tmp_path)


def request(child: Child, body: str) -> None:
    assert child.ask("request", body=body)["reply"] == "1"


def test_the_host_crashes_and_the_other_player_hosts(three, tmp_path):
    host, other = three.cluster.host, three.cluster.others[0]
    request(other, "before")
    host.kill()
    three.cluster.bury(host)
    wait_for_event(three.cluster, other, "BecomeHost", 3)
    request(other, "after")
    three.cluster.members.append(host)
    three.cluster.bring_back(host)
    three.wait_until_complete()
    assert check_exactly_once(three.cluster, tmp_path) == 2


def test_the_other_player_crashes_and_the_host_goes_on(three, tmp_path):
    host, other = three.cluster.host, three.cluster.others[0]
    request(host, "before")
    other.kill()
    for number in range(10):
        request(host, f"meanwhile {number}")
    three.cluster.bring_back(other)
    three.wait_until_complete()
    assert check_exactly_once(three.cluster, tmp_path) == 11


def test_the_witness_crashes_and_comes_back_from_its_storage(three, tmp_path):
    host, other = three.cluster.host, three.cluster.others[0]
    three.witness.kill()
    for number in range(10):
        request(other, f"meanwhile {number}")
    three.start_witness_again()
    three.wait_until_complete()
    host.kill()
    request(other, "after")
    three.cluster.bring_back(host)
    three.wait_until_complete()
    assert check_exactly_once(three.cluster, tmp_path) == 11


def test_the_host_and_the_witness_crash_and_nothing_is_accepted(three, tmp_path):
    host, other = three.cluster.host, three.cluster.others[0]
    request(other, "before")
    three.witness.kill()
    host.kill()
    wait_for_event(three.cluster, other, "QuorumLost", 5)
    asked = other.send("request", body="meanwhile")
    assert other.ask("request", body="impatient", within_s=0.5)["refused"] == "NotHost"
    assert not other.ask("look")["is_host"]
    three.start_witness_again()
    assert other.wait(asked)["reply"] == "1", "the witness alone makes a quorum of the one that is left"
    three.cluster.bring_back(host)
    three.wait_until_complete()
    check_exactly_once(three.cluster, tmp_path)


@pytest.mark.parametrize("first_back", ["host", "other"])
def test_both_players_crash_and_the_first_that_returns_hosts_with_all_that_was_accepted(
    three, tmp_path, first_back
):
    host, other = three.cluster.host, three.cluster.others[0]
    for number in range(10):
        request(other, f"before {number}")
    host.kill()
    other.kill()
    three.witness.wait_for("too few are here")
    back, late = (host, other) if first_back == "host" else (other, host)
    three.cluster.bury(late)
    back = three.cluster.bring_back(back)
    wait_for_event(three.cluster, back, "BecomeHost", 10)
    counts = back.ask("counts")["counts"]
    assert counts == {f"before {number}": 1 for number in range(10)}
    request(back, "after")
    three.cluster.members.append(late)
    three.cluster.bring_back(late)
    three.wait_until_complete()
    assert check_exactly_once(three.cluster, tmp_path) == 11


def test_the_witness_alone_holds_what_was_accepted_and_brings_it(three, tmp_path):
    """The other player sleeps while the host and the witness commit; then the host crashes."""
    host, other = three.cluster.host, three.cluster.others[0]
    other.signal(signal.SIGSTOP)
    for number in range(20):
        request(host, f"unseen {number}")
    host.kill()
    three.cluster.bury(host)
    other.signal(signal.SIGCONT)
    wait_for_event(three.cluster, other, "BecomeHost", 5)
    assert other.ask("counts")["counts"] == {f"unseen {number}": 1 for number in range(20)}
    request(other, "after")
    three.cluster.members.append(host)
    three.cluster.bring_back(host)
    three.wait_until_complete()
    assert check_exactly_once(three.cluster, tmp_path) == 21


def test_a_witness_that_is_told_to_end_gives_up_its_vote_and_comes_back(three):
    host, other = three.cluster.host, three.cluster.others[0]
    assert three.witness.terminate() == 0
    assert "goes on when it is started again" in three.witness.lines[-1]
    three.cluster.wait_for(lambda: host.ask("status")["survives"] == 0, "its vote is still there", 5)
    request(other, "meanwhile")
    three.start_witness_again()
    three.wait_until_complete()


def test_players_see_what_it_is(three):
    kinds = [kind for kind, _ in three.cluster.host.ask("status")["members"].values()]
    assert sorted(kinds) == ["voter", "voter", "witness"]


def test_a_witness_that_was_asleep_does_no_harm(three, tmp_path):
    other = three.cluster.others[0]
    three.witness._process.send_signal(signal.SIGSTOP)
    time.sleep(1.0)
    request(other, "while it sleeps")
    three.witness._process.send_signal(signal.SIGCONT)
    three.wait_until_complete()
    assert check_exactly_once(three.cluster, tmp_path) == 1
