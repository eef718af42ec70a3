"""What the application hears, as frozen values.

Role events (`BecomeHost`, `StopHost`) are level: a slow reader sees the present. The others queue, 256 of them.
An event is heard when it is queued and `wake` was called; act on `member.is_host` at use, not on memory of events.
"""

from __future__ import annotations

from dataclasses import dataclass

from failover.ids import Epoch, Generation, LogIndex, MemberId


@dataclass(frozen=True, slots=True)
class BecomeHost:
    """This member hosts from now on; all that earlier hosts accepted is applied."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class StopHost:
    """The tenure is over; no `Host` method of this epoch does anything any more."""

    epoch: Epoch
    reason: str
    """`lease lost`, `higher term`, `handed over` or `closed`."""
    error: BaseException | None = None
    """What the server function raised, if that ended the tenure."""


@dataclass(frozen=True, slots=True)
class HostChanged:
    """Another tenure began somewhere. Times are measured on this member's clock."""

    host: MemberId
    epoch: Epoch
    silence_ms: float
    """From the last heartbeat of the old host to the first sign of an election; 0 for the first host."""
    election_ms: float
    """From there to the first entry of the new host."""
    reason: str
    """`founded` (the first host that this member has met since it was opened), `handed over` or `silent`."""
    name: str = ""
    """As the others know the new host; empty if this member does not know it."""


@dataclass(frozen=True, slots=True)
class QuorumLost:
    """Too few voters are reachable; nothing is accepted until `QuorumRegained`.

    Or this member was away while four members or more went: nobody answers it before its storage is opened with a
    new ticket.
    """

    reachable: int
    voters: int


@dataclass(frozen=True, slots=True)
class QuorumRegained:
    """There is a host again."""


@dataclass(frozen=True, slots=True)
class GenerationBegan:
    """This member goes on alone: from here on the cluster has another history than where it came from."""

    generation: Generation
    parent: Generation
    """The generation that it came from."""
    index: LogIndex
    """Up to which entry both are the same."""


@dataclass(frozen=True, slots=True)
class GenerationMet:
    """A member went on in another generation than this one. The two never mix: one of them must be given up.

    A member without a host gives up its own by itself, unless `Settings.rejoins` is off: `Stopped` follows, with
    `Superseded`. Where both went on, somebody must decide and call `Member.rejoin` on the one or the other side.
    """

    member: MemberId
    generation: Generation
    """That it is in."""
    index: LogIndex
    """Up to which entry the two are the same."""
    has_host: bool
    """Whether play goes on there."""


@dataclass(frozen=True, slots=True)
class Rejoined:
    """This member gave up a generation for another; the first event after the storage was opened again."""

    left: Generation
    generation: Generation
    kept_entries: int
    """What only this member had, and is not in this generation."""
    kept_in: str
    """The file with these, beside the storage; empty if there were none, or the storage is no file."""


@dataclass(frozen=True, slots=True)
class JoinRequested:
    """Somebody with a valid ticket wants to join, and this member hosts: call `Member.admit` or `Member.refuse`.

    Only with `Settings.confirm_identity`. Should another member host before the answer, it is asked there anew.
    """

    member: MemberId
    name: str
    """As it calls itself: anybody may call himself anything."""
    fingerprint: str
    """Of its key, such as 3MDA-K7QF-22XY-QZ5A: this is who it is. `failover.fingerprint` makes it of any id."""
    is_witness: bool = False
    """It wants to be a witness: it would vote and hold the log, and never host."""


@dataclass(frozen=True, slots=True)
class MemberJoined:
    """A committed entry admitted this member."""

    member: MemberId
    name: str
    is_witness: bool = False
    """It votes where that is of use and holds the log, and never hosts (`failover.open_witness`)."""


@dataclass(frozen=True, slots=True)
class MemberLeft:
    """A committed entry ended this member's membership, by its own wish or by removal."""

    member: MemberId
    name: str
    """As the others knew it; empty if this member did not know it any more."""


@dataclass(frozen=True, slots=True)
class VersionRaised:
    """All members know a newer version of the rules, and from here on it is played (`Context.version`)."""

    version: int


@dataclass(frozen=True, slots=True)
class StateDiverged:
    """Members that applied the same entries have different states: `apply` is not deterministic.

    A member that differs from the host hears it, and the host hears it of each such member. Nothing else is done:
    docs/how-to/ask-once.md says what you can do.
    """

    index: LogIndex
    """Where they were compared; they may differ since any entry after the last comparison."""
    member: MemberId
    """With whom the digests differ."""


@dataclass(frozen=True, slots=True)
class EventsDropped:
    """The queue was full: this many events before this one were lost to the reader."""

    count: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The member is no more; the last event."""

    error: BaseException | None = None


Event = (
    BecomeHost
    | StopHost
    | HostChanged
    | QuorumLost
    | QuorumRegained
    | GenerationBegan
    | GenerationMet
    | Rejoined
    | JoinRequested
    | MemberJoined
    | MemberLeft
    | VersionRaised
    | StateDiverged
    | EventsDropped
    | Stopped
)
