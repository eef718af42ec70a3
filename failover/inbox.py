"""The queue between a member and its application: bounded, for one reader, from any thread."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

import trio

from failover.events import BecomeHost, Event, EventsDropped, StopHost, Stopped
from failover.interrupts import unbroken

EVENTS_MAX = 256

log = logging.getLogger("failover")


@unbroken
class EventQueue:
    """Events wait here. Role events are level: of a tenure that is over, a slow reader sees the end alone."""

    def __init__(self, wake: Callable[[], None] | None = None) -> None:
        self._wakes = [wake] if wake is not None else []
        self._lock = threading.Lock()
        self._events: deque[Event] = deque()
        self._dropped = 0
        self._has_ended = False

    def put(self, event: Event) -> None:
        """Queue an event, then call `wake`. Nothing follows `Stopped`."""
        with self._lock:
            if self._has_ended:
                return
            self._has_ended = isinstance(event, Stopped)
            if isinstance(event, BecomeHost | StopHost):
                # Unread role events of the past give way to the present.
                self._events = deque(e for e in self._events if not isinstance(e, BecomeHost | StopHost))
            elif len(self._events) >= EVENTS_MAX:
                self._drop_oldest()
            self._events.append(event)
        for wake in self._wakes:
            try:
                wake()
            except Exception:  # a window that is closed already must not take the member with it
                log.exception("the application's wake raised")

    def also_wake(self, wake: Callable[[], None]) -> None:
        """Call this too when an event was queued."""
        self._wakes.append(wake)

    @property
    def is_empty(self) -> bool:
        """Whether `take` would return nothing."""
        return not self._events and not self._dropped

    @property
    def is_over(self) -> bool:
        """Whether `Stopped` was taken."""
        return self._has_ended and self.is_empty

    def take_one(self) -> Event | None:
        """The oldest that waits, None if there is none; never blocks."""
        with self._lock:
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                return EventsDropped(dropped)
            return self._events.popleft() if self._events else None

    def take(self) -> list[Event]:
        """All that waits, oldest first; never blocks."""
        with self._lock:
            events = list(self._events)
            self._events.clear()
            if self._dropped:
                events.insert(0, EventsDropped(self._dropped))
                self._dropped = 0
            return events

    def _drop_oldest(self) -> None:
        oldest = next(e for e in self._events if not isinstance(e, BecomeHost | StopHost))
        self._events.remove(oldest)
        self._dropped += 1


@unbroken
class EventReader:
    """Takes the events one at a time, so that a loop that is left loses none. Ends after `Stopped`."""

    def __init__(self, events: EventQueue) -> None:
        self._events = events
        self._heard = trio.Event()
        events.also_wake(self._wake)

    def __aiter__(self) -> EventReader:
        return self

    async def __anext__(self) -> Event:
        while (event := self._events.take_one()) is None:
            if self._events.is_over:
                raise StopAsyncIteration
            self._heard = trio.Event()
            await self._heard.wait()
        return event

    def _wake(self) -> None:
        self._heard.set()
