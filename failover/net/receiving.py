"""The receiving end of transfers from one peer. Nothing is allocated from a claimed size; what does not fit the
claim exactly (a number, a length, a transfer) is dropped and counted (CVE-2014-3506, CVE-2020-6016 to 6019).
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable

from failover.net import frames
from failover.net.congestion import ACK_DELAY_S, WINDOW_MAX
from failover.net.transfers import (
    BATCH_SILENCE_S,
    BATCH_SIZE_MAX,
    BATCHES_AT_ONCE,
    RECEIVED_BYTES_MAX,
    SNAPSHOT_SILENCE_S,
    SNAPSHOT_SIZE_MAX,
    SnapshotSink,
    chunk_count,
    chunk_size_at,
)

ACK_EVERY = 8
"""Chunks in order per acknowledgement; out of order, every second one is answered."""
REMEMBERED = 256
"""Finished transfers, so that a late chunk does not open one again but gets its last ACK again."""
INFINITE = float("inf")


class Budget:
    """Bytes held for unfinished transfers of all peers together."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = RECEIVED_BYTES_MAX) -> None:
        self.limit = limit
        self.used = 0


class Incoming:
    """One transfer on its way in."""

    __slots__ = (
        "_digest",
        "_tail",
        "ack_at",
        "ahead",
        "below",
        "count",
        "header",
        "held",
        "is_snapshot",
        "pieces",
        "sink",
        "size",
        "started_at",
        "transfer",
        "unanswered",
        "written",
    )

    def __init__(self, opening: frames.Open, header: object, sink: SnapshotSink | None, now: float) -> None:
        self.transfer, self.is_snapshot, self.size = opening.transfer, opening.is_snapshot, opening.size
        self.count = chunk_count(self.is_snapshot, self.size)
        self.header = header
        self.sink = sink
        self.started_at = now
        self.below = 0
        """All chunks before this one are here."""
        self.ahead: dict[int, bytes] = {}
        """Chunks beyond it, at most `WINDOW_MAX` away."""
        self.pieces: list[bytes] = []
        self.held = 0
        """Bytes in `ahead` and `pieces`."""
        self.written = 0
        self.unanswered = 0
        self.ack_at = INFINITE
        self._digest = hashlib.sha256()
        self._tail = b""

    def take_in_order(self, data: bytes) -> None:
        """The next chunk; a sink may raise OSError."""
        self.below += 1
        if self.sink is None:
            self.pieces.append(data)
            return
        content = data[: self.size - self.written] if self.written < self.size else b""
        self._tail += data[len(content) :]
        if content:
            self._digest.update(content)
            self.written += len(content)
            self.sink.write(content)

    @property
    def is_genuine(self) -> bool:
        """Whether a complete snapshot has the digest that its sender computed."""
        return hmac.compare_digest(self._tail, self._digest.digest())

    def bitmap(self) -> int:
        """Of the chunks beyond `below`; bit 0 is `below` + 1."""
        bits = 0
        for number in self.ahead:
            bits |= 1 << (number - self.below - 1)
        return bits


class Receiver:
    """All transfers from one peer."""

    def __init__(
        self,
        *,
        emit: Callable[[bytes, float], bool],
        open_sink: Callable[[bytes, int], tuple[object, SnapshotSink] | None],
        batch_received: Callable[[bytes], None],
        snapshot_received: Callable[[object, object], None],
        budget: Budget,
        counters: Counter[str],
    ) -> None:
        self._emit = emit
        self._open_sink = open_sink
        self._batch_received = batch_received
        self._snapshot_received = snapshot_received
        self._budget = budget
        self._counters = counters
        self._active: dict[int, Incoming] = {}
        self._finished: dict[int, int] = {}
        """Transfer -> its chunks; 0 = it failed."""
        self._highest = 0
        self._heard_at = -INFINITE

    @property
    def active(self) -> int:
        """Transfers under way."""
        return len(self._active)

    @property
    def deadline(self) -> float:
        """When `tick` has something to do."""
        if not self._active:
            return INFINITE
        return min(min(each.ack_at, self._gives_up_at(each)) for each in self._active.values())

    def opened(self, frame: frames.Open, now: float) -> None:
        """OPEN: of something new, or again of something known."""
        known = self._active.get(frame.transfer)
        if known is not None:
            if known.is_snapshot:
                self._emit(frames.accept(frame.transfer), now)
            return
        if frame.transfer in self._finished or frame.transfer <= self._highest - REMEMBERED:
            self._answer_finished(frame.transfer, now)
            return
        size_max = SNAPSHOT_SIZE_MAX if frame.is_snapshot else BATCH_SIZE_MAX
        if frame.size > size_max or (frame.size == 0 and not frame.is_snapshot):
            self._refuse(frame.transfer, "transfer: too large", now)
            return
        self._highest = max(self._highest, frame.transfer)
        self._make_room(frame.is_snapshot, now)
        self._begin(frame, now)

    def _begin(self, frame: frames.Open, now: float) -> None:
        if not frame.is_snapshot:
            self._active[frame.transfer] = Incoming(frame, None, None, now)
            return
        opened = self._open_sink(frame.header, frame.size)
        if opened is None:
            self._refuse(frame.transfer, "transfer: snapshot refused", now)
            return
        header, sink = opened
        self._active[frame.transfer] = Incoming(frame, header, sink, now)
        self._emit(frames.accept(frame.transfer), now)

    def _make_room(self, is_snapshot: bool, now: float) -> None:
        """The sender has at most four batches and one snapshot under way, so the oldest beyond is dead."""
        same = sorted(each.transfer for each in self._active.values() if each.is_snapshot == is_snapshot)
        keep = 0 if is_snapshot else BATCHES_AT_ONCE - 1
        for transfer in same[: max(0, len(same) - keep)]:
            self._counters["transfer: superseded"] += 1
            self._drop(self._active[transfer])

    def chunk(self, frame: frames.Chunk, now: float) -> None:
        """CHUNK."""
        incoming = self._active.get(frame.transfer)
        if incoming is None:
            self._counters["transfer: chunk of none"] += 1
            self._answer_finished(frame.transfer, now)
            return
        number = frame.number
        if number >= incoming.count or len(frame.data) != chunk_size_at(
            number, incoming.is_snapshot, incoming.size
        ):
            self._counters["transfer: odd chunk"] += 1
            return
        self._heard_at = now
        if number < incoming.below or number in incoming.ahead:
            self._counters["transfer: chunk twice"] += 1
            incoming.ack_at = min(incoming.ack_at, now + ACK_DELAY_S)
            return
        in_order = number == incoming.below
        beyond = number - incoming.below > WINDOW_MAX
        if beyond or (
            self._budget.used + len(frame.data) > self._budget.limit and not (in_order and incoming.sink)
        ):
            self._counters["transfer: no room for chunk"] += 1
            return
        try:
            self._store(incoming, number, frame.data)
        except OSError:
            self._fail(incoming, "transfer: sink failed", now)
            return
        self._after_chunk(incoming, in_order, now)

    def _store(self, incoming: Incoming, number: int, data: bytes) -> None:
        if number != incoming.below:
            incoming.ahead[number] = data
            self._hold(incoming, len(data))
            return
        incoming.take_in_order(data)
        if incoming.sink is None:
            self._hold(incoming, len(data))
        while incoming.below in incoming.ahead:
            data = incoming.ahead.pop(incoming.below)
            incoming.take_in_order(data)
            if incoming.sink is not None:
                self._hold(incoming, -len(data))

    def _hold(self, incoming: Incoming, size: int) -> None:
        incoming.held += size
        self._budget.used += size

    def _after_chunk(self, incoming: Incoming, in_order: bool, now: float) -> None:
        incoming.unanswered += 1
        if incoming.below == incoming.count:
            self._complete(incoming, now)
        elif incoming.unanswered >= (ACK_EVERY if in_order and not incoming.ahead else 2):
            self._acknowledge(incoming, now)
        else:
            incoming.ack_at = min(incoming.ack_at, now + ACK_DELAY_S)

    def _acknowledge(self, incoming: Incoming, now: float) -> None:
        incoming.unanswered = 0
        incoming.ack_at = INFINITE
        self._emit(frames.ack(incoming.transfer, incoming.below, incoming.bitmap()), now)

    def _complete(self, incoming: Incoming, now: float) -> None:
        result: object = None
        if incoming.sink is not None:
            if not incoming.is_genuine:
                self._fail(incoming, "transfer: wrong digest", now)
                return
            try:
                result = incoming.sink.finish()
            except OSError:
                self._fail(incoming, "transfer: sink failed", now)
                return
        self._emit(frames.ack(incoming.transfer, incoming.count, 0), now)
        pieces = incoming.pieces
        self._forget(incoming, incoming.count)
        if incoming.sink is not None:
            self._snapshot_received(incoming.header, result)
        else:
            self._batch_received(b"".join(pieces))

    def ended(self, frame: frames.End) -> None:
        """The sender gave it up."""
        incoming = self._active.get(frame.transfer)
        if incoming is not None:
            self._drop(incoming)

    def tick(self, now: float) -> None:
        """Send the acknowledgements that are due; give up what is silent."""
        for incoming in list(self._active.values()):
            if now >= self._gives_up_at(incoming):
                self._counters["transfer: sender silent"] += 1
                self._drop(incoming)
            elif now >= incoming.ack_at:
                self._acknowledge(incoming, now)

    def reset(self) -> None:
        """The peer's process is a new one, and counts its transfers from the beginning."""
        for incoming in list(self._active.values()):
            self._drop(incoming)
        self._finished.clear()
        self._highest = 0

    def _gives_up_at(self, incoming: Incoming) -> float:
        """Any chunk shows that the sender lives: one transfer may have to wait while others have the window."""
        heard_at = max(incoming.started_at, self._heard_at)
        return heard_at + (SNAPSHOT_SILENCE_S if incoming.is_snapshot else BATCH_SILENCE_S)

    def _answer_finished(self, transfer: int, now: float) -> None:
        count = self._finished.get(transfer)
        if count:
            self._emit(frames.ack(transfer, count, 0), now)
        elif count == 0:
            self._emit(frames.end(transfer, False), now)

    def _refuse(self, transfer: int, reason: str, now: float) -> None:
        self._counters[reason] += 1
        self._remember(transfer, 0)
        self._emit(frames.end(transfer, False), now)

    def _fail(self, incoming: Incoming, reason: str, now: float) -> None:
        self._counters[reason] += 1
        self._drop(incoming)
        self._emit(frames.end(incoming.transfer, False), now)

    def _drop(self, incoming: Incoming) -> None:
        if incoming.sink is not None:
            incoming.sink.abort()
        self._forget(incoming, 0)

    def _forget(self, incoming: Incoming, count: int) -> None:
        del self._active[incoming.transfer]
        self._budget.used -= incoming.held
        self._remember(incoming.transfer, count)

    def _remember(self, transfer: int, count: int) -> None:
        self._finished[transfer] = count
        while len(self._finished) > REMEMBERED:
            del self._finished[next(iter(self._finished))]
