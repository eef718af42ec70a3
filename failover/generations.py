"""Going on without a quorum, and what members of two generations say to each other.

A generation is a line of history. Who goes on alone founds one; the others stay in the one that was, where they
may have gone on, too. The two never mix: a channel between them carries nothing but where each of them went.
Whoever then gives up its own generation opens its storage anew and joins the other (`failover.rejoining`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import trio

from failover.driver import Driver
from failover.errors import LossNotAccepted, Refused, Superseded, UsageError
from failover.events import Event, GenerationBegan, GenerationMet
from failover.ids import GENERATION_SIZE, Generation, LogIndex, MemberId
from failover.interrupts import unbroken
from failover.neighbours import Neighbours
from failover.raft.new_generation import begin_generation, last_terms, why_not_alone
from failover.records import RECORDS, TERMS_MAX, Ancestor, Caller, NewGeneration, TermEnd
from failover.rejoining import BEEN_MAX, MET_MAX, NOTE_REJOIN, NOTES, Rejoin
from failover.replica import Replica
from failover.requests import Requests
from failover.surroundings import Entropy
from failover.wire import LINE_MAX, Lineage

log = logging.getLogger("failover")

TELL_S = 1.0
"""How often members of two generations say where they are."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What going on alone gives up, as far as this member knows. There may be more: only the others know."""

    held: LogIndex
    """The last entry that this member has; all of them stay, accepted or not."""
    accepted: LogIndex
    """The last entry that a host said was accepted."""
    own_requests: int
    """Requests of this member that were answered, and of which it does not have the entry."""
    left_behind: tuple[MemberId, ...]
    """The members that do not come along. Each may rejoin."""

    @property
    def entries(self) -> int:
        """How many entries are known to be accepted and are not here."""
        return max(0, self.accepted - self.held, self.own_requests)

    def __str__(self) -> str:
        if not self.entries:
            return f"nothing is known to be lost; {len(self.left_behind)} members stay behind"
        return f"{self.entries} accepted commands would be lost; {len(self.left_behind)} members stay behind"


@dataclass(frozen=True, slots=True)
class _Met:
    generation: Generation
    has_host: bool
    shared: Ancestor
    """What of this member's own log may be in the other generation, too."""


@unbroken
class Generations:
    """One member's."""

    def __init__(
        self,
        *,
        driver: Driver,
        replica: Replica,
        requests: Requests,
        set_note: Callable[[str, bytes], None],
        neighbours: Neighbours,
        entropy: Entropy,
        rejoins: bool,
        emit: Callable[[Event], None],
        stop: Callable[[BaseException], None],
        parted: Callable[[], None],
        been: bytes,
    ) -> None:
        self._driver = driver
        self._replica = replica
        self._requests = requests
        self._set_note = set_note
        self._entropy = entropy
        self._rejoins = rejoins
        self._emit = emit
        self._stop = stop
        self._neighbours = neighbours
        self._parted = parted
        self._been = {Generation(been[at : at + GENERATION_SIZE]) for at in range(0, len(been), GENERATION_SIZE)}
        """The generations that this storage has left."""
        self._begun: Generation | None = neighbours.begun
        """Founded here, and not applied yet; maybe by the run before, which crashed then."""
        self._met: dict[MemberId, _Met] = {}
        """By member: as many as there are members, and members left behind."""
        self._is_leaving = False

    # --- going on alone ---

    def loss(self) -> Loss:
        """What `begin` would give up."""
        core = self._driver.core
        others = core.log.membership.members - {core.me} if core.log.membership is not None else frozenset()
        held = core.log.last_index
        waiting = self._callers_of_what_waits()
        is_missing = self._replica.sessions.is_new
        unseen = self._requests.unseen(lambda caller: is_missing(caller) and _key(caller) not in waiting)
        return Loss(held, max(held, core.following.commit_heard), unseen, tuple(sorted(others)))

    def _callers_of_what_waits(self) -> set[tuple[MemberId, int, int]]:
        """Whose requests are in the log, and not applied yet: they stay."""
        core = self._driver.core
        entries = core.log.between(core.applied_index, core.log.last_index)
        records = (self._replica.kinds.record(entry.command) for entry in entries if entry.command)
        callers = (getattr(record, "caller", None) for record in records)
        return {_key(caller) for caller in callers if caller is not None}

    def begin(self, *, accept_loss: bool) -> Loss:
        """Found a generation of this member alone; it hosts as soon as that is durable here."""
        driver, core, now = self._driver, self._driver.core, self._driver.clock()
        reason = why_not_alone(core, now)
        if self._begun is not None or self._is_leaving:
            reason = "it does so already, or joins another generation"
        if reason:
            raise Refused(f"this member cannot go on alone: {reason}")
        loss = self.loss()
        if loss.entries and not accept_loss:
            raise LossNotAccepted(f"{loss}; give accept_loss=True to go on all the same")
        generation = self._begun = Generation(self._entropy(GENERATION_SIZE))
        parent = self._own_line()
        begin_generation(core, RECORDS.encode(NewGeneration(generation, core.me, parent)), now)
        # From here on nothing of the old generation may reach the core, not even what has arrived already.
        driver.forget_arrived()
        self._parted()
        driver.peers.set_generation(generation)
        self._neighbours.sync()
        driver.kick()
        log.warning("this member goes on alone, as generation %s: %s", generation.hex()[:6], loss)
        return loss

    def applied(self) -> None:
        """Entries were applied; maybe one of them began the generation of this member's own."""
        directory = self._replica.directory
        if directory is not None and directory.generation == self._begun:
            parent = directory.ancestors[0]
            self._begun = None
            self._emit(GenerationBegan(directory.generation, parent.generation, parent.index))

    # --- members of other generations ---

    async def keep_telling(self) -> NoReturn:
        """Say where this member's generation comes from to those of others, and look for those left behind."""
        while True:
            await trio.sleep(TELL_S)
            directory, peers, now = self._replica.directory, self._driver.peers, self._driver.clock()
            if self._is_leaving or self._begun is not None:
                continue  # what is not durable yet is told to nobody
            former = directory.former if directory is not None else {}
            for member in former:
                peers.connect(member, now, is_wanted=False)
            others = peers.of_other_generations
            if others:
                lineage = Lineage(self._line()[:LINE_MAX], self._driver.core.leader is not None)
                for member in others:
                    peers.send_to_guest(member, lineage, now)
            if former or others:
                self._driver.kick()

    def heard(self, sender: MemberId, said: Lineage) -> None:
        """A member of another generation says where that comes from."""
        own = self._driver.peers.generation
        if not said.line or said.line[0].generation == own:
            return
        shared = shared_part(self._line(), said.line)
        if shared is None or self._is_leaving:
            return  # nothing in common any more: a new storage and a ticket are left
        met = _Met(said.line[0].generation, said.has_host, shared)
        before = self._met.get(sender)
        self._met[sender] = met
        if before is None or (before.generation, before.has_host) != (met.generation, met.has_host):
            self._emit(GenerationMet(sender, met.generation, shared.index, met.has_host))
        came_from_ours = any(each.generation == own for each in said.line)
        core = self._driver.core
        is_alone = core.leader is None and core.standing.quorum_is_lost
        # A leader since then, or what is known to be accepted beyond: that is for people to give up.
        had_no_other = core.log.last_term <= shared.terms[0].term if shared.terms else False
        is_behind = had_no_other and core.commit_index <= shared.index
        if self._rejoins and came_from_ours and met.has_host and is_alone and is_behind:
            self.rejoin(met.generation)

    def rejoin(self, generation: Generation) -> None:
        """Give this member's own generation up for one that it has met; the member stops when that is noted."""
        met = {member: each for member, each in self._met.items() if each.generation == generation}
        if not met:
            raise UsageError("no member of that generation was met; wait for GenerationMet")
        line = tuple(each.generation for each in self._line())
        if generation in {*line, *self._been}:
            raise Refused(
                "this member was in that generation, and counts there still: it cannot come back with another "
                "past; join it with a new storage and a ticket"
            )
        self._is_leaving = True
        contacts = tuple(map(self._neighbours.info, met))[:MET_MAX]
        been = tuple({*line, *self._been})[:BEEN_MAX]
        shared = next(iter(met.values())).shared
        noted = NOTES.encode(Rejoin(generation, self._driver.peers.generation, shared, been, contacts))
        error = Superseded(f"rejoining generation {generation.hex()[:6]}: open this storage again")
        note = partial(self._set_note, NOTE_REJOIN, noted)
        self._driver.writer.run(note, lambda _: self._stop(error))

    def _own_line(self) -> Ancestor:
        """This member's generation, as far as its log goes by now."""
        core = self._driver.core
        ends = tuple(TermEnd(term, index) for term, index in last_terms(core, TERMS_MAX))
        return Ancestor(self._driver.peers.generation, core.log.last_index, ends)

    def _line(self) -> tuple[Ancestor, ...]:
        """This member's generation, and those before; by the stored log as far as it is not applied (again)."""
        at, directory = self._driver.peers.generation, self._replica.directory
        line = [self._own_line()]
        while directory is None or at != directory.generation:
            parent = self._neighbours.parents.get(at)
            if parent is None:
                return tuple(line)
            line.append(parent)
            at = parent.generation
        return (*line, *directory.ancestors)


def _key(caller: Caller) -> tuple[MemberId, int, int]:
    return caller.member, caller.session, caller.number


def shared_part(mine: Sequence[Ancestor], theirs: Sequence[Ancestor]) -> Ancestor | None:
    """The newest generation that both lines have, how far both have it at most, and the terms of their log."""
    own = {each.generation: each for each in mine}
    for each in theirs:
        if each.generation in own:
            index = min(each.index, own[each.generation].index)
            return Ancestor(each.generation, index, each.terms)
    return None
