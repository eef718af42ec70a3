"""Several benches that talk to each other: every message takes a millisecond, unless its link is cut.

For stories that need more than one real core and no chance: no dice, no loss, no clocks that differ. The storms
are in `failover.testing`; this is for what must happen every time.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from harness import Bench, log_of

from failover.ids import LogIndex, MemberId, Term
from failover.raft.core import Role
from failover.raft.effects import SnapshotMeta
from failover.raft.membership import Membership
from failover.raft.messages import Entry, InstallSnapshot, Message

DELAY_S = 0.001
STEPS_MAX = 100_000


class Said(NamedTuple):
    """One message on its way."""

    at: float
    sender: MemberId
    to: MemberId
    message: Message


class Cluster:
    """Benches by name, and what is under way between them."""

    def __init__(self, *benches: Bench) -> None:
        self.benches = {bench.core.me: bench for bench in benches}
        self.now = max((bench.now for bench in benches), default=0.0)
        self.cut: set[tuple[MemberId, MemberId]] = set()
        """Links (from, to) that carry nothing."""
        self.down: set[MemberId] = set()
        self.said: list[Said] = []
        """All that was ever sent, arrived or not."""
        self._under_way: list[tuple[float, int, MemberId, MemberId, Message]] = []
        self._sent = 0

    def __getitem__(self, name: MemberId) -> Bench:
        return self.benches[name]

    # --- faults ---

    def isolate(self, *names: MemberId) -> None:
        """These hear each other still, and nobody else."""
        for one in names:
            for other in self.benches.keys() - set(names):
                self.cut |= {(one, other), (other, one)}

    def crash(self, name: MemberId) -> None:
        """It is gone, with what was under way to it."""
        self.down.add(name)
        self._under_way = [item for item in self._under_way if item[3] != name]
        heapq.heapify(self._under_way)

    def restart(self, name: MemberId) -> Bench:
        """It comes back with what its disk holds (which is everything: these disks are done at once)."""
        old = self.benches[name].core
        log = old.log
        self.benches[name] = Bench(
            name,
            log=list(log.between(log.base_index, log.last_index)),
            snapshot=log.snapshot,
            term=old.term,
            voted_for=old.voted_for,
            ceiling=old.promise.ceiling_s,
            timing=old.timing,
            now=self.now,
        )
        self.down.discard(name)
        return self.benches[name]

    # --- time ---

    def run(self, seconds: float) -> Cluster:
        """Let time pass."""
        self._run(self.now + seconds, lambda: False)
        return self

    def until(self, condition: Callable[[], object], within_s: float = 5.0) -> Cluster:
        """Let time pass until something holds; it is a mistake if it never does."""
        assert self._run(self.now + within_s, condition), "it never came to that"
        return self

    def _run(self, end: float, condition: Callable[[], object]) -> bool:
        for _ in range(STEPS_MAX):
            self._collect()
            if condition():
                return True
            arrives = self._under_way[0][0] if self._under_way else math.inf
            due = min([arrives, *(bench.effects.deadline for bench in self._up())])
            if due > end:
                self._pass_to(end)
                return False
            self._pass_to(max(self.now, due))
            while self._under_way and self._under_way[0][0] <= self.now:
                _, _, sender, to, message = heapq.heappop(self._under_way)
                if to not in self.down:
                    self._arrives(sender, self.benches[to], message)
        raise AssertionError("a busy loop")

    def _pass_to(self, now: float) -> None:
        self.now = now
        for bench in self.benches.values():
            if bench.core.me in self.down:
                bench.oversleep(now)
            else:
                bench.at(now)

    def _arrives(self, sender: MemberId, receiver: Bench, message: Message) -> None:
        receiver.get(sender, message)
        if receiver.installs:
            receiver.installs.clear()
            receiver.core.snapshot_installed(receiver.now)
            receiver.round()

    def _collect(self) -> None:
        for name, bench in self.benches.items():
            sent, bench.sent = bench.sent, []
            wanted, bench.snapshots_sent = bench.snapshots_sent, []
            if name in self.down:
                continue
            if bench.snapshots_taken:
                bench.snapshots_taken = 0
                bench.core.snapshot_stored(_meta_of(bench), bench.now)
                bench.round()
            for to, message in [*sent, *((to, _snapshot_of(bench)) for to in wanted)]:
                self._sent += 1
                self.said.append(Said(self.now, name, to, message))
                if (name, to) not in self.cut and to in self.benches and to not in self.down:
                    heapq.heappush(self._under_way, (self.now + DELAY_S, self._sent, name, to, message))
                elif isinstance(message, InstallSnapshot):
                    bench.core.transfer_ended(to, bench.now, arrived=False)
                    bench.round()

    def _up(self) -> Iterable[Bench]:
        return (bench for name, bench in self.benches.items() if name not in self.down)

    # --- looking on ---

    @property
    def leaders(self) -> list[Bench]:
        """Who leads, as far as it knows itself."""
        return [bench for bench in self._up() if bench.core.role is Role.LEADER]

    @property
    def host(self) -> Bench | None:
        """The member whose tenure runs."""
        hosts = [bench for bench in self._up() if bench.core.tenure is not None]
        assert len(hosts) <= 1
        return hosts[0] if hosts else None

    def with_host(self, within_s: float = 5.0) -> Bench:
        """Let time pass until a tenure runs."""
        host = self.until(lambda: self.host, within_s).host
        assert host is not None
        return host

    def entries(self, name: MemberId) -> list[Entry]:
        """What a member's log holds."""
        log = self.benches[name].core.log
        return list(log.between(log.base_index, log.last_index))


def cluster_of(*names: MemberId, logs: dict[MemberId, list[Entry]] | None = None, **options: object) -> Cluster:
    """These are the voters, with these logs, or all with the founding entry alone."""
    membership = Membership(frozenset(names))
    given = logs or {}
    founding = log_of(1, membership=membership)
    return Cluster(*(Bench(name, log=given.get(name, founding), **options) for name in names))  # type: ignore[arg-type]


def _meta_of(bench: Bench) -> SnapshotMeta:
    log, index = bench.core.log, bench.core.applied_index
    at, term = log.membership_at(index), log.term_at(index)
    assert at is not None and term is not None
    return SnapshotMeta(index, term, at.membership, at.index)


def _snapshot_of(bench: Bench) -> InstallSnapshot:
    meta = bench.core.log.snapshot
    assert meta is not None
    return InstallSnapshot(
        Term(bench.core.term),
        LogIndex(meta.last_index),
        meta.last_term,
        meta.membership,
        meta.membership_index,
        0,
    )
