"""A requester killed with SIGKILL right after it asked: with its key it learns what became of its request."""

from __future__ import annotations

import random
import time

from tests.processes.watching import wait_until_equal

ROUNDS = 5


def test_a_requester_that_is_killed_asks_again_with_its_key_and_nothing_is_done_twice(open_cluster):
    """At every moment between asking and hearing, and once in a while the host dies with it."""
    cluster = open_cluster(3)
    dice = random.Random(1)
    heard: dict[str, str] = {}
    for kill in range(1, ROUNDS + 1):
        asker = next(child for child in cluster.members if child is not cluster.host)
        keys = {f"{asker.name} {kill:02} {number}": asker for number in range(5)}
        for key in keys:
            asker.send("request_with_key", body=f"do {key}", key=f"{kill:02} {key}")
        time.sleep(dice.choice((0.0, 0.0, 0.001, 0.002, 0.005, 0.02)))
        dead = [asker, cluster.host] if kill % 3 == 0 else [asker]
        for child in dead:
            child.kill()
        back = [cluster.bring_back(child) for child in dead]
        for key in keys:
            first = back[0].ask("request_with_key", body=f"do {key}", key=f"{kill:02} {key}")["reply"]
            again = back[0].ask("request_with_key", body=f"do {key}", key=f"{kill:02} {key}")["reply"]
            assert first == again
            heard[f"do {key}"] = first
    cluster.wait_until_complete()
    wait_until_equal(cluster)
    assert set(heard.values()) == {"1"}, "the reply is how often it was done"
    for child in cluster.members:
        assert child.ask("counts")["counts"] == dict.fromkeys(heard, 1)


def test_a_key_is_refused_for_another_body_after_all_were_killed(open_cluster):
    cluster = open_cluster(3)
    asker = cluster.others[0]
    assert asker.ask("request_with_key", body="buy", key="1")["reply"] == "1"
    dead = list(cluster.members)
    for child in dead:
        child.kill()
    back = {child: cluster.bring_back(child) for child in dead}
    assert back[asker].ask("request_with_key", body="sell", key="1")["refused"] == "UsageError"
    assert back[asker].ask("request_with_key", body="buy", key="1")["reply"] == "1"
    wait_until_equal(cluster)
    assert cluster.members[0].ask("counts")["counts"] == {"buy": 1}
