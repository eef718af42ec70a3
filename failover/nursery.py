"""A nursery that its user cannot see: what went wrong inside comes out as itself, not in a group of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from failover.interrupts import unbroken


@unbroken
@asynccontextmanager
async def open_hidden_nursery() -> AsyncIterator[trio.Nursery]:
    """`trio.open_nursery`, for code whose callers write `except Unreachable:` or `except KeyboardInterrupt:`."""
    error: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        error = group.exceptions[0] if len(group.exceptions) == 1 else group
    if error is not None:
        raise error  # out here, so that its own cause and context stay as they were
