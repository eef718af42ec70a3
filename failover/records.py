"""What stands in the log: one class per kind of record, and their coding.

The core sees bytes and memberships; here the bytes get their meaning. A record is decided once, by the host that
appends it, and carried out by every member in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from failover.ids import ClusterId, Generation, LogIndex, MemberId, Term
from failover.net import names
from failover.net.addresses import ADDRESSES_MAX, Address
from failover.net.bounds import MaxSize, Range
from failover.net.codec import Codec
from failover.net.context import Secrets

COMMAND_SIZE_MAX = 65_536
NAME_SIZE_MAX = 64
REQUEST_KEY_SIZE_MAX = 64
USES_MAX = 64
"""Of an invite."""
TERMS_MAX = 8
"""Kept of the log that two generations share."""
FEATURE_LEVEL = 1
"""What this library understands; the table `SINCE` says which kinds of records and actions each level brought."""
VERSION_MAX = 65_535
"""Of the game's rules, and of levels."""
ADDRESS_SIZE_MAX = names.TEXT_SIZE_MAX
"""Characters; the longest address with a port has 53, a name may have more."""

_NEVER_SHOWN = (
    (0x00, 0x1F),  # line breaks, escapes of terminals
    (0x7F, 0x9F),
    (0x061C, 0x061C),  # direction marks, here and below: they turn the rest of a line round
    (0x200E, 0x200F),
    (0x2028, 0x202E),
    (0x2066, 0x2069),
    (0xFFF9, 0xFFFB),
    (0xE0000, 0xE007F),
)
"""Written out, since the tables of `unicodedata` differ between versions of Python."""

Command = Annotated[bytes, MaxSize(COMMAND_SIZE_MAX)]
Name = Annotated[str, MaxSize(NAME_SIZE_MAX)]
Key = Annotated[bytes, MaxSize(32)]
RequestKey = Annotated[bytes, MaxSize(REQUEST_KEY_SIZE_MAX)]
Version = Annotated[int, Range(1, VERSION_MAX)]
Level = Annotated[int, Range(0, VERSION_MAX)]
Addresses = Annotated[tuple[Annotated[str, MaxSize(ADDRESS_SIZE_MAX)], ...], MaxSize(ADDRESSES_MAX)]


def plain(name: str) -> str:
    """A name without what would move a cursor or turn a line round; "?" stands where that was."""
    hidden = {ord(each) for each in name if any(first <= ord(each) <= last for first, last in _NEVER_SHOWN)}
    return name.translate(dict.fromkeys(hidden, "?"))


@dataclass(frozen=True, slots=True)
class Versions:
    """What a member's program understands."""

    newest: Version = 1
    """The newest rules of the game that its machine knows."""
    oldest: Version = 1
    """The oldest that it still plays."""
    level: Level = FEATURE_LEVEL
    """Of its library."""


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """What the cluster knows of a member beside its role. Addresses are hints."""

    member: MemberId
    name: Name
    addresses: Addresses
    versions: Versions = Versions()

    def shown(self) -> MemberInfo:
        """The same with a name that can be shown, whoever wrote it."""
        return replace(self, name=plain(self.name))

    def parsed_addresses(self) -> tuple[Address, ...]:
        """The addresses as the net takes them; what is none, whoever wrote it, is left out."""
        claimed = map(names.parse_claimed, self.addresses)
        return tuple(each for each in claimed if isinstance(each, Address))

    def parsed_names(self) -> tuple[names.Name, ...]:
        """The names of machines among the addresses; others than these few are left out."""
        claimed = map(names.parse_claimed, self.addresses)
        return tuple(each for each in claimed if isinstance(each, names.Name))[: names.NAMES_MAX]


@dataclass(frozen=True, slots=True)
class Founding:
    """The first record: what all members of the generation have in common.

    The cluster begins with the newest version and the level that its founder knows.
    """

    cluster: ClusterId
    generation: Generation
    founder: MemberInfo
    secrets: Secrets


@dataclass(frozen=True, slots=True)
class TermEnd:
    """How far a term's entries go in a log."""

    term: Term
    last_index: LogIndex


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A generation that another came from."""

    generation: Generation
    index: LogIndex
    """Up to which entry both have the same log."""
    terms: Annotated[tuple[TermEnd, ...], MaxSize(TERMS_MAX)]
    """The last terms of that log, newest first: two logs that have the same term at an index are equal up to there
    (Raft, 5.3)."""


@dataclass(frozen=True, slots=True)
class NewGeneration:
    """One member goes on alone, as another generation; stands in the entry that makes it the only member."""

    generation: Generation
    founder: MemberId
    parent: Ancestor


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request a record answers: the same three numbers are never carried out twice."""

    member: MemberId
    session: int
    """The incarnation of the calling process."""
    number: int
    """Counts this session's requests from 1."""
    answered_below: int
    """The caller has the answers to all requests with smaller numbers: they need not be kept."""


@dataclass(frozen=True, slots=True)
class AppCommand:
    """A command of the application."""

    time_us: int
    """Cluster time, stamped by the host."""
    caller: Caller | None
    """None for the host's own commands."""
    body: Command


@dataclass(frozen=True, slots=True)
class Mark:
    """By what a request is known again after its sender has restarted."""

    key: RequestKey
    """The sender's own."""
    asked: Key
    """A digest of the request's body: another body under the same key is another request."""


@dataclass(frozen=True, slots=True)
class KeyedCommand:
    """A command of the application, in answer to a request that carries a key."""

    time_us: int
    caller: Caller
    mark: Mark
    body: Command


@dataclass(frozen=True, slots=True)
class OpenInvite:
    """Let somebody in who holds this secret."""

    invite: Key
    secret: Key = field(repr=False)
    uses: int
    """How many it lets in; in the directory, how many it still lets in."""
    expires_at: int
    """Unix seconds, judged by the host that admits; 0 = never."""

    def is_open(self, unix_now: float) -> bool:
        """Whether it lets somebody in now."""
        return self.uses > 0 and (self.expires_at == 0 or unix_now < self.expires_at)


@dataclass(frozen=True, slots=True)
class CloseInvite:
    """Let nobody in with this invite any more."""

    invite: Key


@dataclass(frozen=True, slots=True)
class Admit:
    """Make somebody a member; stands in the entry that changes the membership."""

    info: MemberInfo
    invite: Key


@dataclass(frozen=True, slots=True)
class AdmitWitness(Admit):
    """Make somebody a member that has no application. A kind of its own: a host that does not know it refuses."""


@dataclass(frozen=True, slots=True)
class Depart:
    """End a membership; stands in the entry that changes it. New secrets are due from here on.

    They are not in this entry: who was a voter still receives it, since the change needs its vote.
    """

    member: MemberId
    is_removal: bool = False
    """By another member, which closes all invites, as the one that goes knows them. The host fills this in."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A member has new addresses, or was opened with another program."""

    info: MemberInfo


@dataclass(frozen=True, slots=True)
class BeginEpoch:
    """The secrets of a new epoch, drawn by a host; behind the entry from which on nothing reaches who went."""

    secrets: Secrets


@dataclass(frozen=True, slots=True)
class Raise:
    """From here on this version is played, at this level; as far as all members know them here."""

    version: Version
    level: Level


SystemAction = OpenInvite | Admit | Depart | Moved | CloseInvite | BeginEpoch | Raise


@dataclass(frozen=True, slots=True)
class SystemCommand:
    """A command of the library itself; `action` is the coded `SystemAction`."""

    time_us: int
    caller: Caller | None
    action: Command


RECORDS = Codec({1: Founding, 2: AppCommand, 3: SystemCommand, 4: NewGeneration, 5: KeyedCommand})


def is_of_application(record: bytes) -> bool:
    """Whether a coded record is an `AppCommand`, by its first two bytes: a short CBOR array that begins with 2.

    False means only that one has to look: there are longer ways to write the same. Nearly all records of a long
    log are of the application, and reading each costs 3 us.
    """
    return record[1:2] == b"\x02" and record[0] >> 3 in (0b10000, 0b10001, 0b10010)


ACTIONS = Codec(
    {1: OpenInvite, 2: Admit, 3: Depart, 4: Moved, 5: CloseInvite, 6: BeginEpoch, 7: AdmitWitness, 8: Raise}
)

SINCE: Mapping[type, int] = {
    Founding: 0,
    AppCommand: 0,
    SystemCommand: 0,
    NewGeneration: 0,
    OpenInvite: 0,
    Admit: 0,
    Depart: 0,
    Moved: 0,
    Raise: 0,
    CloseInvite: 1,
    BeginEpoch: 1,
    KeyedCommand: 1,
    AdmitWitness: 1,
}
"""The level that brought each kind: it stands in no log before the cluster has that level. 0: all members know it.

Whoever adds a kind raises `FEATURE_LEVEL`, unless that is higher than in the last release already, and puts the
kind here. No number ever changes again.
"""
