"""Shows the checkers what real members do, by looking at their parts from outside after each step.

The one place that knows both: the checkers know nothing of members, the members nothing of checkers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from failover.ids import Epoch, LogIndex, MemberId, Term
from failover.raft.messages import Entry, Message
from failover.records import RECORDS, KeyedCommand
from failover.replica import Applied
from failover.testing.bounds import check_bounds
from failover.testing.checkers import (
    HeldByQuorum,
    OneHistory,
    OneLeaderPerTerm,
    OneVotePerTerm,
    OnlyForwards,
    Violation,
)
from failover.testing.process import Process
from failover.testing.stack_checkers import EventsInOrder, Once, OneTenure, PromisesKept, SameStates

if TYPE_CHECKING:
    from failover.running import Running
    from failover.testing.stack_simulation import StackSimulation

BOUNDS_EVERY = 200
"""Steps of a process between two looks at its tables."""


class Onlooker:
    """One for a simulation."""

    def __init__(self, world: StackSimulation, digest_every: int) -> None:
        self.world = world
        self.one_tenure, self.once, self.same_states = OneTenure(), Once(), SameStates()
        self.one_leader, self.one_history, self.one_vote = OneLeaderPerTerm(), OneHistory(), OneVotePerTerm()
        self.only_forwards, self.held, self.promises = OnlyForwards(), HeldByQuorum(), PromisesKept()
        self.digest = 0
        """A checksum over all that was seen: equal runs have equal ones."""
        self._digest_every = digest_every
        self._tenures: dict[Process, Any] = {}
        """Of the living processes, the tenure that began last."""
        self._led: set[tuple[MemberId, Term]] = set()
        self._seen: dict[Process, tuple[object, ...]] = {}
        self._steps = 0

    # --- beginning and end of a process ---

    def begins(self, process: Process, running: Running) -> None:
        """A member's parts are put together: stand where they meet."""
        driver, life, replica, me = running.driver, running.life, running.replica, running.id
        self._before(process, life, "become_host", lambda term: self._becomes_host(process, running, term))
        self._after(process, life, "become_host", lambda *_: self._has_become_host(process, running))
        self._before(process, driver, "_send", lambda messages, *_: self._says(me, messages))
        self._before(process, life, "send_snapshot", lambda _: self.world.happened.update(["snapshot sent"]))
        self._after(process, driver, "propose", lambda index, *_: self._proposed(process, running, index))
        self._before(process, replica, "_apply_to_machine", self._machine_applies)
        self._after(process, replica, "apply", lambda applied, _: self._applied(process, running, applied))
        self._after(process, replica, "restore", lambda _, index, *__: self._restored(process, running, index))
        self._before(
            process,
            running.requests,
            "_resolve",
            lambda pending, reply, *_: self._answered(me, running, pending, reply),
        )
        events = EventsInOrder()
        running.events.also_wake(lambda: self._hears(process, running, events))
        if running.core.applied_index > 0:
            self._restored(process, running, running.core.applied_index)

    def ends(self, process: Process) -> None:
        """The process is no more."""
        self._tenures.pop(process, None)
        self._seen.pop(process, None)

    def _before(self, process: Process, part: object, name: str, look: Callable[..., None]) -> None:
        call = getattr(part, name)

        def looked_at(*arguments: Any, **options: Any) -> Any:
            if process.is_alive:
                with self.world.looking():
                    look(*arguments, **options)
            return call(*arguments, **options)

        setattr(part, name, looked_at)

    def _after(self, process: Process, part: object, name: str, look: Callable[..., None]) -> None:
        call = getattr(part, name)

        def looked_at(*arguments: Any, **options: Any) -> Any:
            result = call(*arguments, **options)
            if process.is_alive:
                with self.world.looking():
                    look(result, *arguments, **options)
            return result

        setattr(part, name, looked_at)

    # --- after each step ---

    def stepped(self, process: Process) -> None:
        """A process has done what it could do at this moment."""
        running = process.running
        if running is None:
            return
        core = running.core
        leadership = core.leadership
        seen = (core.term, core.commit_index, core.applied_index, core.log.last_index, leadership is None)
        if self._seen.get(process) != seen:
            self._seen[process] = seen
            self._changed(process, running)
        if len(self._tenures) > 1:
            self.look_for_hosts()
        self._steps += 1
        if self._steps % BOUNDS_EVERY == 0:
            check_bounds(running)

    def _changed(self, process: Process, running: Running) -> None:
        core, me, log = running.core, running.id, running.core.log
        life = process.computer.lives
        self.only_forwards.shows(me, life, core.term, core.commit_index, core.applied_index)
        if not (
            log.base_index <= log.snapshot_index <= core.applied_index <= core.commit_index <= log.last_index
            or (log.base_index == 0 and log.snapshot is None)
        ):
            raise Violation(f"indexes out of order: {self.world.picture()}")
        if core.leadership is not None:
            self._leads(running)
        line = f"{self.world.time.now:.9f} {process.computer} {self._seen[process]} {core.role.value}"
        self.digest = zlib.crc32(line.encode(), self.digest)
        self.world.trace(
            f"{process.computer} {core.role.value} term {core.term} log {log.base_index}..{log.last_index} "
            f"commit {core.commit_index} applied {core.applied_index}"
        )

    def _leads(self, running: Running) -> None:
        core, me, log = running.core, running.id, running.core.log
        self.one_leader.leads(me, core.term)
        self.one_vote.leads(me, core.term)
        if (me, core.term) not in self._led:
            self._led.add((me, core.term))
            self.world.happened["elected"] += 1
            self.world.happened["witness led"] += running.replica.is_witness
            tail = log.between(log.base_index, log.last_index)
            self.one_history.leads(me, core.term, log.last_index, tail)
        if self.held.is_news(core.commit_index):
            index, term = core.commit_index, log.term_at(core.commit_index)
            assert term is not None and log.membership is not None
            computers = self.world.computers
            holders = [c.member for c in computers if c.member is not None and c.disk.holds(index, term)]
            before = log.membership_at(index)
            memberships = (log.membership, before.membership if before else log.membership)
            self.held.commits(me, index, memberships, holders)

    # --- hosts ---

    def look_for_hosts(self) -> None:
        """Whose tenure runs at this instant, by its own clock? A paused process's goes on, too."""
        running = [
            (process.running.id, tenure.epoch)
            for process, tenure in self._tenures.items()
            if process.running is not None and tenure.is_running()
        ]
        self.one_tenure.run(running)

    def host(self) -> Process | None:
        """The process whose tenure runs, if there is one and it is not paused."""
        for process, tenure in self._tenures.items():
            if process.is_running and tenure.is_running():
                return process
        return None

    def _becomes_host(self, process: Process, running: Running, term: Term) -> None:
        assert running.replica.directory is not None
        if running.replica.is_witness:
            raise Violation(f"the witness {process.computer} hosts term {term}")
        self.one_tenure.begins(running.id, Epoch(running.replica.directory.generation, term))
        self.one_history.hosts(running.id, term, running.core.applied_index)
        self.world.trace(f"{process.computer} hosts in term {term}")

    def _has_become_host(self, process: Process, running: Running) -> None:
        self._tenures[process] = running.life.hosting.tenure
        self.look_for_hosts()

    def _proposed(self, process: Process, running: Running, index: LogIndex | None) -> None:
        """A command was accepted, if it has an index."""
        tenure = running.life.hosting.tenure
        if index is not None and tenure is not None and not tenure.is_running():
            raise Violation(f"{process.computer} accepts a command after its lease")
        self.look_for_hosts()

    def _hears(self, process: Process, running: Running, order: EventsInOrder) -> None:
        if process.is_alive:
            with self.world.looking():
                event = running.events._events[-1]
                tenure = running.life.hosting.tenure
                order.hears(event, tenure.epoch if tenure is not None and tenure.is_running() else None)
                self.world.heard(process, event)

    # --- log, state, requests ---

    def _says(self, me: MemberId, messages: Iterable[tuple[MemberId, Message]]) -> None:
        for to, message in messages:
            self.one_vote.says(me, to, message)
            self.promises.says(me, to, message, self.world.time.now)

    def _machine_applies(self, entry: Entry, record: Any) -> None:
        if record.caller is not None:
            self.once.carried_out(record.caller, entry.index, _key(record))

    def _applied(self, process: Process, running: Running, applied: Applied) -> None:
        entry = applied.entry
        is_witness = running.replica.is_witness
        if applied.caller is not None and applied.reply is not None and applied.action is None and not is_witness:
            self.once.replied(applied.caller, applied.reply, _key(RECORDS.decode_untrusted(entry.command)))
        if entry.membership is not None and entry.index > len(self.one_history.committed):
            self.world.happened["membership changed"] += 1
        self.one_history.applies(running.id, (entry,))
        if entry.index % self._digest_every == 0 and not is_witness:
            digest = process.machine.digest()
            self.same_states.is_at(running.id, entry.index, digest)
            self.digest = zlib.crc32(digest, self.digest)

    def _restored(self, process: Process, running: Running, index: LogIndex) -> None:
        self.world.happened["restored from a snapshot"] += 1
        self.world.happened["witness restored"] += running.replica.is_witness
        if index % self._digest_every == 0 and not running.replica.is_witness:
            self.same_states.is_at(running.id, index, process.machine.digest())

    def _answered(self, me: MemberId, running: Running, pending: Any, reply: bytes | None) -> None:
        if reply is not None and not pending.is_system and not pending.done.is_set():
            self.once.answers(me, running.requests._session, pending.number, reply, pending.key)


def _key(record: object) -> bytes | None:
    """With which its sender asked, if it gave one."""
    return record.mark.key if isinstance(record, KeyedCommand) else None
