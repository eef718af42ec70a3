"""The machine that is tortured: registers with names, and a book of where each operation took effect.

The book is part of the state, so it is what the members agree about; whether they may is judged from outside.
It grows with the run, to stated bounds, and is refused beyond them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import failover

CLIENTS_MAX = 20_000
OPERATIONS_MAX = 100_000
"""Of one client."""
AGAIN_MAX = 1_000
"""Operations noted that were applied more than once; one is one too many."""


@dataclass(frozen=True)
class View:
    """A picture of the registers."""

    index: int
    """Of the newest command in it."""
    values: Mapping[str, str]


class Registers:
    """Reads, writes and compare-and-sets; each has its client and a number, and is counted."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.places: dict[str, list[int]] = {}
        """By client and number, the index at which it was applied first; 0 = not yet."""
        self.again: list[tuple[str, int, int]] = []
        """What was applied more than once: client, number, index."""
        self.epochs_back: list[int] = []
        """Indices of commands that an earlier host proposed, after those of a later one."""
        self._term = 0
        self._index = 0
        self._order = b""

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """The reply is what came of it, and the index."""
        asked = json.loads(command)
        self._index = context.index
        self._order = hashlib.sha256(self._order + b"%d " % context.index + command).digest()
        self._check_epoch(asked["term"], context)
        if not self._count(asked["client"], asked["number"]):
            return json.dumps({"refused": "too many operations"}).encode()
        return json.dumps({"out": self._carry_out(asked), "place": context.index}).encode()

    def _carry_out(self, asked: dict[str, Any]) -> str | bool | None:
        key, held = asked["key"], self.values.get(asked["key"])
        match asked["op"]:
            case "w":
                self.values[key] = asked["arg"]
            case "cas":
                if held != asked["arg"]:
                    return False
                self.values[key] = asked["arg2"]
                return True
        return held

    def _check_epoch(self, term: int, context: failover.Context) -> None:
        """What a host proposes is applied as of its tenure, and never after what a later host proposed."""
        if (term != context.epoch.term or term < self._term) and len(self.epochs_back) < AGAIN_MAX:
            self.epochs_back.append(context.index)
        self._term = max(self._term, context.epoch.term)

    def _count(self, client: str, number: int) -> bool:
        if (client not in self.places and len(self.places) >= CLIENTS_MAX) or number >= OPERATIONS_MAX:
            return False
        places = self.places.setdefault(client, [])
        places.extend([0] * (number + 1 - len(places)))
        if not places[number]:
            places[number] = self._index
        elif len(self.again) < AGAIN_MAX:
            self.again.append((client, number, self._index))
        return True

    def view(self) -> View:
        """See `View`."""
        return View(self._index, dict(self.values))

    def snapshot(self) -> Iterator[bytes]:
        """A line for all but the places, then a line for each client."""
        head = [self.values, self.again, self.epochs_back, self._term, self._index, self._order.hex()]
        frozen = [(client, tuple(places)) for client, places in self.places.items()]
        return _lines(json.dumps(head), frozen)

    def restore(self, chunks: Iterable[bytes]) -> None:
        """See `snapshot`."""
        head, *rows = (json.loads(line) for line in b"".join(chunks).splitlines())
        self.values, again, self.epochs_back, self._term, self._index, order = head
        self.again = [(client, number, index) for client, number, index in again]
        self._order = bytes.fromhex(order)
        self.places = dict(rows)

    def digest(self) -> bytes:
        """Equal exactly after the same commands at the same indices."""
        return hashlib.sha256(self._order + b"%d" % self._index).digest()


def _lines(head: str, frozen: list[tuple[str, tuple[int, ...]]]) -> Iterator[bytes]:
    yield head.encode() + b"\n"
    for row in frozen:
        yield json.dumps(row).encode() + b"\n"
