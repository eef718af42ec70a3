"""One member's life between opening and closing: what the core decided becomes what the application hears."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from failover.admission import Admission
from failover.confirming import Confirming
from failover.directory import Directory
from failover.driver import Driver
from failover.errors import Closed, MachineFailed, OutcomeUnknown
from failover.events import (
    BecomeHost,
    Event,
    MemberJoined,
    MemberLeft,
    StateDiverged,
    StopHost,
    Stopped,
    VersionRaised,
)
from failover.generations import Generations
from failover.hosting import Hosting, Serve
from failover.ids import Epoch, LogIndex, MemberId, Term
from failover.interrupts import unbroken
from failover.lane import Lane
from failover.neighbours import Neighbours
from failover.raft.effects import ReadAnswer, SnapshotMeta, StopReason
from failover.raft.messages import Entry
from failover.records import ACTIONS, Admit, AdmitWitness, Depart, SystemAction
from failover.rejoining import NOTE_BEEN
from failover.replica import Replica
from failover.requests import Requests
from failover.settings import Settings
from failover.snapshotting import Snapshots
from failover.storage.contract import Storage
from failover.surroundings import Surroundings
from failover.watching import HostWatch, host_of
from failover.wire import (
    Answer,
    AnswerReadIndex,
    Ask,
    AskHandOver,
    AskIntroduction,
    AskReadIndex,
    DigestReport,
    Farewell,
    Introduction,
    JoinRequest,
    KeyedAsk,
    Lineage,
)

_T = TypeVar("_T")

DIGESTS_KEPT = 8
READ_AGAIN_S = 0.1


@unbroken
class Life:
    """Implements `driver.Upstairs` over the replica, the hosting and the asking side."""

    def __init__(
        self,
        *,
        me: MemberId,
        driver: Driver,
        replica: Replica,
        storage: Storage,
        requests: Requests,
        settings: Settings,
        serve: Serve | None,
        emit: Callable[[Event], None],
        nursery: trio.Nursery,
        surroundings: Surroundings,
        neighbours: Neighbours,
        version: int,
    ) -> None:
        self.me = me
        self.driver = driver
        self.replica = replica
        self.requests = requests
        self._settings = settings
        self._emit = emit
        clock = self._clock = surroundings.clock
        self._neighbours = neighbours
        self._sync_directory = neighbours.sync
        self.is_over = trio.Event()
        self.lane = Lane(
            me=me, driver=driver, replica=replica, tenure=lambda: self.hosting.tenure, is_over=self.is_over.is_set
        )
        self.hosting = Hosting(
            me=me,
            driver=driver,
            replica=replica,
            settings=settings,
            serve=serve,
            nursery=nursery,
            answer=self._answer,
            ended=self._tenure_ended,
            surroundings=surroundings,
            confirming=Confirming(settings, clock, emit),
            lane=self.lane,
        )
        self.snapshots = Snapshots(driver, replica, storage, nursery, restored=self._restored, failed=self.stop)
        self.generations = Generations(
            driver=driver,
            replica=replica,
            requests=requests,
            set_note=storage.set_note,
            entropy=surroundings.entropy,
            rejoins=settings.rejoins,
            emit=emit,
            stop=self.stop,
            neighbours=neighbours,
            parted=self._forget_reports,
            been=storage.get_note(NOTE_BEEN) or b"",
        )
        self.watch = HostWatch(driver.core, clock, emit)
        self.admission = Admission(lambda: driver.peers, lambda: replica.directory, self.act, nursery, clock)
        self._wishes_to_go = 0
        self.trouble = ""
        self.was_removed = False
        """Whether this member's own membership has ended."""
        self.error: BaseException | None = None
        self.turned = trio.lowlevel.ParkingLot()
        """Whoever waits here goes on whenever entries were applied or the host changed, and looks again."""
        self._digests: dict[LogIndex, bytes] = {}
        self._reported: dict[LogIndex, tuple[MemberId, DigestReport]] = {}
        """The host's digests at indices that are not applied here yet."""
        self._reads: dict[int, _Read] = {}
        self._read_number = 0
        self._index_asked: dict[int, Callable[[LogIndex], None]] = {}
        """What to do with the core's answers; bounded, since the core bounds what waits and answers all of it."""
        self._known_host: tuple[MemberId | None, Term] = (None, Term(0))
        self._membership_seen: object = None
        self._version = version
        """Of the rules, that the application knows to be played."""

    # --- what the driver calls ---

    def stop_host(self, reason: StopReason) -> None:
        """The tenure is over."""
        self.hosting.stop(reason.value)

    def become_host(self, term: Term) -> None:
        """The tenure begins; the event comes first, so that nothing of it precedes."""
        assert self.replica.directory is not None and not self.replica.is_witness
        self._emit(BecomeHost(Epoch(self.replica.directory.generation, term)))
        self.hosting.begin(term)

    def apply(self, entries: tuple[Entry, ...]) -> None:
        """Apply, answer, compare."""
        try:
            self._apply(entries)
        except MachineFailed as error:
            self.stop(error)
            raise

    def _apply(self, entries: tuple[Entry, ...]) -> None:
        replica, hosting, me = self.replica, self.hosting, self.me
        directory = replica.directory
        for entry in entries:
            before = replica.directory
            applied = replica.apply(entry)
            if applied.caller is not None and applied.caller.member == me and applied.reply is not None:
                self.requests.applied(applied.caller, applied.reply)
            hosting.applied(applied)
            if applied.action is not None:
                self._acted(applied.action, before)
            if entry.index % self._settings.digest_every == 0 and not replica.is_witness:
                self._note_digest(entry.index)
        replica.refresh_view()
        hosting.batch_applied()
        if replica.directory is not directory or any(entry.membership is not None for entry in entries):
            self._sync_directory()  # once for all: who came and went in between is of no interest
            self.generations.applied()
            self._tell_version()
        if replica.directory is not None:
            self.watch.first_entry(replica.directory, entries[-1].term)
        self._turn()

    def message(self, sender: MemberId, message: object) -> None:
        """A message of the layers above the core."""
        match message:
            case Ask() | KeyedAsk():
                self.hosting.ask(sender, message)
            case Answer():
                self.requests.answered(message)
            case AskReadIndex():
                number = message.number
                self._find_index(lambda index: self.driver.send(sender, AnswerReadIndex(number, index)))
            case AnswerReadIndex():
                if (read := self._reads.get(message.number)) is not None:
                    read.answer(LogIndex(message.index))
            case AskHandOver():
                self.driver.core.hand_over(message.target, self._clock())
            case DigestReport() if not self.replica.is_witness:
                self._compare_digest(sender, message)
            case Farewell():
                self._removed(message.index)
            case AskIntroduction():
                if self.replica.directory is not None:
                    self.driver.send(sender, Introduction(tuple(self.replica.directory.members.values())))
            case Introduction():
                self._neighbours.introduced(message.members)

    def guest_message(self, sender: MemberId, message: object) -> None:
        """A message of somebody who is no member."""
        if isinstance(message, JoinRequest):
            self.admission.guest_asks(sender, message)
        elif isinstance(message, Lineage):
            self.generations.heard(sender, message)

    def departed_message(self, sender: MemberId, message: object) -> None:
        """Who has departed is told so when it asks who is there; nothing else is taken from it."""
        if isinstance(message, AskIntroduction):
            self._neighbours.say_farewell(sender)

    def install_snapshot(self, meta: SnapshotMeta, received: object) -> None:
        """Take over a leader's snapshot."""
        self.snapshots.install(meta, received)

    def keep_snapshot(self, meta: SnapshotMeta, received: object) -> None:
        """Take over a leader's snapshot without looking into it."""
        self.snapshots.keep(meta, received)

    def take_snapshot(self) -> None:
        """The log has grown."""
        self.snapshots.take()

    def send_snapshot(self, member: MemberId) -> None:
        """Somebody is too far behind."""
        self.snapshots.send(member)

    def nothing_done(self) -> None:
        """A round without effects."""
        self.hosting.lease_moved(self.driver.core.lease_until)
        self._follow_leader()

    def round_done(self, now: float) -> float:
        """After each round: leases, hosts and members as they are now."""
        core = self.driver.core
        self.hosting.lease_moved(core.lease_until)
        self.hosting.changing.go_on()
        self._follow_leader()
        self.watch.look(now)
        if core.log.membership is not self._membership_seen:
            self._membership_seen = core.log.membership
            self._sync_directory()
        return math.inf

    def _follow_leader(self) -> None:
        core = self.driver.core
        if (core.leader, core.term) != self._known_host:
            self._known_host = (core.leader, core.term)
            self.requests.host_is(host_of(core), core.term)
            self.lane.leader_is(core.leader, core.term)
            self._turn()

    # --- asking ---

    def send_ask(self, host: MemberId, ask: Ask | KeyedAsk) -> None:
        """Bring a request of this member before the host."""
        if host == self.me:
            self.hosting.ask(self.me, ask)
        else:
            self.driver.send(host, ask)

    async def act(self, action: SystemAction) -> bytes:
        """Have an action of the library carried out, once, by whoever hosts.

        Raises:
            OutcomeUnknown: nobody answered within `Settings.request_timeout_s`.
        """
        timeout_s = self._settings.request_timeout_s
        return await self.requests.request(ACTIONS.encode(action), timeout_s=timeout_s, is_system=True)

    async def read_barrier(self) -> None:
        """Return when this member has applied all that was committed when it was called."""
        self._read_number += 1
        number, read = self._read_number, _Read()
        self._reads[number] = read
        try:
            while read.index is None:
                self.check_open()
                self._ask_for_index(number, read)
                if read.index is None:
                    with trio.move_on_after(READ_AGAIN_S):
                        await read.answered.wait()
        finally:
            del self._reads[number]
        while self.replica.applied_index < read.index:
            self.check_open()
            await self.turned.park()

    def _ask_for_index(self, number: int, read: _Read) -> None:
        core = self.driver.core
        if core.leader == self.me:
            self._find_index(read.answer)
        elif core.leader is not None:
            self.driver.send(core.leader, AskReadIndex(number))

    def _find_index(self, then: Callable[[LogIndex], None]) -> None:
        """Ask the core from where on one may read. If it cannot say, nothing happens: whoever waits asks again."""
        core, now = self.driver.core, self._clock()
        if self._settings.reads == "lease":
            if (index := core.read_index(now)) is not None:
                then(index)
        elif (number := core.read(now)) is not None:
            self._index_asked[number] = then
            self.driver.kick()

    def reads_answered(self, answers: tuple[ReadAnswer, ...]) -> None:
        """A quorum has spoken, or this member leads no more."""
        for answer in answers:
            then = self._index_asked.pop(answer.number)
            if answer.index is not None:
                then(answer.index)

    # --- the end ---

    def check_open(self) -> None:
        """Refuse if this member is closed or has stopped."""
        if self.is_over.is_set():
            raise Closed("this member is closed or has stopped; nothing happened") from self.error

    async def leave(self) -> None:
        """Have the own membership ended, and wait until the others need this member no more."""
        deadline = trio.current_time() + self._settings.request_timeout_s
        self.wish_to_go(1)  # its vote goes first, and nobody hands over to it any more
        try:
            await self.act(Depart(self.me))
        except BaseException as error:
            if not (self.was_removed and isinstance(error, OutcomeUnknown)):  # the farewell came before the answer
                self.wish_to_go(-1)
                raise
        with trio.CancelScope(deadline=deadline):
            await self.is_over.wait()
        self.stop(None)

    def wish_to_go(self, by: int) -> None:
        """Count one more, or one less, who wants this member to go: while there is one, it gives up its vote."""
        self._wishes_to_go += by
        self.driver.core.is_leaving = self._wishes_to_go > 0

    def stop(self, error: BaseException | None) -> None:
        """This member cannot go on."""
        if not self.is_over.is_set():
            self.error = error
            self.is_over.set()
            if self.hosting.tenure is not None:
                self.hosting.stop(StopReason.CLOSED.value)
            self.driver.stop()
            self.requests.close()
            self.lane.stop()
            self._emit(Stopped(error))
            self._turn()

    # --- inside ---

    def _answer(self, to: MemberId, answer: Answer) -> None:
        if to == self.me:
            self.requests.answered(answer)
        else:
            self.driver.send(to, answer)

    def _tenure_ended(self, epoch: Epoch, reason: str, error: BaseException | None) -> None:
        self.watch.tenure_ended(reason)
        self._emit(StopHost(epoch, reason, error))

    def _acted(self, action: SystemAction, before: Directory | None) -> None:
        directory = self.replica.directory
        assert directory is not None
        if isinstance(action, Admit) and action.info.member in directory.members:
            name = directory.members[action.info.member].name
            self._emit(MemberJoined(action.info.member, name, isinstance(action, AdmitWitness)))
        elif isinstance(action, Depart):
            self.was_removed |= action.member == self.me
            assert before is not None, "somebody founded what is left"
            self._emit(MemberLeft(action.member, before.name_of(action.member)))

    def _note_digest(self, index: LogIndex) -> None:
        digest = self.replica.digest()
        _keep(self._digests, index, digest)
        if self.hosting.tenure is not None:
            membership = self.driver.core.log.membership
            witnesses = membership.witnesses if membership else frozenset()
            for member in self.replica.directory.members if self.replica.directory else ():
                if member != self.me and member not in witnesses:
                    self.driver.send(member, DigestReport(index, digest))
        if (reported := self._reported.pop(index, None)) is not None:
            self._compare_digest(*reported)

    def _compare_digest(self, sender: MemberId, report: DigestReport) -> None:
        index = LogIndex(report.index)
        ours = self._digests.get(index)
        may_host = self.driver.core.leader in (sender, None)  # who has just started has not heard of a host yet
        if ours is None and index > self.replica.applied_index and may_host:
            _keep(self._reported, index, (sender, report))  # the host applies first, and says so at once
        if ours is None or ours == report.digest:
            return
        self._emit(StateDiverged(index, sender))
        if sender == self.driver.core.leader:
            self.driver.send(sender, DigestReport(report.index, ours))

    def _forget_reports(self) -> None:
        """They are of another generation's entries."""
        self._reported.clear()
        self._digests.clear()

    def _removed(self, index: int) -> None:
        """Somebody says so, who has applied everything up to `index`."""
        directory = self.replica.directory
        if index <= self.replica.applied_index and directory is not None and self.me in directory.members:
            return  # of a time that is over
        if not self.was_removed:
            self._emit(MemberLeft(self.me, directory.name_of(self.me) if directory is not None else ""))
        self.was_removed = True
        self.stop(None)

    def _restored(self) -> None:
        """A snapshot brought everything at once, the directory too."""
        self._sync_directory()
        self._tell_version()
        self._turn()

    def _tell_version(self) -> None:
        directory = self.replica.directory
        if directory is not None and directory.version > self._version:
            self._version = directory.version
            self._emit(VersionRaised(directory.version))

    def _turn(self) -> None:
        self.turned.unpark_all()


@dataclass(slots=True)
class _Read:
    answered: trio.Event = field(default_factory=trio.Event)
    index: LogIndex | None = None

    def answer(self, index: LogIndex) -> None:
        """This was committed when the question came."""
        self.index = index
        self.answered.set()


def _keep(table: dict[LogIndex, _T], index: LogIndex, value: _T) -> None:
    """Keep the newest few."""
    table[index] = value
    if len(table) > DIGESTS_KEPT:
        del table[min(table)]
