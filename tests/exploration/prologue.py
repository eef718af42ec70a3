"""The way to a first state in which a member hosts, so that a search need not find it each time."""

from __future__ import annotations

from failover.ids import Term
from tests.exploration.cluster import Cluster, Parts
from tests.exploration.member import Do

TICKS_MAX = 50


def elect(cluster: Cluster, first: int, candidate: int) -> int:
    """Return the state in which `candidate` hosts, all voters know it, and no message is on its way.

    Real steps from `first` on: time passes, only `candidate` stands, every message arrives once.
    """
    cluster.rounds_before = (Term(2), TICKS_MAX)
    parts = cluster.apart(first)
    voters = range(len(cluster.model.voters))
    for _ in range(TICKS_MAX):
        parts = _settled(cluster, _done(cluster, parts, candidate, "tick"))
        host = cluster.seen[parts[2 * candidate]]
        if host.is_host and all(cluster.seen[parts[2 * voter]].commit_index == len(host.log) for voter in voters):
            cluster.rounds_before = (host.term, host.rounds)
            if cluster.model.late is not None:
                parts = _propose(cluster, parts, candidate, cluster.names.index(cluster.model.late))
            return cluster.together(parts)
        parts = _done(cluster, parts, -1, "time")
        parts[-1] = cluster.history(cluster.histories[parts[-1]]._replace(ticks=0))  # the model's begin later
    raise AssertionError("nobody was elected")


def _propose(cluster: Cluster, parts: Parts, host: int, late: int) -> Parts:
    parts = _after(cluster, parts, host, cluster.action(Do("propose")))
    waiting, parts[2 * late + 1] = parts[2 * late + 1], cluster.inbox(())
    parts = _settled(cluster, parts)
    parts[2 * late + 1] = waiting
    return parts


def _settled(cluster: Cluster, parts: Parts) -> Parts:
    """Deliver and write until there is nothing left."""
    while True:
        for place in range(len(cluster.names)):
            messages = cluster.inboxes[parts[2 * place + 1]]
            if messages:
                parts = _after(cluster, parts, place, messages[0])
                left = tuple(m for m in cluster.inboxes[parts[2 * place + 1]] if m != messages[0])
                parts[2 * place + 1] = cluster.inbox(left)
                break
            if "write" in cluster.seen[parts[2 * place]].own:
                parts = _done(cluster, parts, place, "write")
                break
        else:
            return parts


def _done(cluster: Cluster, parts: Parts, place: int, what: str) -> Parts:
    return _after(cluster, parts, place, cluster.by_itself[what])


def _after(cluster: Cluster, parts: Parts, place: int, action: int) -> Parts:
    result = cluster.after(parts, place, action)
    if result is None:
        return parts.copy()
    assert result[1] is None, result[1]
    return result[0]
