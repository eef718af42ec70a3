"""Disk writes off the loop: a slow disk never costs a heartbeat.

One thread takes what is to be written, in order, and what waits together goes into one transaction. A storage
in memory needs no thread and is written at once.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import trio

from failover.errors import FailoverError, StorageFailed
from failover.raft.effects import Write
from failover.storage.contract import Storage
from failover.storage.memory import MemoryStorage

RETRY_S = 0.25
"""After the disk refused (full), the same write is tried again so often."""

SWITCH_INTERVAL_S = 0.0001
"""With Python's default of 5 ms a busy thread may keep the pump waiting for as long as half a heartbeat.
A hand-over waits for this thread three times: it took 7.3 ms with 0.5 ms, 6.2 with 0.1 (medians, one machine)."""

Job = Callable[[], object]
Done = Callable[[object], None]
Stored = Callable[[int], None]
Failed = Callable[[BaseException], None]
Troubled = Callable[[str], None]


class Writer(Protocol):
    """Carries out writes and jobs on the storage, in the order in which they were given."""

    def write(self, write: Write) -> None:
        """Have it stored; `stored(number)` follows, maybe before this returns."""

    def run(self, job: Job, done: Done) -> None:
        """Have something else done with the storage; `done(result)` or `failed(error)` follows."""

    async def close(self) -> None:
        """Finish what was given, then end. Not to be cancelled."""


OpenWriter = Callable[[Storage, Stored, Failed, Troubled], Writer]


class InlineWriter:
    """For a storage that is done at once."""

    def __init__(self, storage: Storage, stored: Stored) -> None:
        self._storage, self._stored = storage, stored

    def write(self, write: Write) -> None:
        """See `Writer.write`."""
        self._storage.write((write,))
        self._stored(write.number)

    def run(self, job: Job, done: Done) -> None:
        """See `Writer.run`."""
        done(job())

    async def close(self) -> None:
        """Nothing is under way."""


class ThreadWriter:
    """For a disk."""

    def __init__(self, storage: Storage, stored: Stored, failed: Failed, troubled: Troubled) -> None:
        """Start the thread; must be called in the trio loop that the callbacks belong to.

        Args:
            storage: where to write.
            stored: called in the loop with the number of the last write that is durable.
            failed: called in the loop when the storage is damaged, or a callback raised: the member must stop.
            troubled: called in the loop when the disk refuses for the time being, and with "" when it is well.
        """
        self._storage = storage
        self._stored, self._failed, self._troubled = stored, failed, troubled
        self._queue: queue.SimpleQueue[Write | tuple[Job, Done] | None] = queue.SimpleQueue()
        self._token = trio.lowlevel.current_trio_token()
        self._closing = threading.Event()
        if sys.getswitchinterval() > SWITCH_INTERVAL_S:
            sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._thread = threading.Thread(target=self._work, name="failover storage", daemon=True)
        self._thread.start()

    def write(self, write: Write) -> None:
        """See `Writer.write`."""
        self._queue.put(write)

    def run(self, job: Job, done: Done) -> None:
        """See `Writer.run`."""
        self._queue.put((job, done))

    async def close(self) -> None:
        """Wait for what is under way. A full disk is not waited for."""
        self._closing.set()
        self._queue.put(None)
        await trio.to_thread.run_sync(self._thread.join)

    def _work(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                while item is not None:
                    if isinstance(item, Write):
                        item = self._write(item)
                    else:
                        self._run(*item)
                        item = None
        except _ClosedWhileFull:
            return
        except Exception as error:
            self._tell(self._failed, error)

    def _write(self, first: Write) -> Write | tuple[Job, Done] | None:
        """Store all writes that wait in one transaction; returns what came after them."""
        batch, after = [first], None
        while not self._queue.empty():
            after = self._queue.get()
            if not isinstance(after, Write):
                break
            batch.append(after)
            after = None
        self._until_stored(lambda: self._storage.write(tuple(batch)))
        self._tell(self._stored, batch[-1].number)
        if after is None and self._closing.is_set():
            self._queue.put(None)
        return after

    def _run(self, job: Job, done: Done) -> None:
        self._tell(done, self._until_stored(job))

    def _until_stored(self, job: Job) -> object:
        was_refused = False
        while True:
            try:
                result = job()
            except StorageFailed as error:
                if self._closing.is_set():
                    raise _ClosedWhileFull from None
                was_refused = True
                self._tell(self._troubled, str(error))
                time.sleep(RETRY_S)
            else:
                if was_refused:
                    self._tell(self._troubled, "")
                return result

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._call_back, callback, *arguments)

    def _call_back(self, callback: Callable[..., None], *arguments: object) -> None:
        """Call in the loop. What escaped from here would end the whole loop, not only this member."""
        try:
            callback(*arguments)
        except Exception as error:
            self._failed(error)


class _ClosedWhileFull(FailoverError):
    """The member closes while its disk refuses: what was not accepted by anybody is not waited for."""


def writer_for(storage: Storage, stored: Stored, failed: Failed, troubled: Troubled) -> Writer:
    """The writer that fits the storage; arguments as `ThreadWriter`."""
    if isinstance(storage, MemoryStorage):
        return InlineWriter(storage, stored)
    return ThreadWriter(storage, stored, failed, troubled)
