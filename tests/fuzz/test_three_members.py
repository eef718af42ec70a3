"""Three members, and a network that does whatever hypothesis likes with what they send.

Every datagram waits until a rule delivers it, in any order, twice, damaged, from elsewhere, or never. Members
restart, move, and learn new secrets one after the other. What arrives was sent, by whom it says; no table grows
beyond its bound; and when the network is a good one again, everybody hears everybody within seconds.
"""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from failover.ids import MemberId
from failover.net.addresses import Address
from failover.net.peers import Peers, Secrets
from failover.net.transfers import MemorySource
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, CommitNotice, Entry, InstallSnapshot
from failover.wire import GUEST_KINDS, WIRE
from tests.fuzz.world import CLUSTER, check_tables

FLIGHT_MAX = 120
"""Datagrams under way; the oldest are lost."""
MEMBERS = 3
HEALING_S = 40.0
"""Retries that have become rare, a promise of keys, a path that is left: each takes seconds."""
members = st.integers(0, MEMBERS - 1)
picks = st.integers(0, 2**16)


def secrets(epoch: int) -> Secrets:
    """Of that epoch."""
    return Secrets(epoch, bytes([epoch]) * 32, bytes([epoch + 100]) * 32)


class Player:
    """One of the three, over all its processes."""

    def __init__(self, number: int, world: ThreeMembers) -> None:
        self.number, self.world = number, world
        self.key = bytes([number + 1]) * 32
        self.incarnation = 0
        self.address = Address(f"10.0.0.{number + 1}", 7000)
        self.moves = 0
        self.epoch = 1
        self.dice = random.Random(number)
        self.start()

    def start(self) -> None:
        """A new process with the same storage."""
        previous, self.incarnation = self.incarnation, self.incarnation + 10
        self.peers = Peers(
            private_key=self.key, cluster=CLUSTER, secrets=self.secrets(), name=f"player {self.number}",
            incarnation=self.incarnation, previous_incarnation=previous, codec=WIRE, transmit=self.transmit,
            entropy=self.dice.randbytes, guest_kinds=GUEST_KINDS, addresses=(self.address,),
        )  # fmt: skip
        self.peers.set_members(self.world.hints)

    def secrets(self) -> list[Secrets]:
        """Those it knows, newest first."""
        return [secrets(epoch) for epoch in range(self.epoch, max(0, self.epoch - 4), -1)]

    @property
    def member(self) -> MemberId:
        """Its id."""
        return self.peers.member

    def transmit(self, data: bytes, target: Address) -> None:
        """Into the air."""
        assert len(data) <= 1200
        self.world.flight.append((data, self.address, target))
        del self.world.flight[:-FLIGHT_MAX]


class ThreeMembers(RuleBasedStateMachine):
    """See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.flight: list[tuple[bytes, Address, Address]] = []
        self.hints: dict[MemberId, tuple[Address, ...]] = {}
        self.sent: set[tuple[int, int, bytes]] = set()
        """(from, to, encoded)"""
        self.number = 0
        self.players = [Player(number, self) for number in range(MEMBERS)]

    @initialize()
    def meet(self) -> None:
        """All know of each other, and where they are."""
        self.hints = {player.member: (player.address,) for player in self.players}
        for player in self.players:
            player.peers.set_members(self.hints)

    def at(self, address: Address) -> Player | None:
        """Who is there now."""
        return next((player for player in self.players if player.address == address), None)

    def arrive(self, data: bytes, source: Address, target: Address) -> None:
        """At whoever is there."""
        player = self.at(target)
        if player is not None:
            player.peers.datagram_received(data, source, self.now)

    # What the members do.

    @rule(one=members, other=members, size=st.sampled_from([1, 1, 1, 3_000, 30_000]))
    def send(self, one: int, other: int, size: int) -> None:
        """A message, small or in pieces."""
        if one != other:
            self.number += 1
            message = AppendEntries(1, 0, 1, (Entry(self.number, 1, b"x" * size),), 0)  # type: ignore[arg-type]
            self.sent.add((one, other, WIRE.encode(message)))
            self.players[one].peers.send(self.players[other].member, message, self.now)

    @rule(one=members, other=members, size=st.sampled_from([0, 1, 5_000]))
    def send_snapshot(self, one: int, other: int, size: int) -> None:
        """The content is the announcement's own size."""
        if one != other:
            membership = Membership(frozenset(player.member for player in self.players))
            header = InstallSnapshot(1, size, 1, membership, 0, size)  # type: ignore[arg-type]
            source = MemorySource(bytes([one]) * size)
            self.players[one].peers.send_snapshot(self.players[other].member, header, source, self.now)

    @rule(one=members)
    def restart(self, one: int) -> None:
        """Another process; what it had to say is lost."""
        self.players[one].start()

    @rule(one=members)
    def move(self, one: int) -> None:
        """To an address that nobody has told the others."""
        player = self.players[one]
        player.moves += 1
        player.address = Address(f"10.{player.moves % 250}.0.{one + 1}", 7000)
        player.peers.set_addresses((player.address,), self.now)

    @rule(one=members)
    def learn_secrets(self, one: int) -> None:
        """A new epoch, which the others learn later; nobody is ahead by more than those that stay good."""
        player = self.players[one]
        if player.epoch < min(each.epoch for each in self.players) + 3:
            player.epoch += 1
            player.peers.set_secrets(player.secrets())

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.3, 2.5, 30.0, 130.0]))
    def wait(self, seconds: float) -> None:
        """Time passes and nothing arrives."""
        self.pass_time(seconds)

    def pass_time(self, seconds: float, *, delivers: bool = False) -> None:
        """Timers run."""
        end, steps = self.now + seconds, 0
        while True:
            steps += 1
            assert steps < 20_000 + 1_000 * seconds, "no end of timers"
            if delivers and self.flight:
                self.arrive(*self.flight.pop(0))
                continue
            due = min(player.peers.deadline for player in self.players)
            if due > end:
                break
            self.now = max(self.now, due)
            for player in self.players:
                if player.peers.deadline <= self.now:
                    player.peers.tick(self.now)
        self.now = end

    # What the network does.

    @rule(pick=picks)
    def deliver(self, pick: int) -> None:
        """Any of those under way."""
        if self.flight:
            self.arrive(*self.flight.pop(pick % len(self.flight)))

    @rule()
    def deliver_all(self) -> None:
        """In order, with what is answered at once."""
        for _ in range(200):
            if self.flight:
                self.arrive(*self.flight.pop(0))

    @rule(pick=picks)
    def double(self, pick: int) -> None:
        """It arrives, and stays under way."""
        if self.flight:
            self.arrive(*self.flight[pick % len(self.flight)])

    @rule(pick=picks, at=picks, flip=st.integers(1, 255))
    def damage(self, pick: int, at: int, flip: int) -> None:
        """One byte is another."""
        if self.flight:
            data, source, target = self.flight[pick % len(self.flight)]
            at %= len(data)
            self.arrive(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :], source, target)

    @rule(pick=picks, other=picks)
    def misdirect(self, pick: int, other: int) -> None:
        """From elsewhere, and to whom it is not for."""
        if self.flight:
            data, source, target = self.flight[pick % len(self.flight)]
            _, source, _ = self.flight[other % len(self.flight)]
            self.arrive(data, source, target)
            for player in self.players:
                if player.address != target:
                    player.peers.datagram_received(data, source, self.now)

    @rule()
    def lose_all(self) -> None:
        """A gust."""
        self.flight.clear()

    # What must hold.

    @invariant()
    def tables_are_bounded(self) -> None:
        """Whatever came."""
        for player in self.players:
            check_tables(player.peers)

    @invariant()
    def what_arrives_was_sent(self) -> None:
        """By whom it says, to this one, unchanged."""
        numbers = {player.member: player.number for player in self.players}
        for player in self.players:
            for sender, message in player.peers.inbox:
                assert (numbers[sender], player.number, WIRE.encode(message)) in self.sent
            for sender, header, content in player.peers.snapshot_inbox:
                assert content == bytes([numbers[sender]]) * header.size
            assert not player.peers.guest_inbox
            for box in (player.peers.inbox, player.peers.snapshot_inbox, player.peers.snapshots_done):
                box.clear()

    def teardown(self) -> None:
        """The network is a good one from here on, and everybody was told where the others are."""
        newest = max(player.epoch for player in self.players)
        for player in self.players:
            player.epoch = newest
            player.peers.set_secrets(player.secrets())
        self.meet()
        self.pass_time(HEALING_S, delivers=True)
        self.what_arrives_was_sent()
        for one in self.players:
            for other in self.players:
                if one is not other:
                    one.peers.send(other.member, CommitNotice(9, one.number), self.now)  # type: ignore[arg-type]
        self.pass_time(1.0, delivers=True)
        for player in self.players:
            heard = {sender for sender, message in player.peers.inbox if isinstance(message, CommitNotice)}
            others = {other.member for other in self.players if other is not player}
            assert heard == others, f"player {player.number} heard {len(heard)} of {len(others)}"
            assert not player.peers.status().rolled_back


def test_three_members_on_any_network_at_all():
    run_state_machine_as_test(
        ThreeMembers, settings=settings(max_examples=30, stateful_step_count=40, deadline=None)
    )
