"""Members in one trio loop on a network in memory. Time is trio's, and virtual."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import trio
from trio.testing import MockClock

import failover
from failover.fitness import Computer
from failover.net.addresses import Address
from failover.records import FEATURE_LEVEL
from failover.writer import Failed, InlineWriter, Stored, Troubled, Writer

DELAY_S = 0.0005


def in_virtual_time(main: Callable[..., Any], *, clock: object = None, instruments: Any = ()) -> Any:
    """For `pytest.mark.trio(run=...)`: time jumps to the next deadline as soon as nobody has anything to do."""
    return trio.run(main, clock=MockClock(autojump_threshold=0), instruments=instruments)


class Ledger:
    """Remembers all commands in their order, who sent them, and when."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []
        self.contexts: list[failover.Context] = []
        self.restored = 0
        self.snapshots = 0
        self.apply_hook: Callable[[bytes], None] = lambda command: None

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """The reply says how many there were before."""
        self.apply_hook(command)
        self.commands.append(command)
        self.contexts.append(context)
        return b"%d" % (len(self.commands) - 1)

    def view(self) -> tuple[bytes, ...]:
        """All of them."""
        return tuple(self.commands)

    def snapshot(self) -> Iterator[bytes]:
        """One piece for each."""
        self.snapshots += 1
        return iter([len(command).to_bytes(4, "big") + command for command in self.commands])

    def restore(self, chunks: Iterable[bytes]) -> None:
        """See `snapshot`."""
        self.restored += 1
        raw, self.commands = b"".join(chunks), []
        while raw:
            size = int.from_bytes(raw[:4], "big")
            self.commands.append(raw[4 : 4 + size])
            raw = raw[4 + size :]

    def digest(self) -> bytes:
        """Of the commands in their order."""
        return hashlib.sha256(b"".join(len(c).to_bytes(4, "big") + c for c in self.commands)).digest()


class Air:
    """Carries datagrams between made-up addresses; may lose and double them, and cut somebody off."""

    def __init__(self, loss: float = 0.0, doubled: float = 0.0) -> None:
        self.loss, self.doubled = loss, doubled
        self.cut: set[Address] = set()
        self.carried = 0
        self._dice = random.Random(1)
        self._ends: dict[Address, AirTransport] = {}
        self._numbers = iter(range(1, 1000))

    def transport(self, at: Address | None = None) -> AirTransport:
        """A new place on this network, or one where somebody was before."""
        end = AirTransport(self, at or Address(f"10.0.0.{next(self._numbers)}", 1))
        self.cut.discard(end.address)
        self._ends[end.address] = end
        return end

    def lose(self, address: Address) -> None:
        """Cut somebody off, and lose what it has said last, too."""
        self.cut.add(address)
        for end in self._ends.values():
            end.forget_from(address)

    def carry(self, data: bytes, source: Address, target: Address) -> None:
        """Deliver after a moment, or not."""
        assert len(data) <= 1200
        end = self._ends.get(target)
        if end is None or {source, target} & self.cut or self._dice.random() < self.loss:
            return
        for _ in range(1 + (self._dice.random() < self.doubled)):
            self.carried += 1
            end.arrive(trio.current_time() + DELAY_S * (1 + self._dice.random()), data, source)


class AirTransport:
    """A game's own `failover.Transport`."""

    def __init__(self, air: Air, address: Address) -> None:
        self.address = address
        self._air = air
        self._queue: deque[tuple[float, bytes, Address]] = deque()
        self._arrived = trio.Event()

    def send(self, data: bytes, address: Address) -> None:
        """See `Transport.send`."""
        self._air.carry(data, self.address, address)

    def arrive(self, at: float, data: bytes, source: Address) -> None:
        """Something is under way to here."""
        self._queue.append((at, data, source))
        self._arrived.set()

    def forget_from(self, source: Address) -> None:
        """What is under way from there does not arrive."""
        self._queue = deque(each for each in self._queue if each[2] != source)

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        """See `Transport.receive_nowait`."""
        if not self._queue or self._queue[0][0] > trio.current_time():
            return None
        _, data, source = self._queue.popleft()
        return data, source

    async def wait_readable(self) -> None:
        """See `Transport.wait_readable`."""
        while not self._queue:
            self._arrived = trio.Event()
            await self._arrived.wait()
        await trio.sleep(max(0.0, self._queue[0][0] - trio.current_time()))

    def close(self) -> None:
        """Nobody is here any more."""
        self._air.cut.add(self.address)

    @property
    def local_addresses(self) -> tuple[Address, ...]:
        """The made-up one."""
        return (self.address,)


class Player:
    """One member in its own task."""

    def __init__(self, member: Any, machine: Ledger, address: Address) -> None:
        self.member = member
        self.machine = machine
        self.address = address
        self.heard: list[failover.Event] = []
        self.closing = trio.Event()
        self.closed = trio.Event()

    def events(self, *kinds: type) -> list[Any]:
        """What it has heard up to now, of these kinds."""
        self.heard += self.member.poll()
        return [event for event in self.heard if not kinds or isinstance(event, kinds)]

    async def close(self) -> None:
        """Leave the block."""
        self.closing.set()
        await self.closed.wait()


async def idle_computer() -> Computer:
    """One that has nothing to do."""
    await trio.lowlevel.checkpoint()
    return Computer(busy_s=0.0, total_s=trio.current_time())


def write_at_once(storage: failover.Storage, stored: Stored, failed: Failed, troubled: Troubled) -> Writer:
    """A file, too: while a thread writes, virtual time would run away."""
    return InlineWriter(storage, stored)


class World:
    """Opens members and waits for what they come to."""

    def __init__(self, nursery: trio.Nursery, air: Air) -> None:
        self.air = air
        self._nursery = nursery

    async def open(self, *, is_witness: bool = False, **options: Any) -> Player:
        """Open a member, or a witness, on a new address if none is given; raises what `open_member` raises."""
        outcome: list[Player | BaseException] = []
        done = trio.Event()

        async def live() -> None:
            machine = options.pop("machine", None) or Ledger()
            transport = self.air.transport(options.pop("at", None))
            surroundings = failover.Surroundings(
                clock=trio.current_time,
                look_at_computer=idle_computer,
                open_writer=options.pop("open_writer", write_at_once),
                level=options.pop("level", FEATURE_LEVEL),
            )
            opening: Any = (
                failover.open_witness(transport=transport, surroundings=surroundings, **options)
                if is_witness
                else failover.open_member(machine, transport=transport, surroundings=surroundings, **options)
            )
            try:
                async with opening as member:
                    player = Player(member, machine, transport.address)
                    outcome.append(player)
                    done.set()
                    await player.closing.wait()
                player.closed.set()
            except failover.FailoverError as error:
                assert not outcome, "it failed after it was open"
                outcome.append(error)
                done.set()

        self._nursery.start_soon(live)
        await done.wait()
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    async def cluster(self, size: int, **options: Any) -> list[Player]:
        """A cluster in which as many vote as shall; the founder comes first and hosts."""
        founder = await self.open(found=True, name="member 1", **options)
        await until(lambda: founder.member.is_host)
        ticket = await founder.member.invite(uses=size) if size > 1 else None
        players = [founder]
        for number in range(2, size + 1):
            players.append(await self.open(ticket=ticket, name=f"member {number}", **options))
        await until(lambda: voters(founder) == (size if size < 4 else 3 if size == 4 else 5))
        await settled(players)
        return players


def voters(player: Player) -> int:
    """How many vote, as this one knows."""
    return sum(info.kind == "voter" for info in player.member.status().members)


def host_of(players: Iterable[Player]) -> Player | None:
    """The one that hosts; never two."""
    hosts = [player for player in players if player.member.is_host]
    assert len(hosts) <= 1, "two hosts at once"
    return hosts[0] if hosts else None


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for it, so long at most; `seconds` are the clock's."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110  # whatever it is, nobody tells of it
            await trio.sleep(0.002)


async def settled(players: list[Player]) -> None:
    """All have applied the same, agree on the host, and no change of membership is in progress."""

    def is_settled() -> bool:
        statuses = [player.member.status() for player in players]
        same = {(status.applied_index, status.digest, status.host, len(status.members)) for status in statuses}
        return len(same) == 1 and statuses[0].host is not None

    await until(is_settled)
    await trio.sleep(0.2)  # voters are counted as soon as a joint membership begins
    await until(is_settled)
