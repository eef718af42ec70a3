"""The one tenure of a member: running, over, or not unwound yet."""

from __future__ import annotations

from failover.ids import Term
from failover.raft.effects import StopReason


class Tenure:
    """Whether this member hosts. A second one cannot begin before the server function of the first has unwound."""

    def __init__(self) -> None:
        self.term: Term | None = None
        """The term in which this member is host, None if it is not."""
        self._is_unwinding = False
        self._stop: StopReason | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether no server function of this member runs or unwinds."""
        return self.term is None and not self._is_unwinding

    def begin(self, term: Term) -> None:
        """The server function starts."""
        assert self.is_stopped
        self.term = term

    def end(self, reason: StopReason) -> None:
        """Over, if it was running; the server function begins to unwind."""
        if self.term is not None:
            self.term, self._is_unwinding, self._stop = None, True, reason

    def unwound(self) -> None:
        """The server function has ended completely."""
        self._is_unwinding = False

    def take_stop(self) -> StopReason | None:
        """Why it ended since this was last asked, if it did."""
        stop, self._stop = self._stop, None
        return stop
