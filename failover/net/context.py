"""What the parts of `Peers` share: who we are, the tables by which a datagram finds its owner, and the outbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from failover.ids import NO_GENERATION, ClusterId, Generation, MemberId, SecretKey
from failover.net.addresses import ADDRESSES_MAX, Address
from failover.net.arriving import Shelf
from failover.net.bounds import Range
from failover.net.channel import Channel
from failover.net.codec import Codec
from failover.net.complaints import Complaints
from failover.net.lane import Lane
from failover.net.places import Place, Relayed
from failover.net.receiving import Budget
from failover.net.relaying import Relaying
from failover.net.runs import Runs
from failover.net.timings import NetTimings
from failover.net.transfers import OpenSink

if TYPE_CHECKING:
    from failover.net.noise import Initiator
    from failover.net.peer import Peer


OBSERVED_TOLD_MAX = 3


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys of one secret epoch; when a member goes, a new one begins. In the log and in notes, too."""

    epoch: Annotated[int, Range(0, 2**32 - 1)]
    psk: SecretKey
    """Ends every handshake between members."""
    gate: SecretKey
    """Without it a datagram is not even looked at. Tickets hold it."""

    def __repr__(self) -> str:
        return f"Secrets(epoch={self.epoch})"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An initiation under way."""

    peer: Peer
    initiator: Initiator
    psk: bytes
    mac1_key: bytes
    """Of the RESPONSE: our own static key, and the gate with which we asked."""
    datagram: bytes
    """The INITIATION, without mac2: what a COOKIE makes us say again."""
    cookie_key: bytes
    """Of a COOKIE in answer to it."""
    asked: frozenset[Place]
    """Where it was sent to."""
    uncookied: set[Place]
    """Those that have not answered with a COOKIE yet: one each is heard."""


@dataclass(slots=True)
class Context:
    """One per `Peers`."""

    private_key: bytes
    member: MemberId
    prologue: bytes
    name: str
    incarnation: int
    previous_incarnation: int
    addresses: tuple[Address, ...]
    secrets: tuple[Secrets, ...]
    """Newest first, at most 4."""
    codec: Codec
    guest_kinds: frozenset[type]
    transmit: Callable[[bytes, Address], None]
    entropy: Callable[[int], bytes]
    timings: NetTimings
    open_sink: OpenSink
    cluster: ClusterId
    take_in: Callable[[bytes, Place, float], None]
    """Hands a datagram that was passed on to whoever reads all others."""
    seen_elsewhere: Callable[[float], None]
    """Called when others begin to see this member at another address."""
    generation: Generation = NO_GENERATION
    """In which this member is."""
    note_key: Callable[[int, bytes], None] | None = None
    """Told the keys of each channel, with the receiver index that names them: for the key log."""
    runs: Runs = field(init=False)
    relaying: Relaying = field(init=False)
    observed: dict[MemberId, Address] = field(default_factory=dict)
    """How the others see this member: what it looks like from outside its router."""
    channels: dict[int, tuple[Peer, Channel]] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    provisional_count: int = 0
    attempt_number: int = 0
    counters: Counter[str] = field(default_factory=Counter)
    lane: Lane = field(init=False)
    complaints: Complaints = field(default_factory=Complaints)
    budget: Budget = field(default_factory=Budget)
    shelf: Shelf = field(default_factory=Shelf)
    inbox: list[tuple[MemberId, object]] = field(default_factory=list)
    guest_inbox: list[tuple[MemberId, object]] = field(default_factory=list)
    snapshot_inbox: list[tuple[MemberId, object, object]] = field(default_factory=list)
    snapshots_done: list[tuple[MemberId, bool]] = field(default_factory=list)
    rolled_back: set[MemberId] = field(default_factory=set)
    """Peers whose storage is a copy or an old backup; they must join anew."""

    def __post_init__(self) -> None:
        self.lane = Lane(self.counters)
        self.relaying = Relaying(self)

    def send(self, datagram: bytes, place: Place, now: float) -> None:
        """Send to an address, or through another member."""
        if type(place) is Relayed:
            self.relaying.send(datagram, place, now)
        else:
            self.transmit(datagram, place)  # type: ignore[arg-type]  # `isinstance` would cost more, for each datagram

    def candidates(self) -> tuple[Address, ...]:
        """Where this member may be reached: as others see it, then as it sees itself."""
        seen = dict.fromkeys(self.observed.values())
        elsewhere = [address for address in seen if address not in self.addresses]
        return (*elsewhere[:OBSERVED_TOLD_MAX], *self.addresses)[:ADDRESSES_MAX]

    def note_keys(self, *, ours: int, receive: bytes, theirs: int, send: bytes) -> None:
        """A channel was made, with these indices; somebody may want to decrypt a recording of it."""
        if self.note_key is not None:
            self.note_key(ours, receive)
            self.note_key(theirs, send)

    def new_index(self) -> int:
        """A random u32 that names no channel and no attempt of ours."""
        while True:
            index = int.from_bytes(self.entropy(4), "little")
            if index not in self.channels and index not in self.attempts:
                return index

    def jitter(self) -> float:
        """From 0 to 1."""
        return int.from_bytes(self.entropy(2), "little") / 65_536
