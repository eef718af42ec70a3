"""One member, Bob, whose peers are nothing but channels; and what must hold of him whatever anybody sends.

Channels are put in place without a handshake, so that an input costs a millisecond or two. What Bob sends is kept
and read: it must be frames as the reader knows them, and go nowhere where nobody asked for it.
"""

from __future__ import annotations

import ipaddress
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from failover.ids import ClusterId, Generation, LogIndex, MemberId, Term
from failover.net import frames, gatekeeper, handshaking, limits, noise, receiving, relaying
from failover.net.addresses import Address
from failover.net.arriving import ArrivingBatch, ArrivingSnapshot
from failover.net.channel import HEADER_SIZE, TYPE_DATA, Channel
from failover.net.channels import CHANNELS_MAX, PROVISIONAL_MAX
from failover.net.complaints import PEERS_MAX
from failover.net.cookies import KEPT_MAX
from failover.net.paths import PATHS_MAX, PINGS_MAX
from failover.net.peer import INBOX_MAX, QUEUE_MAX, Peer, Role
from failover.net.peers import Peers, Secrets
from failover.net.places import short_id
from failover.net.transfers import BATCHES_AT_ONCE, SNAPSHOTS_AT_ONCE, MemorySink
from failover.raft.messages import CommitNotice
from failover.wire import GUEST_KINDS, WIRE

CLUSTER = ClusterId(b"c" * 16)
SECRETS = Secrets(1, b"p" * 32, b"g" * 32)
GENERATION = Generation(b"n" * 16)
INVITE, INVITE_SECRET = b"i" * 16, b"s" * 32
NOW = 1000.0
HOME = {
    name: Address(f"10.0.0.{number}", 7000) for number, name in enumerate(("alice", "bob", "carol", "dave"), 1)
}
KEYS = {name: bytes([number]) * 32 for number, name in enumerate(HOME, 1)}
IDS = {name: MemberId(noise.public_key(key)) for name, key in KEYS.items()}
ELSEWHERE = (Address("192.0.2.9", 9000), Address("2001:db8::9", 9000), Address("10.0.0.3", 7000))
"""Where a datagram may come from, too: strangers' places, and that of another member."""
COUNTERS_MAX = 150
"""Reasons are a list in our source; none may hold what came from outside."""
UNVALIDATED_FACTOR = 3
"""Bytes to a place that has not answered, by those that came from there (RFC 9000, 8.1)."""
TRIED_BYTES, TRIED_BYTES_PER_S = 6_000, 6_000
"""To a place where a member is said to be: ten PINGs a second, and an INITIATION now and then."""
DATAGRAMS_PER_DATAGRAM_MAX = 200
TICKS_PER_S_MAX = 2_000
WAIT_S_MAX = 100.0
TICKS_AT_ONCE_MAX = 5
"""What a tick does may be due to be followed up at once; but not for ever."""


class Sent(NamedTuple):
    """What Bob sent."""

    data: bytes
    target: Address


class World:
    """Bob and the ends of his channels.

    Args:
        role: what Alice is to him. Carol and Dave are members, unless Alice is the contact of a newcomer.
    """

    def __init__(self, role: Role = Role.MEMBER) -> None:
        self.now = NOW
        self.role = role
        self.sent: list[Sent] = []
        self.bytes_in: Counter[Address] = Counter()
        self.bytes_out: Counter[Address] = Counter()
        self.proved: set[Address] = set()
        self.claimed: set[Address] = set()
        """Where somebody said that somebody is."""
        self.unreliable: list[object] = []
        self._dice = random.Random(1)
        self.bob = Peers(
            private_key=KEYS["bob"], cluster=CLUSTER, secrets=SECRETS, name="bob", incarnation=20,
            previous_incarnation=10, codec=WIRE, transmit=self._transmit, entropy=self._dice.randbytes,
            addresses=(HOME["bob"],), guest_kinds=GUEST_KINDS, open_sink=lambda member, header, size: MemorySink(),
        )  # fmt: skip
        self.bob.lane.received = lambda member, item: self.unreliable.append(item)
        self.bob.set_invites({INVITE: INVITE_SECRET})
        self.ends: dict[str, Channel] = {}
        """The other ends of Bob's channels."""
        members = [] if role is Role.CONTACT else ["carol", "dave"] + ["alice"] * (role is Role.MEMBER)
        self.bob.set_members({IDS[name]: (HOME[name],) for name in (*members, "bob") if members})
        if role is Role.CONTACT:
            self.bob.connect_as_guest(IDS["alice"], (HOME["alice"],), (INVITE, INVITE_SECRET), self.now)
        elif role is Role.GUEST:
            self.context_of_bob.guests[IDS["alice"]] = Peer(self.bob._context, IDS["alice"], Role.GUEST, ())
        for name in members if role is Role.MEMBER else [*members, "alice"]:
            self.join_channel(name, self.peer(name))
        self.sent.clear()
        self.bytes_out.clear()

    @property
    def context_of_bob(self) -> gatekeeper.Gatekeeper:
        """Where guests are."""
        return self.bob._gatekeeper

    def peer(self, name: str) -> Peer:
        """What Bob knows of them."""
        tables = (self.bob._members, self.bob._contacts, self.bob._gatekeeper.guests)
        return next(table[IDS[name]] for table in tables if IDS[name] in table)

    def join_channel(self, name: str, peer: Peer) -> None:
        """A channel as a handshake leaves it, with both ends' keys; and a first PONG over it."""
        index, there, back = int.from_bytes(IDS[name][:4], "little"), b"1" * 32, b"2" * 32
        options = {"initiated": True, "confirmed": True, "created": self.now, "peer_incarnation": 5}
        ours = Channel(send_key=back, receive_key=there, local_index=index, remote_index=7, address=HOME[name],
                       **options)  # fmt: skip
        self.ends[name] = Channel(send_key=there, receive_key=back, local_index=7, remote_index=index,
                                  address=HOME["bob"], **options)  # fmt: skip
        peer.adopt(ours, HOME[name], self.now, size=100, is_proved=True)
        tokens = [frame.token for _, frame in self.frames_for(name) if isinstance(frame, frames.Ping)]
        for token in tokens:
            self.from_peer(name, frames.pong(token, HOME["bob"]))

    # What comes in.

    def arrive(self, data: bytes, source: Address) -> list[Sent]:
        """A datagram; returns what Bob sent because of it."""
        before = len(self.sent)
        self.bytes_in[source] += len(data)
        self.bob.datagram_received(data, source, self.now)
        caused = self.sent[before:]
        assert len(caused) <= DATAGRAMS_PER_DATAGRAM_MAX, f"{len(caused)} datagrams for one"
        return caused

    def heard_at(self, place: Address) -> None:
        """The peer received there what Bob sent: he may send it more."""
        self.proved.add(place)

    def from_peer(self, name: str, content: bytes, source: Address | None = None) -> list[Sent]:
        """Frames, sealed as that peer seals."""
        return self.arrive(self.ends[name].seal(content), source or HOME[name])

    def relayed(self, name: str, content: bytes, by: str = "carol") -> list[Sent]:
        """The same, passed on by another member."""
        passed = frames.relay(frames.PASSED_ON, short_id(IDS[name]), self.ends[name].seal(content))
        return self.from_peer(by, passed)

    def wait(self, seconds: float) -> None:
        """Bob's timers run; not for so long that the channels, which nobody renews here, end by themselves."""
        seconds = min(seconds, max(0.3, WAIT_S_MAX - (self.now - NOW)))
        end, ticks, again = self.now + seconds, 0, 0
        while (due := self.bob.deadline) <= end:
            ticks += 1
            assert ticks < 100 + TICKS_PER_S_MAX * seconds, "the timers never rest"
            self.now = max(self.now, due)
            self.bob.tick(self.now)
            again = again + 1 if self.bob.deadline <= self.now else 0
            assert again < TICKS_AT_ONCE_MAX, "a deadline in the past that no tick removes"
        self.now = end

    def _transmit(self, data: bytes, target: Address) -> None:
        assert type(data) is bytes and 32 <= len(data) <= 1200
        self.sent.append(Sent(data, target))
        self.bytes_out[target] += len(data)

    # What must hold.

    def frames_for(self, name: str, start: int = 0) -> Iterator[tuple[Address, frames.Frame]]:
        """What Bob said to a peer: all of it is what our own reader takes."""
        end = self.ends[name]
        index = (7).to_bytes(4, "little")
        for data, target in self.sent[start:]:
            if data[0] != TYPE_DATA or data[4:8] != index or target != HOME[name]:
                continue
            header = data[:HEADER_SIZE]
            content = end._open(bytes(4) + header[8:], data[HEADER_SIZE:], header)
            found, unknown = frames.parse_untrusted(content)
            assert unknown is None
            yield from ((target, frame) for frame in found)

    def check(self) -> None:
        """Whatever came in: tables are bounded, and nobody gets what he did not ask for."""
        check_tables(self.bob)
        self._check_targets()

    def _check_targets(self) -> None:
        homes = {HOME[name] for name in self.ends}
        for place, size in self.bytes_out.items():
            if place in homes | self.proved:
                continue
            allowed = UNVALIDATED_FACTOR * self.bytes_in[place]
            if place in self.claimed:
                assert may_be_tried(place), f"{place} is no fair place to send to"
                allowed += TRIED_BYTES + TRIED_BYTES_PER_S * (self.now - NOW)
            assert size <= allowed, f"{size} bytes to {place}, from which {self.bytes_in[place]} came"

    def works(self, name: str, number: int = 1) -> None:
        """A message of that peer still arrives, and one of Bob's leaves for it."""
        message = CommitNotice(Term(77), LogIndex(number))
        self.bob.inbox.clear()
        self.from_peer(name, frames.message(WIRE.encode(message)))
        assert (IDS[name], message) in self.bob.inbox, "the channel is dead"
        before = len(self.sent)
        self.bob.send(IDS[name], message, self.now)
        assert frames.Message(WIRE.encode(message)) in [frame for _, frame in self.frames_for(name, before)]

    def take_all(self) -> None:
        """What the driver does in each round."""
        for box in (self.bob.inbox, self.bob.guest_inbox, self.bob.snapshot_inbox, self.bob.snapshots_done):
            box.clear()


def may_be_tried(claimed: Address) -> bool:
    """What `is_fair` must say where this member has an address of the LAN and a high port, in other words."""
    ip = ipaddress.ip_address(claimed.ip)
    plain = getattr(ip, "ipv4_mapped", None) or ip
    nobody = plain.is_loopback or plain.is_multicast or plain.is_unspecified or str(plain) == "255.255.255.255"
    return claimed.port >= 1024 and not nobody


def check_tables(peers: Peers) -> None:
    """Each table of `peers` is within its bound, and they agree with each other."""
    context, gate = peers._context, peers._gatekeeper
    everybody = [*peers._members.values(), *peers._contacts.values(), *gate.guests.values()]
    for peer in everybody:
        check_peer(peer)
    _at_most(gatekeeper.GUESTS_MAX, gate.guests)
    _at_most(gatekeeper.SEEN_MAX, gate._seen)
    _at_most(limits.SOURCES_MAX, gate._limits._sources)
    _at_most(INBOX_MAX, context.inbox)
    _at_most(INBOX_MAX, context.guest_inbox)
    _at_most(COUNTERS_MAX, context.counters)
    _at_most(PEERS_MAX, context.complaints._noted)
    _at_most(len(everybody), context.observed)
    _at_most(len(peers._members), context.rolled_back)
    _at_most(len(peers._members), context.lane._buckets)
    _at_most(len(peers._members), context.relaying._buckets)
    _at_most(relaying.REFUSALS_MAX, context.relaying._refused)
    _at_most(handshaking.ATTEMPTS_MAX * len(everybody), context.attempts)
    provisional = sum(len(peer.channels.provisional) for peer in everybody)
    assert context.provisional_count == provisional <= gatekeeper.PROVISIONAL_TOTAL_MAX
    assert len(context.channels) == provisional + sum(len(peer.channels.confirmed) for peer in everybody)
    arriving = [each for peer in everybody for each in peer.receiver._active.values()]
    held = sum(each.held for each in arriving if isinstance(each, ArrivingBatch))
    assert context.budget.used == held <= context.budget.limit
    assert set(context.shelf.arriving) == {each for each in arriving if isinstance(each, ArrivingSnapshot)}
    _at_most(SNAPSHOTS_AT_ONCE, context.shelf.arriving)


def check_peer(peer: Peer) -> None:
    """The same for one peer."""
    _at_most(CHANNELS_MAX, peer.channels.confirmed)
    _at_most(PROVISIONAL_MAX, peer.channels.provisional)
    _at_most(PATHS_MAX, peer.paths.known)
    _at_most(PINGS_MAX, peer.paths._pings)
    _at_most(QUEUE_MAX, peer._queue)
    _at_most(KEPT_MAX, peer.handshaking._cookies._kept)
    _at_most(handshaking.ATTEMPTS_MAX, peer.handshaking._attempts)
    _at_most(8, peer.told)
    sending = peer.channels.sending
    assert sending is None or sending in peer.channels.confirmed
    assert peer.paths.active is None or peer.paths.active in peer.paths.known
    active = peer.receiver._active.values()
    _at_most(BATCHES_AT_ONCE, [each for each in active if isinstance(each, ArrivingBatch)])
    _at_most(1, [each for each in active if isinstance(each, ArrivingSnapshot)])
    _at_most(receiving.REMEMBERED, peer.receiver._finished)
    for each in active:
        assert 0 <= each.below <= each.count and not each.has(each.below)
        assert each._beyond.bit_length() <= receiving.WINDOW_MAX
        if isinstance(each, ArrivingBatch):
            assert each.held == sum(map(len, each._pieces.values()))
    sender = peer.sender
    assert sender._in_flight == sum(len(each.in_flight) for each in sender._active.values()) >= 0
    for out in sender._active.values():
        assert 0 <= out.below <= out.next_new <= out.count


def _at_most(bound: int, table: object) -> None:
    size = len(table)  # type: ignore[arg-type]
    assert size <= bound, f"{size} where {bound} is the bound"


Run = Callable[[bytes], None]
