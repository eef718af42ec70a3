"""The receiving end of transfers from one peer. Nothing is allocated from a claimed size; what does not fit the
claim exactly (a number, a length, a transfer) is dropped and counted (CVE-2014-3506, CVE-2020-6016 to 6019).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from failover.net import frames
from failover.net.arriving import KEPT_S, Arriving, ArrivingBatch, ArrivingSnapshot, Shelf
from failover.net.congestion import ACK_DELAY_S, WINDOW_MAX
from failover.net.transfers import (
    BATCH_SILENCE_S,
    BATCH_SIZE_MAX,
    BATCHES_AT_ONCE,
    RECEIVED_BYTES_MAX,
    SNAPSHOT_SILENCE_S,
    SNAPSHOT_SIZE_MAX,
    SNAPSHOTS_AT_ONCE,
    SnapshotSink,
    chunk_size_at,
)

ACK_EVERY = 8
"""Chunks per acknowledgement ..."""
ACK_EVERY_WITH_GAPS = 4
"""... and where some are missing."""
REMEMBERED = 256
"""Finished transfers, so that a late chunk does not open one again but gets its last ACK again."""
LOOK_AGAIN_S = 0.002
"""How often a sink is asked whether it knows yet that all is right."""
INFINITE = float("inf")


class Budget:
    """Bytes held for unfinished transfers of all peers together."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = RECEIVED_BYTES_MAX) -> None:
        self.limit = limit
        self.used = 0


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
        shelf: Shelf,
        counters: Counter[str],
    ) -> None:
        self._emit = emit
        self._open_sink = open_sink
        self._batch_received = batch_received
        self._snapshot_received = snapshot_received
        self._budget = budget
        self._shelf = shelf
        self._counters = counters
        self._active: dict[int, ArrivingBatch | ArrivingSnapshot] = {}
        self._finished: dict[int, int] = {}
        """Transfer -> its chunks; 0 = it failed."""
        self._highest = 0
        self._heard_at = -INFINITE
        self._quiet_at = INFINITE
        """No later than the first transfer may be given up; looked at again when it has come."""
        self._ack_at = INFINITE
        """No later than the first acknowledgement is due."""

    @property
    def active(self) -> int:
        """Transfers under way."""
        return len(self._active)

    @property
    def deadline(self) -> float:
        """When `tick` has something to do. Asked for after each chunk."""
        return min(self._quiet_at, self._ack_at) if self._active else INFINITE

    def opened(self, frame: frames.Open, now: float) -> None:
        """OPEN: of something new, or again of something known."""
        known = self._active.get(frame.transfer)
        if known is not None:
            if isinstance(known, ArrivingSnapshot):
                self._emit(frames.accept(frame.transfer, *known.arrived), now)
            return
        if frame.transfer in self._finished or frame.transfer <= self._highest - REMEMBERED:
            self._answer_finished(frame.transfer, now)
            return
        size_max = SNAPSHOT_SIZE_MAX if frame.is_snapshot else BATCH_SIZE_MAX
        if frame.size > size_max or (frame.size == 0 and not frame.is_snapshot):
            self._refuse(frame.transfer, "transfer: too large", now)
            return
        self._highest = max(self._highest, frame.transfer)
        self._make_room(frame.is_snapshot)
        if frame.is_snapshot:
            self._begin_snapshot(frame, now)
        else:
            self._begin(ArrivingBatch(frame, now), now)

    def _begin(self, arriving: ArrivingBatch | ArrivingSnapshot, now: float) -> None:
        self._active[arriving.transfer] = arriving
        self._quiet_at = min(self._quiet_at, self._gives_up_at(arriving))

    def _begin_snapshot(self, frame: frames.Open, now: float) -> None:
        opened = self._open_sink(frame.header, frame.size)
        if opened is None:
            self._refuse(frame.transfer, "transfer: snapshot refused", now)
            return
        arriving = ArrivingSnapshot(frame, *opened, now)
        kept = self._shelf.take(frame.digest, frame.size, now)
        if kept is not None:
            arriving.go_on_from(kept)
        elif len(self._shelf.arriving) >= SNAPSHOTS_AT_ONCE:
            arriving.sink.abort()
            self._refuse(frame.transfer, "transfer: too many snapshots", now)
            return
        self._begin(arriving, now)
        self._shelf.arriving[arriving] = lambda: self._drop(arriving)
        self._emit(frames.accept(frame.transfer, *arriving.arrived), now)
        if arriving.is_complete:
            self._check(arriving, now)

    def _make_room(self, is_snapshot: bool) -> None:
        """The sender has at most four batches and one snapshot under way, so the oldest beyond is dead."""
        same = sorted(
            each.transfer for each in self._active.values() if isinstance(each, ArrivingSnapshot) == is_snapshot
        )
        keep = 0 if is_snapshot else BATCHES_AT_ONCE - 1
        for transfer in same[: max(0, len(same) - keep)]:
            self._counters["transfer: superseded"] += 1
            self._drop(self._active[transfer])

    def chunk(self, frame: frames.Chunk, now: float) -> None:
        """CHUNK."""
        arriving = self._active.get(frame.transfer)
        if arriving is None:
            self._counters["transfer: chunk of none"] += 1
            self._answer_finished(frame.transfer, now)
            return
        number = frame.number
        if number >= arriving.count or len(frame.data) != chunk_size_at(number, arriving.size):
            self._counters["transfer: odd chunk"] += 1
            return
        self._heard_at = now
        if arriving.has(number):
            self._counters["transfer: chunk twice"] += 1
            if arriving.is_complete:
                self._emit(frames.ack(arriving.transfer, *arriving.arrived), now)  # it is being checked: wait
            else:
                self._acknowledge_by(arriving, now + ACK_DELAY_S)
            return
        try:
            if number - arriving.below > WINDOW_MAX or not self._has_room(arriving, len(frame.data)):
                self._counters["transfer: no room for chunk"] += 1
                return
            arriving.store(number, frame.data)
        except OSError:
            self._fail(arriving, "transfer: sink failed", now)
            return
        self._after_chunk(arriving, now)

    def _has_room(self, arriving: ArrivingBatch | ArrivingSnapshot, size: int) -> bool:
        if isinstance(arriving, ArrivingSnapshot):
            return not arriving.sink.is_busy
        if self._budget.used + size > self._budget.limit:
            return False
        self._budget.used += size
        return True

    def _after_chunk(self, arriving: ArrivingBatch | ArrivingSnapshot, now: float) -> None:
        arriving.unanswered += 1
        if arriving.is_complete:
            if isinstance(arriving, ArrivingSnapshot):
                self._check(arriving, now)
            else:
                self._finish(arriving, now)
                self._batch_received(arriving.content())
        elif arriving.unanswered >= (ACK_EVERY_WITH_GAPS if arriving.has_gaps else ACK_EVERY):
            self._acknowledge(arriving, now)
        else:
            self._acknowledge_by(arriving, now + ACK_DELAY_S)

    def _acknowledge_by(self, arriving: Arriving, due: float) -> None:
        arriving.ack_at = min(arriving.ack_at, due)
        self._ack_at = min(self._ack_at, due)

    def _acknowledge(self, arriving: Arriving, now: float) -> None:
        arriving.unanswered = 0
        arriving.ack_at = INFINITE
        self._emit(frames.ack(arriving.transfer, *arriving.arrived), now)

    def _check(self, arriving: ArrivingSnapshot, now: float) -> None:
        """All is there: have the sink look whether it is right, and ask it until it knows."""
        try:
            if not arriving.is_checked:
                arriving.is_checked = True
                arriving.sink.finish(arriving.digest)
                self._acknowledge(arriving, now)
            outcome = arriving.sink.outcome()
        except OSError:
            self._fail(arriving, "transfer: sink failed", now)
            return
        if outcome is None:
            self._heard_at = now  # the sender has nothing to say meanwhile
            self._acknowledge_by(arriving, now + LOOK_AGAIN_S)
        elif outcome is False:
            self._fail(arriving, "transfer: wrong digest", now)
        else:
            self._finish(arriving, now)
            self._snapshot_received(arriving.header, outcome)

    def _finish(self, arriving: ArrivingBatch | ArrivingSnapshot, now: float) -> None:
        self._emit(frames.ack(arriving.transfer, arriving.count, 0), now)
        self._forget(arriving, arriving.count)

    def ended(self, frame: frames.End) -> None:
        """The sender gave it up."""
        arriving = self._active.get(frame.transfer)
        if arriving is not None:
            self._drop(arriving)

    def tick(self, now: float) -> None:
        """Send the acknowledgements that are due; give up what is silent."""
        self._shelf.expire(now)
        if now < self.deadline:
            return
        self._ack_at = self._quiet_at = INFINITE
        for arriving in list(self._active.values()):
            if now >= self._gives_up_at(arriving):
                self._counters["transfer: sender silent"] += 1
                self._drop(arriving)
                continue
            if now >= arriving.ack_at:
                if isinstance(arriving, ArrivingSnapshot) and arriving.is_checked:
                    arriving.ack_at = INFINITE
                    self._check(arriving, now)
                else:
                    self._acknowledge(arriving, now)
        for arriving in self._active.values():
            self._ack_at = min(self._ack_at, arriving.ack_at)
            self._quiet_at = min(self._quiet_at, self._gives_up_at(arriving))

    def reset(self) -> None:
        """The peer's process is a new one, and counts its transfers from the beginning."""
        for arriving in list(self._active.values()):
            self._drop(arriving)
        self._finished.clear()
        self._highest = 0

    def _gives_up_at(self, arriving: Arriving) -> float:
        """Any chunk shows that the sender lives: one transfer may have to wait while others have the window."""
        silence_s = SNAPSHOT_SILENCE_S if isinstance(arriving, ArrivingSnapshot) else BATCH_SILENCE_S
        return max(arriving.started_at, self._heard_at) + silence_s

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

    def _fail(self, arriving: ArrivingBatch | ArrivingSnapshot, reason: str, now: float) -> None:
        """What is there is of no use."""
        self._counters[reason] += 1
        if isinstance(arriving, ArrivingSnapshot):
            arriving.sink.abort()
        self._forget(arriving, 0)
        self._emit(frames.end(arriving.transfer, False), now)

    def _drop(self, arriving: ArrivingBatch | ArrivingSnapshot) -> None:
        """The transfer is over; what it brought of a snapshot is kept for the next one."""
        if isinstance(arriving, ArrivingSnapshot):
            if arriving.is_checked or not (arriving.below or arriving.has_gaps):
                arriving.sink.abort()
            else:
                self._shelf.put(arriving.keep(max(arriving.started_at, self._heard_at) + KEPT_S))
        self._forget(arriving, 0)

    def _forget(self, arriving: ArrivingBatch | ArrivingSnapshot, count: int) -> None:
        del self._active[arriving.transfer]
        if isinstance(arriving, ArrivingSnapshot):
            del self._shelf.arriving[arriving]
        else:
            self._budget.used -= arriving.held
        self._remember(arriving.transfer, count)

    def _remember(self, transfer: int, count: int) -> None:
        self._finished[transfer] = count
        while len(self._finished) > REMEMBERED:
            del self._finished[next(iter(self._finished))]
