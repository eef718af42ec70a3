"""How the handles of the ready machines hear that there is a new picture, and what else they have in common.

A machine's `view` is called after each batch of commands, in the member's thread: that is when all hear of it. The
picture that it returns knows where to listen, so a handle needs nothing but its member.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import trio

import failover
from failover.machines.coding import Reader, number

log = logging.getLogger("failover")

LOOK_S = 1.0
"""A member that has stopped tells no machine: who waits looks at it so often."""
INDEX_SIZE = 8


class Full(failover.FailoverError):
    """There is no room for this in the state; nothing happened. Delete or take something first."""


class NotHeld(failover.FailoverError):
    """The item is not held any more: it was given out again, or given back or done by an earlier call."""


class Hub:
    """Whoever wants to hear of new pictures. Calls come from the member's thread; listening may begin in any."""

    def __init__(self) -> None:
        self._listeners: dict[object, Callable[[], None]] = {}
        self.is_used = False
        """Whether there is a `Queue`: a member has one at most, since two would take each other for its past."""

    def tell(self) -> None:
        """There is a new picture."""
        for heard in list(self._listeners.values()):
            try:
                heard()
            except Exception:  # a window that is closed already must not take the member with it
                log.exception("what was to hear of a new picture raised")

    @contextmanager
    def listening(self, heard: Callable[[], None]) -> Iterator[None]:
        """Call `heard` for each new picture, for the length of a block."""
        key = object()
        self._listeners[key] = heard
        try:
            yield
        finally:
            del self._listeners[key]


async def wait_until(member: failover.Member, hub: Hub, condition: Callable[[], object]) -> None:
    """Return when it holds of the newest picture. Raises Closed if the member ends before."""
    await trio.lowlevel.checkpoint_if_cancelled()
    while not condition():
        member.check_open()
        event = trio.Event()
        with hub.listening(event.set), trio.move_on_after(LOOK_S):
            await event.wait()


async def wait_for_index(member: failover.Member, hub: Hub, index: Callable[[], int], reached: int) -> None:
    """Return when the picture holds what a reply spoke of; or when the member ends: accepted is accepted."""
    with suppress(failover.Closed):
        await wait_until(member, hub, lambda: index() >= reached)


# --- replies: a code, the index at which the command was carried out, and what else there is to say ---

DONE, MALFORMED, FULL, UNMET, NOTHING, NO_TAKER, NOT_HELD = range(7)


def reply(code: int, index: int, more: bytes = b"") -> bytes:
    """A reply of a machine."""
    return number(code, 1) + number(index, INDEX_SIZE) + more


def read_reply(data: bytes) -> tuple[int, int, Reader]:
    """A reply's code, its index, and the rest."""
    reader = Reader(data)
    try:
        code, index = reader.number_untrusted(1), reader.number_untrusted(INDEX_SIZE)
    except failover.MalformedBytes:
        code, index = MALFORMED, 0
    if code == MALFORMED:
        raise failover.FailoverError(
            "an older program applied this and did not understand it; nothing happened: update it"
        )
    return code, index, reader
