"""The hall: the pump. It feeds the core, and carries out what the core decides; it decides nothing.

Two tasks call one synchronous `round`: the reader, when datagrams have come, and the timer, when a deadline is
reached or somebody called `kick`. Nothing is awaited for a message: a round drains, steps, sends and applies in
one go, and what arrives between two rounds travels together in the next.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NoReturn, Protocol, TypeVar

import trio

from failover.clock import Clock
from failover.ids import LogIndex, MemberId, Term
from failover.net.codec import Codec
from failover.net.endpoint import Transport
from failover.net.peers import Peers
from failover.raft.core import Core
from failover.raft.effects import Effects, ReadAnswer, SnapshotMeta, StopReason
from failover.raft.messages import Entry, InstallSnapshot, Message
from failover.writer import Writer

_T = TypeVar("_T")

PASSES_MAX = 4
"""What a round decides may lead to more to decide; after so many passes the others get a turn first."""
DRAIN_MAX = 64
"""Datagrams taken in one round: a flood must not keep deadlines waiting."""
CORE_KIND_MAX = 63
HELD_MAX = 4096
LANE_WAITING_MAX = 256
"""Of the application's unreliable sendings, those that wait for the core's messages to leave."""
TIMER_SLACK_S = 0.004
"""A timer that is set too early costs a look at nothing; so it is moved, but not for every message: that costs
more where there are many."""


class Upstairs(Protocol):
    """What the layers above do when the core has decided. All of it synchronously."""

    def stop_host(self, reason: StopReason) -> None:
        """The tenure is over; call `Driver.host_stopped` when the server function has unwound."""

    def become_host(self, term: Term) -> None:
        """Start the server function."""

    def apply(self, entries: tuple[Entry, ...]) -> None:
        """Apply committed entries; all of them, before returning."""

    def message(self, sender: MemberId, message: object) -> None:
        """A message that is not the core's."""

    def guest_message(self, sender: MemberId, message: object) -> None:
        """A message on a guest's channel."""

    def departed_message(self, sender: MemberId, message: object) -> None:
        """A message of somebody who was a member until not long ago."""

    def install_snapshot(self, meta: SnapshotMeta, received: object) -> None:
        """Store and restore; call `Driver.snapshot_installed` afterwards."""

    def keep_snapshot(self, meta: SnapshotMeta, received: object) -> None:
        """Store it as it is; call `Driver.snapshot_stored` afterwards."""

    def take_snapshot(self) -> None:
        """Take a snapshot at the applied index; call `Driver.snapshot_stored` afterwards."""

    def send_snapshot(self, member: MemberId) -> None:
        """Send the stored snapshot with `Peers.send_snapshot`."""

    def reads_answered(self, answers: tuple[ReadAnswer, ...]) -> None:
        """What became of questions asked with `Core.read`."""

    def round_done(self, now: float) -> float:
        """Look at what the round changed; returns when to look again."""

    def nothing_done(self) -> None:
        """Something came, and there was nothing to carry out: only the lease may have moved."""


class Driver:
    """One member's pump."""

    def __init__(
        self,
        *,
        core: Core,
        peers: Peers,
        transport: Transport,
        codec: Codec,
        clock: Clock,
    ) -> None:
        self.core = core
        self.peers = peers
        self.clock = clock
        self.writer: Writer
        self.upstairs: Upstairs
        """Both are given before the first round; they need the driver for their own making."""
        self._transport = transport
        self._codec = codec
        self._core_kinds = frozenset(cls for kind, cls in codec.kinds.items() if kind <= CORE_KIND_MAX)
        self.departed: frozenset[MemberId] = frozenset()
        """Whom the net still hears, though they are members no more."""
        self._sleep = trio.CancelScope()
        self._wake_at = math.inf
        self._due = -math.inf
        """When the next round is due, if nothing happens until then."""
        self._in_round = False
        self._is_dirty = False
        self._is_stopped = False
        self._kicked = False
        self._written = self._stored = 0
        self._held: deque[tuple[int, tuple[tuple[MemberId, Message], ...]]] = deque(maxlen=HELD_MAX)
        """Messages that wait for a write, by its number. If a disk hangs, the oldest count as lost datagrams."""
        self._received_snapshot: object = None
        self._lane_waiting: deque[tuple[tuple[MemberId, ...], bytes]] = deque(maxlen=LANE_WAITING_MAX)

    # --- tasks ---

    async def read(self) -> NoReturn:
        """Take in datagrams until cancelled."""
        while True:
            await self._transport.wait_readable()
            self._take_turn()

    def _take_turn(self, *, is_due: bool = False) -> None:
        """Take in what has arrived, then do what the clock has reached.

        After a pause the end of a lease comes before what others sent meanwhile; and that before any judgement of
        their silence, since it may have waited in the socket.
        """
        receive, take_in = self._transport.receive_nowait, self.peers.datagram_received
        now = self.clock()
        is_due = is_due or now >= self._wake_at
        if is_due:
            self.core.wake(now)
        for _ in range(DRAIN_MAX):
            datagram = receive()
            if datagram is None:
                break
            take_in(datagram[0], datagram[1], now)
        if not is_due and now < self._due and not self._is_dirty and not self.peers.has_news:
            # Nothing for the core: acknowledgements, or what came over the lane, sixty times a second of each.
            self._wake_by(self.peers.deadline)
        else:
            self.round(is_due=is_due)

    def between(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces; before each the pump has a turn, for whoever takes them and cannot be interrupted.

        What waits for a task has to wait on, the disk's answers too. But heartbeats are heard and answered.
        """
        for piece in pieces:
            if not self._is_stopped:
                self._take_turn()
            yield piece

    async def keep_time(self) -> NoReturn:
        """Meet deadlines and calls until cancelled."""
        while True:
            with trio.CancelScope() as self._sleep:
                self._sleep.deadline = trio.current_time() + max(0.0, self._wake_at - self.clock())
                if self._kicked:
                    self._sleep.cancel()
                await trio.sleep_forever()
            self._kicked = False
            self._wake_at = math.inf
            self._take_turn(is_due=True)

    def kick(self) -> None:
        """Have a round soon: somebody gave the core something. What is given until then travels together."""
        if not self._kicked and not self._in_round:
            self._kicked = True
            self._sleep.cancel()

    def forget_arrived(self) -> None:
        """What has arrived and was not taken yet is of a generation that is over for this member."""
        self.peers.inbox.clear()
        self.peers.snapshot_inbox.clear()
        self._held.clear()

    def stop(self) -> None:
        """The member is no more: nothing is decided, sent, stored or applied from now on."""
        self._is_stopped = True

    # --- the round ---

    def round(self, *, is_due: bool = False) -> None:
        """Step the core with all that has arrived and, if it is due, with the time; carry out what it decides."""
        assert not self._in_round
        if self._is_stopped:
            return
        self._in_round = True
        try:
            now = self.clock()
            if now >= self.peers.deadline:
                self.peers.tick(now)
            self._take_in(now)
            if is_due:
                self.core.tick(now)
            due = None if self._is_dirty else self.core.rest(now)
            if due is None:
                due = self._decide(now)
            else:
                self.upstairs.nothing_done()
        finally:
            self._in_round = False
        if self._is_dirty:
            self.kick()
        while self._lane_waiting and not self._is_stopped:
            self.peers.send_unreliable(*self._lane_waiting.popleft(), now)
        self._due = min(due, self.peers.deadline)
        if self._due > self._wake_at + TIMER_SLACK_S:
            self._wake_at = math.inf
        self._wake_by(self._due)

    def _decide(self, now: float) -> float:
        """Have the core decide, until it has no more to say; returns when to look again."""
        deadline = math.inf
        for _ in range(PASSES_MAX):
            if self._is_stopped:
                return math.inf
            self._is_dirty = False
            effects = self.core.take_effects(now)
            self._carry_out(effects, now)
            deadline = effects.deadline
            if not self._is_dirty:
                break
        return min(deadline, self.upstairs.round_done(now))

    def _take_in(self, now: float) -> None:
        peers, core_kinds = self.peers, self._core_kinds
        messages = tuple(peers.inbox)
        peers.inbox.clear()
        for sender, message in messages:
            if sender in self.departed:
                self.upstairs.departed_message(sender, message)
            elif type(message) not in core_kinds:
                self.upstairs.message(sender, message)
            elif type(message) is InstallSnapshot:
                peers.counters["message: snapshot announced without its bytes"] += 1
            else:
                self.core.receive(sender, message, now)  # type: ignore[arg-type]
        if peers.guest_inbox:
            guests = tuple(peers.guest_inbox)
            peers.guest_inbox.clear()
            for sender, message in guests:
                self.upstairs.guest_message(sender, message)
        for sender, header, received in _taken(peers.snapshot_inbox):
            if isinstance(header, InstallSnapshot) and sender not in self.departed:
                following = self.core.following
                before = following.installing, following.keeping
                self.core.receive(sender, header, now)
                if (following.installing, following.keeping) != before:  # taken; else these bytes are of no use
                    self._received_snapshot = received
        for member, arrived in _taken(peers.snapshots_done):
            self.core.transfer_ended(member, now, arrived=arrived)

    def _carry_out(self, effects: Effects, now: float) -> None:
        if effects.stop_host is not None:
            self.upstairs.stop_host(effects.stop_host)
        self._send(effects.messages_now, now)
        if effects.write is not None:
            self._written = effects.write.number
            self.writer.write(effects.write)
        if effects.messages_after_store:
            if self._stored >= self._written:
                self._send(effects.messages_after_store, now)
            else:
                self._hold(effects.messages_after_store)
        if effects.apply:
            self.upstairs.apply(effects.apply)
            self._is_dirty |= self.core.applied(effects.apply[-1].index, now)
        if effects.install_snapshot is not None:
            self.upstairs.install_snapshot(effects.install_snapshot, self._received_snapshot)
            self._received_snapshot = None
        if effects.keep_snapshot is not None:
            self.upstairs.keep_snapshot(effects.keep_snapshot, self._received_snapshot)
            self._received_snapshot = None
        for member in effects.send_snapshot:
            self.upstairs.send_snapshot(member)
        if effects.take_snapshot:
            self.upstairs.take_snapshot()
        if effects.become_host is not None:
            self.upstairs.become_host(effects.become_host)
        if effects.reads:
            self.upstairs.reads_answered(effects.reads)

    def _send(self, messages: tuple[tuple[MemberId, Message], ...], now: float) -> None:
        last, encoded = None, b""
        for to, message in messages:
            if message is not last:  # the same append for several followers is encoded once
                last, encoded = message, self._codec.encode(message)
            self.peers.send_encoded(to, encoded, now)

    def _hold(self, messages: tuple[tuple[MemberId, Message], ...]) -> None:
        if len(self._held) == HELD_MAX:  # the oldest give way
            self.peers.counters["send: waited too long for the disk"] += len(self._held[0][1])
        self._held.append((self._written, messages))

    def _wake_by(self, deadline: float) -> None:
        if deadline < self._wake_at:
            self._wake_at = deadline
            self._sleep.deadline = trio.current_time() + max(0.0, deadline - self.clock())

    # --- what is done ---

    def stored(self, number: int) -> None:
        """Writes up to `number` are durable: what waited for them may leave."""
        if self._is_stopped:
            return
        now = self.clock()
        self._stored = max(self._stored, number)
        self._is_dirty |= self.core.stored(number, now)
        while self._held and self._held[0][0] <= number:
            self._send(self._held.popleft()[1], now)
        if self._in_round:
            return
        if self._is_dirty:
            self.round()  # somebody waits for this commit
        else:
            self._wake_by(self.peers.deadline)

    def host_stopped(self) -> None:
        """The server function has unwound."""
        self.core.host_stopped(self.clock())
        self._changed()

    def snapshot_stored(self, meta: SnapshotMeta | None) -> None:
        """The snapshot asked for is durable; None if that failed."""
        self.core.snapshot_stored(meta, self.clock())
        self._changed()

    def snapshot_installed(self) -> None:
        """The received snapshot is stored and restored."""
        self.core.snapshot_installed(self.clock())
        self._changed()

    def snapshot_failed(self, member: MemberId) -> None:
        """The stored snapshot could not be sent."""
        self.core.transfer_ended(member, self.clock(), arrived=False)
        self._changed()

    def propose(self, command: bytes) -> LogIndex | None:
        """Give the core a command; None if there is no tenure."""
        core = self.core
        entry = core.propose(command, self.clock())
        if entry is None:
            return None
        self._is_dirty = True
        if not self._in_round:
            if core.commit_index + 1 == entry.index:
                self.round()  # nothing is under way that it could travel with: do not wait for company
            else:
                self.kick()
        return entry.index

    def send(self, to: MemberId, message: object) -> None:
        """Send a message of the layers above."""
        self.peers.send(to, message, self.clock())
        self._wake_by(self.peers.deadline)

    def send_unreliable(self, to: tuple[MemberId, ...], frame: bytes) -> None:
        """Send an UNRELIABLE frame to these, now or never; but what the core has to send leaves first."""
        now = self.clock()
        if self._in_round or self._kicked or now >= self._wake_at:
            if len(self._lane_waiting) == LANE_WAITING_MAX:
                self.peers.counters["lane: not sent in time"] += 1
            self._lane_waiting.append((to, frame))
            self.kick()
            return
        self.peers.send_unreliable(to, frame, now)
        self._wake_by(self.peers.deadline)

    def _changed(self) -> None:
        self._is_dirty = True
        self.kick()


def _taken(items: list[_T]) -> tuple[_T, ...]:
    taken = tuple(items)
    items.clear()
    return taken
