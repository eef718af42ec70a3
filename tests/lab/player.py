"""One member of a lab: the worker of the process tests, that also plays at a steady pace and times itself."""

from __future__ import annotations

import sys
import time
from typing import Any

import trio

import failover
from tests.processes import worker

UNDER_WAY_MAX = 60
"""The library takes 64 requests at once; what would be more is left out, and counted as `skipped`."""


class Player(worker.Worker):
    """Makes so many requests a second, whatever becomes of them."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self._timed: list[tuple[float, float, bool]] = []
        self._unknown = self._skipped = 0
        self._under_way = 0
        self._playing = trio.CancelScope()
        self._rested = trio.Event()

    async def do_play(self, rate: float) -> dict[str, Any]:
        """Make requests until `rest`: evenly, without waiting for answers."""
        assert self.member is not None
        number, began = 0, trio.current_time()
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as self._playing:
                while True:
                    await trio.sleep_until(began + number / rate)
                    if self._under_way < UNDER_WAY_MAX:
                        nursery.start_soon(
                            self._ask, f"{self.options['name']} {self.member.id.hex()[:8]} {began} {number}"
                        )
                    else:
                        self._skipped += 1
                    number += 1
        self._rested.set()
        return {}

    async def _ask(self, body: str) -> None:
        assert self.member is not None
        self._under_way += 1
        was_host, sent = self.member.is_host, time.monotonic()
        try:
            await self.do_request(body)
        except (failover.OutcomeUnknown, failover.NotHost):
            self._unknown += 1
        except failover.FailoverError:
            pass  # it is closing
        else:
            now = time.monotonic()
            self._timed.append((now, 1000 * (now - sent), was_host and self.member.is_host))
        finally:
            self._under_way -= 1

    async def do_rest(self) -> dict[str, Any]:
        """End it, and return when nothing is under way any more."""
        self._playing.cancel()
        await self._rested.wait()
        return {}

    async def do_news(self) -> dict[str, Any]:
        """What was accepted since this was last asked: when, after how many ms, whether by this member as host."""
        assert self.member is not None
        timed, self._timed = self._timed, []
        status = self.member.status()
        return {
            "timed": timed,
            "unknown": self._unknown,
            "skipped": self._skipped,
            "is_host": self.member.is_host,
            "term": status.term,
            "promise_ms": status.promise_ms,
            "round_trips_ms": {m.name: m.round_trip_ms for m in status.members if m.round_trip_ms is not None},
            "kind": next(m.kind for m in status.members if m.member == status.member),
            "dropped": dict(status.dropped),
        }


if __name__ == "__main__":
    sys.exit(worker.main(Player))
