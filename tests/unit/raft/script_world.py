"""A small world for scripts: real cores, a network and disks that do as they are told, and time that stands still.

A message takes a millisecond unless its link is cut or held; a disk is done at once unless it is slow, full or
worked by hand. Checkers look on at every step: one host, one leader a term, one vote a term, one history.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import script_trace as words
from script_process import Process

from failover.ids import LogIndex, MemberId, Term
from failover.raft.effects import Effects, HardState
from failover.raft.membership import Membership
from failover.raft.messages import (
    Entry,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    RankingNotice,
)
from failover.raft.timing import Timing
from failover.testing.checkers import (
    HeldByQuorum,
    OneHistory,
    OneHost,
    OneLeaderPerTerm,
    OneVotePerTerm,
    OnlyForwards,
)
from failover.testing.simulated_member import Disk

DELAY_S = 0.001
"""How long a message takes."""
TRANSFER_PATIENCE_S = 0.5
"""A snapshot that did not arrive is reported as failed after so long, as the net would."""
EVENTS_MAX = 100_000


@dataclass(eq=False)
class Letter:
    """A message on its way."""

    sender: str
    to: str
    message: Message

    @property
    def kind(self) -> str:
        return type(self.message).__name__


@dataclass(frozen=True)
class Rule:
    """What becomes of letters on a link: "cut" or "hold"."""

    sender: str
    to: str
    kind: str | None
    fate: str

    def fits(self, letter: Letter) -> bool:
        return self.sender == letter.sender and self.to == letter.to and self.kind in (None, letter.kind)


@dataclass
class Checkers:
    """What holds at every step of every script, whatever it is about."""

    one_host: OneHost = field(default_factory=OneHost)
    one_leader: OneLeaderPerTerm = field(default_factory=OneLeaderPerTerm)
    one_vote: OneVotePerTerm = field(default_factory=OneVotePerTerm)
    one_history: OneHistory = field(default_factory=OneHistory)
    only_forwards: OnlyForwards = field(default_factory=OnlyForwards)
    held: HeldByQuorum = field(default_factory=HeldByQuorum)
    led: set[tuple[str, Term]] = field(default_factory=set)


class World:
    """One cluster, in virtual time."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.now = 0.0
        self.processes: dict[str, Process] = {}
        self.rules: list[Rule] = []
        self.held: list[Letter] = []
        self.sent: list[Letter] = []
        """All that was said, for those who ask afterwards."""
        self.last_read: LogIndex | None = None
        """What the last member that was asked for a read has answered."""
        self.tenures: list[tuple[str, Term]] = []
        self.trace = words.Trace()
        self.only_stands: list[str] | None = None
        """While set, the clocks of all others do not make them stand."""
        self.checkers = Checkers()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._busy = 0
        """How many things are under way that `settle` waits for."""

    # --- beginnings ---

    def found(self, voters: Iterable[str], learners: Iterable[str], witnesses: Iterable[str] = ()) -> None:
        """Members that all hold the founding entry and nothing else."""
        voters, learners = list(voters), list(learners)
        membership = Membership(voters=ids(voters), learners=ids(learners), witnesses=ids(witnesses))
        first = Entry(LogIndex(1), Term(1), b"found", membership)
        for each in (*voters, *learners):
            self.add(each, Disk(self.hard_state(1), {LogIndex(1): first}))

    def hard_state(self, term: int) -> HardState:
        """As stored by somebody who has seen `term` and not voted in it."""
        return HardState(Term(term), None, self.timing.promise_ceiling_first_s)

    def add(self, name: str, disk: Disk) -> None:
        """Start one more process."""
        self.processes[name] = Process(self, name, disk)
        self.processes[name].start()

    # --- time ---

    def at(self, when: float, action: Callable[[], None], *, counts: bool = False) -> None:
        """Have something done at a true time; `settle` waits for what counts."""

        def counted() -> None:
            self._busy -= 1
            action()

        self._busy += counts
        self._number += 1
        heapq.heappush(self._events, (max(when, self.now), self._number, counted if counts else action))

    def run_until(self, end: float, reached: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass up to `end`, or until `reached`; returns whether that came first."""
        for _ in range(EVENTS_MAX):
            if reached():
                return True
            if not self._events or self._events[0][0] > end:
                self.now = max(self.now, end)
                return False
            self.now, _, action = heapq.heappop(self._events)
            action()
        raise AssertionError(f"a busy loop at {self.now * 1000:.3f} ms")

    def settle(self) -> None:
        """Let time pass until nothing is under way but heartbeats, and everybody knows what is committed.

        What is sent again because it was lost is not waited for: that would be a matter of tuning.
        """
        self.run_until(self.now + 1.0, lambda: not self._busy and not self._somebody_is_to_hear_of_a_commit())

    def _somebody_is_to_hear_of_a_commit(self) -> bool:
        leaderships = (p.core.leadership for p in self.processes.values() if p.is_up and not p.is_paused)
        return any(leadership.replication.notice_at < math.inf for leadership in leaderships if leadership)

    # --- network ---

    def post(self, sender: str, messages: Iterable[tuple[MemberId, Message]]) -> None:
        """Send messages; those with equal contents share a line of the trace."""
        together: dict[str, list[str]] = {}
        for to, message in messages:
            letter = Letter(sender, words.name(to), message)
            fate = self._fate(letter)
            self.sent.append(letter)
            self.checkers.one_vote.says(MemberId(sender.encode()), to, message)
            self._carry(letter, fate)
            text = words.message(message) + {"": "", "cut": "  (lost)", "hold": "  (held)"}[fate]
            if self._is_shown(letter) and self.trace.is_news(f"{sender} -> {letter.to}", text):
                together.setdefault(text, []).append(letter.to)
        for text, receivers in together.items():
            self.trace.write(f"{sender} -> {' '.join(receivers)}", text)

    def _fate(self, letter: Letter) -> str:
        return next((rule.fate for rule in reversed(self.rules) if rule.fits(letter)), "")

    def _carry(self, letter: Letter, fate: str) -> None:
        if fate == "hold":
            self.held.append(letter)
        elif fate == "cut":
            self.lost(letter)
        else:
            counts = not isinstance(letter.message, Heartbeat | HeartbeatResponse | RankingNotice)
            self.at(self.now + DELAY_S, lambda: self.deliver(letter), counts=counts)

    def deliver(self, letter: Letter) -> None:
        """Hand a message to its receiver, now."""
        process = self.processes.get(letter.to)
        if process is None or not process.is_up:
            self.lost(letter)
        else:
            process.receive(MemberId(letter.sender.encode()), letter.message)

    def lost(self, letter: Letter) -> None:
        """A message is gone; the sender of a snapshot learns it in the end."""
        if isinstance(letter.message, InstallSnapshot):
            sender = self.processes[letter.sender]
            self.at(self.now + TRANSFER_PATIENCE_S, lambda: sender.transfer_failed(letter.to, sender.life))

    def _is_shown(self, letter: Letter) -> bool:
        """Heartbeats are left out unless they carry news: a higher term, or a commit index. Advice always is."""
        if self.trace.shows_all:
            return True
        receiver = self.processes.get(letter.to)
        match letter.message:
            case RankingNotice():
                return False
            case Heartbeat(commit_index=commit):
                return receiver is not None and receiver.is_up and receiver.core.commit_index < commit
            case HeartbeatResponse(term=term, is_leaving=is_leaving):
                return is_leaving or (receiver is not None and receiver.is_up and receiver.core.term < term)
        return True

    # --- looking on ---

    def watch(self, process: Process, effects: Effects) -> None:
        """Show the checkers what a member just decided, before it is carried out."""
        core, me, checkers = process.core, process.me, self.checkers
        if effects.stop_host is not None:
            checkers.one_host.ends(me)
        if core.tenure is not None:
            ends = process.true_time(core.lease_until) if core.lease_until < math.inf else math.inf
            if effects.become_host is None:
                checkers.one_host.lease_moved(me, self.now, ends)
            else:
                checkers.one_host.begins(me, effects.become_host, self.now, ends)
        if core.leadership is not None:
            self._watch_leader(process)
        checkers.one_history.applies(me, effects.apply)
        if effects.become_host is not None:
            checkers.one_history.hosts(me, effects.become_host, core.applied_index)
            self.tenures.append((process.name, effects.become_host))
        checkers.only_forwards.shows(me, process.life, core.term, core.commit_index, core.applied_index)

    def _watch_leader(self, process: Process) -> None:
        core, me, checkers = process.core, process.me, self.checkers
        checkers.one_leader.leads(me, core.term)
        checkers.one_vote.leads(me, core.term)
        if (process.name, core.term) not in checkers.led:
            checkers.led.add((process.name, core.term))
            tail = core.log.between(core.log.base_index, core.log.last_index)
            checkers.one_history.leads(me, core.term, core.log.last_index, tail)
        index = core.commit_index
        if checkers.held.is_news(index) and (term := core.log.term_at(index)) is not None:
            before, now = core.log.membership_at(index), core.log.membership
            holders = [p.me for p in self.processes.values() if p.disk.holds(index, term)]
            # A change appended in the same round is in force since then only.
            checkers.held.commits(me, index, [m for m in (now, before and before.membership) if m], holders)

    @property
    def history(self) -> list[str]:
        """The commands that are committed, as somebody applied them."""
        return [command.decode() for _, command, _ in self.checkers.one_history.committed]

    @property
    def hosts(self) -> list[Process]:
        """Who hosts now: a tenure that runs, and whose lease has not run out, process paused or not."""
        return [p for p in self.processes.values() if p.is_up and p.core.lease_until > p.clock()]

    @property
    def leaders(self) -> list[Process]:
        """Who leads, as far as itself knows."""
        return [p for p in self.processes.values() if p.is_up and p.core.leadership is not None]


def ids(them: Iterable[str]) -> frozenset[MemberId]:
    """The ids of these members."""
    return frozenset(MemberId(each.encode()) for each in them)
