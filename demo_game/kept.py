"""The present game, kept in memory while it is played, so that it can be saved at any time and at its end.

The machine is applied to in the member's thread, and a window asks from its own: what is handed out is immutable,
and taken under a lock that is held for the time of a copy.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from demo_game.machine import Hexhold, digest_of, whole_ms
from demo_game.replay import (
    ENTRIES_MAX,
    LINK_SIZE,
    Claim,
    Entry,
    Replay,
    first_of_chain,
    is_due,
    next_of_chain,
    sealed,
)
from demo_game.table import Phase, Table

if TYPE_CHECKING:
    import failover

ORDERS_SIZE_MAX: Final = 8 * 2**20
"""Bytes of all orders kept: nobody fills the others' memory with long ones, and the file stays below its limit."""
ORDER_SIZE_MAX: Final = 65_535
"""What the coding takes; the library lets one byte more pass."""


@dataclass(slots=True)
class _Recording:
    """One game so far."""

    start: Table
    last: Table
    """After the last entry that was kept."""
    chain: bytes
    claims: list[Claim]
    entries: list[Entry] = field(default_factory=list)
    orders_size: int = 0
    is_cut: bool = False


class Kept:
    """A state machine that keeps the entries of the present game.

    A game is kept from the `Start` that was accepted in its lobby to the next one; a member that comes in later
    has it from the table that it got. In the lobby nothing is kept, but the game before can still be had.
    """

    def __init__(self, machine: Hexhold) -> None:
        self._machine = machine
        self._lock = threading.Lock()
        self._recording = _begun(machine.view())

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """Apply, then keep."""
        before = self._machine.view()
        reply = self._machine.apply(command, context)
        after = self._machine.view()
        recording = self._recording
        if before.phase is Phase.LOBBY:
            if after.phase is Phase.LOBBY:
                return reply
            recording = _recording(before)
        if recording is not None and not recording.is_cut:
            self._keep(recording, command, context, before, after)
        return reply

    def _keep(
        self, recording: _Recording, command: bytes, context: failover.Context, before: Table, after: Table
    ) -> None:
        size = recording.orders_size + len(command)
        fits = len(recording.entries) < ENTRIES_MAX and size <= ORDERS_SIZE_MAX and len(command) <= ORDER_SIZE_MAX
        if not fits:
            with self._lock:
                self._recording = recording
                recording.is_cut = True
            return
        time_ms = whole_ms(context.time)
        entry = Entry(context.index, context.epoch.term, time_ms, context.sender or b"", command)
        digest = digest_of(after) if is_due(entry, before, after) else b""
        chain = next_of_chain(recording.chain, entry, digest)
        with self._lock:
            self._recording = recording
            recording.entries.append(entry)
            recording.claims.append(Claim(chain[:LINK_SIZE], digest))
            recording.orders_size, recording.chain, recording.last = size, chain, after

    def replay(self) -> Replay | None:
        """Return the present game so far, or the last one; None if there was none yet. For any thread."""
        with self._lock:
            recording = self._recording
            if recording is None or not recording.entries:
                return None
            entries, claims = tuple(recording.entries), tuple(recording.claims)
            start, last, chain, is_cut = recording.start, recording.last, recording.chain, recording.is_cut
        return sealed(start, entries, claims, chain, last, is_cut=is_cut)

    def view(self) -> Table:
        """Return the table."""
        return self._machine.view()

    def snapshot(self) -> Iterator[bytes]:
        """Yield the table's coding."""
        return self._machine.snapshot()

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Take over a table, and begin anew with it."""
        self._machine.restore(chunks)
        recording = _begun(self._machine.view())
        with self._lock:
            self._recording = recording

    def digest(self) -> bytes:
        """Return the table's digest."""
        return self._machine.digest()


def _begun(table: Table) -> _Recording | None:
    """Return a recording that begins in mid-game; None in the lobby, where it will begin with the next game."""
    return None if table.phase is Phase.LOBBY else _recording(table)


def _recording(start: Table) -> _Recording:
    chain = first_of_chain(start)
    return _Recording(start, start, chain, [Claim(chain[:LINK_SIZE], digest_of(start))])
