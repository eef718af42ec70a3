"""What the tests with real processes ask and compare."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tests.benchmarks.children import Child
from tests.benchmarks.cluster import Cluster
from tests.guarantee import guarantee


def events_of(child: Child, *kinds: str) -> list[dict[str, Any]]:
    """The events that the member heard, oldest first; of some kinds only, if named."""
    return [event for event in child.ask("look")["events"] if not kinds or event["kind"] in kinds]


def wait_for_event(cluster: Cluster, child: Child, kind: str, seconds: float, after: int = 0) -> dict[str, Any]:
    """Wait until the member has heard more than `after` events of this kind; returns the newest."""
    cluster.wait_for(lambda: len(events_of(child, kind)) > after, f"{child.name} did not hear {kind}", seconds)
    return events_of(child, kind)[-1]


def wait_until_equal(cluster: Cluster) -> None:
    """Wait until all members have applied the same; their states must be equal then.

    Each member says both in one answer: a request whose sender was told to stop may still be under way.
    """
    seen: list[dict[str, Any]] = []

    def look() -> bool:
        seen[:] = [child.ask("status") for child in cluster.members]
        return len({each["applied"] for each in seen}) == 1

    cluster.wait_for(look, "the members differ", 10)
    guarantee(len({each["digest"] for each in seen}) == 1, f"the same log has led to different states: {seen}")


def check_exactly_once(cluster: Cluster, folder: Path) -> int:
    """Every request that anybody ever accepted is in every state exactly once; returns how many there are."""
    wait_until_equal(cluster)
    accepted = Counter(line for path in folder.glob("*.journal") for line in path.read_text().splitlines())
    twice = {body for body, count in accepted.items() if count != 1}
    guarantee(not twice, f"accepted twice: {twice}")
    for child in cluster.members:
        counts = child.ask("counts")["counts"]
        wrong = {body: counts.get(body) for body in accepted if counts.get(body) != 1}
        guarantee(not wrong, f"lost or doubled at {child.name}: {wrong}")
        twice = {body for body, count in counts.items() if count != 1}
        guarantee(not twice, f"took effect twice at {child.name}: {twice}")
    return len(accepted)
