"""A state machine for these tests, and members on the loopback interface with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import trio

import failover
from failover.ids import ClusterId, Generation, LogIndex, MemberId, Term
from failover.net.peers import Secrets
from failover.raft.messages import Entry
from failover.records import RECORDS, Founding, MemberInfo
from failover.replica import Replica

A = MemberId(b"a" * 32)


class Tally:
    """Keeps every command, in order. `b"boom"` raises."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        if command == b"boom":
            raise RuntimeError("boom")
        self.items.append(command.decode())
        return str(len(self.items)).encode()

    def view(self) -> tuple[str, ...]:
        return tuple(self.items)

    def snapshot(self) -> Iterator[bytes]:
        yield json.dumps(self.items).encode()

    def restore(self, chunks: Iterable[bytes]) -> None:
        self.items = json.loads(b"".join(chunks))

    def digest(self) -> bytes:
        return hashlib.sha256(repr(self.items).encode()).digest()


def founded() -> tuple[Replica, Tally]:
    """The replicated state after the first record, of which A is the founder."""
    machine = Tally()
    replica = Replica(machine)
    info = MemberInfo(A, "a", ())
    record = Founding(ClusterId(b"c" * 16), Generation(b"g" * 16), info, Secrets(1, bytes(32), bytes(32)))
    replica.apply(Entry(LogIndex(1), Term(1), RECORDS.encode(record)))
    return replica, machine


def member(
    machine: failover.StateMachine | None = None, **options: Any
) -> AbstractAsyncContextManager[failover.Member]:
    return failover.open_member(machine or Tally(), **{"bind": "127.0.0.1", **options})


async def until(condition: Callable[[], object], within_s: float = 5.0) -> None:
    """Wait until the condition holds; fail with a plain timeout if it does not come to that."""
    with trio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110  # views of members have no event to wait for
            await trio.sleep(0.005)


async def voters(count: int, *members: failover.Member) -> None:
    """Wait until all of these members see so many voters."""
    await until(lambda: all([s.kind for s in m.status().members].count("voter") == count for m in members))


class Cuttable(failover.UdpTransport):
    """UDP that can go silent."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1")
        self.is_cut = False

    def send(self, data: bytes, address: Any) -> None:
        if not self.is_cut:
            super().send(data, address)

    def receive_nowait(self) -> Any:
        received = super().receive_nowait()
        return None if self.is_cut else received
