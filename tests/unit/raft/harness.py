"""One core with explicit messages: nothing happens by chance, and nothing by itself.

A `Bench` holds one real core. Disk and state machine are done at once unless told otherwise; time moves only
with `at`. What the core decided is in `sent`, `stops`, `hosted`, and so on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from failover.ids import LogIndex, MemberId, Term
from failover.raft.core import Core
from failover.raft.effects import Effects, HardState, ReadAnswer, SnapshotMeta, StopReason, Write
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendEntries,
    AppendResponse,
    Entry,
    Heartbeat,
    HeartbeatResponse,
    Message,
    PreVoteRequest,
    PreVoteResponse,
    VoteRequest,
    VoteResponse,
)
from failover.raft.timing import Timing
from failover.testing.rounds import taken

A, B, C, D, E = (MemberId(name) for name in (b"a", b"b", b"c", b"d", b"e"))
THREE = Membership(frozenset((A, B, C)))
TIMING = Timing()
FAR = 10.0
"""Long after every promise of a start."""

M = TypeVar("M")


def entry(index: int, term: int, command: bytes | str = b"", membership: Membership | None = None) -> Entry:
    text = command.encode() if isinstance(command, str) else command
    return Entry(LogIndex(index), Term(term), text, membership)


def log_of(*terms: int, membership: Membership = THREE) -> list[Entry]:
    """A log with these terms, the first entry founding the cluster."""
    return [entry(i, term, membership=membership if i == 1 else None) for i, term in enumerate(terms, 1)]


def meta(index: int, term: int, membership: Membership = THREE, at: int = 1) -> SnapshotMeta:
    return SnapshotMeta(LogIndex(index), Term(term), membership, LogIndex(at))


class Bench:
    def __init__(
        self,
        me: MemberId = A,
        *,
        log: Iterable[Entry] | None = None,
        term: int | None = None,
        voted_for: MemberId | None = None,
        ceiling: float = 0.1,
        snapshot: SnapshotMeta | None = None,
        timing: Timing = TIMING,
        disk_is_slow: bool = False,
        now: float = 0.0,
    ) -> None:
        entries = log_of(1) if log is None else list(log)
        last = entries[-1].term if entries else Term(0)
        self.now = now
        self.disk_is_slow = disk_is_slow
        self.host_is_slow = False
        self.sent: list[tuple[MemberId, Message]] = []
        self.held: list[tuple[int, tuple[tuple[MemberId, Message], ...]]] = []
        self.writes: list[Write] = []
        self.stops: list[StopReason] = []
        self.hosted: list[Term] = []
        self.applied: list[Entry] = []
        self.installs: list[SnapshotMeta] = []
        self.keeps: list[SnapshotMeta] = []
        self.snapshots_sent: list[MemberId] = []
        self.snapshots_taken = 0
        self.reads: list[ReadAnswer] = []
        self.core = Core(
            me,
            timing=timing,
            hard_state=HardState(Term(term if term is not None else last), voted_for, ceiling),
            snapshot=snapshot,
            entries=entries,
            dice=lambda: 0.5,
            now=now,
        )
        self.be_ranked()
        self.round()

    def be_ranked(self) -> None:
        """As if a leader had told the voters their ranks before: in the order of their names, witnesses last."""
        membership, me = self.core.log.membership, self.core.me
        if membership is not None and me in membership.all_voters:
            order = sorted(membership.all_voters, key=lambda voter: (voter in membership.witnesses, voter))
            self.core.fitness.rank = order.index(me)
            self.core.standing.wait(self.now)

    # --- inputs ---

    def at(self, now: float) -> Bench:
        """Let time pass, calling `tick` at each deadline as a driver does."""
        while (due := self.effects.deadline) <= now:
            self.now = max(self.now, due)
            self.core.tick(self.now)
            self.round()
        self.now = now
        return self

    def oversleep(self, now: float) -> Bench:
        """Let time pass without a call: a pause of the process."""
        self.now = now
        return self

    def tick(self) -> Bench:
        self.core.tick(self.now)
        return self.round()

    def get(self, sender: MemberId, *messages: Message) -> Bench:
        for message in messages:
            self.core.receive(sender, message, self.now)
            self.round()
        return self

    def propose(self, command: str = "x") -> Entry | None:
        proposed = self.core.propose(command.encode(), self.now)
        self.round()
        return proposed

    def finish_writes(self, upto: int | None = None) -> Bench:
        """Complete the writes under way, up to a number."""
        number = max((w.number for w in self.writes), default=0) if upto is None else upto
        self.core.stored(number, self.now)
        while self.held and self.held[0][0] <= number:
            self.sent.extend(self.held.pop(0)[1])
        return self.round()

    def round(self) -> Bench:
        """Take the effects and carry them out until nothing is left."""
        while True:
            effects = self.effects = taken(self.core, self.now)
            again = self._carry_out(effects)
            if not again:
                return self

    def _carry_out(self, effects: Effects) -> bool:
        again = False
        if effects.stop_host is not None:
            self.stops.append(effects.stop_host)
            if not self.host_is_slow:
                self.core.host_stopped(self.now)
                again = True
        self.sent.extend(effects.messages_now)
        if effects.write is not None:
            self.writes.append(effects.write)
            if not self.disk_is_slow:
                self.core.stored(effects.write.number, self.now)
                again = True
        if self.disk_is_slow and self.core.writing.hangs(float("inf"), 0.0):
            self.held.append((self.writes[-1].number, effects.messages_after_store))
        else:
            self.sent.extend(effects.messages_after_store)
        if effects.apply:
            self.applied.extend(effects.apply)
            self.core.applied(effects.apply[-1].index, self.now)
            again = True
        if effects.install_snapshot is not None:
            self.installs.append(effects.install_snapshot)
        if effects.keep_snapshot is not None:
            self.keeps.append(effects.keep_snapshot)
        self.snapshots_sent.extend(effects.send_snapshot)
        self.snapshots_taken += effects.take_snapshot
        self.reads.extend(effects.reads)
        if effects.become_host is not None:
            self.hosted.append(effects.become_host)
        return again

    # --- what came out ---

    def take(self, kind: type[M], to: MemberId | None = None) -> list[M]:
        """The messages of a kind sent since the last look (of any kind: the rest is forgotten)."""
        found = [m for receiver, m in self.sent if isinstance(m, kind) and to in (None, receiver)]
        self.sent.clear()
        return found

    def last(self, kind: type[M], to: MemberId | None = None) -> M:
        return self.take(kind, to)[-1]

    @property
    def terms(self) -> list[int]:
        log = self.core.log
        return [e.term for e in log.between(log.base_index, log.last_index)]

    # --- shortcuts ---

    def stand(self) -> Bench:
        """Wait until it asks for pre-votes."""
        while not any(isinstance(m, PreVoteRequest) for _, m in self.sent):
            self.at(self.effects.deadline)
        return self

    def win(self, voters: Iterable[MemberId] = (B, C)) -> Bench:
        """Have it elected by these."""
        self.at(max(self.now, FAR)).sent.clear()
        self.stand()
        term = Term(self.core.term + 1)
        for voter in voters:
            self.get(voter, PreVoteResponse(self.core.term, term, granted=True))
        for voter in voters:
            self.get(voter, VoteResponse(term, term, granted=True))
        assert self.core.leadership is not None
        return self

    def answer_heartbeats(self, *followers: MemberId, granted: float | None = None) -> Bench:
        """These answer the newest heartbeat, at once."""
        beats = [m for _, m in self.sent if isinstance(m, Heartbeat)]
        for follower in followers:
            last = self.core.log.last_index
            promise = beats[-1].promise_s if granted is None else granted
            self.get(follower, HeartbeatResponse(self.core.term, beats[-1].round, promise, last))
        return self

    def answer_appends(self, *followers: MemberId) -> Bench:
        """These hold all that the leader has."""
        for follower in followers:
            self.get(follower, AppendResponse(self.core.term, True, self.core.log.last_index))
        return self

    def lead(self, followers: Iterable[MemberId] = (B, C)) -> Bench:
        """Have it elected, its no-op committed, and its tenure begun."""
        followers = tuple(followers)
        self.win(followers).answer_heartbeats(*followers).answer_appends(*followers)
        assert self.hosted, "it hosts"
        return self

    def keep_lease(self, seconds: float, *followers: MemberId) -> Bench:
        """Let time pass while these answer every heartbeat."""
        until = self.now + seconds
        while self.now < until:
            self.at(min(until, self.now + 0.02))
            if any(isinstance(m, Heartbeat) for _, m in self.sent):
                self.answer_heartbeats(*followers)
                self.sent = [(to, m) for to, m in self.sent if not isinstance(m, Heartbeat)]
        return self


def append(term: int, prev: tuple[int, int], *terms: int, commit: int = 0) -> AppendEntries:
    """An append after (index, term) `prev` with entries of these terms."""
    index, prev_term = prev
    entries = tuple(entry(index + n, t, f"{index + n}/{t}") for n, t in enumerate(terms, 1))
    return AppendEntries(Term(term), LogIndex(index), Term(prev_term), entries, LogIndex(commit))


def beat(term: int, round_: int = 1, promise: float = 0.075, commit: int = 0) -> Heartbeat:
    return Heartbeat(Term(term), round_, promise, LogIndex(commit))


def vote(term: int, last: tuple[int, int] = (9, 9), release: object = None) -> VoteRequest:
    return VoteRequest(Term(term), LogIndex(last[0]), Term(last[1]), release)  # type: ignore[arg-type]


def pre_vote(term: int, last: tuple[int, int] = (9, 9)) -> PreVoteRequest:
    return PreVoteRequest(Term(term), LogIndex(last[0]), Term(last[1]))
