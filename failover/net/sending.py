"""The sending end of transfers to one peer: which chunk leaves next, what was lost, when to give up."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from itertools import islice

from failover.net import frames
from failover.net.congestion import RTO_MAX_S, WINDOW_MAX, Controller, RoundTrip
from failover.net.frames import CHUNK_SIZE
from failover.net.transfers import (
    BATCH_SILENCE_S,
    BATCHES_AT_ONCE,
    BATCHES_WAITING_BYTES_MAX,
    BATCHES_WAITING_MAX,
    SNAPSHOT_SILENCE_S,
    MemorySource,
    SnapshotSource,
    chunk_count,
)

PROBES = 2
"""Chunks that are sent again when nothing came back for too long. They may have been late and no more; if not,
what comes back for them shows what else was lost (RFC 8985, tail loss probes)."""
SILENT_TIMEOUTS = 3
"""After so many of them, each twice as long, all that was under way is lost."""
INFINITE = float("inf")


class Outgoing:
    """One transfer on its way out."""

    __slots__ = (
        "_beyond",
        "_source",
        "accepted",
        "acknowledged",
        "arrived_sent_at",
        "below",
        "count",
        "in_flight",
        "is_snapshot",
        "lost",
        "next_new",
        "open_at",
        "opening",
        "started_at",
        "transfer",
    )

    def __init__(
        self, transfer: int, source: SnapshotSource, header: bytes, is_snapshot: bool, now: float
    ) -> None:
        self.transfer = transfer
        self.is_snapshot = is_snapshot
        self.opening = (
            frames.open_snapshot(transfer, source.size, source.digest, header)
            if is_snapshot
            else frames.open_batch(transfer, source.size)
        )
        self.count = chunk_count(source.size)
        self.accepted = not is_snapshot
        self.open_at = now
        self.started_at = now
        self.acknowledged = False
        """Whether the receiver knows of it; until then every chunk of a batch carries OPEN with it."""
        self.below = 0
        self.next_new = 0
        self.in_flight: dict[int, tuple[float, bool]] = {}
        """Chunk -> (sent at, sent before), in the order of sending."""
        self.arrived_sent_at = -INFINITE
        """When the newest of those that arrived was sent."""
        self.lost: deque[int] = deque()
        self._beyond = 0
        """Of the chunks that arrived beyond `below`; bit 0 is `below` + 1."""
        self._source = source

    def begin_after(self, below: int, bitmap: int) -> bool:
        """The receiver kept these from a transfer that broke off; False if that cannot be."""
        reach = _reach(below, bitmap)
        if reach > self.count or below >= self.count:
            return False
        self.accepted = self.acknowledged = True
        self.below, self._beyond = below, bitmap
        self.next_new = reach
        self.lost.extend(number for number in range(below, reach) if not self.has_arrived(number))
        return True

    def news(self, below: int, bitmap: int) -> list[int]:
        """Take in what an ACK says; returns the chunks of which it is the first to tell."""
        found = [number for number in range(self.below, below) if not self.has_arrived(number)]
        known = self._beyond >> (below - self.below)
        found += _set_bits(bitmap & ~known, below + 1)
        self.below, self._beyond = below, bitmap | known
        return found

    def has_arrived(self, number: int) -> bool:
        """Whether an ACK told of it."""
        return number < self.below or bool(number > self.below and self._beyond >> (number - self.below - 1) & 1)

    @property
    def waits_for_the_end(self) -> bool:
        """Whether all was sent and answered, but not that it is complete: that answer may be lost."""
        return self.accepted and not self.in_flight and not self.lost and self.next_new == self.count

    def next_chunk(self) -> int | None:
        """The chunk to send next: lost ones first."""
        if not self.accepted:
            return None
        if self.lost:
            return self.lost.popleft()
        return self.next_new if self.next_new < min(self.count, self.below + WINDOW_MAX) else None

    def frame(self, number: int) -> bytes:
        """The frames that carry chunk `number`."""
        size, offset = self._source.size, number * CHUNK_SIZE
        data = self._source.read(offset, min(CHUNK_SIZE, size - offset))
        body = frames.chunk(self.transfer, number, data)
        return body if self.acknowledged or self.is_snapshot else self.opening + body


class Sender:
    """All transfers to one peer. `emit` sends the frames of one datagram, or says that there is no channel."""

    def __init__(
        self,
        *,
        emit: Callable[[bytes, float], bool],
        snapshot_done: Callable[[bool], None],
        counters: Counter[str],
    ) -> None:
        self._emit = emit
        self._snapshot_done = snapshot_done
        self.controller = Controller()
        self._counters = counters
        self._active: dict[int, Outgoing] = {}
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._next_transfer = 1
        self._in_flight = 0
        self._rto_at = INFINITE
        self._pace_at = INFINITE
        self._timeouts = 0
        self._heard_at = -INFINITE

    @property
    def round_trip(self) -> RoundTrip:
        """Of chunks and their acknowledgements."""
        return self.controller.round_trip

    @property
    def deadline(self) -> float:
        """When `tick` has something to do."""
        if not self._active:
            return INFINITE
        quiet = min(self._gives_up_at(each) for each in self._active.values())
        opens = min((each.open_at for each in self._active.values() if not each.accepted), default=INFINITE)
        if self._pace_at != INFINITE:  # what came before it in the row took all credit: it waits for more, too
            opens = max(opens, self._pace_at)
        return min(self._rto_at, self._pace_at, quiet, opens)

    @property
    def active(self) -> int:
        """Transfers under way."""
        return len(self._active)

    def send_batch(self, body: bytes, now: float) -> None:
        """Queue one encoded message; full queues drop it, counted."""
        over = self._waiting_bytes + len(body) > BATCHES_WAITING_BYTES_MAX
        if over or len(self._waiting) >= BATCHES_WAITING_MAX:
            self._counters["transfer: queue full"] += 1
            return
        self._waiting.append(body)
        self._waiting_bytes += len(body)
        self.pump(now)

    def send_snapshot(self, header: bytes, source: SnapshotSource, now: float) -> None:
        """Begin a snapshot; an unfinished one to the same peer is given up.

        That is no failure to tell of: it would be taken for one of the new transfer, which would begin anew, and
        give up this one.
        """
        for each in [each for each in self._active.values() if each.is_snapshot]:
            self._emit(frames.end(each.transfer, True), now)
            self._forget(each)
        self._start(source, header, True, now)
        self.pump(now)

    def accepted(self, frame: frames.Accept, now: float) -> None:
        """The receiver wants the snapshot's chunks, or those that it lacks."""
        outgoing = self._active.get(frame.transfer)
        if outgoing is None or outgoing.accepted:
            return
        if not outgoing.begin_after(frame.below, frame.bitmap):
            self._counters["transfer: impossible ACCEPT"] += 1
            return
        self._heard_at = now
        self.pump(now)

    def ended(self, frame: frames.End) -> None:
        """The receiver refuses, or its disk or digest failed."""
        outgoing = self._active.get(frame.transfer)
        if outgoing is not None:
            self._counters["transfer: refused by the receiver"] += 1
            self._close(outgoing, False)

    def acknowledged(self, frame: frames.Ack, now: float) -> None:
        """Chunks arrived."""
        outgoing = self._active.get(frame.transfer)
        if outgoing is None:
            return
        if frame.below < outgoing.below or _reach(frame.below, frame.bitmap) > outgoing.next_new:
            self._counters["transfer: impossible or late ACK"] += 1
            return
        self._heard_at = now
        self._timeouts = 0
        outgoing.acknowledged = True
        arrived = outgoing.news(frame.below, frame.bitmap)
        self._count_arrived(outgoing, arrived, now)
        if outgoing.below == outgoing.count:
            self._close(outgoing, True)
        self.pump(now)

    def _count_arrived(self, outgoing: Outgoing, arrived: list[int], now: float) -> None:
        newest_at, sample_from, fresh = -INFINITE, -INFINITE, 0
        for number in arrived:
            known = outgoing.in_flight.pop(number, None)
            if known is None:
                continue
            fresh += 1
            sent_at, is_again = known
            if not is_again:
                sample_from = max(sample_from, sent_at)
            elif now - sent_at < self.round_trip.minimum_s:
                continue  # it was late, and no more: this one answers the first
            newest_at = max(newest_at, sent_at)
        if not fresh:
            return
        under_way = self._in_flight
        self._in_flight -= fresh
        sample_s = now - sample_from if sample_from > -INFINITE else None
        self.controller.acknowledged(fresh, sample_s, under_way, now)
        self._rto_at = now + self.round_trip.timeout_s if self._in_flight else INFINITE
        outgoing.arrived_sent_at = max(outgoing.arrived_sent_at, newest_at)
        self._find_lost(outgoing)

    def _find_lost(self, outgoing: Outgoing) -> None:
        """What left clearly earlier than something that has arrived."""
        lost_before, missing = outgoing.arrived_sent_at - self.round_trip.reordering_s, []
        for number, (sent_at, _) in outgoing.in_flight.items():
            if sent_at >= lost_before:
                break
            missing.append(number)
        if missing:
            self._mark_lost(outgoing, missing)
            self.controller.lost(len(missing))

    def _mark_lost(self, outgoing: Outgoing, missing: list[int]) -> None:
        for number in missing:
            del outgoing.in_flight[number]
        outgoing.lost.extend(missing)
        self._in_flight -= len(missing)
        self._counters["transfer: chunks sent again"] += len(missing)

    def pump(self, now: float) -> None:
        """Send what the window allows: batches in their order, then the snapshot."""
        self._pace_at = INFINITE
        while self._waiting and sum(not each.is_snapshot for each in self._active.values()) < BATCHES_AT_ONCE:
            body = self._waiting.popleft()
            self._waiting_bytes -= len(body)
            self._start(MemorySource(body), b"", False, now)
        credit = before = self.controller.may_leave(now)
        for outgoing in sorted(self._active.values(), key=_is_snapshot):
            credit = self._pump_one(outgoing, credit, now)
            if credit <= 0:
                break
        self.controller.left(before - credit)
        if credit <= 0 and self._active:
            self._pace_at = self.controller.next_at(now)

    def _pump_one(self, outgoing: Outgoing, credit: int, now: float) -> int:
        if not outgoing.accepted and outgoing.open_at <= now:
            # Twice as late each time: where nobody accepts, it would be said a hundred times a second.
            later_s = max(self.round_trip.timeout_s * 2, now - outgoing.started_at)
            outgoing.open_at = now + min(later_s, RTO_MAX_S)
            self._emit(outgoing.opening, now)
        room = self.controller.room(now, is_snapshot=outgoing.is_snapshot)
        while credit > 0 and self._in_flight < room:
            number = outgoing.next_chunk()
            if number is None:
                break
            if outgoing.has_arrived(number):
                continue  # it was late, and no more
            if not self._send_chunk(outgoing, number, now):
                return credit
            credit -= 1
        if outgoing.waits_for_the_end and self._rto_at == INFINITE:
            self._rto_at = now + self._timeout_s()
        return credit

    def _send_chunk(self, outgoing: Outgoing, number: int, now: float) -> bool:
        again = number != outgoing.next_new
        try:
            sent = self._emit(outgoing.frame(number), now)
        except OSError:
            self._counters["transfer: snapshot unreadable"] += 1
            self._give_up(outgoing, now)
            return False
        outgoing.in_flight[number] = (now, again)
        self._in_flight += 1
        outgoing.next_new += not again
        if self._rto_at == INFINITE:
            self._rto_at = now + self._timeout_s()
        return sent

    def _timeout_s(self) -> float:
        return min(self.round_trip.timeout_s * (1 << self._timeouts), RTO_MAX_S)

    def tick(self, now: float) -> None:
        """Retransmit, give up, go on."""
        for outgoing in list(self._active.values()):
            if now >= self._gives_up_at(outgoing):
                self._counters["transfer: receiver silent"] += 1
                self._give_up(outgoing, now)
                if now - self._heard_at >= BATCH_SILENCE_S:
                    # What waits would be tried for half a minute more, and is out of date: it is said again.
                    self._counters["transfer: receiver silent"] += len(self._waiting)
                    self._drop_waiting()
        if now >= self._rto_at:
            self._nothing_came_back()
        self.pump(now)

    def _nothing_came_back(self) -> None:
        self._timeouts = min(self._timeouts + 1, 16)
        self._rto_at = INFINITE
        all_of_it = self._timeouts >= SILENT_TIMEOUTS
        for outgoing in self._active.values():
            if outgoing.waits_for_the_end:
                outgoing.lost.append(outgoing.below)
                continue
            self._mark_lost(outgoing, list(islice(outgoing.in_flight, None if all_of_it else PROBES)))
        if all_of_it:
            self.controller.timed_out()

    def reset(self) -> None:
        """The peer's process is a new one: nothing that was under way means anything to it."""
        for outgoing in list(self._active.values()):
            self._close(outgoing, False)
        self._drop_waiting()

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0

    def _start(self, source: SnapshotSource, header: bytes, is_snapshot: bool, now: float) -> None:
        outgoing = Outgoing(self._next_transfer, source, header, is_snapshot, now)
        self._next_transfer += 1
        self._active[outgoing.transfer] = outgoing

    def _gives_up_at(self, outgoing: Outgoing) -> float:
        """Any answer shows that the receiver lives: one transfer may have to wait while others have the window."""
        heard_at = max(outgoing.started_at, self._heard_at) if outgoing.accepted else outgoing.started_at
        return heard_at + (SNAPSHOT_SILENCE_S if outgoing.is_snapshot else BATCH_SILENCE_S)

    def _give_up(self, outgoing: Outgoing, now: float) -> None:
        self._emit(frames.end(outgoing.transfer, True), now)
        self._close(outgoing, False)

    def _close(self, outgoing: Outgoing, arrived: bool) -> None:
        if self._forget(outgoing) and outgoing.is_snapshot:
            self._snapshot_done(arrived)

    def _forget(self, outgoing: Outgoing) -> bool:
        if self._active.pop(outgoing.transfer, None) is None:
            return False
        self._in_flight -= len(outgoing.in_flight)
        if not self._in_flight:
            self._rto_at = INFINITE
        return True


def _is_snapshot(outgoing: Outgoing) -> bool:
    return outgoing.is_snapshot


def _reach(below: int, bitmap: int) -> int:
    """The chunk after the last one that an ACK tells of."""
    return below + bitmap.bit_length() + (1 if bitmap else 0)


def _set_bits(bitmap: int, first: int) -> list[int]:
    found = []
    while bitmap:
        lowest = bitmap & -bitmap
        found.append(first + lowest.bit_length() - 1)
        bitmap ^= lowest
    return found
