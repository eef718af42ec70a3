"""The network in memory, with routers of homes in it that translate addresses."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from memory_network import Network, Player, meet, notice

from failover.ids import MemberId
from failover.net.addresses import Address


class Router:
    """Translates like most home routers: whom it sent something to, from that port, may answer; nobody else.

    A `fickle` one takes another port for each target (RFC 4787: address-and-port-dependent mapping).
    """

    def __init__(self, number: int, *, fickle: bool = False) -> None:
        self.ip = f"203.0.113.{number}"
        self.fickle = fickle
        self._ports: dict[tuple[Address, Address | None], int] = {}
        self._holes: dict[tuple[int, Address], Address] = {}
        self._next_port = 20_000

    def out(self, source: Address, target: Address) -> Address:
        """As whom the datagram goes on."""
        key = (source, target if self.fickle else None)
        if key not in self._ports:
            self._next_port += 7
            self._ports[key] = self._next_port
        port = self._ports[key]
        self._holes[port, target] = source
        return Address(self.ip, port)

    def into(self, source: Address, port: int) -> Address | None:
        """Whose it is, if anybody's."""
        return self._holes.get((port, source))

    def forget(self) -> None:
        """All mappings are gone; new ones get other ports."""
        self._ports.clear()
        self._holes.clear()


class HomeNetwork(Network):
    """Players may live behind routers: `at_home(number, router)`."""

    def __init__(self, seed: int = 0, **options: Any) -> None:
        super().__init__(seed, **options)
        self.routers: dict[str, Router] = {}
        self.homes: dict[Address, Router] = {}
        self.blocked: set[tuple[Address, Address]] = set()
        """Pairs (sender's own address, target as it names it) whose datagrams get lost."""

    def at_home(self, number: int, router: Router, **options: Any) -> Player:
        """A player behind that router."""
        player = self.player(number, **options)
        self.move(player, router)
        return player

    def move(self, player: Player, router: Router) -> None:
        """From now on the player is behind that router."""
        self.routers[router.ip] = router
        self.homes[player.address] = router

    def send(self, data: bytes, source: Address, target: Address) -> None:
        if (source, target) in self.blocked:
            return
        router = self.homes.get(source)
        if router is None:
            super().send(data, source, target)
        elif self.homes.get(target) is router:
            super().send(data, source, target)  # in the same home
        elif target.ip == router.ip:
            pass  # many routers do not turn round what is for themselves
        elif not target.ip.startswith("10."):
            super().send(data, router.out(source, target), target)
        elif target not in self.homes:
            super().send(data, router.out(source, target), target)  # 10.x without a router stands for a public one

    def receiver(self, source: Address, target: Address) -> Address:
        router = self.routers.get(target.ip)
        if router is None:
            return target
        return router.into(source, target.port) or target


def way(player: Player, other: Player) -> object:
    """The place to which the first sends what is for the second."""
    return player.peers._members[other.member].paths.active


def two_homes(*, fickle: bool, **options: Any) -> tuple[HomeNetwork, Player, Player, Player]:
    """Alice and Bob in two homes; Carol is reached by both."""
    network = HomeNetwork(delay_s=0.02, **options)
    alice = network.at_home(1, Router(1, fickle=fickle))
    bob = network.at_home(2, Router(2, fickle=fickle))
    carol = network.player(3)
    meet(alice, bob, carol)
    return network, alice, bob, carol


def relayed_in_one_home() -> tuple[HomeNetwork, Player, Player, Player]:
    """Alice and Bob share a router, and have begun to speak by way of Carol, since nothing else got through."""
    network = HomeNetwork(delay_s=0.01)
    router = Router(1)
    alice, bob = network.at_home(1, router), network.at_home(2, router)
    carol = network.player(3)
    meet(alice, bob, carol)
    network.blocked |= {(alice.address, bob.address), (bob.address, alice.address)}
    talk(network, alice, bob, carol, seconds=2)
    network.blocked.clear()
    return network, alice, bob, carol


def relayed_by(network: HomeNetwork, carol: Player) -> list[bytes]:
    """Datagrams that left Carol and are too long to be hers."""
    return [data for data, source, _ in network.log if source == carol.address and len(data) > 1152]


Heard = list[tuple[float, MemberId]]


def talk(network: Network, *players: Player, seconds: float, every: float = 0.03) -> dict[MemberId, Heard]:
    """Everybody says something to everybody, so often, for so long; what arrived, by player."""
    end, number = network.now + seconds, 0
    heard: dict[MemberId, Heard] = {player.member: [] for player in players}
    while network.now < end:
        number += 1
        for player in players:
            for other in players:
                if other is not player:
                    player.peers.send(other.member, notice(number), network.now)
        network.run(every)
        for player in players:
            heard[player.member] += [(network.now, sender) for sender, _ in player.peers.inbox]
            player.peers.inbox.clear()
    return heard


def longest_gap(heard: Heard, *, since: float) -> float:
    """Between two things heard, in seconds."""
    times = [since, *(at for at, _ in heard)]
    return max(b - a for a, b in pairwise(times))
