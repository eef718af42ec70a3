"""PySyncObj on the same work: a replicated dictionary of three members, in memory (its default)."""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
import threading
import time
from typing import Any

from tests.benchmarks.children import Child, ChildFailed
from tests.benchmarks.parentage import die_with_parent

MODULE = "tests.benchmarks.rival"
MEMBERS = 3
WINDOW = 2_000


def is_installed() -> bool:
    """Whether the extra `benchmark` is there."""
    return importlib.util.find_spec("pysyncobj") is not None


def measure(latencies: int, commits: int, kills: int) -> dict[str, Any]:
    """Latency one at a time and throughput on the leader, and the gaps that killed leaders leave."""
    children = _cluster()
    try:
        leader = _leader(children)
        took = leader.ask("latency", count=latencies, size=100)["took"]
        seconds = leader.ask("throughput", 120, count=commits, size=100)["seconds"]
    finally:
        _end(children)
    return {"took": took, "per_s": commits / seconds, "gaps": [_gap() for _ in range(kills)]}


def _gap() -> float:
    """A cluster of its own for each kill, since a member without a journal cannot come back."""
    children = _cluster()
    try:
        leader = _leader(children)
        watcher = next(child for child in children if child is not leader)
        number = watcher.send("watch", seconds=6.0, size=100)
        time.sleep(1.0)
        killed = leader.kill()
        done = watcher.wait(number, 20)["done"]
        first = next((reply for sent, reply in done if sent >= killed), None)
        if first is None:
            raise ChildFailed("PySyncObj accepted nothing within 5 s after the kill")
        return float(first - killed)
    finally:
        _end(children)


def _cluster() -> list[Child]:
    sockets = [socket.socket() for _ in range(MEMBERS)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    children = [
        Child(MODULE, {"name": "PySyncObj", "own": own, "others": [a for a in addresses if a != own]})
        for own in addresses
    ]
    try:
        for child in children:
            child.wait(0, 20)
    except ChildFailed:
        _end(children)
        raise
    return children


def _leader(children: list[Child]) -> Child:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for child in children:
            if child.ask("leads")["leads"]:
                return child
        time.sleep(0.05)
    raise ChildFailed("PySyncObj has no leader after 20 s")


def _end(children: list[Child]) -> None:
    for child in children:
        child.__exit__(None, None, None)


# --- the child ---


def main() -> None:
    """One PySyncObj member."""
    from pysyncobj import SyncObj, SyncObjConf, replicated  # type: ignore[import-untyped]

    class Store(SyncObj):  # type: ignore[misc]
        def __init__(self, own: str, others: list[str]) -> None:
            super().__init__(own, others, SyncObjConf(appendEntriesUseBatch=True, autoTick=True))
            self.data: dict[int, str] = {}

        @replicated  # type: ignore[untyped-decorator]
        def put(self, key: int, value: str) -> bool:
            self.data[key] = value
            return True

    die_with_parent()
    options = json.loads(sys.argv[1])
    store = Store(options["own"], options["others"])
    while not store.isReady():
        time.sleep(0.01)
    print(json.dumps({"number": 0}), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        answer = _answer(store, question["do"], question)
        print(json.dumps({"number": question["number"], **answer}), flush=True)


def _answer(store: Any, do: str, question: dict[str, Any]) -> dict[str, Any]:
    if do == "leads":
        return {"leads": store._isLeader()}
    value = "x" * question["size"]
    if do == "latency":
        return {"took": [_put(store, number, value) for number in range(question["count"])]}
    if do == "throughput":
        return {"seconds": _throughput(store, question["count"], value)}
    done, until = [], time.monotonic() + question["seconds"]
    while time.monotonic() < until:
        sent = time.monotonic()
        try:
            store.put(0, value, sync=True, timeout=0.4)
        except Exception:  # whatever it raises while there is no leader: ask again
            continue
        done.append((sent, time.monotonic()))
    return {"done": done}


def _put(store: Any, number: int, value: str) -> float:
    began = time.monotonic()
    store.put(number % 100, value, sync=True, timeout=5)
    return time.monotonic() - began


def _throughput(store: Any, count: int, value: str) -> float:
    places, left, finished = threading.Semaphore(WINDOW), [count], threading.Event()

    def done(result: object, error: object) -> None:
        places.release()
        left[0] -= 1
        if not left[0]:
            finished.set()

    began = time.monotonic()
    for number in range(count):
        places.acquire()
        store.put(number % 100, value, callback=done)
    if not finished.wait(60):
        raise TimeoutError("PySyncObj did not finish")
    return time.monotonic() - began


if __name__ == "__main__":
    main()
