"""A minute of torture; and bugs that are planted into the members, which it must find."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.guarantee import guarantee
from tests.lab.namespaces import NoLab, udp_socket
from tests.processes.torture.ground import Ground, check_machine
from tests.processes.torture.planted import BUGS
from tests.processes.torture.torture import Torture

SHORT_S = 9.0
SEEDS_MAX = 4
FOUND_AS = {
    "replies_before_commit": {"lost", "not linearizable"},
    "applies_what_is_asked_again": {"doubled"},
    "host_ignores_its_end": {"two hosts"},
    "host_does_not_look_at_its_clock": {"two hosts", "not linearizable"},
    "reads_wait_for_nothing": {"not linearizable"},
    "disk_says_too_early_that_it_has_stored": {"lost", "diverged", "two hosts"},
    "machine_is_not_deterministic": {"diverged"},
}
QUICKLY_FOUND = {"host_ignores_its_end", "reads_wait_for_nothing"}
pytestmark = pytest.mark.timeout(300)

Run = Callable[..., dict[str, Any]]


def require_ground(require: Callable[[bool, str], None]) -> None:
    """Skip where members cannot be tortured."""
    try:
        check_machine()
    except NoLab as error:
        require(False, f"this machine tortures nobody: {error}")


@pytest.fixture
def run(require, tmp_path: Path) -> Run:
    """Return a function that tortures, in a folder of its own each time, and returns the report."""
    require_ground(require)

    def torture(seed: int, *arguments: Any, **options: Any) -> dict[str, Any]:
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir()
        return Torture(seed, *arguments, folder=folder, **options).run()

    return torture


def test_a_minute_of_torture_breaks_nothing(run):
    report = run(1, 1.0)
    guarantee(not report["violations"], "\n".join([*report["found"], f"evidence: {report['evidence']}"]))
    assert report["operations"] > 1_000
    assert report["replacements"]


@pytest.mark.parametrize(
    "bug", [bug if bug in QUICKLY_FOUND else pytest.param(bug, marks=pytest.mark.long) for bug in BUGS]
)
def test_a_bug_that_was_planted_is_found(run, bug):
    def finds(seed: int) -> bool:
        report = run(seed, 0.0, planted=bug, storm_s=SHORT_S)
        return any(report["by_kind"].get(kind) for kind in FOUND_AS[bug])

    assert any(map(finds, range(SEEDS_MAX)))


def test_the_ground_cuts_off_and_fills_up_and_leaves_nothing_behind(require, tmp_path):
    require_ground(require)
    began = time.monotonic()
    with Ground(2, tmp_path) as ground:
        here, there = (udp_socket(ground.namespaces[number], port=7777) for number in range(2))
        here.sendto(b"hello", (ground.address(1), 7777))
        assert there.recv(64) == b"hello", "from now on they know where the other is, and nothing waits for that"
        cuts = [ground.cut([(1, 0)]), ground.cut([(1, 0)])]
        here.sendto(b"lost", (ground.address(1), 7777))
        ground.mend(cuts[0])
        here.sendto(b"lost still", (ground.address(1), 7777))
        ground.mend(cuts[1])
        here.sendto(b"heard", (ground.address(1), 7777))
        assert there.recv(64) == b"heard"
        for number in range(2):
            ground.fill(number)
        with pytest.raises(OSError, match="No space"):
            (ground.disks[0] / "more").write_bytes(bytes(4096))
        ground.free(0)
        (ground.disks[0] / "more").write_bytes(bytes(4096))
        assert ground.was_full(0, began)
        assert not ground.was_full(0, time.monotonic())
        ground.heal()
        (ground.disks[1] / "more").write_bytes(bytes(4096))
        here.close()
        there.close()
    assert not any(
        path.exists()
        for path in (*(disk / "more" for disk in ground.disks), *map(namespace_file, ground.namespaces))
    )


def namespace_file(name: str) -> Path:
    return Path("/run/netns", name)
