"""`Peers`: everything that this member has to do with others over the network, as one sans-IO object.

Datagrams and times go in; datagrams leave through `transmit`, messages through the inboxes. The driver calls
`datagram_received` for each datagram, `tick` when the clock has reached `deadline`, and `send` whenever it likes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from failover.errors import MalformedBytes
from failover.ids import ClusterId, Generation, MemberId
from failover.net import cookies, handshake, noise
from failover.net.addresses import ADDRESSES_MAX, Address
from failover.net.bucket import Bucket
from failover.net.channel import (
    DATAGRAM_SIZE_MAX,
    HEADER_SIZE,
    RELAYING_SIZE_MAX,
    TAG_SIZE,
    TYPE_DATA,
    VERSION,
)
from failover.net.codec import Codec
from failover.net.context import Context, Secrets
from failover.net.frames import HEADER_SIZE_MAX
from failover.net.gatekeeper import Gatekeeper
from failover.net.lane import Lane
from failover.net.limits import BURST_ALL, RATE_ALL
from failover.net.peer import Peer, Role
from failover.net.picture import PeersStatus, PeerStatus, picture_of
from failover.net.places import Place, Relayed, is_in_anothers_name
from failover.net.runs import NONCE_SIZE, Run, Runs, sealed_run
from failover.net.timings import NetTimings
from failover.net.transfers import SNAPSHOT_SIZE_MAX, MemorySink, OpenSink, SnapshotSource

__all__ = ["PeerStatus", "Peers", "PeersStatus", "Secrets"]

SECRETS_MAX = 4
_DATA_SIZE_MIN = HEADER_SIZE + TAG_SIZE
_HEAD_END = bytes([VERSION, 0, 0])
_SIZES = {
    handshake.TYPE_INITIATION: handshake.HANDSHAKE_SIZE,
    handshake.TYPE_RESPONSE: handshake.HANDSHAKE_SIZE,
    cookies.TYPE_COOKIE: cookies.COOKIE_DATAGRAM_SIZE,
}


def _memory_sink(member: MemberId, header: object, size: int) -> MemorySink:
    return MemorySink()


class Peers:
    """See the module's docstring. Not thread-safe; nothing here blocks or raises on what comes from outside."""

    def __init__(
        self,
        *,
        private_key: bytes,
        cluster: ClusterId,
        secrets: Sequence[Secrets] | Secrets,
        name: str,
        incarnation: int,
        previous_incarnation: int,
        codec: Codec,
        transmit: Callable[[bytes, Address], None],
        entropy: Callable[[int], bytes],
        timings: NetTimings | None = None,
        addresses: tuple[Address, ...] = (),
        guest_kinds: frozenset[type] = frozenset(),
        open_sink: OpenSink = _memory_sink,
        note_key: Callable[[int, bytes], None] | None = None,
        met: Mapping[MemberId, Run] = MappingProxyType({}),
    ) -> None:
        newest = (secrets,) if isinstance(secrets, Secrets) else tuple(secrets[:SECRETS_MAX])
        assert newest and 0 <= previous_incarnation < incarnation < 2**64
        self._context = Context(
            private_key=private_key,
            member=MemberId(noise.public_key(private_key)),
            prologue=handshake.prologue(cluster),
            cluster=cluster,
            name=_cut(name, handshake.NAME_SIZE_MAX),
            incarnation=incarnation,
            previous_incarnation=previous_incarnation,
            addresses=addresses[:ADDRESSES_MAX],
            secrets=newest,
            codec=codec,
            guest_kinds=guest_kinds,
            transmit=transmit,
            entropy=entropy,
            timings=timings or NetTimings(),
            open_sink=open_sink,
            note_key=note_key,
            take_in=self.datagram_received,
            seen_elsewhere=self._tell_addresses,
        )
        run = sealed_run(private_key, incarnation, entropy(NONCE_SIZE))
        self._context.runs = Runs(private_key, run, previous_incarnation, met, self._context.counters)
        self._members: dict[MemberId, Peer] = {}
        self._contacts: dict[MemberId, Peer] = {}
        self._gatekeeper = Gatekeeper(self._context, self._members)
        self._responses = Bucket(RATE_ALL, BURST_ALL, 0.0)

    # What the driver takes. It clears each list after reading it.

    @property
    def member(self) -> MemberId:
        """This member's own id: its public key."""
        return self._context.member

    @property
    def inbox(self) -> list[tuple[MemberId, object]]:
        """Messages of members, in the order in which they arrived; take and clear."""
        return self._context.inbox

    @property
    def guest_inbox(self) -> list[tuple[MemberId, object]]:
        """Messages on guests' channels, from guests or, for a newcomer, from its contact; take and clear."""
        return self._context.guest_inbox

    @property
    def snapshot_inbox(self) -> list[tuple[MemberId, object, object]]:
        """Complete snapshots: (sender, announcing message, result of its sink's `finish`); take and clear."""
        return self._context.snapshot_inbox

    @property
    def snapshots_done(self) -> list[tuple[MemberId, bool]]:
        """Outgoing snapshots that ended: (receiver, arrived whole); take and clear."""
        return self._context.snapshots_done

    @property
    def has_news(self) -> bool:
        """Whether there is anything to take from the four above."""
        context = self._context
        return bool(context.inbox or context.guest_inbox or context.snapshot_inbox or context.snapshots_done)

    @property
    def counters(self) -> Counter[str]:
        """Everything dropped, by reason."""
        return self._context.counters

    @property
    def deadline(self) -> float:
        """When `tick` is due; infinite if nothing is."""
        found = float("inf")
        for table in (self._members, self._gatekeeper.guests, self._contacts):
            for peer in table.values():
                # Asked for twice in each round: `min` would take three times as long.
                if peer.deadline < found:  # noqa: PLR1730
                    found = peer.deadline
        return found

    @property
    def runs(self) -> Runs:
        """Which runs of which members were met: what finds out copies of storages."""
        return self._context.runs

    # Who may talk.

    def set_members(
        self,
        members: Mapping[MemberId, tuple[Address, ...]],
        departed: Mapping[MemberId, tuple[Address, ...]] = MappingProxyType({}),
        former: Mapping[MemberId, tuple[Address, ...]] = MappingProxyType({}),
    ) -> None:
        """Who may have a channel, and where they may be. Channels of everybody else are dropped at once.

        Args:
            members: all of them.
            departed: who was a member, and is still answered: only messages are read from these, no other frames.
            former: who was a member of an earlier generation: only JOIN is read from these.
        """
        self._gatekeeper.note_members(members)
        roles = dict.fromkeys(former, Role.FORMER) | dict.fromkeys(departed, Role.DEPARTED)
        roles |= dict.fromkeys(members, Role.MEMBER)
        for member in [member for member in self._members if member not in roles]:
            self._members.pop(member).close()
            self._context.lane.forget(member)
        for member, hints in {**former, **departed, **members}.items():
            if member == self.member:
                continue
            peer = self._members.get(member)
            if peer is None:
                self._members[member] = Peer(self._context, member, roles[member], hints)
            else:
                peer.hints = hints
                peer.become(roles[member])
        for member in [member for member in self._context.observed if member not in self._members]:
            del self._context.observed[member]
        self._context.relaying.set_members(p for p in self._members.values() if p.role is Role.MEMBER)

    def set_generation(self, generation: Generation) -> None:
        """In which generation this member is; where that changes, all channels of the last one end."""
        if generation == self._context.generation:
            return
        self._context.generation = generation
        for peer in self._members.values():
            peer.part()

    @property
    def generation(self) -> Generation:
        """In which this member is; zeros for a newcomer."""
        return self._context.generation

    def address_of(self, member: MemberId) -> Address | None:
        """Where it is reached at present, if it is, and not through another member."""
        peer = self._members.get(member)
        active = peer.paths.active if peer is not None else None
        return active if isinstance(active, Address) else None

    @property
    def of_other_generations(self) -> tuple[MemberId, ...]:
        """Who is connected, and was a member once or is one, and is in another generation."""
        return tuple(peer.member for peer in self._members.values() if peer.is_foreign and peer.is_connected)

    def set_secrets(self, secrets: Sequence[Secrets]) -> None:
        """The keys of the newest epochs, newest first; at most 4 are kept."""
        assert secrets
        self._context.secrets = tuple(secrets[:SECRETS_MAX])
        self._gatekeeper.set_secrets()

    @property
    def secrets(self) -> tuple[Secrets, ...]:
        """The keys in force, newest first."""
        return self._context.secrets

    def set_invites(self, invites: Mapping[bytes, bytes]) -> None:
        """The open invites, id (16 bytes) -> secret (32 bytes). A guest's channel outlives it, for the answer."""
        self._gatekeeper.invites = dict(invites)

    def set_open_sink(self, open_sink: OpenSink) -> None:
        """Where snapshots go from now on."""
        self._context.open_sink = open_sink

    def set_addresses(self, addresses: tuple[Address, ...], now: float) -> None:
        """Where this member can be reached now; connected peers are told."""
        self._context.addresses = addresses[:ADDRESSES_MAX]
        self._tell_addresses(now)

    def _tell_addresses(self, now: float) -> None:
        for peer in self._members.values():
            peer.tell_addresses(now)

    # In.

    def datagram_received(self, data: bytes, source: Place, now: float) -> None:
        """A datagram of anybody. Never raises; whatever is wrong with it is counted, and never answered."""
        size = len(data)
        if size < _DATA_SIZE_MIN or size > (DATAGRAM_SIZE_MAX if type(source) is Relayed else RELAYING_SIZE_MAX):
            self.counters["datagram: size"] += 1
        elif data[0] == TYPE_DATA:
            self._data_received(data, source, now)
        elif data[1:4] != _HEAD_END or size != _SIZES.get(data[0], size):
            self.counters["datagram: size or version"] += 1
        elif data[0] == handshake.TYPE_INITIATION:
            self._gatekeeper.initiation_received(data, source, now)
        elif data[0] == handshake.TYPE_RESPONSE:
            self._response_received(data, source, now)
        elif data[0] == cookies.TYPE_COOKIE:
            self._cookie_received(data, source, now)
        else:
            self.counters["datagram: unknown type"] += 1

    def _data_received(self, data: bytes, source: Place, now: float) -> None:
        found = self._context.channels.get(int.from_bytes(data[4:8], "little"))
        if found is None:
            self.counters["data: unknown channel"] += 1
            return
        peer, channel = found
        if is_in_anothers_name(source, peer.member):
            self.counters["relay: in another's name"] += 1
            return
        if not peer.channels.is_alive(channel, now):
            self.counters["data: channel too old"] += 1
            return
        try:
            content = channel.open_untrusted(data)
        except MalformedBytes as error:
            self.counters[str(error)] += 1
            return
        peer.data_received(channel, content, source, now)

    def _response_received(self, data: bytes, source: Place, now: float) -> None:
        attempt = self._context.attempts.get(int.from_bytes(data[8:12], "little"))
        if attempt is None:
            self.counters["response: to nothing"] += 1
        elif not handshake.has_valid_mac1(attempt.mac1_key, data):
            self.counters["response: wrong mac1"] += 1
        elif is_in_anothers_name(source, attempt.peer.member):
            self.counters["relay: in another's name"] += 1
        elif not self._responses.take(now):
            self.counters["response: too many"] += 1
        else:
            attempt.peer.handshaking.response_received(attempt, data, source, now)

    def _cookie_received(self, data: bytes, source: Place, now: float) -> None:
        attempt = self._context.attempts.get(int.from_bytes(data[4:8], "little"))
        if attempt is None:
            self.counters["cookie: to nothing"] += 1
        else:
            attempt.peer.handshaking.cookie_received(attempt, data, source, now)

    def tick(self, now: float) -> None:
        """Retries, keepalives, acknowledgements, whatever `now` has reached."""
        for table in (self._members, self._contacts):
            for peer in table.values():
                if now >= peer.deadline:
                    peer.tick(now)
        if any(now >= guest.deadline for guest in self._gatekeeper.guests.values()):
            self._gatekeeper.tick(now)

    # Out.

    def connect(self, member: MemberId, now: float, *, is_wanted: bool = True) -> None:
        """Start a handshake, unless there is a channel; one that nobody waits for is tried less and less often."""
        peer = self._members.get(member)
        if peer is not None and peer.channels.sending is None:
            if is_wanted:
                peer.handshaking.wanted(now)
            peer.handshaking.start(now)

    def hurry(self, member: MemberId, now: float) -> None:
        """There is news of where a member may be: if it is looked for, try there at once."""
        peer = self._members.get(member)
        if peer is not None:
            peer.handshaking.hurry(now)

    def send(self, member: MemberId, message: object, now: float) -> None:
        """Encode and send. Unreliable if it fits a datagram; else (to 1 MiB) a batch, repaired where lost."""
        self.send_encoded(member, self._context.codec.encode(message), now)

    def send_encoded(self, member: MemberId, encoded: bytes, now: float) -> None:
        """The same for bytes of the codec, so that one encoding serves several members."""
        peer = self._members.get(member)
        if peer is None:
            self.counters["send: not a member"] += 1
            return
        peer.send_encoded(encoded, now)

    def send_snapshot(self, member: MemberId, header: object, source: SnapshotSource, now: float) -> None:
        """Begin to send a snapshot, announced by `header`; `snapshots_done` says how it ended."""
        encoded = self._context.codec.encode(header)
        if len(encoded) > HEADER_SIZE_MAX or source.size > SNAPSHOT_SIZE_MAX:
            raise ValueError(
                f"snapshots have at most {SNAPSHOT_SIZE_MAX} bytes, and {HEADER_SIZE_MAX} to announce them"
            )
        peer = self._members.get(member)
        if peer is None:
            self.snapshots_done.append((member, False))
            return
        peer.send_snapshot(encoded, source, now)

    # The unreliable lane.

    @property
    def lane(self) -> Lane:
        """What bounds it, and where what arrives goes."""
        return self._context.lane

    def send_unreliable(self, to: Iterable[MemberId], frame: bytes, now: float) -> None:
        """Send an UNRELIABLE frame to these members, at once or never; others than members are left out."""
        members = self._members
        reached = [members[member] for member in to if member in members]
        self._context.lane.send([peer for peer in reached if not peer.is_foreign], frame, now)

    # Joining.

    def connect_as_guest(
        self, contact: MemberId, addresses: tuple[Address, ...], invite: tuple[bytes, bytes] | None, now: float
    ) -> None:
        """A newcomer turns to a member named in its ticket, with the id and the secret of an invite.

        The gate is that of its (only) `Secrets`. None: a member of an earlier generation, which needs no invite.
        """
        peer = self._contacts.get(contact)
        if peer is None:
            peer = self._contacts[contact] = Peer(self._context, contact, Role.CONTACT, addresses)
        peer.handshaking.invite = invite
        peer.handshaking.wanted(now)
        peer.handshaking.start(now)

    def send_as_guest(self, contact: MemberId, message: object, now: float) -> None:
        """A newcomer's message to its contact; at most one datagram."""
        peer = self._contacts.get(contact)
        if peer is None:
            self.counters["send: no such contact"] += 1
            return
        peer.send_join(self._context.codec.encode(message), now)

    def send_to_guest(self, guest: MemberId, message: object, now: float) -> None:
        """A member's word to a guest, or to somebody of another generation; at most one datagram."""
        peer = self._gatekeeper.guests.get(guest) or self._members.get(guest)
        if peer is None:
            self.counters["send: no such guest"] += 1
            return
        peer.send_join(self._context.codec.encode(message), now)

    def disconnect_as_guest(self) -> None:
        """A newcomer has become a member, or gave up: forget its contacts."""
        for peer in self._contacts.values():
            peer.close()
        self._contacts.clear()

    # Looking inside.

    def outside_address(self) -> Address | None:
        """How this member looks from outside its router, if most who see it at another address see the same.

        Most, not all: one that lies, or sits behind another router of ours, has no say against two.
        """
        own = self._context.addresses
        seen = Counter(address for address in self._context.observed.values() if address not in own)
        return next((address for address, times in seen.items() if 2 * times > seen.total()), None)

    def is_connected(self, member: MemberId) -> bool:
        """Whether there is a channel, and the member has not gone silent."""
        peer = self._members.get(member) or self._contacts.get(member)
        return peer is not None and peer.is_connected

    def round_trip_s(self, member: MemberId) -> float | None:
        """Smoothed; None until measured."""
        peer = self._members.get(member)
        return peer.round_trip.smoothed_s if peer else None

    @property
    def is_receiving(self) -> bool:
        """Whether a batch or a snapshot is under way to here; one whose sender is silent ends by itself."""
        return any(peer.receiver.active for peer in self._members.values())

    def last_heard(self, member: MemberId) -> float | None:
        """When the last valid datagram came, on the clock of `now`."""
        peer = self._members.get(member)
        return peer.last_heard if peer else None

    def peer_name(self, member: MemberId) -> str:
        """What a member or guest calls itself: for people, never for decisions. Empty if unknown."""
        peer = self._members.get(member) or self._gatekeeper.guests.get(member)
        return peer.name if peer else ""

    def status(self) -> PeersStatus:
        """A frozen picture."""
        return PeersStatus(
            peers=tuple(map(picture_of, self._members.values())),
            guests=tuple(self._gatekeeper.guests),
            observed_addresses=tuple(dict.fromkeys(self._context.observed.values())),
            rolled_back=frozenset(self._context.rolled_back),
            dropped=dict(self.counters),
        )


def _cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, whole characters."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
