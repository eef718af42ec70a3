"""Givers and seekers of short codes, and who asks for listed games, on a LAN in memory, in virtual time; whoever
likes listens and meddles."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from failover.net.addresses import Address
from failover.net.code_giver import Giver
from failover.net.code_lister import Lister
from failover.net.code_seeker import Seeker

DELAY_S = 0.002
CODE = "K7QF-3MDA"
TICKET = "failover1-" + "abcdefgh" * 90


class CodeLan:
    """Carries datagrams between ends; `meddle` sees each and says what arrives in its place."""

    def __init__(self, seed: int = 0, loss: float = 0.0) -> None:
        self.random = random.Random(seed)
        self.loss = loss
        self.now = 500.0
        self.ends: dict[Address, Giver | Seeker | Lister | Callable[[bytes, Address], None]] = {}
        self.log: list[tuple[bytes, Address, Address]] = []
        self.meddle: Callable[[bytes, Address, Address], list[bytes]] = lambda data, source, target: [data]
        self._queue: list[tuple[float, int, bytes, Address, Address]] = []
        self._sent = 0

    def send(self, data: bytes, source: Address, target: Address) -> None:
        self.log.append((data, source, target))
        for each in self.meddle(data, source, target):
            if self.random.random() >= self.loss:
                self._sent += 1
                heapq.heappush(self._queue, (self.now + DELAY_S, self._sent, each, source, target))

    def giver(
        self, number: int = 1, *, code: str = CODE, uses: int = 1, valid_s: float = 600.0, title: str = ""
    ) -> Giver:
        address = Address(f"192.168.1.{number}", 4000)
        giver = Giver(
            code=code, ticket=f"{TICKET}{number}", uses=uses, valid_until=self.now + valid_s,
            entropy=random.Random(f"giver {number} {self.random.random()}").randbytes,
            transmit=lambda data, target: self.send(data, address, target), title=title,
        )  # fmt: skip
        self.ends[address] = giver
        return giver

    def seeker(self, number: int = 9, *, code: str = CODE, port: int = 5000) -> Seeker:
        address = Address(f"192.168.1.{number}", port)
        seeker = Seeker(
            code=code, now=self.now, call=lambda data: self.call(data, address),
            entropy=random.Random(f"seeker {number} {self.random.random()}").randbytes,
            transmit=lambda data, target: self.send(data, address, target),
        )  # fmt: skip
        self.ends[address] = seeker
        return seeker

    def lister(self, number: int = 30, *, within_s: float = 1.0) -> Lister:
        address = Address(f"192.168.1.{number}", 6000)
        lister = Lister(
            within_s=within_s, now=self.now, call=lambda data: self.call(data, address),
            entropy=random.Random(f"lister {number} {self.random.random()}").randbytes,
        )  # fmt: skip
        self.ends[address] = lister
        return lister

    def call(self, data: bytes, source: Address) -> None:
        for target, end in self.ends.items():
            if isinstance(end, Giver):
                self.send(data, source, target)

    def address_of(self, end: Giver | Seeker | Lister) -> Address:
        return next(address for address, each in self.ends.items() if each is end)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(100_000):
            ticking = [each for each in self.ends.values() if isinstance(each, Giver | Seeker | Lister)]
            ticking = [each for each in ticking if not (isinstance(each, Seeker) and each.ticket)]
            due = min((each.deadline for each in ticking if each.deadline > self.now - 1), default=float("inf"))
            arrival = self._queue[0][0] if self._queue else float("inf")
            if min(due, arrival) > end:
                self.now = end
                return
            self.now = max(self.now, min(due, arrival))
            if arrival <= self.now:
                _, _, data, source, target = heapq.heappop(self._queue)
                found = self.ends.get(target)
                if isinstance(found, Giver | Seeker | Lister):
                    found.datagram_received(data, source, self.now)
                elif found is not None:
                    found(data, source)
                continue
            for each in ticking:
                if each.deadline <= self.now:
                    over = each.over_at <= self.now
                    each.tick(self.now)
                    if over:
                        del self.ends[self.address_of(each)]
                    else:
                        assert each.deadline > self.now, "a deadline in the past that no tick removes"
        raise AssertionError("time does not pass")
