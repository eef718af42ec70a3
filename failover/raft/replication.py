"""The leader's side of the log: who has what, what to send next, what is committed (Raft, 5.3 and 5.4.2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from failover.ids import LogIndex, MemberId
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, AppendResponse, CommitNotice, Entry
from failover.raft.progress import Progress, Sending

if TYPE_CHECKING:
    from failover.raft.core import Core


class Replication:
    """Everybody's progress. Dies with the leader's role, and so do all its flags and counters."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.progress: dict[MemberId, Progress] = {}
        self._witnesses: frozenset[MemberId] = frozenset()
        self.notice_at = math.inf
        """When the commit index is told to those whom no entries told it."""
        self.adopt(core.log.membership)

    def adopt(self, membership: Membership | None) -> None:
        """Follow a new membership: progress of those who stay is kept as it is."""
        self._witnesses = membership.witnesses if membership else frozenset()
        wanted = membership.members - {self._core.me} if membership else frozenset()
        for member in self.progress.keys() - wanted:
            del self.progress[member]
        for member in sorted(wanted - self.progress.keys()):
            self.progress[member] = Progress(self._core.timing, self._core.log.last_index)

    @property
    def deadline(self) -> float:
        """When something unanswered is due again, or a commit is to be told."""
        return min(self.notice_at, math.inf, *[each.repeat_at for each in self.progress.values()])

    def is_sending_snapshot(self, now: float) -> bool:
        """Whether one is on its way to a follower that is there."""
        return any(each.sending is Sending.SNAPSHOT and each.is_alive(now) for each in self.progress.values())

    def match_index(self, member: MemberId) -> LogIndex:
        """How far a voter's log is known to hold durably what this leader's holds; its own included."""
        if member == self._core.me:
            return self._core.durable_index
        progress = self.progress.get(member)
        return progress.match_index if progress else LogIndex(0)

    def answered(self, sender: MemberId, message: AppendResponse, now: float) -> None:
        """Take in how an append went."""
        progress = self.progress.get(sender)
        if progress is None:
            return  # no longer a member; its answer was under way
        progress.is_alive_again(now)
        log = self._core.log
        if message.success:
            index = min(message.index, log.last_index)
            if index < log.base_index and progress.is_from_before_snapshot(index):
                if index > progress.match_index:
                    progress.snapshot_failed(log.last_index)  # it took an older one, and had no use for this
                return
            if progress.matched(index, now) and index > self._core.commit_index:
                self.advance_commit(now)
            if sender in self._witnesses:
                self._supply(sender, progress, message.hint_index, now)
        else:
            self._refused(sender, progress, message, now)

    def _refused(self, sender: MemberId, progress: Progress, message: AppendResponse, now: float) -> None:
        log = self._core.log
        if progress.has_snapshot(message.hint_index, message.hint_term):
            progress.snapshot_failed(log.last_index)  # it came, and more was compacted meanwhile: look again
            return
        if progress.must_have_snapshot:  # and says that it has not
            progress.transfer_failed(log.last_index, now)
            return
        hint_index = min(message.hint_index, log.last_index)
        found_index, found_term = log.back_up(hint_index, message.hint_term)
        if progress.sending is Sending.REPLICATE and progress.match_index:
            if message.hint_index < progress.match_index:
                return  # answered long ago
            if message.index > hint_index and (found_index, found_term) == (hint_index, message.hint_term):
                self._repair(sender, progress, hint_index, message.index, now)
                return
        if not progress.refused(message.index, LogIndex(found_index + 1)):
            return
        if hint_index < log.base_index or found_term > message.hint_term:
            self._start_snapshot(sender, progress, now)

    def _repair(self, member: MemberId, progress: Progress, after: LogIndex, came: LogIndex, now: float) -> None:
        """An append came, and what precedes it has not: the follower keeps what came, and lacks those entries.

        They were lost, or come late. Sending them again costs less than to wait for the timer.
        """
        log = self._core.log
        upto = progress.repair(after, came, now) if after >= log.base_index else None
        if upto is not None:
            self._core.send_now(member, self._append_of(after, tuple(log.between(after, upto))))

    def _start_snapshot(self, member: MemberId, progress: Progress, now: float) -> None:
        snapshot = self._core.log.snapshot
        assert snapshot is not None, "nothing is compacted that no snapshot covers"
        if progress.must_wait_for_snapshot(now):
            return
        progress.needs_snapshot(snapshot.last_index, snapshot.last_term, now)
        self._core.send_snapshot(member)

    def _supply(self, witness: MemberId, progress: Progress, held_index: LogIndex, now: float) -> None:
        """A witness takes no snapshots, and its log would grow for ever: send it each newer one of this member."""
        snapshot = self._core.log.snapshot
        if snapshot is None or not progress.lacks_snapshot(held_index, snapshot.last_index, now):
            return
        progress.supplied_index = snapshot.last_index
        self._core.send_snapshot(witness)

    def transfer_ended(self, member: MemberId, now: float, *, arrived: bool) -> None:
        """The transfer of a snapshot to `member` has ended."""
        progress = self.progress.get(member)
        if progress is not None and arrived:
            progress.transfer_arrived()
        elif progress is not None:
            progress.transfer_failed(self._core.log.last_index, now)

    def advance_commit(self, now: float) -> None:
        """Commit what a quorum holds, by counting in the own term only (Raft, figure 8)."""
        core = self._core
        membership = core.log.membership
        assert membership is not None
        index = LogIndex(int(membership.agreed(self.match_index)))
        if index > core.commit_index and core.log.term_at(index) == core.term:
            core.commit(index)
            if self.notice_at == math.inf:
                self.notice_at = now + core.timing.notice_s

    def tick(self, now: float) -> None:
        """Take late answers for lost, and tell the commit index where no entries will."""
        for member, progress in self.progress.items():
            if progress.repeat_at > now:
                continue
            if progress.sending is Sending.SNAPSHOT:
                log = self._core.log
                probe = AppendEntries(self._core.term, log.base_index, log.base_term, (), self._core.commit_index)
                self._core.send_now(member, probe)
                progress.asked_for_snapshot(now)
            else:
                progress.took_too_long(self._core.log.base_index)
        if now >= self.notice_at:
            self.notice_at = math.inf
            for member, progress in self.progress.items():
                index = min(self._core.commit_index, progress.match_index)
                if index > progress.commit_sent:
                    progress.commit_sent = index
                    self._core.send_now(member, CommitNotice(self._core.term, index))

    def flush(self, now: float) -> None:
        """Send every follower what fits into its window: proposals of one round travel as one batch."""
        same: dict[LogIndex, AppendEntries] = {}
        last_index = self._core.log.last_index
        for member, progress in self.progress.items():
            # A probe is sent even when there are no entries: its answer says where the logs agree.
            while (progress.next_index <= last_index or progress.sending is Sending.PROBE) and progress.may_send():
                if progress.next_index <= self._core.log.base_index:
                    self._start_snapshot(member, progress, now)
                    break
                if progress.is_silent:  # it is asked whether it is there; its backlog would be sent in vain
                    message = self._append_at(progress.next_index, with_entries=False)
                elif (known := same.get(progress.next_index)) is not None:
                    message = known
                else:
                    message = same[progress.next_index] = self._append_at(progress.next_index)
                self._core.send_now(member, message)
                progress.sent(message, now)

    def _append_at(self, next_index: LogIndex, *, with_entries: bool = True) -> AppendEntries:
        log = self._core.log
        entries = log.from_index(next_index, self._core.timing.batch_bytes) if with_entries else ()
        return self._append_of(LogIndex(next_index - 1), entries)

    def _append_of(self, prev_index: LogIndex, entries: tuple[Entry, ...]) -> AppendEntries:
        prev_term = self._core.log.term_at(prev_index)
        assert prev_term is not None
        return AppendEntries(self._core.term, prev_index, prev_term, entries, self._core.commit_index)
