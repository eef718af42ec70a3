"""What members say to each other beside the core's messages, and the table of all message kinds.

Numbers from 64 on; a number is never used again (docs/reference/wire-format.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from failover.directory import EPOCHS_MAX
from failover.ids import Generation, MemberId, Term
from failover.net.bounds import MaxSize, Range
from failover.net.codec import CORE_KINDS, Codec
from failover.net.context import Secrets
from failover.records import (
    Addresses,
    Ancestor,
    Command,
    Key,
    Level,
    MemberInfo,
    Name,
    RequestKey,
    Version,
    Versions,
)

LINE_MAX = 5
"""As many as fit into a datagram."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to the host of one term; a host of another term drops it, so a late copy does nothing."""

    term: Term
    session: int
    number: int
    answered_below: int
    is_system: bool
    """Whether `body` is an action of the library, or a request of the application."""
    body: Command


@dataclass(frozen=True, slots=True)
class KeyedAsk:
    """An `Ask` of the application that carries a key, by which it is known again after a restart of its sender."""

    term: Term
    session: int
    number: int
    answered_below: int
    key: RequestKey
    body: Command


class Verdict(IntEnum):
    """How a request went."""

    APPLIED = 1
    REFUSED = 2
    UNKNOWN = 3
    """Past the horizon of exactly once: it may have been carried out."""
    WAITING = 4
    """Not decided yet: nothing happened, ask again as something new."""
    MISUSED = 5
    """The key was used for a request with another body."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The host's answer to an `Ask`."""

    term: Term
    session: int
    number: int
    verdict: Annotated[int, Range(1, 5)]
    body: Command


@dataclass(frozen=True, slots=True)
class AskReadIndex:
    """From where on may I read?"""

    number: int


@dataclass(frozen=True, slots=True)
class AnswerReadIndex:
    """What was committed when the question came, said by a leader that held its lease."""

    number: int
    index: int


@dataclass(frozen=True, slots=True)
class AskHandOver:
    """Please hand over, to `target` or to whom you like; not kept, not answered: watch the host change."""

    target: MemberId | None


@dataclass(frozen=True, slots=True)
class DigestReport:
    """The state's digest at an index, for comparing."""

    index: int
    digest: Key


@dataclass(frozen=True, slots=True)
class Farewell:
    """You are no longer a member, since this index."""

    index: int


@dataclass(frozen=True, slots=True)
class AskIntroduction:
    """Who are the members? Asked by one that was away and hears no leader: maybe it does not know the host."""

    applied_index: int


@dataclass(frozen=True, slots=True)
class Introduction:
    """The members, as far as the sender knows; believed only by those that hear no leader."""

    members: tuple[MemberInfo, ...]


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A guest asks to be admitted with the invite that it holds."""

    invite: Key
    name: Name
    addresses: Addresses
    versions: Versions


@dataclass(frozen=True, slots=True)
class JoinAsWitness(JoinRequest):
    """The same of a guest that has no application. Members that do not know this kind drop it."""


@dataclass(frozen=True, slots=True)
class JoinAccepted:
    """A committed entry admitted the guest; this is what it needs to talk to the members as one of them."""

    secrets: Annotated[tuple[Secrets, ...], MaxSize(EPOCHS_MAX)]
    """Newest first; the first alone is sent, the others are for the storage's note."""
    generation: Generation
    members: tuple[MemberInfo, ...]
    """As many as fit into a datagram; the log brings the rest."""
    version: Version
    """Of the game's rules, that is played."""
    level: Level
    """Of the library."""


@dataclass(frozen=True, slots=True)
class JoinPending:
    """The host's application is being asked about the guest: go on asking."""


@dataclass(frozen=True, slots=True)
class JoinRefused:
    """The guest was not admitted."""

    reason: Annotated[str, MaxSize(200)]


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where the sender's generation comes from; all that members of two generations say to each other."""

    line: Annotated[tuple[Ancestor, ...], MaxSize(LINE_MAX)]
    """Its own generation, with its log as it is now; then those before, newest first."""
    has_host: bool
    """Whether play goes on there."""


GUEST_KINDS: frozenset[type] = frozenset(
    {JoinRequest, JoinAccepted, JoinRefused, JoinPending, Lineage, JoinAsWitness}
)

WIRE = Codec(
    CORE_KINDS
    | {
        64: Ask,
        65: Answer,
        66: AskReadIndex,
        67: AnswerReadIndex,
        68: AskHandOver,
        69: DigestReport,
        70: Farewell,
        71: JoinRequest,
        72: JoinAccepted,
        73: JoinRefused,
        74: AskIntroduction,
        75: Introduction,
        76: JoinPending,
        77: Lineage,
        78: KeyedAsk,
        79: JoinAsWitness,
    }
)
