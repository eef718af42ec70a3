"""What `Member.status()` shows: a frozen picture, for people and for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from failover.ids import Epoch, Generation, LogIndex, MemberId, Term
from failover.net.peers import PeerStatus
from failover.records import Versions
from failover.watching import Change


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The network between this member and another, since this member's start. Sizes are as in UDP, without its
    header, and leave out handshakes."""

    address: str
    """Where the other is reached at present; empty if nowhere, or through a third member."""
    path: str
    """How: `lan`, `direct` (over the internet), `relayed` (a third member passes on), or empty for not at all."""
    path_s: float | None
    """For how long this path has been the one already; None without one."""
    path_changes: int
    """How often another path took over since this member's start."""
    round_trip_ms: float | None
    """Smoothed; None until measured."""
    round_trip_min_ms: float | None
    """The shortest: about what the way costs where nothing queues."""
    round_trip_deviation_ms: float
    """How far single round trips are from the smoothed one, on average: the jitter."""
    loss: float | None
    """Share of the other's last thousand or so datagrams that never came, 0 to 1; None until there are enough."""
    datagrams_out: int
    """Sealed and sent."""
    bytes_out: int
    """Of those."""
    datagrams_in: int
    """Authentic, and none of them twice."""
    bytes_in: int
    """Of those."""
    handshakes: int
    """The first, one every two minutes, and one after each silence of two seconds."""
    transfers_out: int
    """Batches and snapshots under way to the other now."""
    transfers_in: int
    """Under way from it."""


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One member, as seen from here."""

    member: MemberId
    name: str
    kind: str
    """`voter`, `learner` (a warm member) or `witness` (it votes where that is of use, and never hosts)."""
    votes: bool
    """Whether its vote counts: of a witness, whether it is of use now. Not while its vote is coming or going."""
    is_host: bool
    is_connected: bool
    """Whether something valid was heard of it in the last two seconds (always True for this member itself)."""
    round_trip_ms: float | None
    """None until measured."""
    hint: int
    """How fit it is to host, 1 to 255, larger is fitter; 0 = not known. Of the others, as the host counts it."""
    versions: Versions
    """What its program understands, by its own word: the newest and the oldest version of the rules, and the level
    of its library. Of a member that is away, as it was when it was last here."""
    link: LinkStatus | None
    """The network to it; None for this member itself, and for one that the network does not know yet."""


def link_status(peer: PeerStatus, now: float) -> LinkStatus:
    """What the net knows of a peer, in the units of people."""
    shortest, traffic = peer.round_trip_min_s, peer.traffic
    return LinkStatus(
        address=str(peer.address) if peer.address else "",
        path=peer.path,
        path_s=None if peer.path_since is None else now - peer.path_since,
        path_changes=peer.path_changes,
        round_trip_ms=peer.round_trip_s * 1_000 if peer.round_trip_s is not None else None,
        round_trip_min_ms=shortest * 1_000 if shortest is not None else None,
        round_trip_deviation_ms=peer.round_trip_deviation_s * 1_000,
        loss=traffic.loss,
        datagrams_out=traffic.datagrams_out,
        bytes_out=traffic.bytes_out,
        datagrams_in=traffic.datagrams_in,
        bytes_in=traffic.bytes_in,
        handshakes=traffic.handshakes,
        transfers_out=peer.transfers_out,
        transfers_in=peer.transfers_in,
    )


@dataclass(frozen=True, slots=True)
class Status:
    """One member's view of everything. Reading it costs little; it is made anew at each call."""

    member: MemberId
    """This member."""
    name: str
    generation: Generation
    """The line of history that this member is in; a `continue_alone` begins another."""
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
    left_behind: tuple[MemberId, ...]
    """Members of the generation that this one came from, who did not come along; each may rejoin."""
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
    """Every datagram, frame and message that was dropped, by reason; docs/reference/counters.md explains each."""
    version: int
    """Of the game's rules, that the cluster plays; 0 until this member knows."""
    level: int
    """Of the library, at which the cluster is: the lowest that all members know. 0 until this member knows."""
    trouble: str
    """What the disk complains of at present; empty if all is well."""
    slow_snapshot_ms: float
    """The longest that the machine took for a piece of a snapshot, if that is too long: five in a row over 5 ms,
    or one over 50. Heartbeats wait for it. 0 if all is well."""
