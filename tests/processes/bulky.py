"""A member with a large state: every command `fill N` adds a mebibyte to it, all others are counted."""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import failover
from failover.replica import Replica
from tests.processes.worker import Worker, main

BLOCK = 65_536


class Bulky:
    """Blocks that nobody can compress, and a count of the commands that added none."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.counts: dict[str, int] = {}

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """The reply is how often this command was applied by now."""
        text = command.decode()
        if text.startswith("fill "):
            dice = random.Random(text)
            self.blocks += [dice.randbytes(BLOCK) for _ in range(16)]
        self.counts[text] = self.counts.get(text, 0) + 1
        return b"%d" % self.counts[text]

    def view(self) -> int:
        """How many blocks."""
        return len(self.blocks)

    def snapshot(self) -> Iterator[bytes]:
        """The counts, then block by block."""
        head = json.dumps(self.counts).encode()
        return iter([len(head).to_bytes(4, "big") + head, *self.blocks])

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Takes one chunk at a time, as a state machine with a large state should."""
        held, self.blocks, self.counts, head_size = bytearray(), [], {}, -1
        for chunk in chunks:
            held += chunk
            if head_size < 0 and len(held) >= 4:
                head_size = int.from_bytes(held[:4], "big")
            if not self.counts and len(held) >= 4 + head_size:
                self.counts = json.loads(held[4 : 4 + head_size])
                del held[: 4 + head_size]
            while self.counts and len(held) >= BLOCK:
                self.blocks.append(bytes(held[:BLOCK]))
                del held[:BLOCK]

    def digest(self) -> bytes:
        """Of the counts, and of how many blocks there are: hashing all of them would take too long."""
        return hashlib.sha256(f"{self.counts} {len(self.blocks)}".encode()).digest()


class BulkyWorker(Worker):
    """The same worker with that machine; it notes how long it takes to be restored."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.machine = Bulky()  # type: ignore[assignment]
        self.restored: list[tuple[float, float]] = []
        restore = Replica.restore

        def noting(replica: Replica, *arguments: Any) -> None:
            began = time.monotonic()
            restore(replica, *arguments)
            self.restored.append((began, time.monotonic()))

        Replica.restore = noting  # type: ignore[method-assign]

    async def do_restored(self) -> dict[str, Any]:
        """When the state was restored, from and to; how many blocks it has; how slow its snapshots are."""
        assert self.member is not None
        return {
            "restored": self.restored,
            "blocks": len(self.machine.blocks),  # type: ignore[attr-defined]
            "snapshot": self.member.status().snapshot_index,
            "slow_ms": self.member.status().slow_snapshot_ms,
        }


if __name__ == "__main__":
    sys.exit(main(BulkyWorker))
