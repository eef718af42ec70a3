"""Linearizable reads: by the lease, or by a round of the quorum, which trusts no clock (dissertation, 6.4).

By a round, a read is answered with the commit index that held when it was asked, once a quorum has said that this
leader still led after that. Only an answer to a heartbeat that left after the question says so: an older answer
may have been under way since before a deposition (etcd-io/etcd#20418). Questions that come while a round is under
way wait for the next one, and share it. All of it dies with the role, and with a release.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failover.ids import LogIndex, MemberId
from failover.raft.effects import ReadAnswer

if TYPE_CHECKING:
    from failover.raft.core import Core
    from failover.raft.leadership import Leadership

READS_MAX = 1024
"""So many questions may wait at once; what is beyond is refused, to be asked again."""


@dataclass(frozen=True, slots=True)
class _Read:
    number: int
    index: LogIndex
    round_: int
    """Answers to heartbeats from this round on count."""


class Reads:
    """Reads under one leadership: by the lease, and by a round of the quorum."""

    def __init__(self, core: Core, leadership: Leadership) -> None:
        self._core = core
        self._leadership = leadership
        self._waiting: deque[_Read] = deque()
        self._answered: dict[MemberId, int] = {}
        """The newest round that each member answered."""

    def index_by_lease(self, now: float) -> LogIndex | None:
        """The commit index, while the lease says that nobody else leads; else None."""
        leadership = self._leadership
        if not self._can_say() or leadership.lease.until(leadership.membership) <= now:
            return None
        return self._core.commit_index

    def ask(self) -> int | None:
        """Have the commit index of this moment confirmed by a round that has not begun yet; None: refused."""
        core = self._core
        if not self._can_say() or len(self._waiting) >= READS_MAX:
            return None
        core.reads_asked += 1
        self._waiting.append(_Read(core.reads_asked, core.commit_index, self._leadership.lease.round + 1))
        return core.reads_asked

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def needs_round(self) -> bool:
        """Whether heartbeats shall leave now: somebody waits, and nothing that is under way could answer him."""
        return bool(self._waiting) and self._waiting[0].round_ > self._leadership.lease.round

    def heard(self, member: MemberId, round_: int) -> None:
        """`member` answered a heartbeat of `round_` in this term: it had not helped a later leader by then."""
        if round_ <= self._leadership.lease.round:
            self._answered[member] = max(round_, self._answered.get(member, 0))

    def confirm(self) -> None:
        """Answer those whose round a quorum has answered; in a joint membership a quorum of both halves."""
        if not self._waiting:
            return
        confirmed = self._leadership.membership.agreed(self._round_of)
        while self._waiting and self._waiting[0].round_ <= confirmed:
            read = self._waiting.popleft()
            self._core.out.reads.append(ReadAnswer(read.number, read.index))

    def refuse_all(self) -> None:
        """The role ends, or its promises are released: none of these can be answered here."""
        while self._waiting:
            self._core.out.reads.append(ReadAnswer(self._waiting.popleft().number, None))

    def _can_say(self) -> bool:
        """Before the own no-op the true commit index is not known (Raft, 8); after a release another may lead."""
        return self._leadership.is_settled and not self._leadership.has_released

    def _round_of(self, member: MemberId) -> float:
        return math.inf if member == self._core.me else self._answered.get(member, 0)
