"""The one tenure of a member: running, over, or not unwound yet."""

from __future__ import annotations

from failover.ids import Term


class Tenure:
    """Whether this member hosts. A second one cannot begin before the server function of the first has unwound."""

    def __init__(self) -> None:
        self.term: Term | None = None
        """The term in which this member is host, None if it is not."""
        self._is_unwinding = False

    @property
    def is_stopped(self) -> bool:
        """Whether no server function of this member runs or unwinds."""
        return self.term is None and not self._is_unwinding

    def begin(self, term: Term) -> None:
        """The server function starts."""
        assert self.is_stopped
        self.term = term

    def end(self) -> bool:
        """The server function begins to unwind; whether it was running."""
        if self.term is None:
            return False
        self.term, self._is_unwinding = None, True
        return True

    def unwound(self) -> None:
        """The server function has ended completely."""
        self._is_unwinding = False
