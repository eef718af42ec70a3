"""Carries out a simulated process's writes in virtual time, as the storage thread does it in real time.

What waits together goes into one transaction. A disk may be slow, hang, or be full; a crash loses what was not
durable yet, wholly or but for its first few writes.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from random import Random

import trio

from failover.errors import StorageFailed
from failover.raft.effects import Write
from failover.testing.simulated_disk import Mounted, ProcessDied, SimulatedDisk
from failover.testing.virtual_time import VirtualTime
from failover.writer import RETRY_S, Done, Failed, Job, Stored, Troubled

Call = Callable[[Callable[[], None]], None]
"""Calls back into the process: at once, or when its pause ends."""


class SimulatedWriter:
    """A `failover.writer.Writer`."""

    def __init__(
        self,
        *,
        time: VirtualTime,
        dice: Random,
        disk: SimulatedDisk,
        mounted: Mounted,
        takes_s: tuple[float, float],
        call: Call,
        happened: Counter[str],
        stored: Stored,
        failed: Failed,
        troubled: Troubled,
    ) -> None:
        self._time, self._dice = time, dice
        self._disk, self._mounted = disk, mounted
        self._takes_s = takes_s
        self._call = call
        self._happened = happened
        self._stored, self._failed, self._troubled = stored, failed, troubled
        self._queue: deque[Write | tuple[Job, Done]] = deque()
        self._batch: tuple[Write, ...] = ()
        """The writes of the transaction under way."""
        self._job: tuple[Job, Done] | None = None
        """Or the job."""
        self._is_refused = False
        self._is_dead = False
        self._idle = trio.Event()

    def write(self, write: Write) -> None:
        """See `Writer.write`."""
        self._give(write)

    def run(self, job: Job, done: Done) -> None:
        """See `Writer.run`."""
        self._give((job, done))

    async def close(self) -> None:
        """See `Writer.close`."""
        if not self._is_dead and self._is_busy and not self._is_refused:
            self._idle = trio.Event()
            await self._idle.wait()
        self._is_dead = True

    def crash(self) -> None:
        """The process is gone: see what of the transaction under way reached the disk. Inside its run."""
        if self._is_dead:
            return
        self._is_dead = True
        self._idle.set()
        if self._batch:
            survives = self._batch[: self._dice.randint(0, len(self._batch))]
            self._happened["crashed while writing"] += 1
            self._happened["torn: some writes survive"] += 0 < len(survives) < len(self._batch)
            if survives:
                with suppress(StorageFailed):
                    self._mounted.write(survives)
        elif self._job is not None and self._dice.random() < 0.7:
            self._mounted.tears_after = self._dice.randint(0, 2) if self._dice.random() < 0.7 else None
            self._happened["crashed in a job of the disk"] += 1
            with suppress(StorageFailed, ProcessDied):
                self._job[0]()

    @property
    def _is_busy(self) -> bool:
        return bool(self._batch) or self._job is not None

    def _give(self, item: Write | tuple[Job, Done]) -> None:
        if self._is_dead:
            return
        self._queue.append(item)
        if not self._is_busy:
            self._begin()

    def _begin(self) -> None:
        first = self._queue.popleft()
        if isinstance(first, Write):
            batch = [first]
            while self._queue and isinstance(self._queue[0], Write):
                batch.append(self._queue.popleft())  # type: ignore[arg-type]  # just looked at
            self._batch = tuple(batch)
        else:
            self._job = first
        self._end_after(self._dice.uniform(*self._takes_s))

    def _end_after(self, seconds: float) -> None:
        self._time.at(max(self._time.now, self._disk.stalled_until) + seconds, self._end)

    def _end(self) -> None:
        """The transaction is durable now, or refused."""
        if self._is_dead:
            return
        if self._disk.stalled_until > self._time.now:
            self._end_after(0.0)
            return
        try:
            if self._job is None:
                self._mounted.write(self._batch)
                result: object = None
            else:
                result = self._job[0]()
        except StorageFailed as error:
            self._refused(str(error))
            return
        except ProcessDied:
            self._call(_die)  # also one that waits for this write alone
            return
        except Exception as error:
            failure = error
            self._is_dead = True
            self._call(lambda: self._failed(failure))
            return
        self._well(result)

    def _refused(self, why: str) -> None:
        self._is_refused = True
        self._happened["disk full"] += 1
        self._end_after(RETRY_S)

        def tell() -> None:
            self._idle.set()  # who closes does not wait for a disk that is full
            self._troubled(why)

        self._call(tell)

    def _well(self, result: object) -> None:
        batch, job = self._batch, self._job
        self._batch, self._job = (), None
        was_refused, self._is_refused = self._is_refused, False

        def tell() -> None:
            if was_refused:
                self._troubled("")
            try:
                if job is not None:
                    job[1](result)
                else:
                    self._stored(batch[-1].number)
            except Exception as error:  # as the thread does it: the member stops
                self._failed(error)

            if not self._is_busy:
                self._idle.set()

        if self._queue:
            self._begin()
        self._call(tell)


def _die() -> None:
    raise ProcessDied
