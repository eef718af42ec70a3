"""A network in memory with virtual time: loss, duplicates and reordering by seed."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from typing import Any

from failover.ids import ClusterId, LogIndex, MemberId, Term
from failover.net.addresses import Address
from failover.net.codec import CORE_KINDS, Codec
from failover.net.peers import Peers, Secrets
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, CommitNotice, Entry, InstallSnapshot

CLUSTER = ClusterId(b"c" * 16)
SECRETS = Secrets(1, b"p" * 32, b"g" * 32)


@dataclass(frozen=True, slots=True)
class JoinRequest:
    name: str


@dataclass(frozen=True, slots=True)
class Welcome:
    epoch: int


CODEC = Codec(CORE_KINDS | {64: JoinRequest, 65: Welcome})
GUEST_KINDS: frozenset[type] = frozenset({JoinRequest, Welcome})


def notice(number: int) -> CommitNotice:
    return CommitNotice(Term(1), LogIndex(number))


def append(entries: int, size: int, start: int = 1) -> AppendEntries:
    listed = tuple(Entry(LogIndex(start + i), Term(1), bytes([i % 251]) * size) for i in range(entries))
    return AppendEntries(Term(1), LogIndex(start - 1), Term(1), listed, LogIndex(0))


def announcement(player: Player, size: int) -> InstallSnapshot:
    membership = Membership(frozenset([player.member]))
    return InstallSnapshot(Term(1), LogIndex(1), Term(1), membership, LogIndex(1), size)


class Network:
    """Carries datagrams between addresses; everything random follows from the seed."""

    def __init__(
        self,
        seed: int = 0,
        *,
        delay_s: float = 0.001,
        jitter_s: float = 0.0,
        loss: float = 0.0,
        duplicates: float = 0.0,
        bytes_per_s: float = float("inf"),
        buffer_s: float = 0.2,
    ) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        self.delay_s, self.jitter_s, self.loss, self.duplicates = delay_s, jitter_s, loss, duplicates
        self.bytes_per_s, self.buffer_s = bytes_per_s, buffer_s
        self._free_at: dict[Address, float] = {}
        self.line: dict[Address, Address] = {}
        """Who sends through the line of another; everybody else has one of their own, of `bytes_per_s`."""
        self._queue: list[tuple[float, int, bytes, Address, Address]] = []
        self._sent = 0
        self.players: dict[Address, Player] = {}
        self.log: list[tuple[bytes, Address, Address]] = []
        """Every datagram ever sent: (data, source, target)."""
        self.cut: set[Address] = set()

    def send(self, data: bytes, source: Address, target: Address) -> None:
        self.log.append((data, source, target))
        if source in self.cut or target in self.cut or self.random.random() < self.loss:
            return
        line = self.line.get(source, source)
        leaves = max(self.now, self._free_at.get(line, 0.0))
        if leaves - self.now > self.buffer_s:
            return  # the router's buffer is full
        self._free_at[line] = leaves + len(data) / self.bytes_per_s
        for _ in range(1 + (self.random.random() < self.duplicates)):
            self._sent += 1
            at = self._free_at[line] + self.delay_s + self.random.random() * self.jitter_s
            heapq.heappush(self._queue, (at, self._sent, data, source, target))

    def queue_s(self, line: Address) -> float:
        """How long a datagram waits that is sent there now."""
        return max(0.0, self._free_at.get(line, 0.0) - self.now)

    def receiver(self, source: Address, target: Address) -> Address:
        """Whose datagrams those to `target` are."""
        return target

    def player(self, number: int, **options: Any) -> Player:
        player = Player(self, number, **options)
        self.players[player.address] = player
        return player

    def run(self, seconds: float) -> None:
        """Until so much virtual time has passed."""
        end = self.now + seconds
        steps, at_before = 0, self.now
        while True:
            steps = steps + 1 if self.now == at_before else 0
            at_before = self.now
            assert steps < 20_000, "a deadline in the past that no tick removes"
            arrival = self._queue[0][0] if self._queue else float("inf")
            due = min((player.peers.deadline for player in self.players.values()), default=float("inf"))
            at = max(self.now, min(arrival, due))
            if at > end:
                self.now = end
                return
            self.now = at
            if arrival <= at:
                _, _, data, source, target = heapq.heappop(self._queue)
                at_home = self.receiver(source, target)
                if at_home in self.players and at_home not in self.cut:
                    self.players[at_home].peers.datagram_received(data, source, self.now)
            else:
                for player in list(self.players.values()):
                    if player.peers.deadline <= at:
                        player.peers.tick(self.now)


class Player:
    """A member on the network. `restart` makes its next process, with the same storage."""

    def __init__(
        self, network: Network, number: int, *, secrets: Secrets = SECRETS, name: str = "", **options: Any
    ) -> None:
        self.network, self.number = network, number
        self.address = Address(f"10.0.0.{number}", 7000)
        self.private_key = bytes([number]) * 32
        self.incarnation = 0
        self.secrets, self.name, self.options = secrets, name or f"player {number}", options
        self.dice = random.Random(f"{number} {network.random.random()}")
        self.restart()

    def restart(self, **options: Any) -> None:
        previous, self.incarnation = self.incarnation, self.incarnation + 10
        self.peers = self.build(previous_incarnation=previous, incarnation=self.incarnation, **options)

    def build(self, **options: Any) -> Peers:
        arguments: dict[str, Any] = {
            "private_key": self.private_key,
            "cluster": CLUSTER,
            "secrets": self.secrets,
            "name": self.name,
            "codec": CODEC,
            "transmit": lambda data, address: self.network.send(data, self.address, address),
            "entropy": self.dice.randbytes,
            "guest_kinds": GUEST_KINDS,
        }
        return Peers(**(arguments | self.options | options))

    @property
    def member(self) -> MemberId:
        return self.peers.member

    def received(self) -> list[object]:
        """Messages taken from the inbox."""
        taken = [message for _, message in self.peers.inbox]
        self.peers.inbox.clear()
        return taken


def meet(*players: Player) -> None:
    """All of them are members."""
    everybody = {player.member: (player.address,) for player in players}
    for player in players:
        player.peers.set_members(everybody)


def pair(network: Network, **options: Any) -> tuple[Player, Player]:
    """Two members with a channel."""
    alice, bob = network.player(1, **options), network.player(2, **options)
    meet(alice, bob)
    alice.peers.connect(bob.member, network.now)
    network.run(1)
    return alice, bob
