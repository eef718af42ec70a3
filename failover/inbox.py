"""The queue between a member and its application: bounded, for one reader, from any thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from failover.events import BecomeHost, Event, EventsDropped, StopHost

EVENTS_MAX = 256


class EventQueue:
    """Events wait here. Role events are level: of a tenure that is over, a slow reader sees the end alone."""

    def __init__(self, wake: Callable[[], None] | None = None) -> None:
        self._wakes = [wake] if wake is not None else []
        self._lock = threading.Lock()
        self._events: deque[Event] = deque()
        self._dropped = 0

    def put(self, event: Event) -> None:
        """Queue an event, then call `wake`."""
        with self._lock:
            if isinstance(event, BecomeHost | StopHost):
                # Unread role events of the past are replaced by the present; both ends of one tenure cancel out.
                self._events = deque(e for e in self._events if not isinstance(e, BecomeHost | StopHost))
            elif len(self._events) >= EVENTS_MAX:
                self._drop_oldest()
            self._events.append(event)
        for wake in self._wakes:
            wake()

    def also_wake(self, wake: Callable[[], None]) -> None:
        """Call this too when an event was queued."""
        self._wakes.append(wake)

    @property
    def is_empty(self) -> bool:
        """Whether `take` would return nothing."""
        return not self._events and not self._dropped

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
