"""What the leader knows of one follower, and how fast it may send to it.

    0 <= match_index < next_index <= last_index + 1

PROBE sends one message and waits; REPLICATE pipelines within a window; SNAPSHOT waits for the transfer.
(The three states are those of etcd's raft; the windows count messages and bytes.)
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum

from failover.ids import LogIndex, Term
from failover.raft.log import entry_size
from failover.raft.measure import RoundTrip
from failover.raft.messages import AppendEntries
from failover.raft.timing import Timing

PATIENCE_MAX_S = 1.0
"""Repeats to a silent follower are never further apart."""
FIRST_GUESS_S = 0.010
"""The round trip assumed before one was measured."""
CAUGHT_UP_ENTRIES = 64
"""A learner closer than this to the end of the log counts as caught up."""
SNAPSHOT_PAUSE_FIRST_S = 0.1
SNAPSHOT_PAUSE_MAX_S = 10.0
"""Between two transfers that fail: none, then the first of these, doubling up to the second."""
ALIVE_S = 1.0
"""A follower that answered within this time is in reach."""


REPAIR_BYTES_MAX = 1024
"""Appends beyond this travel as transfers, whose chunks are repeated one by one."""


class Sending(Enum):
    """How entries are sent to one follower."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


@dataclass(slots=True)
class Sent:
    """An append under way."""

    last_index: LogIndex
    size: int
    """Command bytes."""
    at: float
    """When it was sent last."""
    is_repeated: bool = False
    """Then an answer may be one to the first or to the second, and says nothing of the way (Karn)."""


class Progress:
    """One follower, seen from the leader. Dies with the leader's role."""

    def __init__(self, timing: Timing, last_index: LogIndex) -> None:
        self._timing = timing
        self.match_index = LogIndex(0)
        self.next_index = LogIndex(last_index + 1)
        self.sending = Sending.PROBE
        self.commit_sent = LogIndex(0)
        """The newest commit index that the follower was told."""
        self.heard_at = -math.inf
        """When it last answered anything."""
        self.log_reaches = LogIndex(0)
        """How far it said that its log reaches, durable or not, matching or not."""
        self.is_leaving = False
        """It said that it is about to close."""
        self.stands_last = False
        """It said that its server function failed."""
        self.hint: int | None = None
        """How fit it said to be; None until it said anything."""
        self._caught_up_at = -math.inf
        self._ready_since = math.inf
        self.heartbeat_due = math.inf
        """When an unanswered heartbeat is repeated."""
        self.heartbeat_repeats = 0
        self.heartbeat_round_trip = RoundTrip(FIRST_GUESS_S)
        self._append_round_trip = RoundTrip(2 * FIRST_GUESS_S)
        self._in_flight: deque[Sent] = deque()
        self._in_flight_bytes = 0
        self._probe_in_flight = False
        self._waiting_since = math.inf
        """When the oldest unanswered append was first sent; while PROBE, what its answer is measured from."""
        self._patience_factor = 1
        self.repeat_at = math.inf
        """When what was sent is taken for lost."""
        self._snapshot_index, self._snapshot_term = LogIndex(0), Term(0)
        """While SNAPSHOT: what was sent reaches at least so far."""
        self._has_arrived = False
        """While SNAPSHOT: all of it is there, though it may not be stored yet."""
        self.must_have_snapshot = False
        """While SNAPSHOT: it was asked since then. If it refuses, it crashed, or was busy with another one."""
        self.supplied_index = self._held_index = LogIndex(0)
        """A witness: the newest snapshot that it was sent, and the newest that it said to hold."""
        self._snapshot_due = -math.inf
        """The next transfer begins no sooner."""
        self._snapshot_pause_s = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether what was sent was taken for lost three times, and nothing at all was heard meanwhile."""
        return self._patience_factor > 4

    def may_send(self) -> bool:
        """Whether another append fits into the window."""
        if self.sending is Sending.PROBE:
            return not self._probe_in_flight
        return (
            self.sending is Sending.REPLICATE
            and len(self._in_flight) < self._timing.window_messages
            and self._in_flight_bytes < self._timing.window_bytes
        )

    def sent(self, message: AppendEntries, now: float) -> None:
        """Count a message that leaves now."""
        if self._waiting_since == math.inf:
            self._waiting_since = now
        if self.repeat_at == math.inf:
            self.repeat_at = now + self._patience_s()
        self.commit_sent = max(self.commit_sent, message.commit_index)
        if self.sending is Sending.PROBE:
            self._probe_in_flight = True
            return
        size = sum(map(entry_size, message.entries))
        last = LogIndex(message.prev_log_index + len(message.entries))
        self._in_flight.append(Sent(last, size, now))
        self._in_flight_bytes += size
        self.next_index = LogIndex(last + 1)

    def matched(self, index: LogIndex, now: float) -> bool:
        """Take in that the follower's log matches up to `index`; returns whether that is news.

        A late or repeated answer (UDP) is never allowed to move anything backwards.
        """
        if index < self.match_index or (index == self.match_index and self.sending is Sending.REPLICATE):
            return False
        is_news = index > self.match_index
        self.match_index = index
        self._measure(index, now)
        self._patience_factor = 1
        if self.sending is not Sending.REPLICATE:
            self._snapshot_pause_s = 0.0
            self._enter(Sending.REPLICATE)
            self.next_index = LogIndex(index + 1)
        self.next_index = max(self.next_index, LogIndex(index + 1))
        while self._in_flight and self._in_flight[0].last_index <= index:
            self._in_flight_bytes -= self._in_flight.popleft().size
        waiting = bool(self._in_flight)
        self._waiting_since = now if waiting else math.inf
        self.repeat_at = now + self._patience_s() if waiting else math.inf
        return is_news

    def refused(self, at: LogIndex, next_index: LogIndex) -> bool:
        """Take in that the log does not match at `at`; returns whether the refusal is a current one."""
        if self.sending is Sending.REPLICATE:
            if at <= self.match_index:
                return False  # answered long ago; matching never ends within a term
        elif self.sending is Sending.SNAPSHOT or at != self.next_index - 1:
            return False
        self._enter(Sending.PROBE)
        self.next_index = max(LogIndex(self.match_index + 1), next_index)
        return True

    def _measure(self, index: LogIndex, now: float) -> None:
        """A pipeline's answers come closer together than the way is long: each is measured from its own append."""
        if self.sending is not Sending.REPLICATE:
            if self._waiting_since < math.inf:
                self._append_round_trip.add(max(0.0, now - self._waiting_since))
            return
        answered = [sent for sent in self._in_flight if sent.last_index <= index]
        if answered and answered[-1].last_index == index and not any(sent.is_repeated for sent in answered):
            self._append_round_trip.add(max(0.0, now - answered[-1].at))

    def repair(self, after: LogIndex, came: LogIndex, now: float) -> LogIndex | None:
        """What follows `after` has not come, and the append that begins after `came` has: how far to send again.

        None if that was done less than a round trip ago; if both left so close together that one may just have
        overtaken the other; or if what is missing is large: then it is a transfer, and looks after itself.
        """
        missing = next((sent for sent in self._in_flight if sent.last_index > after), None)
        beyond = next((sent for sent in self._in_flight if sent.last_index > came), None)
        if missing is None or beyond is None or missing.size > REPAIR_BYTES_MAX:
            return None
        jitter_s = 2 * self._append_round_trip.deviation_s
        if missing.is_repeated:
            is_early = now < missing.at + self._append_round_trip.smoothed_s + jitter_s
        else:
            is_early = beyond.at < missing.at + jitter_s
        if is_early:
            return None
        missing.at, missing.is_repeated = now, True
        return missing.last_index

    def took_too_long(self, base_index: LogIndex) -> None:
        """Take what was sent for lost: go back to what is known to match, and wait longer next time.

        What was compacted up to `base_index` cannot be sent again. A snapshot would be the remedy, but only for
        a follower that answers: for one that is gone it would be read and sent again and again.
        """
        waiting_since = self._waiting_since
        self._enter(Sending.PROBE)
        if self.match_index:
            self.next_index = LogIndex(self.match_index + 1)
        self.next_index = LogIndex(max(self.next_index, base_index + 1))
        self._waiting_since = waiting_since  # so that a slow answer is measured as slow, not as lost
        self._patience_factor = min(2 * self._patience_factor, 256)

    def is_alive_again(self, now: float) -> None:
        """A follower that was taken for silent answered something: do not make it wait for the next probe."""
        self.heard_at = now
        if self._patience_factor > 1 or not self._append_round_trip.is_measured:
            self._patience_factor = 1
            if self.sending is Sending.PROBE:
                self.repeat_at = min(self.repeat_at, now + self._patience_s())

    def needs_snapshot(self, last_index: LogIndex, last_term: Term, now: float) -> None:
        """The entries that it needs are compacted away: a snapshot that ends so is sent."""
        self._enter(Sending.SNAPSHOT)
        self._snapshot_index, self._snapshot_term = last_index, last_term
        self.asked_for_snapshot(now)

    def asked_for_snapshot(self, now: float) -> None:
        """It is asked now and then whether it has the snapshot: its own word of that may be lost."""
        self.repeat_at = now + PATIENCE_MAX_S
        self.must_have_snapshot = self._has_arrived

    def transfer_arrived(self) -> None:
        """All of the snapshot is there: who is asked for it from now on has it, is storing it, or has lost it."""
        self._has_arrived = self.sending is Sending.SNAPSHOT

    def is_from_before_snapshot(self, index: LogIndex) -> bool:
        """Whether a match up to `index` does not show that the snapshot has come."""
        return self.sending is Sending.SNAPSHOT and index < self._snapshot_index

    def has_snapshot(self, hint_index: LogIndex, hint_term: Term) -> bool:
        """Whether a log that reaches so far shows that the snapshot has come, even one overtaken since."""
        return (
            self.sending is Sending.SNAPSHOT
            and hint_index >= self._snapshot_index
            and hint_term >= self._snapshot_term
        )

    def snapshot_failed(self, last_index: LogIndex) -> None:
        """The transfer ended without success: probe again, which may lead to the next transfer."""
        if self.sending is Sending.SNAPSHOT:
            self._enter(Sending.PROBE)
            self.next_index = LogIndex(max(self.match_index, last_index) + 1)

    def transfer_failed(self, last_index: LogIndex, now: float) -> None:
        """The same, and the more often it happens the longer is the pause: a transfer reads a whole snapshot."""
        pause_s = self._snapshot_pause_s
        self._snapshot_due = now + pause_s
        self._snapshot_pause_s = min(max(2 * pause_s, SNAPSHOT_PAUSE_FIRST_S), SNAPSHOT_PAUSE_MAX_S)
        self.supplied_index = LogIndex(0)
        self.snapshot_failed(last_index)

    def lacks_snapshot(self, held_index: LogIndex, last_index: LogIndex, now: float) -> bool:
        """Whether a witness that holds one up to `held_index` is to be sent the one up to `last_index`."""
        if held_index > self._held_index:
            self._held_index, self._snapshot_pause_s = held_index, 0.0
        is_fit = self.sending is Sending.REPLICATE and last_index <= self.match_index
        return is_fit and last_index > max(held_index, self.supplied_index) and now >= self._snapshot_due

    def must_wait_for_snapshot(self, now: float) -> bool:
        """Whether the last transfers failed so lately that the next one waits; it is probed again after that."""
        if now >= self._snapshot_due:
            return False
        self._enter(Sending.PROBE)
        self._probe_in_flight = True
        self.repeat_at = self._snapshot_due
        return True

    def is_caught_up(self, last_index: LogIndex) -> bool:
        """Whether promoting it would not hold up commits."""
        return self.sending is Sending.REPLICATE and self.match_index + CAUGHT_UP_ENTRIES > last_index

    def is_alive(self, now: float) -> bool:
        """Whether it is in reach."""
        return self.heard_at > now - ALIVE_S

    def watch(self, last_index: LogIndex, now: float) -> float:
        """Look at it now and then; returns since when it is in reach and caught up, inf if it is not.

        A burst of entries that it has yet to answer does not count against it at once.
        """
        if self.is_caught_up(last_index):
            self._caught_up_at = now
        is_ready = self.is_alive(now) and self._caught_up_at > now - ALIVE_S
        self._ready_since = min(self._ready_since, now) if is_ready else math.inf
        return self._ready_since

    def _enter(self, sending: Sending) -> None:
        self.sending = sending
        self._in_flight.clear()
        self._in_flight_bytes = 0
        self._probe_in_flight = False
        self._has_arrived = self.must_have_snapshot = False
        self._waiting_since = self.repeat_at = math.inf

    def _patience_s(self) -> float:
        least_s = self._timing.repeat_min_s
        patience = self._append_round_trip.patience_s(least_s)
        if not self._append_round_trip.is_measured:
            # A guess must do for a disk; but a lost first append shall not cost a new host several heartbeats.
            patience = min(patience, self.heartbeat_round_trip.patience_s(least_s) + FIRST_GUESS_S)
        return min(PATIENCE_MAX_S, patience * self._patience_factor)
