"""What a member does at a leader's word: append, promise, commit, take a snapshot (Raft, 5.3 and 7).

Datagrams come twice, late and in the wrong order. So a follower never drops an entry that agrees with what the
leader sent, never moves an index backwards, and keeps appends that came too early until the gap is closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from failover.ids import LogIndex, MemberId
from failover.raft.effects import SnapshotMeta
from failover.raft.log import entry_size
from failover.raft.messages import (
    AppendEntries,
    AppendResponse,
    CommitNotice,
    Entry,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    RankingNotice,
    Release,
)

if TYPE_CHECKING:
    from failover.raft.core import Core

LeadersMessage = Heartbeat | AppendEntries | CommitNotice | InstallSnapshot | RankingNotice
EARLY_MESSAGES_MAX = 64
EARLY_BYTES_MAX = 4 * 1024 * 1024


class Following:
    """The follower's side of replication. Lives as long as the member; what is early dies with the term."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._early: dict[LogIndex, AppendEntries] = {}
        self._early_bytes = 0
        self.installing: SnapshotMeta | None = None
        """A snapshot that is being stored and restored; appends wait until it is done."""
        self.keeping: SnapshotMeta | None = None
        """A snapshot that a witness is storing while its log grows on."""
        self.commit_heard = LogIndex(0)
        """The highest commit index that a leader named, whether this log reaches so far or not."""

    def forget_early(self) -> None:
        """Another term: what the old leader sent too early is void."""
        self._early.clear()
        self._early_bytes = 0

    def receive(self, sender: MemberId, message: LeadersMessage, now: float) -> None:
        """Take in what a leader says."""
        match message:
            case Heartbeat():
                self.heartbeat(sender, message, now)
            case AppendEntries():
                self.append(sender, message, now)
            case CommitNotice():
                self.commit_notice(sender, message, now)
            case InstallSnapshot():
                self.install_snapshot(sender, message, now)
            case RankingNotice():
                self.ranking_notice(sender, message)
            case _:
                assert_never(message)

    def heartbeat(self, sender: MemberId, message: Heartbeat, now: float) -> None:
        """Grant the promise that the leader asks for, as far as the durable ceiling allows."""
        core = self._core
        if message.term < core.term:
            core.send_after_store(sender, HeartbeatResponse(core.term, message.round, 0.0, core.log.last_index))
            return
        core.follow(sender, message.term, now)
        core.standing.suspicion.end(sender, now)
        asked = min(message.promise_s, core.timing.promise_max_s)
        core.fitness.rank = message.rank
        if core.promise.raise_ceiling(asked, core.timing.promise_max_s):
            core.writing.ceiling_changed()
        granted = core.promise.grant(Release(sender, message.term), asked, now)
        core.standing.wait(now)  # no candidacy before the promise ends
        self._commit(message.commit_index)
        answer = HeartbeatResponse(
            core.term,
            message.round,
            granted,
            core.log.last_index,
            core.is_leaving,
            core.fitness.hint,
            core.standing.is_last(now),
        )
        # The answer says that this member is in the term, and what it grants is within the durable ceiling. Once
        # the term is durable, no disk may delay it.
        if core.writing.vote_is_durable:
            core.send_now(sender, answer)
        else:
            core.send_after_store(sender, answer)

    def commit_notice(self, sender: MemberId, message: CommitNotice, now: float) -> None:
        """Learn a commit index that came without entries."""
        if message.term >= self._core.term:
            self._core.follow(sender, message.term, now)
            self._commit(message.commit_index)

    def ranking_notice(self, sender: MemberId, message: RankingNotice) -> None:
        """Learn the leader's order of the members. It is advice: it makes nobody follow."""
        if message.term == self._core.term and sender == self._core.leader:
            self._core.fitness.told = message.members

    def append(self, sender: MemberId, message: AppendEntries, now: float) -> None:
        """Take in entries, answer how far the log matches now."""
        core = self._core
        if not message.is_a_piece_of_a_log:
            return  # no leader sends that; taking half of it would be worse than not to hear it
        if message.term < core.term:
            core.send_after_store(sender, AppendResponse(core.term, False, message.prev_log_index))
            return
        core.follow(sender, message.term, now)
        self.commit_heard = max(self.commit_heard, message.commit_index)
        if self.installing is not None:
            return  # the leader repeats what was not answered
        if message.prev_log_index > core.log.last_index:
            self._keep_early(message)
            self._refuse(sender, message)
            return
        if not self._take(message):
            self._refuse(sender, message)
            return
        matched = LogIndex(message.prev_log_index + len(message.entries))
        while self._early and (first := min(self._early)) <= core.log.last_index:
            early = self._early.pop(first)
            self._early_bytes -= _size(early)
            if self._take(early):
                matched = max(matched, LogIndex(early.prev_log_index + len(early.entries)))
        self._agree(sender, max(matched, core.commit_index))

    def install_snapshot(self, sender: MemberId, message: InstallSnapshot, now: float) -> None:
        """Decide whether a completely received snapshot is of use."""
        core = self._core
        if message.term < core.term:
            core.send_after_store(sender, AppendResponse(core.term, False, message.last_index))
            return
        core.follow(sender, message.term, now)
        if self.installing is not None or self.keeping is not None:
            return  # one at a time: its bytes would be taken for those of the other; the leader asks again
        meta = SnapshotMeta(message.last_index, message.last_term, message.membership, message.membership_index)
        if message.last_index <= core.commit_index:
            if self._is_worth_keeping(meta):
                self.keeping = meta
                core.out.keep_snapshot = meta
            self._agree(sender, core.commit_index)
            return
        self.installing = meta
        core.out.install_snapshot = meta

    def _is_worth_keeping(self, meta: SnapshotMeta) -> bool:
        """Whether a witness, which takes none itself, can cut its log short with it.

        It covers nothing that is not durable here, so that the stored log stays whole.
        """
        core = self._core
        is_news = core.log.snapshot_index < meta.last_index <= min(core.applied_index, core.durable_index)
        return core.is_witness and is_news

    def _agree(self, sender: MemberId, index: LogIndex) -> None:
        """Say that the logs agree up to `index`; a witness says too how far its snapshot reaches."""
        core = self._core
        covered = core.log.snapshot_index if core.is_witness else LogIndex(0)
        core.send_after_store(sender, AppendResponse(core.term, True, index, covered))

    def installed(self) -> None:
        """The snapshot is stored and restored: what it covers is as good as received, durable and applied."""
        core, meta = self._core, self.installing
        assert meta is not None
        self.installing = None
        core.log.restore(meta)
        core.writing.durable_index = max(min(core.durable_index, core.log.last_index), meta.last_index)
        core.commit(meta.last_index)
        core.applying.restored(meta.last_index)
        if core.leader is not None:
            self._agree(core.leader, meta.last_index)

    def _take(self, message: AppendEntries) -> bool:
        """Append what is new in `message`; False if its place in the log does not match."""
        log = self._core.log
        entries = message.entries
        prev_index, prev_term = message.prev_log_index, message.prev_log_term
        last = LogIndex(prev_index + len(entries))
        if prev_index < self._core.commit_index:
            # What is committed is equal everywhere (Raft, 5.4.3): skip it, whatever was compacted since.
            skipped = min(self._core.commit_index - prev_index, len(entries))
            entries = entries[skipped:]
        elif log.term_at(prev_index) != prev_term:
            return False
        for position, entry in enumerate(entries):
            if log.term_at(entry.index) != entry.term:
                self._append_from(entries[position:])
                break
        # Only what this message proved to match may be committed on its word (Raft, figure 2, AppendEntries 5).
        self._commit(min(message.commit_index, last))
        return True

    def _append_from(self, entries: tuple[Entry, ...]) -> None:
        """Append entries of which the first is new or in conflict; only then anything is dropped (Raft, 5.3)."""
        core = self._core
        if entries[0].index <= core.log.last_index:
            assert entries[0].index > core.commit_index, "a committed entry would be replaced"
            core.truncate_from(entries[0].index)
        for entry in entries:
            core.append(entry)

    def _commit(self, index: LogIndex) -> None:
        self._core.commit(min(index, self._core.log.last_index))

    def _keep_early(self, message: AppendEntries) -> None:
        if message.prev_log_index in self._early or len(self._early) >= EARLY_MESSAGES_MAX:
            return
        size = _size(message)
        if self._early_bytes + size <= EARLY_BYTES_MAX:
            self._early[message.prev_log_index] = message
            self._early_bytes += size

    def _refuse(self, sender: MemberId, message: AppendEntries) -> None:
        core = self._core
        hint_index, hint_term = core.log.back_up(message.prev_log_index, message.prev_log_term)
        refusal = AppendResponse(core.term, False, message.prev_log_index, hint_index, hint_term)
        core.send_after_store(sender, refusal)


def _size(message: AppendEntries) -> int:
    return sum(map(entry_size, message.entries))
