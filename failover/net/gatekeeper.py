"""Who may come in: the checks of an INITIATION, in an order in which each costs a stranger more than us.

Exact length and version; mac1 (a stranger ends here, after a few microseconds, without an answer); seen before;
rates; Noise; the membership or an open invite; freshness. Then a provisional channel and a RESPONSE, and nothing
else changes: not the active address, not the current channel, not the membership.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from failover.errors import MalformedBytes
from failover.ids import MemberId
from failover.net import handshake, noise
from failover.net.addresses import Address
from failover.net.channel import VERSION, Channel
from failover.net.context import Context, Secrets
from failover.net.handshaking import peer_is_fresh
from failover.net.peer import Peer, Role

PROVISIONAL_TOTAL_MAX = 64
GUESTS_MAX = 16
SEEN_MAX = 1024
"""Initiations remembered by their mac1, so that a replayed one costs a look into a table."""
RATE_ALL, BURST_ALL = 100.0, 200.0
"""Initiations per second that may reach the curve arithmetic, about 200 us each."""
RATE_SOURCE, BURST_SOURCE = 20.0, 60.0
SOURCES_MAX = 256


class Bucket:
    """A token bucket."""

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens = burst
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Whether one more is allowed at `now`."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Gatekeeper:
    """Reads initiations; owns the guests."""

    def __init__(self, context: Context, members: Mapping[MemberId, Peer]) -> None:
        self._context = context
        self._members = members
        self.guests: dict[MemberId, Peer] = {}
        self._admitted: set[MemberId] = set()
        """Guests that became members: they keep their channel for the answer, but nobody's place."""
        self.invites: dict[bytes, bytes] = {}
        self._keys: list[tuple[Secrets, bytes]] = []
        self._seen: dict[bytes, None] = {}
        self._all: Bucket | None = None
        self._sources: dict[str, Bucket] = {}
        self.set_secrets()

    def set_secrets(self) -> None:
        """The context's secrets changed."""
        context = self._context
        self._keys = [(each, handshake.mac1_key(context.member, each.gate)) for each in context.secrets]

    def initiation_received(self, datagram: bytes, source: Address, now: float) -> None:
        """A datagram of type 1 and of the right size and version."""
        reason = self._judge(datagram, source, now)
        if reason is not None:
            self._context.counters[f"initiation: {reason}"] += 1

    def _judge(self, datagram: bytes, source: Address, now: float) -> str | None:
        """Answer it, or say why not."""
        secrets = next((each for each, key in self._keys if handshake.has_valid_mac1(key, datagram)), None)
        if secrets is None:
            return "wrong mac1"
        if not self._is_new(datagram):
            return "seen before"
        if not self._has_token(source, now):
            return "too many"
        index, message = handshake.split_initiation(datagram)
        try:
            responder = noise.Responder(
                static=self._context.private_key, prologue=self._context.prologue, message=message
            )
            payload = handshake.InitiationPayload.unpack_untrusted(responder.payload)
        except MalformedBytes:
            return "not authentic"
        if not payload.version_min <= VERSION <= payload.version_max:
            return "no common version"
        found = self._admit(MemberId(responder.initiator_static), payload, source)
        if isinstance(found, str):
            return found
        peer, psk = found
        if not peer_is_fresh(peer, payload.incarnation, payload.previous_incarnation):
            return "stale incarnation"
        if payload.incarnation == peer.incarnation and payload.attempt <= peer.attempt:
            return "stale attempt"
        if self._context.provisional_count >= PROVISIONAL_TOTAL_MAX:
            return "too many provisional channels"
        peer.incarnation, peer.attempt, peer.name = payload.incarnation, payload.attempt, payload.name
        if peer.role is Role.MEMBER:
            peer.told = payload.addresses[:4]
        self._respond(
            peer, responder=responder, psk=psk, secrets=secrets, remote_index=index, source=source, now=now
        )
        return None

    def _is_new(self, datagram: bytes) -> bool:
        mac = datagram[handshake.MAC1_OFFSET : handshake.MAC2_OFFSET]
        if mac in self._seen:
            return False
        self._seen[mac] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return True

    def _has_token(self, source: Address, now: float) -> bool:
        self._all = self._all or Bucket(RATE_ALL, BURST_ALL, now)
        bucket = self._sources.pop(source.ip, None) or Bucket(RATE_SOURCE, BURST_SOURCE, now)
        self._sources[source.ip] = bucket
        if len(self._sources) > SOURCES_MAX:
            del self._sources[next(iter(self._sources))]
        return bucket.take(now) and self._all.take(now)

    def _admit(
        self, static: MemberId, payload: handshake.InitiationPayload, source: Address
    ) -> tuple[Peer, bytes] | str:
        """The peer and the psk that ends the handshake, or why not."""
        if payload.invite_id == handshake.NO_INVITE:
            peer = self._members.get(static)
            if peer is None:
                return "not a member"
            psk = next((each.psk for each in self._context.secrets if each.epoch == payload.secret_epoch), None)
            return "unknown secret epoch" if psk is None else (peer, psk)
        secret = self.invites.get(payload.invite_id)
        if secret is None or static == self._context.member:
            return "invite not open"
        guest = self.guests.get(static)
        if guest is None and not self._make_room():
            return "too many guests"
        if guest is None:
            guest = self.guests[static] = Peer(self._context, static, Role.GUEST, (source,))
        return guest, secret

    def note_members(self, members: Collection[MemberId]) -> None:
        """These are members now."""
        self._admitted = {guest for guest in self.guests if guest in self._admitted or guest in members}

    def _make_room(self) -> bool:
        """Whether one more guest fits; one that became a member, or never confirmed a channel, gives way."""
        if len(self.guests) < GUESTS_MAX:
            return True
        over = (key for key, guest in self.guests.items() if key in self._admitted or not guest.channels.confirmed)
        idle = next(over, None)
        if idle is None:
            return False
        self.guests.pop(idle).close()
        return True

    def _respond(
        self,
        peer: Peer,
        *,
        responder: noise.Responder,
        psk: bytes,
        secrets: Secrets,
        remote_index: int,
        source: Address,
        now: float,
    ) -> None:
        context = self._context
        payload = handshake.ResponsePayload(
            incarnation=context.incarnation,
            previous_incarnation=context.previous_incarnation,
            version=VERSION,
            observed=source,
        )
        message, keys = responder.respond(ephemeral=context.entropy(32), psk=psk, payload=payload.pack())
        local_index = context.new_index()
        channel = Channel(
            send_key=keys.responder_sends,
            receive_key=keys.initiator_sends,
            local_index=local_index,
            remote_index=remote_index,
            initiated=False,
            confirmed=False,
            created=now,
            peer_incarnation=peer.incarnation,
            address=source,
        )
        peer.add_provisional(channel)
        key = handshake.mac1_key(peer.member, secrets.gate)
        context.transmit(
            handshake.response(
                sender_index=local_index, receiver_index=remote_index, noise_message=message, key=key
            ),
            source,
        )

    def tick(self, now: float) -> None:
        """Forget guests without a channel."""
        for key, guest in list(self.guests.items()):
            guest.tick(now)
            if guest.channels.is_empty:
                del self.guests[key]
                guest.close()
