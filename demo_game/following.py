"""A state machine that lets a window follow: what was fought, and when the table changed.

`Member.state` shows the newest table; of several attacks between two pictures it would show only the last. So the
tables right after attacks are kept for the picture, a few of them: it skips when it lags.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from demo_game.agreement import EVERY, Agreement
from demo_game.table import Table

if TYPE_CHECKING:
    import failover

BATTLES_MAX = 16


class TableMachine(Protocol):
    """A state machine whose view is the table."""

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """See `failover.StateMachine`."""

    def view(self) -> Table:
        """See `failover.StateMachine`."""

    def snapshot(self) -> Iterator[bytes]:
        """See `failover.StateMachine`."""

    def restore(self, chunks: Iterable[bytes]) -> None:
        """See `failover.StateMachine`."""

    def digest(self) -> bytes:
        """See `failover.StateMachine`."""


class Followed:
    """Applies as the machine in it does, and tells a window about it.

    Args:
        machine: does the work.
        agreement: gets a digest every few entries.
        wake: called after every change, in the member's thread; must not block.
    """

    def __init__(self, machine: TableMachine, agreement: Agreement, wake: Callable[[], None]) -> None:
        self._machine = machine
        self._agreement = agreement
        self._wake = wake
        self.battles: deque[Table] = deque(maxlen=BATTLES_MAX)
        """Tables right after an attack, oldest first; taken out by the window's thread."""

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """Apply, then tell."""
        before = self._machine.view()
        reply = self._machine.apply(command, context)
        after = self._machine.view()
        if after.battle is not None and after.battle is not before.battle:
            self.battles.append(after)
        if context.index % EVERY == 0:
            self._agreement.note(context.index, self._machine.digest())
        if after is not before:
            self._wake()
        return reply

    def view(self) -> Table:
        """Return the table."""
        return self._machine.view()

    def snapshot(self) -> Iterator[bytes]:
        """Yield the table's coding."""
        return self._machine.snapshot()

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Take over a table."""
        self._machine.restore(chunks)
        self._wake()

    def digest(self) -> bytes:
        """Return the table's digest."""
        return self._machine.digest()
