"""One other member, a guest, or the member that a newcomer turned to: what it says, where it is, how it does."""

from __future__ import annotations

from collections import deque
from enum import Enum

from failover.errors import MalformedBytes
from failover.ids import MemberId
from failover.net import frames
from failover.net.addresses import Address
from failover.net.bucket import Bucket
from failover.net.channel import HEADER_SIZE, TAG_SIZE, Channel
from failover.net.channels import Channels
from failover.net.codec import UnknownKind
from failover.net.congestion import RoundTrip
from failover.net.context import Context
from failover.net.freshness import Freshness
from failover.net.handshake import InitiationPayload
from failover.net.handshaking import Handshaking
from failover.net.paths import Paths
from failover.net.places import Place, Relayed
from failover.net.receiving import Receiver
from failover.net.runs import Run
from failover.net.sending import Sender
from failover.net.transfers import BATCH_SIZE_MAX, SnapshotSink, SnapshotSource

QUEUE_MAX = 16
"""Small messages that wait for a channel; the newest are kept."""
INBOX_MAX = 4096
"""Messages that the driver has not taken yet, of all peers."""
INFINITE = float("inf")


class Role(Enum):
    """What a peer is to us."""

    MEMBER = "member"
    GUEST = "guest"
    """It holds one of our open invites; only JOIN is read from it."""
    CONTACT = "contact"
    """We are the guest."""
    DEPARTED = "departed"
    """It was a member: nothing but messages is read from it, of which the layers above take one question."""
    FORMER = "former"
    """It was a member when our generation began, and did not come along: only JOIN is read from it."""


_TALK = (Role.MEMBER, Role.DEPARTED)
_KIN = (Role.MEMBER, Role.FORMER)
_ONCE = (frames.Ping, frames.Relay)
NEWS_PER_S, NEWS_BURST = 1 / 30, 4.0
"""How often a peer may say that it sees us elsewhere now: all the others hear of it, and try there."""


class Peer:
    """See the module's docstring. All times are seconds of the clock that `now` comes from."""

    def __init__(self, context: Context, member: MemberId, role: Role, hints: tuple[Address, ...]) -> None:
        self.context = context
        self.member = member
        self.role = role
        self.is_foreign = False
        """Whether it is in another generation than we are: only JOIN is read from it, whatever its role."""
        self.hints = hints
        self.told: tuple[Address, ...] = ()
        """Addresses that the peer itself named; candidates, nothing more."""
        self.paths = Paths(self)
        self.name = ""
        self.freshness = Freshness(context.runs.of(member))
        self.asked_at = INFINITE
        """When it last asked to join, a guest."""
        self.channels = Channels(self, context)
        self.last_heard: float | None = None
        self.deadline = INFINITE
        self.round_trip = RoundTrip()
        self.handshaking = Handshaking(self)
        self._news: Bucket | None = None
        self._queue: deque[bytes] = deque(maxlen=QUEUE_MAX)
        self._unanswered_since = INFINITE
        self._probe_at = INFINITE
        self._probe_every_s = context.timings.probe_s
        self._keepalive_at = INFINITE
        self.sender = Sender(
            emit=self.emit,
            snapshot_done=lambda done: context.snapshots_done.append((member, done)),
            counters=context.counters,
        )
        self.receiver = Receiver(
            emit=self.emit,
            open_sink=self._open_sink,
            batch_received=self._message_received,
            snapshot_received=lambda header, result: context.snapshot_inbox.append((member, header, result)),
            budget=context.budget,
            shelf=context.shelf,
            counters=context.counters,
        )

    # Sending.

    def emit(self, content: bytes, now: float, *, matters: bool = False, is_relaying: bool = False) -> bool:
        """Seal and send the frames of one datagram; False if there is no channel or no place to send it to.

        What `matters` goes over two paths while the active one is suspect.
        """
        channel, paths = self.channels.sending, self.paths
        if channel is None or paths.active is None:
            return False
        if now >= channel.created + self.context.timings.channel_age_max_s:
            self.channels.choose(now)
            channel = self.channels.sending
            if channel is None:
                return False
        paths.send(channel.seal(content), now, matters=matters, is_relaying=is_relaying)
        if self._unanswered_since == INFINITE:
            self._expect_answer(now)
        return True

    def _expect_answer(self, now: float) -> None:
        """Something left: if nothing comes back, first ask, then shake hands anew. Guests come to us, though."""
        if self._unanswered_since == INFINITE and self.role is not Role.GUEST:
            self._unanswered_since = now
            self._probe_at = now + self._probe_every_s
            self.deadline = min(self.deadline, self._probe_at)

    def send_encoded(self, encoded: bytes, now: float) -> None:
        """One message to a member: in a datagram, or as a batch; without a channel, it waits for one."""
        if self.is_foreign:
            self.context.counters["send: to another generation"] += 1
            return
        self.handshaking.wanted(now)
        if self.channels.sending is None:
            self._queue_encoded(encoded)
            self.handshaking.start(now)
        elif len(encoded) <= frames.MESSAGE_SIZE_MAX:
            if not self.emit(frames.message(encoded), now, matters=True):
                self._queue_encoded(encoded)
                self.handshaking.start(now)
        elif len(encoded) <= BATCH_SIZE_MAX:
            self.sender.send_batch(encoded, now)
            self.deadline = min(self.deadline, self.sender.deadline)
        else:
            raise ValueError(f"a message of {len(encoded)} bytes; at most {BATCH_SIZE_MAX}")

    def _queue_encoded(self, encoded: bytes) -> None:
        if len(encoded) > frames.MESSAGE_SIZE_MAX or len(self._queue) == QUEUE_MAX:
            self.context.counters["send: no channel"] += 1
        if len(encoded) <= frames.MESSAGE_SIZE_MAX:
            self._queue.append(encoded)

    def send_join(self, encoded: bytes, now: float) -> None:
        """One message on a guest's channel, in either direction; waits for the channel like any other."""
        if len(encoded) > frames.MESSAGE_SIZE_MAX:
            raise ValueError(f"a join message of {len(encoded)} bytes; at most {frames.MESSAGE_SIZE_MAX}")
        self.handshaking.wanted(now)
        if not self.emit(frames.join(encoded), now):
            self._queue_encoded(encoded)
            if self.role is not Role.GUEST:
                self.handshaking.start(now)

    def send_snapshot(self, header: bytes, source: SnapshotSource, now: float) -> None:
        """Begin a snapshot."""
        self.sender.send_snapshot(header, source, now)
        self.deadline = min(self.deadline, self.sender.deadline)

    def ping(self, now: float, channel: Channel | None = None) -> None:
        """Measure the round trip, and see whether the peer is there."""
        self.paths.ping(now, channel=channel)
        self._expect_answer(now)

    # Receiving.

    def data_received(self, channel: Channel, content: bytes, source: Place, now: float) -> None:
        """The frames of a datagram that authenticated on `channel`."""
        size = len(content) + HEADER_SIZE + TAG_SIZE
        self.last_heard = now
        self._unanswered_since = self._probe_at = INFINITE
        self._probe_every_s = self.context.timings.probe_s
        if not channel.confirmed:
            self.channels.confirm(channel)
            self.adopt(channel, source, now, size=size, is_proved=source == channel.address)
        else:
            self.paths.heard(source, size, now)
        try:
            found, unknown = frames.parse_untrusted(content)
        except MalformedBytes as error:
            self._unreadable("data: malformed frame", error)
            return
        if unknown is not None:
            self._unreadable("data: unknown frame", unknown)
        if len(found) > 1:
            found = self._without_second_questions(found)
        for frame in found:
            self._take(frame, source, now)

    def _without_second_questions(self, found: list[frames.Frame]) -> list[frames.Frame]:
        """One datagram full of what is answered, or passed on, would be worth a hundred of ours."""
        kept: list[frames.Frame] = []
        asked: set[type] = set()
        for frame in found:
            if type(frame) in _ONCE and type(frame) in asked:
                self.context.counters["data: second question"] += 1
            else:
                asked.add(type(frame))
                kept.append(frame)
        return kept

    def _take(self, frame: frames.Frame, source: Place, now: float) -> None:
        match frame:
            case frames.Message(body) if self._talks:
                self._message_received(body)
            case frames.Unreliable() if self.role is Role.MEMBER and not self.is_foreign:
                self.context.lane.received(self.member, frame)
            case frames.Ping(token):
                self._answer_ping(token, source, now)
            case frames.Pong():
                self._pong_received(frame, source, now)
            case frames.Join(body) if not self._talks:
                self._join_received(body)
            case _ if self.is_foreign:
                self.context.counters["generation: frame not allowed"] += 1
            case _ if self.role is Role.DEPARTED:
                self.context.counters["departed: frame not allowed"] += 1
            case _ if self.role is not Role.MEMBER:
                self.context.counters["guest: frame not allowed"] += 1
            case frames.Relay():
                self.context.relaying.received(self, frame, source, now)
            case frames.RelayRefused():
                self.context.relaying.refused(self.member, frame, now)
            case frames.Addresses(candidates):
                self._told(candidates, now)
            case _:
                self._take_transfer(frame, now)

    @property
    def _talks(self) -> bool:
        """Whether messages pass; else JOIN does."""
        return self.role in _TALK and not self.is_foreign

    def _take_transfer(self, frame: frames.Frame, now: float) -> None:
        match frame:
            case frames.Chunk():
                self.receiver.chunk(frame, now)
            case frames.Ack():
                self.sender.acknowledged(frame, now)
            case frames.Open():
                self.receiver.opened(frame, now)
            case frames.Accept():
                self.sender.accepted(frame, now)
            case frames.End(by_sender=True):
                self.receiver.ended(frame)
            case frames.End():
                self.sender.ended(frame)
            case _:
                self.context.counters["data: frame not allowed"] += 1
        self.deadline = min(self.deadline, self.sender.deadline, self.receiver.deadline)

    def _message_received(self, body: bytes) -> None:
        try:
            message = self.context.codec.decode_untrusted(body)
        except UnknownKind as error:
            self._unreadable("message: unknown kind", error)
            return
        except MalformedBytes as error:
            self._unreadable("message: malformed", error)
            return
        if len(self.context.inbox) >= INBOX_MAX:
            self.context.counters["message: inbox full"] += 1
            return
        self.context.inbox.append((self.member, message))

    def _join_received(self, body: bytes) -> None:
        try:
            message = self.context.codec.decode_untrusted(body)
        except MalformedBytes as error:
            self._unreadable("guest: malformed", error)
            return
        if type(message) not in self.context.guest_kinds or len(self.context.guest_inbox) >= INBOX_MAX:
            self.context.counters["guest: message not allowed"] += 1
            return
        self.asked_at = self.last_heard or 0.0
        self.context.guest_inbox.append((self.member, message))

    def _open_sink(self, header: bytes, size: int) -> tuple[object, SnapshotSink] | None:
        try:
            message = self.context.codec.decode_untrusted(header)
        except MalformedBytes as error:
            self._unreadable("message: malformed", error)
            return None
        sink = self.context.open_sink(self.member, message, size)
        return None if sink is None else (message, sink)

    def _unreadable(self, reason: str, what: object) -> None:
        """It came from this very peer: counted, and said in the log now and then."""
        self.context.counters[reason] += 1
        self.context.complaints.note(self.member, self.last_heard or 0.0, f"{reason}: {what}")

    # The paths.

    def _answer_ping(self, token: int, source: Place, now: float) -> None:
        """To where it came from, and nothing else there: no address is taken over by asking."""
        if self.channels.sending is not None:
            seen = None if isinstance(source, Relayed) else source
            datagram = self.channels.sending.seal(frames.pong(token, seen))
            if self.paths.may_answer(source, len(datagram), now):
                self.context.send(datagram, source, now)
            self.paths.asked(source, now)

    def _pong_received(self, frame: frames.Pong, source: Place, now: float) -> None:
        if not isinstance(source, Relayed) and self.paths.awaits(frame.token):
            self.is_seen_at(frame.observed, now)
        round_trip_s = self.paths.pong_received(frame, source, now)
        if round_trip_s is not None:
            self.round_trip.sample(round_trip_s)
            self.sender.round_trip.sample(round_trip_s)

    def path_changed(self) -> None:
        """Another path is the active one: what was measured says nothing of it."""
        self.round_trip = RoundTrip()
        self.sender.controller.moved()

    def is_seen_at(self, observed: Address | None, now: float) -> None:
        """How the peer sees us, or says that it does."""
        context = self.context
        if observed is None or self.role not in (Role.MEMBER, Role.CONTACT):
            return
        if observed == context.observed.get(self.member):
            return
        self._news = self._news or Bucket(NEWS_PER_S, NEWS_BURST, now)
        if not self._news.take(now):
            context.counters["pong: sees us elsewhere too often"] += 1
            return
        is_new = observed not in context.observed.values() and observed not in context.addresses
        context.observed[self.member] = observed
        if is_new:
            context.seen_elsewhere(now)

    def _told(self, candidates: tuple[Address, ...], now: float) -> None:
        """The peer says where it may be; if that is news, it is worth a look."""
        is_news = not set(candidates) <= {*self.told, *self.hints}
        self.told = candidates
        if is_news or not self.paths.is_direct:
            self.paths.look(now)

    def tell_addresses(self, now: float) -> None:
        """Say where we may be. The peer will look for us there: a router lets it in only if we look for it too."""
        if self.is_foreign or self.role is Role.FORMER:
            return
        self.emit(frames.candidate_addresses(self.context.candidates()), now, matters=True)
        if not self.paths.is_direct or self.paths.is_suspect(now):
            self.paths.look(now)

    # Channels.

    def claims_proved(self, claims: InitiationPayload) -> None:
        """What the peer said in its initiation is its own word: it holds the keys."""
        self.run_proved(claims.run, claims.attempt)
        self.name = claims.name
        if self.role is Role.MEMBER:
            self.told = claims.addresses

    def run_proved(self, run: Run, attempt: int = 0) -> None:
        """It has shown that it is this run, or a later one."""
        self.freshness.proved(run, attempt)
        if self.role is Role.MEMBER:
            self.context.runs.proved(self.member, run)

    def add_provisional(self, channel: Channel) -> None:
        """A responder's channel: receives, and waits for its first valid DATA."""
        self.channels.add_provisional(channel)
        self._set_deadline()

    def adopt(self, channel: Channel, source: Place, now: float, *, size: int, is_proved: bool) -> None:
        """A channel on which the peer has shown that it holds the keys, or will as soon as it hears from us.

        It did so with a datagram of `size` bytes from `source`; `is_proved` if the handshake's other datagram went
        there.
        """
        is_new_process = self.channels.adopt(channel, now)
        self._look_at_generation(channel)
        if is_new_process:
            self.sender.reset()
            self.receiver.reset()
        self.paths.channel_made(source, now, size=size, is_new_process=is_new_process, is_proved=is_proved)
        self.last_heard = now
        self._unanswered_since = self._probe_at = INFINITE
        self.handshaking.cancel()
        self._keepalive_at = self._next_keepalive(now)
        self._probe_every_s = self.context.timings.handshake_retry_s * 2  # the PING may be lost, and must not be
        # On this very channel, whichever sends otherwise: it tells the responder that the handshake is complete.
        self.ping(now, channel=channel)
        if is_new_process and self.role is Role.MEMBER:
            self.tell_addresses(now)
        self._flush(now)
        self._set_deadline()

    def _look_at_generation(self, channel: Channel) -> None:
        """What waited for a member of our generation is not for one of another."""
        self.is_foreign = self.role in _KIN and channel.generation != self.context.generation
        if self.is_foreign:
            self._queue.clear()
            self.sender.reset()
            self.receiver.reset()

    def part(self) -> None:
        """We are of another generation now: what was under way ends, and so do the channels."""
        self.close()
        self.is_foreign = False
        self._queue.clear()
        self._unanswered_since = self._probe_at = INFINITE
        self._set_deadline()

    def _flush(self, now: float) -> None:
        wrap = frames.message if self._talks else frames.join
        while self._queue:
            if not self.emit(wrap(self._queue.popleft()), now):
                self.context.counters["send: no channel"] += 1

    def become(self, role: Role) -> None:
        """It departs, or it was not so: what was under way ends, the channel stays."""
        if role is not self.role:
            self.role, self.told = role, ()
            self.handshaking.cancel()
            self.sender.reset()
            self.receiver.reset()
            self.context.lane.forget(self.member)
            self.context.observed.pop(self.member, None)
            self._set_deadline()

    def close(self) -> None:
        """Forget everything at once: the peer is no member any more, or we stop."""
        self.channels.close()
        self.handshaking.cancel()
        self.sender.reset()
        self.receiver.reset()

    # Time.

    def tick(self, now: float) -> None:
        """Whatever is due; sets the next `deadline`."""
        self.channels.expire(now)
        if now >= self._handshake_due():
            self.handshaking.start(now)
        elif now >= self._probe_at:
            self._probe_at = INFINITE if self.handshaking.is_running else now + self._probe_every_s
            self.ping(now)
        if now >= self._keepalive_at and self.role is Role.MEMBER:
            self._keepalive_at = self._next_keepalive(now)
            self.ping(now)
        self.paths.tick(now)
        self.handshaking.tick(now)
        self.sender.tick(now)
        self.receiver.tick(now)
        self._set_deadline()

    def _handshake_due(self) -> float:
        """The peer has been silent, or the channel is old. Guests and departed come to us, never we to them."""
        if self.role in (Role.GUEST, Role.DEPARTED) or self.handshaking.is_running:
            return INFINITE
        return min(self._unanswered_since + self.context.timings.silence_s, self.channels.rekey_at())

    def _next_keepalive(self, now: float) -> float:
        return now + self.context.timings.keepalive_s * (1 - self.context.jitter() / 4)

    def _set_deadline(self) -> None:
        has_keepalive = self.role is Role.MEMBER and self.channels.sending is not None
        self.deadline = min(
            self._handshake_due(),
            self._probe_at,
            self._keepalive_at if has_keepalive else INFINITE,
            self.idle_at,
            self.channels.deadline,
            self.paths.deadline,
            self.handshaking.deadline,
            self.sender.deadline,
            self.receiver.deadline,
        )

    @property
    def idle_at(self) -> float:
        """When a guest has not asked to join for too long."""
        return self.asked_at + self.context.timings.guest_idle_s if self.role is Role.GUEST else INFINITE

    @property
    def is_connected(self) -> bool:
        """Whether a channel is there and the peer has not gone silent on it."""
        is_silent = self.handshaking.is_retrying and self._unanswered_since != INFINITE
        return self.channels.sending is not None and not is_silent
