"""The initiating side of handshakes with one peer: when to try, where to, and what a RESPONSE makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.errors import MalformedBytes
from failover.net import cookies, handshake, noise
from failover.net.bucket import Bucket
from failover.net.channel import VERSION, Channel
from failover.net.context import Attempt, Secrets
from failover.net.cookies import KeptCookies
from failover.net.places import Place, Relayed

if TYPE_CHECKING:
    from failover.net.peer import Peer

ATTEMPTS_MAX = 4
"""Initiations of one peer whose answers still count: a round trip may be longer than the first retries."""
TARGETS_MAX = 6
HURRIED_S = 1.0
"""To the next initiation after one that did not wait for its turn."""
CLAIMED_PER_S, CLAIMED_BURST = 1.0, 24.0
"""Initiations to places that are only claimed: each has 1,152 bytes, and the place may be a victim's."""
INFINITE = float("inf")


class Handshaking:
    """One per peer."""

    __slots__ = (
        "_attempts",
        "_backoff",
        "_claimed",
        "_cookies",
        "_peer",
        "_tries",
        "_wanted_until",
        "deadline",
        "invite",
    )

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._attempts: list[int] = []
        self._cookies = KeptCookies()
        self._backoff = 0.0
        self._claimed: Bucket | None = None
        self._tries = 0
        self._wanted_until = -INFINITE
        self.deadline = INFINITE
        """Of the next initiation; infinite = no handshake is under way."""
        self.invite: tuple[bytes, bytes] | None = None
        """Id and secret, when we are the guest."""

    @property
    def is_running(self) -> bool:
        """Whether initiations go out."""
        return self.deadline != INFINITE

    @property
    def is_retrying(self) -> bool:
        """Whether one initiation at least has not been answered in time."""
        return self._tries >= 2

    def wanted(self, now: float) -> None:
        """Somebody wants to talk: keep trying often."""
        self._wanted_until = now + self._peer.context.timings.wanted_s

    def start(self, now: float) -> None:
        """Begin, unless under way."""
        if not self.is_running:
            self._backoff = self._peer.context.timings.handshake_retry_s
            self._tries = 0
            self._initiate(now)

    def tick(self, now: float) -> None:
        """The next try, if due."""
        if now >= self.deadline:
            self._initiate(now)

    def hurry(self, now: float) -> None:
        """Somebody knows where the peer may be: what is under way need not wait for its next turn.

        It does not become impatient, though: what somebody knows may be a lie, and the place a victim's.
        """
        if self.is_running or self._peer.channels.sending is None:
            self._backoff = HURRIED_S
            self._initiate(now)

    def cancel(self) -> None:
        """Forget what is under way: a channel was made, by either side, or the peer is none any more."""
        for index in self._attempts:
            self._peer.context.attempts.pop(index, None)
        self._attempts.clear()
        self._tries = 0
        self.deadline = INFINITE

    def _initiate(self, now: float) -> None:
        timings = self._peer.context.timings
        targets = self._targets(now)
        if targets:
            datagram = self._new_attempt(targets)
            for target in targets:
                cookie = self._cookies.for_target(target, now)
                shown = datagram if cookie is None else handshake.with_cookie(datagram, cookie)
                self._peer.context.send(shown, target, now)
        self._tries += 1
        self.deadline = now + self._backoff * (1 + self._peer.context.jitter() / 4)
        most = timings.handshake_retry_max_s if now < self._wanted_until else timings.handshake_retry_idle_s
        self._backoff = min(self._backoff * 2, most)
        self._peer.deadline = min(self._peer.deadline, self.deadline)

    def _targets(self, now: float) -> list[Place]:
        """Wherever the peer may be. What our ticket says is not claimed by others: it needs no judgement."""
        peer = self._peer
        claimed = list(peer.hints) if self.invite is not None else peer.paths.candidates()
        active = () if peer.paths.active is None else (peer.paths.active,)
        # Each has its turn, where there is not enough for all.
        first = self._tries % len(claimed) if claimed else 0
        direct = list(dict.fromkeys((*active, *claimed[first:], *claimed[:first])))[:TARGETS_MAX]
        direct = [place for place in direct if self._may_try(place, place in claimed, now)]
        relays = peer.context.relaying.ways_to(peer, now) if self._tries else []
        return list(dict.fromkeys((*direct, *relays)))

    def _may_try(self, place: Place, is_claimed: bool, now: float) -> bool:
        """Whether an initiation may go there: always where the peer has answered, or where our ticket sends us."""
        path = self._peer.paths.known.get(place)
        if isinstance(place, Relayed) or (path is not None and path.is_proved):
            return True
        if not is_claimed:  # whoever ended a handshake wrote it on his datagram, and that may be all that it is
            return path is not None and path.may_take(handshake.HANDSHAKE_SIZE, now)
        if self.invite is not None:
            return True
        self._claimed = self._claimed or Bucket(CLAIMED_PER_S, CLAIMED_BURST, now)
        return self._claimed.take(now)

    def _new_attempt(self, targets: list[Place]) -> bytes:
        """A fresh initiation. Its psk is an older one in turn: the peer may not know the newest ones yet."""
        context, peer = self._peer.context, self._peer
        secrets: Secrets = context.secrets[self._tries % len(context.secrets)]
        context.attempt_number += 1
        invite_id, psk = self.invite or (handshake.NO_INVITE, secrets.psk)
        payload = handshake.InitiationPayload(
            incarnation=context.incarnation,
            previous_incarnation=context.previous_incarnation,
            attempt=context.attempt_number,
            version_min=VERSION,
            version_max=VERSION,
            secret_epoch=secrets.epoch,
            generation=context.generation,
            invite_id=invite_id,
            name=context.name,
            addresses=context.candidates(),
            seal=context.runs.own.seal,
        )
        initiator = noise.Initiator(
            static=context.private_key,
            ephemeral=context.entropy(32),
            responder_static=peer.member,
            prologue=context.prologue,
            payload=payload.pack(),
        )
        index = context.new_index()
        key = handshake.mac1_key(peer.member, secrets.gate)
        datagram = handshake.initiation(sender_index=index, noise_message=initiator.message, key=key)
        context.attempts[index] = Attempt(
            peer,
            initiator,
            psk,
            mac1_key=handshake.mac1_key(context.member, secrets.gate),
            datagram=datagram,
            cookie_key=cookies.cookie_key(peer.member, secrets.gate),
            asked=frozenset(targets),
            uncookied=set(targets),
        )
        self._attempts.append(index)
        while len(self._attempts) > ATTEMPTS_MAX:
            context.attempts.pop(self._attempts.pop(0), None)
        return datagram

    def cookie_received(self, attempt: Attempt, datagram: bytes, source: Place, now: float) -> None:
        """A COOKIE that names `attempt`: the peer is under load, and wants to see that we are where we say.

        Heard once from each place that was asked, and only the initiation that it asks for goes back: whoever
        forges or repeats one gets nothing from us, least of all sent to somebody else.
        """
        counters = self._peer.context.counters
        if source not in attempt.uncookied:
            counters["cookie: not asked for"] += 1
            return
        try:
            cookie = cookies.open_cookie_untrusted(
                attempt.cookie_key, datagram, attempt.datagram[handshake.MAC1_OFFSET : handshake.MAC2_OFFSET]
            )
        except MalformedBytes:
            counters["cookie: not authentic"] += 1
            return
        attempt.uncookied.discard(source)
        self._cookies.keep(cookie, source, now)
        self._peer.context.send(handshake.with_cookie(attempt.datagram, cookie), source, now)

    def response_received(self, attempt: Attempt, datagram: bytes, source: Place, now: float) -> None:
        """A RESPONSE that names `attempt`. A forged one changes nothing: the genuine one still works."""
        context, peer = self._peer.context, self._peer
        sender_index, local_index, message = handshake.split_response(datagram)
        try:
            packed, keys = attempt.initiator.read_response_untrusted(message, attempt.psk)
            payload = handshake.ResponsePayload.unpack_untrusted(packed)
        except MalformedBytes:
            context.counters["response: not authentic"] += 1
            return
        if payload.met.incarnation:
            context.runs.shown(payload.met)
            return
        is_old = payload.incarnation < peer.freshness.incarnation
        if payload.version != VERSION or is_old or notes_rolled_back(peer, payload):
            context.counters["response: refused"] += 1
            return
        peer.run_proved(payload.run)
        if not isinstance(source, Relayed):
            peer.is_seen_at(payload.observed, now)
        channel = Channel(
            send_key=keys.initiator_sends,
            receive_key=keys.responder_sends,
            local_index=local_index,
            remote_index=sender_index,
            initiated=True,
            confirmed=True,
            created=now,
            peer_incarnation=payload.incarnation,
            generation=payload.generation,
            address=source,
        )
        context.note_keys(
            ours=local_index, receive=keys.responder_sends, theirs=sender_index, send=keys.initiator_sends
        )
        # Where several were asked, it was read at one of them, and who reads it may answer in another's name.
        peer.adopt(channel, source, now, size=len(datagram), is_proved=attempt.asked == {source})


def notes_rolled_back(peer: Peer, said: handshake.InitiationPayload | handshake.ResponsePayload) -> bool:
    """Whether the peer's storage was rolled back or copied; if so, it is noted."""
    if not peer.freshness.is_rolled_back(said.run, said.previous_incarnation):
        return False
    if peer.role.value == "member":  # guests may draw keys without end; members are few
        peer.context.rolled_back.add(peer.member)
    peer.context.counters["handshake: storage rolled back or copied"] += 1
    return True
