"""A host that is asked to end hands over first: Ctrl+C, SIGTERM, the end of its block."""

import signal
import time
from itertools import pairwise

import pytest

from tests.processes.watching import check_exactly_once, wait_for_event

GAP_S_MAX = 0.5
"""Far above what a hand-over takes, far below what nobody's word about it would: the machine may be busy."""


@pytest.mark.parametrize("way", ["SIGINT", "SIGTERM", "close"])
def test_a_host_that_ends_hands_over(open_cluster, tmp_path, way):
    cluster = open_cluster(3)
    host, survivors = cluster.host, cluster.others
    loads = [(child, child.send("load", prefix=child.name)) for child in survivors]
    time.sleep(0.5)
    began = time.monotonic()
    if way == "close":
        host.close()
    else:
        host.signal(signal.Signals[way])
    status, errors = host.wait_for_end(5)
    assert status == (130 if way == "SIGINT" else 0), errors
    changed = wait_for_event(cluster, survivors[0], "HostChanged", 5, after=1)
    assert changed["reason"] == "'handed over'", [c.ask("look")["events"] for c in survivors] + [errors]
    time.sleep(0.5)
    for child, number in loads:
        child.ask("unload")
        moments = [began, *(reply for _, reply in child.wait(number)["done"] if reply > began)]
        assert len(moments) > 10
        assert max(b - a for a, b in pairwise(moments)) < GAP_S_MAX
    cluster.bring_back(host)
    cluster.wait_until_complete()
    check_exactly_once(cluster, tmp_path)
