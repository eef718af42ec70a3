"""What `Member.status()` shows: a frozen picture, for people and for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from failover.ids import Epoch, LogIndex, MemberId, Term
from failover.watching import Change


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One member, as seen from here."""

    member: MemberId
    name: str
    kind: str
    """`voter`, `learner` (a warm member) or `leaving`."""
    is_host: bool
    is_connected: bool
    """Whether something valid was heard of it in the last two seconds (always True for this member itself)."""
    round_trip_ms: float | None
    """None until measured."""
    hint: int
    """How fit it is to host, 1 to 255, larger is fitter; 0 = not known. Of the others, as the host counts it."""


@dataclass(frozen=True, slots=True)
class Status:
    """One member's view of everything. Reading it costs little; it is made anew at each call."""

    member: MemberId
    """This member."""
    name: str
    role: str
    """Raft's role: `follower`, `pre-candidate`, `candidate` or `leader`."""
    term: Term
    epoch: Epoch | None
    """The tenure that runs here, None if this member is not host."""
    host: MemberId | None
    """Who hosts, as far as this member knows."""
    last_log_index: LogIndex
    commit_index: LogIndex
    applied_index: LogIndex
    durable_index: LogIndex
    snapshot_index: LogIndex
    digest: bytes
    """Of the application's state at `applied_index`."""
    members: tuple[MemberStatus, ...]
    failures_survived: int | None
    """How many of the voters in reach may be lost at once, and the others still have a host; below 0: there is no
    quorum already. While votes change hands, for some milliseconds, it may be lower: old and new voters count.
    None on all but the leader, which alone hears everybody."""
    next_hosts: tuple[MemberId, ...]
    """Who would stand first if the host fell silent now: the voters in the host's order. Who is in reach and up to
    date comes first, then who is fittest; who is about to close, or whose server function failed, comes last."""
    promise_ms: float
    """How long a promise the leader asks for now; 0 on the others."""
    timeline: tuple[Change, ...]
    """The last changes of host, oldest first."""
    dropped: Mapping[str, int]
    """Every datagram that was dropped, by reason."""
    trouble: str
    """What the disk complains of at present; empty if all is well."""
