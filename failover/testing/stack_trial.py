"""One seeded run of whole members in two phases: all may fail and nothing break; then a quorum must work.

In the second phase all faults outside a chosen quorum become permanent: the others are off, cut off, deaf, mute or
have full disks. The quorum must elect a host, serve requests and agree, in bounded time.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import chain

from failover.errors import FailoverError
from failover.ids import LogIndex, Term
from failover.member import Member
from failover.net.addresses import Address
from failover.net.places import Relayed
from failover.raft.membership import Membership
from failover.raft.timing import Timing
from failover.settings import Settings
from failover.testing.computer import Computer
from failover.testing.faults import Faults
from failover.testing.guest_list import GuestBook, GuestList, Habits
from failover.testing.linearizability import check_linearizable
from failover.testing.models import AppendOnlyList
from failover.testing.process import Process, Program
from failover.testing.simulated_network import Link
from failover.testing.stack_schedule import StackSchedule
from failover.testing.stack_simulation import StackSimulation
from failover.testing.trial import Outcome

STORMY_S = 30.0
ELECTS_WITHIN_S = 60.0
"""Handshakes are tried again within 5 s, and with those that were given up within 30."""
AGREES_WITHIN_S = 60.0
ASKS_AGAIN_AFTER_S = 0.2
DIGEST_EVERY = 16


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a log ends, and what its newest membership is."""

    last_term: Term
    last_index: LogIndex
    membership: Membership | None


class StackTrial:
    """A seed, run.

    Args:
        seed: everything follows from it.
        program: what runs; None = the guest list, whose history is checked for linearizability.
        members: how many there are at first; None = drawn.
        faults: what may go wrong; None = drawn.
        witness: whether a witness is there, too; None = drawn, where the guest list runs.
        stormy_s: how long.
        settle: called with the simulation at the very end.
        trace: called with a line for whatever happens.
    """

    def __init__(
        self,
        seed: int,
        *,
        program: Program | None = None,
        members: int | None = None,
        faults: Faults | None = None,
        witness: bool | None = None,
        stormy_s: float = STORMY_S,
        settle: Callable[[StackSimulation], None] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self._seed = seed
        dice = random.Random(f"stack plan {seed}")
        self.faults = faults or Faults.draw(seed)
        self.members = members or dice.choice((1, 2, 3, 3, 3, 4, 5, 5, 6))
        self._has_witness = draws_witness(seed, self.members) if witness is None and program is None else witness
        self._stormy_s = stormy_s
        self._settle = settle
        self._guest_book: GuestBook | None = None
        if program is None:
            self._guest_book = GuestBook(Habits.draw(dice))
        if self._guest_book is not None:
            program = Program(
                machine=GuestList,
                serve=self._guest_book.serve if dice.random() < 0.8 else None,
                play=self._guest_book.play,
                settings=draw_settings(dice, self.faults.link),
            )
        assert program is not None
        self.program = program
        self.simulation = StackSimulation(
            seed,
            program,
            link=self.faults.link,
            clock_rates=self.faults.clock_rates,
            digest_every=1 if self._guest_book is not None else DIGEST_EVERY,
            trace=trace,
        )
        if self._guest_book is not None:
            self._guest_book.world = self.simulation

    def run(self) -> Outcome:
        """Run both phases.

        Raises:
            Violation: a guarantee was broken, or there was no progress in time.
        """
        with self.simulation as world:
            self._begin()
            StackSchedule(world, self._seed, self.faults, world.time.now + self._stormy_s)
            world.run(self._stormy_s)
            healthy = self._make_healthy()
            elected_s = world.run_until(lambda: self._has_host(healthy), ELECTS_WITHIN_S)
            agreed_s = self._agree(healthy)
            if self._settle is not None:
                self._settle(world)
            looks = world.onlooker
            outcome = Outcome(
                zlib.crc32(f"{looks.digest} {world.dice.random()}".encode()),  # the dice remember every draw
                world.time.now,
                looks.one_tenure.tenures,
                len(looks.one_history.committed),
                elected_s,
                agreed_s,
                world.happened,
            )
        if self._guest_book is not None:
            check_linearizable(self._guest_book.history, AppendOnlyList()).require()
        return outcome

    def _begin(self) -> None:
        """Found the cluster and bring in the others while all is well."""
        world, faults = self.simulation, self.faults
        dice = random.Random(f"stack disks {self._seed}")
        for _ in range(self.members):
            world.add_computer(has_file=dice.random() < faults.files, disk_s=faults.disk_s)
        if self._has_witness:
            world.add_computer(has_file=dice.random() < faults.files, disk_s=faults.disk_s, is_witness=True)
            world.happened["witnessed"] += 1
        world.network.link = Link()
        world.found()
        if len(world.computers) > 1:
            world.bring_in(world.computers[1:])
        world.network.link = faults.link

    # --- the second phase ---

    def _make_healthy(self) -> list[Computer]:
        """A quorum is well from now on; the others stay as sick as can be, for good."""
        world = self.simulation
        if self._guest_book is not None:
            self._guest_book.is_calm = True
        world.network.cut.clear()
        world.network.slow.clear()
        world.network.link = Link()
        healthy = self._choose()
        for computer in world.computers:
            computer.disk.is_full, computer.disk.stalled_until = False, 0.0
            if computer in healthy:
                computer.is_kept_running = True
                computer.start_again()
                if computer.process is not None:
                    computer.process.fuse = None
                    computer.process.wake()
            else:
                self._make_sick(computer)
        return healthy

    def _make_sick(self, computer: Computer) -> None:
        world = self.simulation
        others = [other.number for other in world.computers if other is not computer]
        sickness = world.dice.choice(("off", "cut off", "mute", "deaf", "disk full", "disk hangs", "well"))
        world.happened[f"sick: {sickness}"] += 1
        match sickness:
            case "off":
                computer.crash()
            case "disk full" if computer.disk_s is not None:  # memory is never full
                computer.disk.is_full = True
            case "disk hangs":
                computer.disk.stalled_until = float("inf")
        if sickness in ("cut off", "mute"):
            world.network.cut.update((computer.number, other) for other in others)
        if sickness in ("cut off", "deaf"):
            world.network.cut.update((other, computer.number) for other in others)

    def _choose(self) -> list[Computer]:
        """Who stays well, so that by all that Raft promises there must be a host among them."""
        world, dice = self.simulation, random.Random(f"stack healthy {self._seed}")
        committed = world.onlooker.one_history.membership
        assert committed is not None
        members = [c for c in world.computers if c.member in committed.members]
        for _ in range(50):
            chosen = dice.sample(members, dice.randint(1, len(members)))
            if is_quorum(chosen, committed) and is_quorum(chosen, newest(chosen)):
                return chosen
        return members

    def _has_host(self, healthy: list[Computer]) -> bool:
        if self.simulation.onlooker.host() is not None:  # maybe a sick one: if it serves, that is as well
            return True
        if not is_quorum(in_touch(healthy), newest(healthy)):
            # A learner in reach for its last moments may have been promoted, or a sick member was counted on.
            self.simulation.happened["quorum moved away"] += 1
            return True
        return False

    def _agree(self, healthy: list[Computer]) -> float:
        """All healthy members get an answer from the host, and have applied what is committed by then."""
        world = self.simulation
        asked: set[Process] = set()
        answered: set[Process] = set()
        book = self._guest_book

        def task(process: Process) -> Callable[[Member], Awaitable[None]]:
            plays = book is not None and not process.computer.is_witness
            return book.greet if book is not None and plays else Member.read_barrier

        def ask(process: Process | None) -> None:
            if process is None or process.member is None or process in asked:
                return
            asked.add(process)

            def hears(result: object) -> None:
                if isinstance(result, FailoverError):
                    world.time.after(ASKS_AGAIN_AFTER_S, lambda: asked.discard(process))
                else:
                    answered.add(process)

            process.carry_out(task(process), hears)

        def is_done() -> bool:
            present = in_touch(healthy)
            if not is_quorum(present, newest(healthy)):
                return True
            for computer in present:
                ask(computer.process)
            goal = len(world.onlooker.one_history.committed)
            return world.onlooker.host() is not None and all(
                computer.process in answered and applied(computer) >= goal - 1 for computer in present
            )

        took_s = world.run_until(is_done, AGREES_WITHIN_S)
        present = in_touch(healthy)
        world.happened["lost touch"] += any(
            not computer.is_gone and computer not in present for computer in healthy
        )
        world.happened["quorum moved away"] += not is_quorum(present, newest(healthy))
        return took_s


WITNESSED = 0.3
"""In so many trials of 2 to 4 players there is a witness, too."""


def draws_witness(seed: int, players: int) -> bool:
    """Whether this seed has one. Its dice are its own: what follows from the others stays as it was."""
    return 2 <= players <= 4 and random.Random(f"stack witness {seed}").random() < WITNESSED


RACE = Timing(
    heartbeat_s=0.1, promise_s=1.0, promise_ceiling_first_s=1.0, margin_s=0.002, stagger_s=0.002,
)  # fmt: skip
"""Elections take no time and promises are long: whoever helps too early makes two hosts at once."""


def draw_settings(dice: random.Random, link: Link) -> Settings:
    """Settings with short logs often, so that snapshots come all the time, and digests that are compared often."""
    timing = Settings().timing if link.delay_s[0] < 0.02 else Settings.internet().timing
    if link.delay_s[1] < 0.02 and dice.random() < 0.25:
        timing = RACE
    if dice.random() < 0.7:
        timing = replace(timing, snapshot_entries=dice.choice((30, 100)), kept_entries=dice.choice((0, 5, 30)))
    return Settings(
        timing=timing,
        serve_back_off_s=0.5,
        digest_every=dice.choice((4, 256)),
        reads=dice.choice(("lease", "lease", "quorum")),
    )


def applied(computer: Computer) -> int:
    """How far its member has applied; 0 if it is not open."""
    process = computer.process
    return 0 if process is None or process.running is None else process.running.core.applied_index


def in_touch(healthy: list[Computer]) -> list[Computer]:
    """Those of them that are members, and for whom there is a way to one another.

    Who moves while it is out of reach, and comes back when everybody it knew has left, can find nobody, and nobody
    can find it: it needs a new ticket.
    """
    present = [computer for computer in healthy if not computer.is_gone]
    return [one for one in present if len(present) == 1 or any(may_meet(one, other) for other in present)]


def may_meet(one: Computer, other: Computer) -> bool:
    """Whether each takes the other for a member, and one of them knows where the other is."""
    here, there = addresses(one, other), addresses(other, one)
    return one is not other and bool(here and there) and (other.address in here or one.address in there)


def addresses(one: Computer, other: Computer) -> tuple[Address | None, ...]:
    """Where the one would look for the other; at least one, maybe None, if it takes it for a member."""
    if one.process is None or one.process.running is None or other.member is None:
        return (other.address,)  # not open yet: give it time
    peer = one.process.running.peers._members.get(other.member)
    noted = [
        info.parsed_addresses() for info in one.process.running.opened.known.members if info.member == other.member
    ]
    if peer is None:
        return ()
    active = () if isinstance(peer.paths.active, Relayed) else (peer.paths.active,)
    return (*active, *peer.hints, *peer.told, *chain(*noted))


def ends(computer: Computer) -> Ends:
    """Of its process's log, or of what is on its disk."""
    process, disk = computer.process, computer.disk.durable
    if process is not None and process.running is not None:
        log = process.running.core.log
        return Ends(log.last_term, log.last_index, log.membership)
    if disk.entries:
        last = disk.entries[max(disk.entries)]
        memberships = [entry.membership for entry in disk.entries.values() if entry.membership is not None]
        membership = memberships[-1] if memberships else disk.snapshot.membership if disk.snapshot else None
        return Ends(last.term, last.index, membership)
    if disk.snapshot is not None:
        return Ends(disk.snapshot.last_term, disk.snapshot.last_index, disk.snapshot.membership)
    return Ends(Term(0), LogIndex(0), None)


def newest(computers: list[Computer]) -> Membership | None:
    """The newest membership that one of them knows, by Raft's order of logs (5.4.1)."""
    best = max((ends(computer) for computer in computers), key=lambda e: (e.last_term, e.last_index), default=None)
    return best.membership if best is not None else None


def is_quorum(computers: list[Computer], membership: Membership | None) -> bool:
    """Whether these are a quorum of it."""
    return membership is not None and membership.has_quorum([c.member for c in computers if c.member is not None])
