"""The application's machine where it may fail: who is to blame when it raises, and how long its pieces take.

A machine that raises stops its own member, with an error that names the method and the place in the log; a piece
of a snapshot that takes too long keeps the member from its heartbeats, and is told of once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from failover.errors import FailoverError, MachineFailed
from failover.ids import LogIndex

log = logging.getLogger("failover")

PIECE_S = 0.005
"""What `StateMachine.snapshot` may take for a piece: with it a heartbeat every 30 ms is still in time."""
IN_A_ROW = 5
"""So many pieces that take longer are no accident of a busy computer."""
ONCE_S = 0.05
"""A single piece that takes so long costs most of a lease."""


class blaming:  # noqa: N801  # used like a function
    """Say of what the machine raises inside where it came from."""

    __slots__ = ("_index", "_method")

    def __init__(self, method: str, index: LogIndex) -> None:
        self._method, self._index = method, index

    def __enter__(self) -> None:
        """Nothing to prepare; entered once for every batch, and so no generator."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # An error of ours is not the machine's: a storage that cannot be read.
        if isinstance(error, Exception) and not isinstance(error, FailoverError):
            raise MachineFailed(self._method, self._index, f"{type(error).__name__}: {error}") from error


def blamed(pieces: Iterator[bytes], index: LogIndex) -> Iterator[bytes]:
    """The pieces of a machine's snapshot at `index`, as long as they are some."""
    while True:
        with blaming("snapshot", index):
            piece = next(pieces, None)
            if piece is not None and not isinstance(piece, bytes | bytearray | memoryview):
                raise TypeError(f"it yielded {type(piece).__name__}, not bytes")
        if piece is None:
            return
        yield bytes(piece)


class PieceWatch:
    """Measures the pieces of one machine's snapshots."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._late_in_a_row = 0
        self._longest_s = 0.0
        self._is_slow = False

    @property
    def slow_ms(self) -> float:
        """The longest that a piece took, if they take too long; else 0."""
        return self._longest_s * 1_000 if self._is_slow else 0.0

    @contextmanager
    def piece(self) -> Iterator[None]:
        """Measure what is done inside."""
        began = self._clock()
        yield
        self._took(self._clock() - began)

    def timed(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces, measured one by one."""
        while True:
            with self.piece():
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def _took(self, seconds: float) -> None:
        self._longest_s = max(self._longest_s, seconds)
        self._late_in_a_row = self._late_in_a_row + 1 if seconds > PIECE_S else 0
        if self._is_slow or (self._late_in_a_row < IN_A_ROW and seconds <= ONCE_S):
            return
        self._is_slow = True
        log.warning(
            "the machine's snapshot took %.0f ms for a piece, and may take %.0f: heartbeats wait for it, and a "
            "host may be changed for nothing. Yield smaller pieces.",
            seconds * 1_000,
            PIECE_S * 1_000,
        )
