"""The paths to one peer: up to four places, one of them active.

A valid datagram from elsewhere moves nothing by itself, for whoever sits on the way may have rewritten where it
came from. A PING there must be answered from there; only then may that place take over, if the active one has been
silent or the new one is clearly better. (QUIC, RFC 9000, 8.2 and 9.3, does the same.)

While the active path is suspect, what matters goes out twice, over the best other path too; the replay window of
the receiver removes the double. So a laptop that changes from one network to another costs a few heartbeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.net import frames
from failover.net.bucket import Bucket
from failover.net.channel import Channel
from failover.net.congestion import RoundTrip
from failover.net.places import Place, Relayed, is_fair

if TYPE_CHECKING:
    from failover.net.addresses import Address
    from failover.net.peer import Peer

PATHS_MAX = 4
CANDIDATES_MAX = 8
PINGS_MAX = 32
PING_LIFE_S = 10.0
"""A later PONG slept somewhere, as this machine may have: it tells nothing of the way."""
PING_BACK_S = 1.0
"""A PING is answered by a PONG, and by a PING of our own if the last one was so long ago."""
PROVE_AGAIN_S = 0.2
"""Between PINGs to a place that is the active one, and has not answered yet."""
PROBE_ROUNDS_S = (0.0, 0.1, 0.2, 0.4, 0.8)
"""After a reason to look for paths: a hole in two home routers opens once both sides have sent."""
LOOK_AGAIN_S = 30.0
"""While the active path is a relayed one."""
PROBES_PER_S, PROBES_BURST = 10.0, 12.0
"""A claimed address gets no more: it may be a victim's."""
UNVALIDATED_FACTOR = 3
"""To a place that has not answered goes at most this times what came from there (RFC 9000, 8.1)."""
VALID_S = 60.0
"""A path that answered so long ago may be doubled onto without another question."""
SUSPECT_MIN_S = 0.05
"""Without an answer for so long, and for longer than answers usually take, a path is suspect."""
ASSURED_LEADING_S, ASSURED_FOLLOWING_S = 0.5, 1.5
"""Who was just told that it is heard does not doubt again for so long. Where two ways work and each side prefers
another, the one with the smaller key asks in time, and stays; to the other its way falls silent: it follows."""
DOUBTED_AGAIN_S = 5.0
"""A doubt so soon after that concerns the active path alone, and is no reason to look for others."""
ANSWER_MAX_S = 1.0
"""What counts as that: the peer, or this machine, may have slept for an hour in between."""
NO_WAY_BACK_S = 2.0
"""Who has just left a path does not return to it, unless the new one is dead."""
INFINITE = float("inf")


class Path:
    """What is known of one place."""

    __slots__ = ("heard_at", "place", "received", "round_trip", "sent", "validated_at")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.heard_at = -INFINITE
        self.validated_at = -INFINITE
        """When a PING there was last answered from there."""
        self.round_trip = RoundTrip()
        self.received = self.sent = 0
        """Bytes, until it answers."""

    @property
    def is_relayed(self) -> bool:
        """Whether a common member passes on what goes there."""
        return isinstance(self.place, Relayed)

    def is_valid(self, now: float) -> bool:
        """Whether it answered lately."""
        return now - self.validated_at < VALID_S

    @property
    def is_proved(self) -> bool:
        """Whether a PING there was ever answered from there."""
        return self.validated_at != -INFINITE

    def may_take(self, size: int, now: float) -> bool:
        """Whether so many bytes more may go there. A relay knows whom it serves: it can be no victim."""
        if self.is_relayed or self.is_valid(now):
            return True
        if self.sent + size > UNVALIDATED_FACTOR * self.received:
            return False
        self.sent += size
        return True


class Paths:
    """One per peer. All times are seconds of the clock that `now` comes from."""

    __slots__ = (
        "_active_heard_at",
        "_answers",
        "_assured_until",
        "_bucket",
        "_doubted_since",
        "_left",
        "_looked_for",
        "_peer",
        "_pinged_at",
        "_pings",
        "_rounds",
        "_suspect_at",
        "_unanswered_since",
        "_unproved",
        "active",
        "active_since",
        "deadline",
        "known",
        "switches",
    )

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.active: Place | None = None
        self.known: dict[Place, Path] = {}
        """The active one among them; the one that was heard last comes last."""
        self._unproved: Path | None = None
        """The active one, while it has not shown that the peer is there: a handshake does not tell an initiator
        where its answer came from, and whoever confirms one may write any source on it."""
        self.switches = 0
        """How often another path took over."""
        self.deadline = INFINITE
        """When `tick` has to probe."""
        self._pings: dict[int, tuple[float, Place]] = {}
        self._pinged_at = -INFINITE
        self._rounds: list[float] = []
        self._bucket: Bucket | None = None
        self._active_heard_at = -INFINITE
        self._unanswered_since = INFINITE
        self._suspect_at = INFINITE
        self._answers = RoundTrip()
        """From the first unanswered datagram on the active path to the next that came over it."""
        self._doubted_since = INFINITE
        """The peer itself tries other paths: does it hear us on this one? Until a PING over it is answered."""
        self._assured_until = -INFINITE
        self._looked_for = -INFINITE
        self._left: Place | None = None
        self.active_since = -INFINITE
        """When the active path was taken."""

    @property
    def is_direct(self) -> bool:
        """Whether the peer is reached without another member's help."""
        return self.active is not None and not isinstance(self.active, Relayed)

    @property
    def round_trip_s(self) -> float | None:
        """Of the active path, smoothed; None until measured."""
        path = self.known.get(self.active) if self.active is not None else None
        return path.round_trip.smoothed_s if path is not None else None

    def is_suspect(self, now: float) -> bool:
        """Whether the active path has brought no answer for longer than usual."""
        return now >= self._suspect_at

    # Out.

    def send(self, datagram: bytes, now: float, *, matters: bool, is_relaying: bool = False) -> None:
        """Send over the active path; while that is suspect, over another that works, and what `matters` over both.

        What passes on another's datagram (`is_relaying`) is not itself relayed.
        """
        assert self.active is not None
        if now >= self._suspect_at:
            self._send_in_doubt(datagram, now, matters=matters, may_be_relayed=not is_relaying)
            return
        if self._unproved is None or self._unproved.may_take(len(datagram), now):
            self._peer.context.send(datagram, self.active, now)
        else:
            self._peer.context.counters["send: to an address that has not answered"] += 1
        if self._unanswered_since == INFINITE:
            self._unanswered_since = now
            self._suspect_at = min(self._suspect_at, now + self._patience_s())

    def _patience_s(self) -> float:
        """How long an answer may take."""
        answers = self._answers
        return max(SUSPECT_MIN_S, (answers.smoothed_s or 0.0) + 4 * answers.deviation_s)

    def _send_in_doubt(self, datagram: bytes, now: float, *, matters: bool, may_be_relayed: bool) -> None:
        assert self.active is not None
        self._look_once(now)
        context, ways = self._peer.context, [self.active]
        if self._unproved is not None and not self._unproved.may_take(len(datagram), now):
            context.counters["send: to an address that has not answered"] += 1
            ways.clear()
        other = self._best_other(now, may_be_relayed=may_be_relayed)
        works = other is not None and other.heard_at > min(self._unanswered_since, self._doubted_since)
        if other is not None and (works or matters) and other.may_take(len(datagram), now):
            ways.append(other.place)
        if matters and not works and may_be_relayed:
            ways += context.relaying.ways_to(self._peer, now)[:1]
        for place in dict.fromkeys(ways if matters else ways[-1:]):
            context.send(datagram, place, now)

    def _best_other(self, now: float, *, may_be_relayed: bool) -> Path | None:
        """Beside the active one: the one heard last of those that answered, or of all."""
        others = [path for path in reversed(self.known.values()) if path.place != self.active]
        if not may_be_relayed:
            others = [path for path in others if not path.is_relayed]
        return next((path for path in others if path.is_valid(now)), others[0] if others else None)

    def ping(self, now: float, place: Place | None = None, channel: Channel | None = None) -> None:
        """Ask for an answer from there; without a place, over the active path."""
        channel, target = channel or self._peer.channels.sending, place or self.active
        if channel is None or target is None:
            return
        context = self._peer.context
        token = int.from_bytes(context.entropy(8), "little")
        self._pings[token] = (now, target)
        if target == self.active:
            self._pinged_at = now
        while len(self._pings) > PINGS_MAX:
            del self._pings[next(iter(self._pings))]
        datagram = channel.seal(frames.ping(token))
        if self._unproved is not None and target == self.active:
            if not self._unproved.may_take(len(datagram), now):
                return  # the peer will shake hands anew
        else:
            self.spent(target, len(datagram))
        context.send(datagram, target, now)

    def spent(self, place: Place, size: int) -> None:
        """A PING or PONG of so many bytes goes there; it counts against what an unvalidated place may get."""
        path = self.known.get(place)
        if path is not None:
            path.sent += size

    def may_answer(self, place: Place, size: int, now: float) -> bool:
        """Whether a PONG of so many bytes may go there; counts it if so.

        Whoever asks is answered, so that both sides find their way through home routers; but not beyond the bound
        at a place that only the last datagram of a handshake named, where nobody answers our own PING.
        """
        if self._unproved is not None and self._unproved.place == place:
            return self._unproved.may_take(size, now)
        self.spent(place, size)
        return True

    def awaits(self, token: int) -> bool:
        """Whether a PING with this token has not been answered yet."""
        return token in self._pings

    def asked(self, source: Place, now: float) -> None:
        """The peer has sent a PING over the active path: does it see us elsewhere? Its PONG would say so."""
        # Where the way takes longer than a second, both would else ask back for ever.
        often_s = max(PING_BACK_S, 2 * (self.round_trip_s or 0.0))
        if source == self.active and now - self._pinged_at >= often_s:
            self.ping(now)

    # In.

    def heard(self, source: Place, size: int, now: float) -> None:
        """A datagram of `size` bytes came from there, and was valid."""
        if source == self.active:
            self._active_heard_at = now
            if self._unproved is not None:
                self._prove(self._unproved, size, now)
            if self._unanswered_since != INFINITE:
                self._answers.sample(min(now - self._unanswered_since, ANSWER_MAX_S))
                self._unanswered_since = INFINITE
                if self._doubted_since == INFINITE:
                    self._suspect_at = INFINITE
            return
        path = self._note(source)
        path.heard_at = now
        path.received += size
        self._doubt(now)
        if path.is_valid(now):
            self._consider(path, now)
        elif self._may_probe(now):
            self.ping(now, source)

    def _prove(self, path: Path, size: int, now: float) -> None:
        """The PING of the handshake may have got lost."""
        path.received += size
        if now - self._pinged_at >= PROVE_AGAIN_S and path.may_take(0, now) and self._may_probe(now):
            self.ping(now)

    def pong_received(self, frame: frames.Pong, source: Place, now: float) -> float | None:
        """The answer to a PING; returns the round trip if it is one of the active path."""
        sent_at, place = self._pings.pop(frame.token, (0.0, None))
        if place is None:
            self._peer.context.counters["pong: unknown"] += 1
            return None
        if now - sent_at > PING_LIFE_S:
            self._peer.context.counters["pong: late"] += 1
            return None
        if source != place:
            self._peer.context.counters["pong: from elsewhere"] += 1
            return None
        path = self._note(place)
        path.heard_at = path.validated_at = now
        path.sent = 0
        path.round_trip.sample(now - sent_at)
        if place == self.active:
            if self._doubted_since != INFINITE:
                leads = self._peer.context.member < self._peer.member
                self._assured_until = now + (ASSURED_LEADING_S if leads else ASSURED_FOLLOWING_S)
            self._doubted_since = self._suspect_at = INFINITE
            self._unproved = None
            return now - sent_at
        self._consider(path, now)
        return None

    def _doubt(self, now: float) -> None:
        """The peer sends over another path: maybe since it hears nothing on this one."""
        if self._doubted_since != INFINITE or now < self._assured_until:
            return
        self._doubted_since = now
        self._suspect_at = min(self._suspect_at, now + self._patience_s())
        if now - self._assured_until >= DOUBTED_AGAIN_S:
            self.look(now)
        elif self._may_probe(now):
            self.ping(now)

    def channel_made(self, source: Place, now: float, *, size: int, is_new_process: bool, is_proved: bool) -> None:
        """A handshake is complete; its last datagram, of `size` bytes, came from there: the peer holds the keys.

        That alone moves nothing either, if the path that there is works. And only the place to which the one
        before it was sent is proved to be the peer's: another gets little until it answers.
        """
        path = self._note(source)
        path.received += size
        path.heard_at = now
        if is_proved:
            path.validated_at = now
        if is_new_process:
            self._pings.clear()
        if (
            self.active is None
            or is_new_process
            or self._is_silent(now)
            or (not self.is_direct and not path.is_relayed and path.is_valid(now))
        ):
            self._take(path, now)
        elif source != self.active and self._may_probe(now):
            self.ping(now, source)
        if not self.is_direct:
            self.look(now)

    def _note(self, place: Place) -> Path:
        """What is known of it; it counts as the one used last."""
        path = self.known.pop(place, None) or Path(place)
        self.known[place] = path
        if len(self.known) > PATHS_MAX:
            others = [each for each in self.known if each not in (self.active, place)]
            del self.known[next((each for each in others if not self.known[each].is_proved), others[0])]
        return path

    # Which is active.

    def _consider(self, path: Path, now: float) -> None:
        """Let a validated path take over, if there is a reason."""
        active = self.known.get(self.active) if self.active is not None else None
        if (
            active is None
            or self._is_silent(now)
            or (self._unproved is not None and not path.is_relayed)
            or (self._is_better(path, active) and not self._was_left(path, now))
        ):
            self._take(path, now)
            self.switches += 1

    def _is_silent(self, now: float) -> bool:
        """Whether the active path has brought nothing for long, or nothing that shows that the peer hears us."""
        since = min(self._active_heard_at, self._doubted_since)
        return now - since >= self._peer.context.timings.path_silence_s

    def _is_better(self, path: Path, active: Path) -> bool:
        if path.is_relayed != active.is_relayed:
            return active.is_relayed
        ours, theirs = path.round_trip.smoothed_s, active.round_trip.smoothed_s
        return ours is not None and theirs is not None and ours < theirs / 2 - 0.005

    def _was_left(self, path: Path, now: float) -> bool:
        return path.place == self._left and now - self.active_since < NO_WAY_BACK_S

    def _take(self, path: Path, now: float) -> None:
        if path.place != self.active:
            self._left, self.active_since = self.active, now
            self.active = path.place
            self._answers = RoundTrip()
            self._peer.path_changed()
        self._active_heard_at = now
        self._unproved = None if path.is_relayed or path.is_proved else path
        self._unanswered_since = self._doubted_since = self._suspect_at = INFINITE
        self._assured_until = -INFINITE
        if not path.is_relayed:
            self._rounds.clear()
            self.deadline = INFINITE
        elif not self._rounds:
            self._look_later(now)

    # Looking for better ones.

    def look(self, now: float) -> None:
        """Probe the places where the peer may be, a few times within a second."""
        self._rounds = [now + after for after in PROBE_ROUNDS_S]
        self.deadline = now
        self._peer.deadline = min(self._peer.deadline, now)

    def _look_once(self, now: float) -> None:
        """For each time that the active path falls silent."""
        if self._looked_for != self._unanswered_since:
            self._looked_for = self._unanswered_since
            self.look(now)

    def tick(self, now: float) -> None:
        """Probe, if it is time."""
        if now < self.deadline:
            return
        if self._peer.channels.sending is None:
            self._rounds.clear()
        elif self._rounds:
            self._probe(now)
            self._rounds = [at for at in self._rounds if at > now]
        elif not self.is_direct:
            self.look(now)
        self.deadline = min(self._rounds, default=INFINITE)
        if self.deadline == INFINITE and isinstance(self.active, Relayed):
            self._look_later(now)

    def _look_later(self, now: float) -> None:
        """A relayed path is not given up as the best that there is."""
        self.deadline = now + LOOK_AGAIN_S * (1 + self._peer.context.jitter() / 4)
        self._peer.deadline = min(self._peer.deadline, self.deadline)

    def _probe(self, now: float) -> None:
        relays = self._peer.context.relaying.ways_to(self._peer, now) if now >= self._suspect_at else []
        places: list[Place] = [*self.candidates(), *relays]
        if self.active is not None and self._doubted_since != INFINITE:
            places.insert(0, self.active)
        for place in dict.fromkeys(places):
            if (place != self.active or self._doubted_since != INFINITE) and self._may_probe(now):
                self.ping(now, place)

    def _may_probe(self, now: float) -> bool:
        self._bucket = self._bucket or Bucket(PROBES_PER_S, PROBES_BURST, now)
        return self._bucket.take(now)

    def candidates(self) -> list[Address]:
        """Where the peer may be: what it says itself, what the membership says, as far as it is fair to try."""
        own = self._peer.context.addresses
        claimed = dict.fromkeys((*self._peer.told, *self._peer.hints))
        return [address for address in claimed if is_fair(address, own)][:CANDIDATES_MAX]
