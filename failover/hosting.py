"""The host's side: runs the server function for as long as the tenure lasts, and takes in the members' requests.

At most one server function of a member runs at a time: a tenure begins only after the core heard that the last
one has unwound. What a request needs to happen once is looked up here before it reaches the server function.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio

from failover.changing import Changing
from failover.confirming import Confirming
from failover.driver import Driver
from failover.errors import FailoverError
from failover.host import WAITING_MAX, Host, Request, Tenure
from failover.ids import Epoch, LogIndex, MemberId, Term
from failover.interrupts import unbroken
from failover.keys import Fate, digest_of
from failover.lane import Lane
from failover.levels import why_not_yet
from failover.records import RECORDS, AppCommand, Caller, KeyedCommand, Mark
from failover.replica import Applied, Replica
from failover.settings import Settings
from failover.surroundings import Surroundings
from failover.wire import Answer, Ask, KeyedAsk, Verdict

Key = tuple[MemberId, int, int]
"""A request: its sender, session and number."""
Serve = Callable[[Host], Awaitable[None]]
LAST_BACK_OFF_S = 300.0
WATCH_S = 0.25


class ServeHung(FailoverError):
    """The server function took no request, or did not call `host.alive()`, for too long."""


class ServeReturned(FailoverError):
    """The server function returned, though its tenure went on."""


async def propose_all(host: Host) -> None:
    """The server function of a game that gives none: every request is proposed as it comes."""
    async for request in host.requests():
        await request.propose()


@unbroken
class Hosting:
    """One member's tenures, one after another."""

    def __init__(
        self,
        *,
        me: MemberId,
        driver: Driver,
        replica: Replica,
        settings: Settings,
        serve: Serve | None,
        nursery: trio.Nursery,
        answer: Callable[[MemberId, Answer], None],
        ended: Callable[[Epoch, str, BaseException | None], None],
        surroundings: Surroundings,
        confirming: Confirming,
        lane: Lane,
    ) -> None:
        self._me = me
        self._driver = driver
        self._replica = replica
        self._settings = settings
        self._serve = serve or propose_all
        self._nursery = nursery
        self._answer = answer
        self._ended = ended
        self._lane = lane
        self.tenure: Tenure | None = None
        self._scope = trio.CancelScope(shield=True)
        self._failure: BaseException | None = None
        """What the server function raised, if that ends the tenure."""
        self._time_base_us = 0
        self._clock_base = 0.0
        self._early: deque[tuple[MemberId, Ask | KeyedAsk]] = deque(maxlen=WAITING_MAX)
        """Requests for a term in which this member leads and does not host yet."""
        self._under_way: dict[Key, Mark | None] = {}
        self._marks: set[tuple[MemberId, bytes]] = set()
        """Whose keys are under way: another request with the same one waits for what comes of the first."""
        self._newest: dict[MemberId, tuple[int, int]] = {}
        """Of each member the present session, and below which number it waits for no answer any more."""
        self._refused: dict[MemberId, dict[int, tuple[str, bytes | None]]] = {}
        """What each member's present session was refused, until it says that it has heard so."""
        self.changing = Changing(me, self, driver, replica, surroundings, confirming)
        self._failures = 0
        self._back_off_s = 0.0

    # --- tenure ---

    def begin(self, term: Term) -> Epoch:
        """A tenure begins: start the server function."""
        directory = self._replica.directory
        assert directory is not None and self.tenure is None
        now = self._driver.clock()
        self._time_base_us, self._clock_base = self._replica.time_us, now
        tenure = Tenure(
            Epoch(directory.generation, term),
            self._driver.clock,
            self,
            self._driver.core.lease_until,
            self._lane,
            taken_at=now,
        )
        self.tenure = tenure
        self._scope = trio.CancelScope(shield=True)
        self._nursery.start_soon(self._run, tenure, self._scope)
        for sender, ask in list(self._early):
            self.ask(sender, ask)
        self._early.clear()
        return tenure.epoch

    def stop(self, reason: str) -> None:
        """The tenure is over: no method of its `Host` works any more, and its scope is cancelled."""
        tenure, self.tenure = self.tenure, None
        assert tenure is not None
        tenure.end()
        failure, self._failure = self._failure, None
        if failure is None:
            self._failures = 0
        self._ended(tenure.epoch, reason, failure)
        self._scope.cancel()
        self._under_way.clear()
        self._marks.clear()
        self._newest.clear()
        self._refused.clear()
        self.changing.clear()

    async def _run(self, tenure: Tenure, scope: trio.CancelScope) -> None:
        error: Exception | None = None
        try:
            with scope:
                await self._serve(Host(tenure, self._me))
                await trio.lowlevel.checkpoint()
                error = ServeReturned("the server function returned; it must run until it is cancelled")
        except Exception as raised:  # whatever it is, this member must not stay host with nobody serving
            error = raised
        except (KeyboardInterrupt, SystemExit, BaseExceptionGroup):
            # In a task of its own, or its word that the program ends: the block ends, and that hands over.
            self._nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await tenure.over.wait()
            self._driver.host_stopped()
            raise
        if error is None:
            self._failures = 0
        elif self.tenure is tenure:
            if (
                tenure.is_running()
            ):  # else it failed because the tenure is over, and only the core has yet to say so
                self.give_up(error)
            await tenure.over.wait()
        self._driver.host_stopped()

    def give_up(self, error: Exception) -> None:
        """The server function failed: hand over and stand last for a while; alone, start again after it."""
        if self._failure is not None:
            return  # under way
        self._failure = error
        self._back_off_s = min(self._settings.serve_back_off_s * 2**self._failures, LAST_BACK_OFF_S)
        self._failures += 1
        self._let_go()

    def _let_go(self) -> None:
        """Hand over, or resign; to be repeated, since a hand-over whose target went silent is given up."""
        core, now = self._driver.core, self._driver.clock()
        core.stand_last(now + self._back_off_s)
        if not core.hand_over(None, now):
            is_alone = core.log.membership is not None and core.log.membership.voters == {self._me}
            core.resign(now, stand_again_after_s=self._back_off_s if is_alone else 0.0)
        self._driver.kick()

    async def watch(self) -> None:
        """Look whether the server function still lives; for ever."""
        while True:
            await trio.sleep(WATCH_S)
            tenure, now = self.tenure, self._driver.clock()
            if tenure is None or not tenure.is_running():
                continue
            if self._failure is not None:
                self._let_go()
                continue
            if not tenure.waiting:
                tenure.taken_at = now
            is_stuck = now - tenure.taken_at > self._settings.serve_hang_s
            is_silent = tenure.alive_at is not None and now - tenure.alive_at > self._settings.alive_s
            if is_stuck or is_silent:
                self.give_up(ServeHung("requests waited" if is_stuck else "host.alive() was not called"))

    def lease_moved(self, until: float) -> None:
        """The core renewed the lease."""
        if self.tenure is not None:
            self.tenure.lease_until = until

    # --- what a tenure needs (`Desk`) ---

    def cluster_time(self) -> float:
        """Cluster seconds now."""
        if self.tenure is None:
            return self._replica.time_us / 1_000_000
        return self.time_us() / 1_000_000

    def view(self) -> object:
        """The newest picture of the state."""
        return self._replica.view

    def propose(self, command: bytes, caller: Caller | None, mark: Mark | None) -> LogIndex | None:
        """Append a command of the application."""
        if caller is not None and mark is not None:
            return self._driver.propose(RECORDS.encode(KeyedCommand(self.time_us(), caller, mark, command)))
        return self._driver.propose(RECORDS.encode(AppCommand(self.time_us(), caller, command)))

    def next_index(self) -> LogIndex:
        """Where the next command would stand."""
        return LogIndex(self._driver.core.log.last_index + 1)

    def refuse(self, caller: Caller, reason: str) -> None:
        """Answer that nothing will be done; a late copy of the request gets the same answer."""
        mark = self._under_way.get(_key(caller))
        self._release(caller)
        if (caller.session, caller.number) >= self._newest.get(caller.member, (0, 0)):
            refused = self._refused.setdefault(caller.member, {})
            refused[caller.number] = reason, mark.key if mark else None
        self._send_answer(caller, Verdict.REFUSED, reason.encode())

    def time_us(self) -> int:
        """Cluster time for what is appended now, in microseconds."""
        passed = self._driver.clock() - self._clock_base
        return max(self._replica.time_us, self._time_base_us + int(passed * 1_000_000))

    # --- requests ---

    def ask(self, sender: MemberId, ask: Ask | KeyedAsk) -> None:
        """A member asks. Only for the present term: a copy that comes late must not be carried out late."""
        core = self._driver.core
        if ask.term != core.term or core.leadership is None:
            return
        if self.tenure is None:
            if not self._replica.is_witness:  # which leads for a moment, and never hosts
                self._early.append((sender, ask))
            return
        assert self._replica.directory is not None
        if sender not in self._replica.directory.members:
            return  # removed: what it had answered is forgotten, and would be done again
        if not self._is_awaited(sender, ask):
            return
        caller = Caller(sender, ask.session, ask.number, ask.answered_below)
        mark = Mark(ask.key, digest_of(ask.body)) if isinstance(ask, KeyedAsk) else None
        if self._is_decided(caller, mark) or not self._begins(caller, mark):
            return
        if isinstance(ask, Ask) and ask.is_system:
            self.changing.take(caller, ask.body)
        else:
            self._give_to_serve(self.tenure, caller, ask.body, mark)

    def _is_awaited(self, sender: MemberId, ask: Ask | KeyedAsk) -> bool:
        """Whether the sender still waits for this; else it may have heard a refusal, of which nothing is left."""
        newest = self._newest.get(sender, (0, 0))
        if (ask.session, ask.number) < newest:
            return False
        if (ask.session, ask.answered_below) > newest:
            self._newest[sender] = ask.session, ask.answered_below
            refused = self._refused.pop(sender, {}) if ask.session == newest[0] else {}
            if still := {number: why for number, why in refused.items() if number >= ask.answered_below}:
                self._refused[sender] = still
        return True

    def _is_decided(self, caller: Caller, mark: Mark | None) -> bool:
        """Answer what is decided already: done before, refused, or past what anybody remembers."""
        sessions, keys, member = self._replica.sessions, self._replica.keys, caller.member
        fate = Fate.NEW if mark is None else keys.fate(member, mark)
        if (reply := sessions.reply(caller)) is not None:
            self._send_answer(caller, Verdict.APPLIED, reply)
        elif not sessions.is_new(caller):
            self._send_answer(caller, Verdict.UNKNOWN, b"")
        elif mark is not None and fate is Fate.DONE:
            self._send_answer(caller, Verdict.APPLIED, keys.reply(member, mark.key))
        elif fate is not Fate.NEW:
            self._send_answer(caller, Verdict.MISUSED if fate is Fate.MISUSED else Verdict.UNKNOWN, b"")
        elif (reason := self._refusal(caller, mark)) is not None:
            self._send_answer(caller, Verdict.REFUSED, reason.encode())
        else:
            return False
        return True

    def _refusal(self, caller: Caller, mark: Mark | None) -> str | None:
        """Why this was refused, or a later request with the same key: it may not be done behind that.

        Or why nobody may ask with a key yet.
        """
        refused = self._refused.get(caller.member, {})
        if caller.number in refused:
            return refused[caller.number][0]
        if mark is None:
            return None
        assert self._replica.directory is not None
        if (reason := why_not_yet(KeyedCommand, self._replica.directory)) is not None:
            return reason
        later = (why for number, (why, key) in refused.items() if number > caller.number and key == mark.key)
        return next(later, None)

    def _begins(self, caller: Caller, mark: Mark | None) -> bool:
        """Take note that this is under way, unless it is, or there is no room; then its sender asks again."""
        assert self.tenure is not None
        key = _key(caller)
        if key in self._under_way or not self._has_room(self.tenure):
            return False
        if mark is not None:
            if (caller.member, mark.key) in self._marks:
                return False  # the first may be done and this one refused: which of them would be true?
            self._marks.add((caller.member, mark.key))
        self._under_way[key] = mark
        return True

    def _release(self, caller: Caller) -> None:
        """It is under way no more."""
        mark = self._under_way.pop(_key(caller), None)
        if mark is not None:
            self._marks.discard((caller.member, mark.key))

    def _has_room(self, tenure: Tenure) -> bool:
        """Whether one more request may wait; what its sender has given up makes room.

        What has a key does not: its sender may ask for the same once more, and hear something else.
        """
        if len(self._under_way) >= WAITING_MAX:
            newest = self._newest
            self._under_way = {
                key: mark
                for key, mark in self._under_way.items()
                if mark is not None or key[1:] >= newest.get(key[0], (0, 0))
            }
            tenure.waiting = deque(each for each in tenure.waiting if _key(each.caller) in self._under_way)
        return len(self._under_way) < WAITING_MAX

    def _give_to_serve(self, tenure: Tenure, caller: Caller, body: bytes, mark: Mark | None) -> None:
        if not tenure.waiting:
            tenure.taken_at = self._driver.clock()
        tenure.waiting.append(Request(tenure, caller, body, mark))
        tenure.arrived.set()

    def applied(self, applied: Applied) -> None:
        """An entry was applied: answer whoever waits for it."""
        tenure, entry = self.tenure, applied.entry
        if tenure is None:
            return
        if entry.term == tenure.epoch.term and entry.command and applied.action is None:
            tenure.ahead -= 1
        if (commit := tenure.commits.pop(entry.index, None)) is not None:
            commit.reply = applied.reply
            commit.done.set()
        caller = applied.caller
        if caller is not None:
            self._release(caller)
            if applied.reply is not None:
                self._send_answer(caller, Verdict.APPLIED, applied.reply)

    def batch_applied(self) -> None:
        """A batch of entries was applied."""
        if self.tenure is not None:
            self.tenure.made_room()

    def let_ask_again(self, caller: Caller) -> None:
        """Nothing came of it yet: its sender will ask again."""
        self._release(caller)

    def keep_waiting(self, caller: Caller) -> None:
        """Nothing came of it yet, and will not before somebody decides."""
        self._release(caller)
        self._send_answer(caller, Verdict.WAITING, b"")

    def answer(self, caller: Caller, reply: bytes) -> None:
        """Answer what needs nothing to be appended."""
        self._release(caller)
        self._send_answer(caller, Verdict.APPLIED, reply)

    def _send_answer(self, caller: Caller, verdict: Verdict, body: bytes) -> None:
        term = self._driver.core.term
        self._answer(caller.member, Answer(term, caller.session, caller.number, verdict, body))


def _key(caller: Caller) -> Key:
    return caller.member, caller.session, caller.number
