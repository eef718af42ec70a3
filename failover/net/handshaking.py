"""The initiating side of handshakes with one peer: when to try, where to, and what a RESPONSE makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.errors import MalformedBytes
from failover.net import handshake, noise
from failover.net.addresses import Address
from failover.net.channel import VERSION, Channel
from failover.net.context import Attempt, Secrets

if TYPE_CHECKING:
    from failover.net.peer import Peer

ATTEMPTS_MAX = 4
"""Initiations of one peer whose answers still count: a round trip may be longer than the first retries."""
TARGETS_MAX = 6
INFINITE = float("inf")


class Handshaking:
    """One per peer."""

    __slots__ = ("_attempts", "_backoff", "_peer", "_tries", "_wanted_until", "deadline", "invite")

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._attempts: list[int] = []
        self._backoff = 0.0
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

    def cancel(self) -> None:
        """Forget what is under way: a channel was made, by either side, or the peer is none any more."""
        for index in self._attempts:
            self._peer.context.attempts.pop(index, None)
        self._attempts.clear()
        self._tries = 0
        self.deadline = INFINITE

    def _initiate(self, now: float) -> None:
        timings = self._peer.context.timings
        targets = self._targets()
        if targets:
            datagram = self._new_attempt()
            for target in targets:
                self._peer.context.transmit(datagram, target)
        self._tries += 1
        self.deadline = now + self._backoff * (1 + self._peer.context.jitter() / 4)
        most = timings.handshake_retry_max_s if now < self._wanted_until else timings.handshake_retry_idle_s
        self._backoff = min(self._backoff * 2, most)
        self._peer.deadline = min(self._peer.deadline, self.deadline)

    def _targets(self) -> list[Address]:
        active = () if self._peer.address is None else (self._peer.address,)
        return list(dict.fromkeys((*active, *self._peer.hints, *self._peer.told)))[:TARGETS_MAX]

    def _new_attempt(self) -> bytes:
        """A fresh initiation. Its psk may be an older one in turn: the peer may have slept through a rotation."""
        context, peer = self._peer.context, self._peer
        secrets: Secrets = context.secrets[(self._tries // 2) % len(context.secrets)]
        context.attempt_number += 1
        invite_id, psk = self.invite or (handshake.NO_INVITE, secrets.psk)
        payload = handshake.InitiationPayload(
            incarnation=context.incarnation,
            previous_incarnation=context.previous_incarnation,
            attempt=context.attempt_number,
            version_min=VERSION,
            version_max=VERSION,
            secret_epoch=secrets.epoch,
            invite_id=invite_id,
            name=context.name,
            addresses=context.addresses,
        )
        initiator = noise.Initiator(
            static=context.private_key,
            ephemeral=context.entropy(32),
            responder_static=peer.member,
            prologue=context.prologue,
            payload=payload.pack(),
        )
        index = context.new_index()
        answer_key = handshake.mac1_key(context.member, secrets.gate)
        context.attempts[index] = Attempt(peer, initiator, psk, answer_key)
        self._attempts.append(index)
        while len(self._attempts) > ATTEMPTS_MAX:
            context.attempts.pop(self._attempts.pop(0), None)
        key = handshake.mac1_key(peer.member, secrets.gate)
        return handshake.initiation(sender_index=index, noise_message=initiator.message, key=key)

    def response_received(self, attempt: Attempt, datagram: bytes, source: Address, now: float) -> None:
        """A RESPONSE that names `attempt`. A forged one changes nothing: the genuine one still works."""
        context, peer = self._peer.context, self._peer
        sender_index, local_index, message = handshake.split_response(datagram)
        try:
            packed, keys = attempt.initiator.read_response_untrusted(message, attempt.psk)
            payload = handshake.ResponsePayload.unpack_untrusted(packed)
        except MalformedBytes:
            context.counters["response: not authentic"] += 1
            return
        if payload.version != VERSION or not peer_is_fresh(
            peer, payload.incarnation, payload.previous_incarnation
        ):
            context.counters["response: refused"] += 1
            return
        if payload.incarnation > peer.incarnation:
            peer.incarnation, peer.attempt = payload.incarnation, 0
        peer.observed = payload.observed
        channel = Channel(
            send_key=keys.initiator_sends,
            receive_key=keys.responder_sends,
            local_index=local_index,
            remote_index=sender_index,
            initiated=True,
            confirmed=True,
            created=now,
            peer_incarnation=payload.incarnation,
            address=source,
        )
        peer.adopt(channel, source, now)


def peer_is_fresh(peer: Peer, incarnation: int, previous: int) -> bool:
    """Whether this can be the peer's present process. A storage that was rolled back or copied is noted.

    Every later process of an honest storage knows of the ones before it, so a replayed datagram cannot look so.
    """
    if incarnation < peer.incarnation:
        return False
    if incarnation > peer.incarnation and previous < peer.incarnation:
        if peer.role.value == "member":  # guests may draw keys without end; members are few
            peer.context.rolled_back.add(peer.member)
        peer.context.counters["handshake: storage rolled back or copied"] += 1
        return False
    return True
