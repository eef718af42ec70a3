"""The one step: inputs in, one `Effects` value out.

Theory of operation. The driver calls any number of inputs (`receive`, `tick`, `propose`, `stored`, ...) and then
`take_effects`, which is a round. Every input first looks whether the lease has run out, so that a member that was
paused stops being host before it does anything else. What a role knows lives in an object that dies with the role:

    FOLLOWER       neither `election` nor `leadership`
    PRE_CANDIDATE  `election`, first stage: would you vote for me?
    CANDIDATE      `election`, second stage: vote for me
    LEADER         `leadership`

Same state and same inputs give the same effects: time comes with each call, dice are given at birth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import assert_never

from failover.ids import LogIndex, MemberId, Term
from failover.raft.applying import Applying
from failover.raft.effects import Effects, HardState, Outbox, SnapshotMeta, StopReason
from failover.raft.election import Election, Stage, answer_pre_vote, answer_vote
from failover.raft.following import Following
from failover.raft.handing_over import DiskPatience, VainAttempts
from failover.raft.leadership import Leadership
from failover.raft.lease import Promise
from failover.raft.log import Log
from failover.raft.measure import DecayingMax
from failover.raft.messages import (
    AppendEntries,
    AppendResponse,
    CommitNotice,
    Entry,
    HandOver,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    PreVoteRequest,
    PreVoteResponse,
    RankingNotice,
    VoteRequest,
    VoteResponse,
)
from failover.raft.ranking import Fitness
from failover.raft.resting import may_rest
from failover.raft.role import Role
from failover.raft.stagnation import Patience
from failover.raft.standing import Standing
from failover.raft.tenure import Tenure
from failover.raft.timing import Timing
from failover.raft.writing import Writing

HALF_LIFE_S = 5.0
"""How fast measured delays are forgotten."""


class Core:
    """One member's Raft. Not thread-safe, never blocks, does no I/O."""

    def __init__(
        self,
        me: MemberId,
        *,
        timing: Timing,
        hard_state: HardState,
        snapshot: SnapshotMeta | None,
        entries: Iterable[Entry],
        dice: Callable[[], float],
        now: float,
    ) -> None:
        """Start from what the storage holds.

        Args:
            me: this member.
            timing: durations and bounds.
            hard_state: as stored last.
            snapshot: where the stored snapshot stands, if there is one; the machine is restored from it.
            entries: as stored, consecutive.
            dice: draws uniformly from [0, 1).
            now: seconds on the member's clock, which counts suspend; no later call gives a smaller value.
        """
        self.me = me
        self.timing = timing
        self.term = hard_state.term
        self.voted_for = hard_state.voted_for
        self.log = Log(snapshot, entries)
        self.commit_index = self.log.snapshot_index
        self.applying = Applying(self.log, timing)
        self.writing = Writing(self.log.last_index)
        self.promise = Promise(hard_state.promise_ceiling_s, now)
        self.leader: MemberId | None = None
        self.leader_heard_at = now
        """When the present or last leader was heard last; at first, when this member started."""
        self.is_leaving = False
        """Set before closing: the leader takes this member's vote away, and nobody hands over to it."""
        self.vain_attempts = VainAttempts()
        self.disk_patience = DiskPatience(timing.write_stall_s)
        self.patience = Patience()
        self.fitness = Fitness()
        self.leadership: Leadership | None = None
        self.following = Following(self)
        self.lateness = DecayingMax(HALF_LIFE_S)
        """How late this member was called, compared with the deadlines that it gave."""
        self.quorum_delay = DecayingMax(HALF_LIFE_S)
        """How long a quorum took to answer. Outlives a leadership: one that was lost because its promises were
        shorter than the round trip would else be followed by others just as short."""

        self._tenure = Tenure()
        self.standing = Standing(self, dice)
        self._now = now
        self._deadline = math.inf

        self.out = Outbox()
        """What goes out with this round."""
        self.reads_asked = 0
        self.standing.wait(now)

    # --- what others may look at ---

    @property
    def election(self) -> Election | None:
        """The candidacy under way, if there is one."""
        return self.standing.election

    @property
    def role(self) -> Role:
        """This member's role of the moment."""
        if self.leadership is not None:
            return Role.LEADER
        if self.election is None:
            return Role.FOLLOWER
        return Role.PRE_CANDIDATE if self.election.stage is Stage.PRE_VOTE else Role.CANDIDATE

    @property
    def is_witness(self) -> bool:
        """Whether this member has no application: it votes, and never hosts."""
        membership = self.log.membership
        return membership is not None and self.me in membership.witnesses

    @property
    def tenure(self) -> Term | None:
        """The term in which this member is host, None if it is not."""
        return self._tenure.term

    @property
    def lease_until(self) -> float:
        """Until when the tenure may act, on this member's clock; -inf without a tenure.

        The margin is for hearing `StopHost` in time; a check at use may go up to the true end of the lease.
        """
        if self._tenure.term is None or self.leadership is None:
            return -math.inf
        return self.leadership.lease.until(self.leadership.membership)

    @property
    def host_is_stopped(self) -> bool:
        """Whether no server function of this member runs or unwinds."""
        return self._tenure.is_stopped

    @property
    def applied_index(self) -> LogIndex:
        """The last entry that the state machine has applied."""
        return self.applying.applied_index

    @property
    def durable_index(self) -> LogIndex:
        """The last entry that is on this member's disk."""
        return self.writing.durable_index

    # --- inputs ---

    def receive(self, sender: MemberId, message: Message, now: float) -> None:
        """Take in a message from another member, authenticated and in its bounds; nothing else is believed."""
        self.wake(now)
        match message:
            case Heartbeat() | AppendEntries() | CommitNotice() | InstallSnapshot() | RankingNotice():
                self.following.receive(sender, message, now)
            case HeartbeatResponse():
                if self._is_current(message.term, now) and self.leadership:
                    self.leadership.heartbeat_answered(sender, message, now)
            case AppendResponse():
                if self._is_current(message.term, now) and self.leadership:
                    self.leadership.append_answered(sender, message, now)
            case PreVoteRequest():
                answer_pre_vote(self, sender, message, now)
            case VoteRequest():
                answer_vote(self, sender, message, now)
            case PreVoteResponse():
                self.standing.answered(Stage.PRE_VOTE, sender, message, now)
            case VoteResponse():
                self.standing.answered(Stage.VOTE, sender, message, now)
            case HandOver():
                self.standing.take_hand_over(sender, message, now)
            case _:
                assert_never(message)

    def tick(self, now: float) -> None:
        """Do what is due. Early and repeated calls do no harm."""
        self.wake(now)
        if self.leadership is not None:
            self.leadership.tick(now)
        else:
            self.standing.tick(now)

    def propose(self, command: bytes, now: float) -> Entry | None:
        """Append a command of the running tenure.

        Returns:
            The entry, appended in memory and neither stored nor committed yet; None when there is no tenure
            (any more) or too much is uncommitted: then nothing happened.
        """
        self.wake(now)
        if self._tenure.term is None or self.leadership is None:
            return None
        if self.applying.uncommitted_bytes > self.timing.uncommitted_bytes:
            return None
        return self.leadership.propose(command)

    def change_membership(
        self,
        voters: Iterable[MemberId],
        learners: Iterable[MemberId],
        command: bytes,
        now: float,
        new_witnesses: Iterable[MemberId] = (),
    ) -> Entry | None:
        """Append a change to exactly these voters and learners, with a command for the layer above.

        Those among `new_witnesses` that were no members are witnesses from now on.

        Returns:
            The entry that begins the change; None if it cannot begin now: this member does not lead, another
            change is in progress, the lease would not hold, or this member itself would stop being a voter
            (it hands over first).
        """
        self.wake(now)
        if self.leadership is None:
            return None
        return self.leadership.change_voters(
            frozenset(voters), frozenset(learners), command, now, frozenset(new_witnesses)
        )

    def hand_over(self, target: MemberId | None, now: float) -> bool:
        """Begin to hand over to `target`, or to whoever is best; False if nobody could take over.

        Until the target is ready and no change of membership is in progress the tenure goes on; if that takes too
        long, it goes on as if nothing had been asked.
        """
        self.wake(now)
        return self.leadership is not None and self.leadership.succession.begin(target, now)

    def resign(self, now: float, stand_again_after_s: float = 0.0) -> None:
        """Stop leading at once, with nobody to take over (closing alone; a server function that failed)."""
        self.wake(now)
        if self.leadership is not None:
            self.step_down(now, StopReason.CLOSED)
            self.standing.back_off(now, stand_again_after_s)

    def stand_last(self, until: float) -> None:
        """Let every other voter stand before this member, until then (its server function failed)."""
        self.standing.be_last(until)

    def read_index(self, now: float) -> LogIndex | None:
        """The index that a linearizable read must wait for, by the lease; None if this member cannot say.

        Never before the own no-op is committed: until then the true commit index is not known (Raft, 8).
        """
        self.wake(now)
        return self.leadership.reads.index_by_lease(now) if self.leadership is not None else None

    def read(self, now: float) -> int | None:
        """Ask for an index to read at by a round of the quorum, whatever the clocks do.

        Returns:
            The number under which `Effects.reads` will have the answer, also a refusal; None: refused at once.
        """
        self.wake(now)
        return self.leadership.reads.ask() if self.leadership is not None else None

    def stored(self, number: int, now: float) -> bool:
        """Write `number` is durable, and so is every earlier one; returns whether a round should follow."""
        self.wake(now)
        was_candidate, commit_index = self.election is not None, self.commit_index
        self.writing.stored(number)
        if self.writing.hard_state_is_durable:
            self.promise.ceiling_is_durable()
            self.standing.own_vote_is_durable(now)
        if self.leadership is not None and self.durable_index > commit_index:
            self.leadership.replication.advance_commit(now)
        return was_candidate or self.commit_index > commit_index or self.applying.has_grown

    def applied(self, index: LogIndex, now: float) -> bool:
        """The state machine has applied everything up to `index`; returns whether a round should follow."""
        self.wake(now)
        self.applying.applied(index)
        may_host_now = self.leadership is not None and not self.leadership.has_hosted
        return may_host_now or self.applying.has_grown or self.applying.has_more(self.commit_index)

    def host_stopped(self, now: float) -> None:
        """The server function has unwound completely."""
        self.wake(now)
        self._tenure.unwound()
        self.promise.unwinding_until = -math.inf

    def snapshot_stored(self, meta: SnapshotMeta | None, now: float) -> None:
        """The snapshot that was asked for is durable (None: it failed, and is asked for again later)."""
        self.wake(now)
        self.following.keeping = None
        if (upto := self.applying.snapshot_stored(meta)) is not None:
            self.writing.compact_to(upto)

    def snapshot_installed(self, now: float) -> None:
        """The snapshot of `install_snapshot` is stored and restored."""
        self.wake(now)
        self.following.installed()

    def transfer_ended(self, member: MemberId, now: float, *, arrived: bool) -> None:
        """The transfer of a snapshot to `member` has ended; what arrived may still be lost there, in a crash."""
        self.wake(now)
        if self.leadership is not None:
            self.leadership.replication.transfer_ended(member, now, arrived=arrived)

    def _hard_state(self) -> HardState:
        return HardState(self.term, self.voted_for, self.promise.ceiling_written_s)

    # --- the round ---

    def take_effects(self, now: float) -> Effects:
        """Return everything decided since the last call, and forget it."""
        if self.leadership is not None:
            self.leadership.conclude(now)
        become_host = self._begin_tenure_if_permitted(now)
        write = self.writing.next_write(self._hard_state, now)
        apply = () if self.following.installing else self.applying.next_entries(self.commit_index)
        self._deadline = self._next_deadline()
        may_take = self.applying.has_grown and not self.is_witness
        take_snapshot = may_take and self.applying.snapshot_is_due(self.writing.durable_index)
        return self.out.take(write, apply, take_snapshot, become_host, self._deadline)

    def rest(self, now: float) -> float | None:
        """When to call `tick`, if there is nothing else to do; None: call `take_effects`."""
        if not may_rest(self, now):
            return None
        self._deadline = self._next_deadline()
        return self._deadline

    def _next_deadline(self) -> float:
        if self.applying.has_more(self.commit_index) and not self.following.installing:
            return self._now
        if self.leadership is not None:
            return min(self.leadership.deadline, self.leadership.lost_at(self._now))
        return self.standing.deadline

    def wake(self, now: float) -> None:
        """Before anything else: a lease that has run out ends the tenure (design: on waking)."""
        self._now = now
        if now < self._deadline:
            return  # nothing is due, and so the lease has not run out either: most calls end here
        late = now - self._deadline
        if 0.0 < late < self.timing.promise_max_s:  # a longer stall is one that no promise could outlast
            self.lateness.add(late, now)
        self._deadline = math.inf  # until the next round says what is due
        self.watch_lease()
        if self.leadership is not None and now >= self._deadline:
            self.leadership.lease_ran_out(now)
            self.step_down(now)
            self._deadline = math.inf

    def watch_lease(self) -> None:
        """Have the next call after its end notice it: a new leader's lease, or one under a new membership, may end
        sooner than anything that the last round knew of."""
        if self.leadership is not None:
            self._deadline = min(self._deadline, self.leadership.lost_at(self._now))

    # --- host ---

    def _begin_tenure_if_permitted(self, now: float) -> Term | None:
        leadership = self.leadership
        if leadership is None or not self._tenure.is_stopped or not leadership.may_host(now):
            return None
        leadership.has_hosted = True
        self._tenure.begin(self.term)
        self.standing.leader_is_known()
        return self.term

    def end_tenure_for_hand_over(self) -> None:
        """The target is close: stop hosting now, release when that is done."""
        self._end_tenure(StopReason.HANDED_OVER)

    def _end_tenure(self, reason: StopReason) -> None:
        if self._tenure.term is not None:  # the lease of a lone voter has no end: nobody can host without it
            self.promise.unwinding_until = min(self.lease_until, self._now + self.timing.promise_max_s)
        if self._tenure.end():
            self.out.stop_host = reason

    # --- roles ---

    def become_follower(self, term: Term, leader: MemberId | None, now: float) -> None:
        """Follow in `term`, which is this member's own or a higher one."""
        assert term >= self.term
        self._end_tenure(StopReason.HIGHER_TERM)
        if self.leadership is not None:
            self.leadership.reads.refuse_all()
            self.leader_heard_at = now  # it was this member itself
        self.standing.election = self.leadership = None
        if term > self.term:
            self.term, self.voted_for = term, None
            self.writing.hard_state_changed()
            self.following.forget_early()
        self.leader = leader
        self.standing.wait(now)

    def follow(self, leader: MemberId, term: Term, now: float) -> None:
        """Take in that `leader` leads `term`."""
        assert term > self.term or self.leadership is None, "two leaders in one term"
        if term > self.term or self.election is not None or self.leader != leader:
            self.become_follower(term, leader, now)
        self.leader_heard_at = now
        self.standing.leader_is_known()

    def step_down(self, now: float, reason: StopReason = StopReason.LEASE_LOST) -> None:
        """Stop leading and let the others elect."""
        assert self.leadership is not None
        self.leadership.reads.refuse_all()
        self.leader_heard_at = now
        self._end_tenure(reason)
        self.standing.election = self.leadership = None
        self.leader = None
        self.standing.back_off(now)

    def vote_for(self, candidate: MemberId, now: float) -> None:
        """Give this term's vote to `candidate`."""
        assert self.voted_for in (None, candidate)
        if self.voted_for is None:
            self.voted_for = candidate
            self.writing.hard_state_changed()
        self.standing.election = None
        self.standing.wait_for_vote_given(now)

    def vote_for_self(self, now: float) -> None:
        """Begin a new term as its candidate."""
        self.leader = None
        self.term = Term(self.term + 1)
        self.voted_for = self.me
        self.writing.hard_state_changed()
        self.following.forget_early()

    def lead(self, now: float) -> None:
        """A quorum voted for this member."""
        self.standing.election = None
        self.leader = self.me
        self.leadership = Leadership(self, now)
        self.watch_lease()
        self.leadership.append_noop()
        self.leadership.tick(now)

    def _is_current(self, term: Term, now: float) -> bool:
        """Whether an answer belongs to this term; a higher term ends this member's leading."""
        if term > self.term:
            self.become_follower(term, None, now)
        return term == self.term

    # --- what roles use ---

    def send_now(self, to: MemberId, message: Message) -> None:
        """Send in this round, whatever the disk does."""
        self.out.messages_now.append((to, message))

    def send_after_store(self, to: MemberId, message: Message) -> None:
        """Send when everything decided up to this round is durable."""
        self.out.messages_after_store.append((to, message))

    def send_snapshot(self, to: MemberId) -> None:
        """Start the transfer of the stored snapshot."""
        self.out.send_snapshot.append(to)

    def append(self, entry: Entry) -> None:
        """Put an entry into the log, to be stored with this round."""
        self.log.append(entry)
        self.writing.append(entry)
        self.applying.appended(entry)

    def truncate_from(self, index: LogIndex) -> None:
        """Drop entries that conflict with the leader's, stored or not."""
        assert index > self.commit_index
        self.applying.dropped(self.log.between(LogIndex(index - 1), self.log.last_index))
        self.log.truncate_from(index)
        self.writing.truncate_from(index)

    def commit(self, index: LogIndex) -> None:
        """Move the commit index forwards; never back."""
        assert index <= self.log.last_index
        self.commit_index = max(self.commit_index, index)

    def disk_hangs(self, now: float) -> bool:
        """Whether the disk keeps this member from being of use as a leader."""
        return self.writing.hangs(now, self.timing.write_stall_s)
