"""Who may come in: the checks of an INITIATION, in an order in which each costs a stranger more than us.

Exact length and version; seen before; mac1 (a stranger ends here, after a few microseconds, without an answer);
under load a valid mac2, or a COOKIE is all that there is; the rates of the source and of all; Noise; membership or
an open invite; freshness. Then a provisional channel and a RESPONSE, and nothing else changes: not the active
address, not the current channel, not the membership, nor what is known of the peer. Who comes with a copy of a
storage, or an old backup of it, is told so in the RESPONSE, and gets no channel.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2s

from failover.errors import MalformedBytes
from failover.ids import MemberId
from failover.net import cookies, handshake, noise
from failover.net.addresses import Address
from failover.net.channel import VERSION, Channel
from failover.net.context import Context, Secrets
from failover.net.cookies import CookieJar
from failover.net.handshaking import notes_rolled_back
from failover.net.limits import Limits, Load, network_of
from failover.net.peer import Peer, Role
from failover.net.places import Place, Relayed, is_in_anothers_name
from failover.net.runs import NO_RUN, Run

PROVISIONAL_TOTAL_MAX = 64
GUESTS_MAX = 16
SEEN_MAX = 1024
"""Initiations remembered by their mac1, so that a replayed one costs a look into a table."""


@dataclass(frozen=True, slots=True)
class _Question:
    """An initiation that was read, of somebody who may come in."""

    responder: noise.Responder
    psk: bytes
    secrets: Secrets
    claims: handshake.InitiationPayload
    index: int
    """The initiator's, of the handshake."""
    source: Place


class Gatekeeper:
    """Reads initiations; owns the guests."""

    def __init__(self, context: Context, members: Mapping[MemberId, Peer]) -> None:
        self._context = context
        self._members = members
        self.guests: dict[MemberId, Peer] = {}
        self._admitted: set[MemberId] = set()
        """Guests that became members: they keep their channel for the answer, but nobody's place."""
        self.invites: dict[bytes, bytes] = {}
        self._keys: list[tuple[Secrets, blake2s]] = []
        """Each gate with the hash that is keyed with it."""
        self._seen: dict[bytes, None] = {}
        self._load = Load()
        self._limits = Limits()
        self._jar = CookieJar()
        self.set_secrets()

    def set_secrets(self) -> None:
        """The context's secrets changed."""
        context = self._context
        self._keys = [
            (each, blake2s(key=handshake.mac1_key(context.member, each.gate), digest_size=16))
            for each in context.secrets
        ]

    def initiation_received(self, datagram: bytes, source: Place, now: float) -> None:
        """A datagram of type 1 and of the right size and version."""
        reason = self._judge(datagram, source, now)
        if reason is not None:
            self._context.counters[f"initiation: {reason}"] += 1

    def _judge(self, datagram: bytes, source: Place, now: float) -> str | None:
        """Answer it, or say why not. What a replay or a stranger costs ends with the first two checks."""
        mac1 = datagram[handshake.MAC1_OFFSET : handshake.MAC2_OFFSET]
        if mac1 in self._seen:
            return "seen before"
        digest = handshake.body_digest(datagram)
        secrets = self._secrets_of(digest, mac1)
        if secrets is None:
            return "wrong mac1"
        is_at_its_address = self._has_valid_mac2(datagram, digest, mac1, source, now)
        if self._load.one_more(now) and not is_at_its_address:
            self._answer_with_cookie(datagram, mac1, secrets, source, now)
            return "under load, answered with a cookie"
        refusal = self._limits.allow(
            source, now, has_own_place=lambda: is_at_its_address and self._is_of_member(source)
        )
        if refusal is not None:
            return refusal
        self._seen[mac1] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return self._read(datagram, secrets, source, now, is_at_its_address=is_at_its_address)

    def _secrets_of(self, digest: bytes, mac1: bytes) -> Secrets | None:
        """Those with whose gate `mac1` was made. A copy of a keyed hash costs half of a new one."""
        for secrets, keyed in self._keys:
            mac = keyed.copy()
            mac.update(digest)
            if hmac.compare_digest(mac.digest(), mac1):
                return secrets
        return None

    def _has_valid_mac2(self, datagram: bytes, digest: bytes, mac1: bytes, source: Place, now: float) -> bool:
        found = datagram[handshake.MAC2_OFFSET :]
        if found == handshake.NO_MAC2 or self._jar.is_stale(now):
            return False
        return cookies.is_valid_mac2(self._jar.cookie(source), digest, mac1, found)

    def _answer_with_cookie(
        self, datagram: bytes, mac1: bytes, secrets: Secrets, source: Place, now: float
    ) -> None:
        context = self._context
        if self._jar.is_stale(now):
            self._jar.renew(now, context.entropy(cookies.JAR_SIZE))
        sealer = self._jar.sealer(cookies.cookie_key(context.member, secrets.gate))
        answer = sealer.datagram(
            receiver_index=handshake.split_initiation(datagram)[0], cookie=self._jar.cookie(source), mac1=mac1
        )
        context.send(answer, source, now)

    def _is_of_member(self, source: Place) -> bool:
        """Whether a member may be there: a restarted one mostly is where it was, and waits for nobody."""
        if isinstance(source, Relayed):
            return True  # a member passed it on, and has a share of its own
        network = network_of(source)
        return any(
            network_of(place) == network
            for peer in self._members.values()
            for place in (peer.paths.active, *peer.hints, *peer.told)
            if isinstance(place, Address)
        )

    def _read(
        self, datagram: bytes, secrets: Secrets, source: Place, now: float, *, is_at_its_address: bool
    ) -> str | None:
        """The costly part: Noise, and who it is."""
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
        if not noise.is_canonical(responder.initiator_static):
            return "static key in a second spelling"
        is_guest = payload.invite_id != handshake.NO_INVITE
        if isinstance(source, Relayed) and (
            is_guest or is_in_anothers_name(source, MemberId(responder.initiator_static))
        ):
            return "relayed for who is no member"
        found = self._admit(MemberId(responder.initiator_static), payload, source, now)
        if isinstance(found, str):
            return found
        peer, psk = found
        question = _Question(responder, psk, secrets, payload, index, source)
        return self._judge_run(peer, question, now, is_at_its_address=is_at_its_address)

    def _judge_run(self, peer: Peer, question: _Question, now: float, *, is_at_its_address: bool) -> str | None:
        """Answer it, or say why not: whether it is new, and of the run that should be there."""
        claims, freshness = question.claims, peer.freshness
        if freshness.is_to_be_told(claims.run, claims.previous_incarnation, claims.attempt):
            notes_rolled_back(peer, claims)
            freshness.accepted(claims.incarnation, claims.attempt)
            self._tell_of_later_run(peer, question, now)
            return "stale incarnation"
        refusal = freshness.judge(claims.incarnation, claims.attempt, is_at_its_address=is_at_its_address)
        if refusal is None and self._context.provisional_count >= PROVISIONAL_TOTAL_MAX:
            refusal = "too many provisional channels"
        if refusal is None:
            freshness.accepted(claims.incarnation, claims.attempt)
            self._respond(peer, question, now)
        return refusal

    def _admit(
        self, static: MemberId, payload: handshake.InitiationPayload, source: Place, now: float
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
            guest = self.guests[static] = Peer(self._context, static, Role.GUEST, ())
            guest.asked_at = now
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

    def _respond(self, peer: Peer, question: _Question, now: float) -> None:
        """A provisional channel, and the RESPONSE that says so."""
        context = self._context
        local_index = context.new_index()
        keys = self._answer(peer, question, local_index, NO_RUN, now)
        channel = Channel(
            send_key=keys.responder_sends,
            receive_key=keys.initiator_sends,
            local_index=local_index,
            remote_index=question.index,
            initiated=False,
            confirmed=False,
            created=now,
            peer_incarnation=question.claims.incarnation,
            generation=question.claims.generation,
            address=question.source,
            claims=question.claims,
        )
        context.note_keys(
            ours=local_index, receive=keys.initiator_sends, theirs=question.index, send=keys.responder_sends
        )
        peer.add_provisional(channel)

    def _tell_of_later_run(self, peer: Peer, question: _Question, now: float) -> None:
        """The author's storage is a copy or a backup: it is shown the run that says so, and gets no channel."""
        self._answer(peer, question, self._context.new_index(), peer.freshness.run, now)

    def _answer(
        self, peer: Peer, question: _Question, local_index: int, met: Run, now: float
    ) -> noise.TransportKeys:
        """Send the RESPONSE, as long as its INITIATION; returns the keys that it ends the handshake with."""
        context, source = self._context, question.source
        payload = handshake.ResponsePayload(
            incarnation=context.incarnation,
            previous_incarnation=context.previous_incarnation,
            version=VERSION,
            generation=context.generation,
            observed=None if isinstance(source, Relayed) else source,
            seal=context.runs.own.seal,
            met=met,
        )
        message, keys = question.responder.respond(
            ephemeral=context.entropy(32), psk=question.psk, payload=payload.pack()
        )
        response = handshake.response(
            sender_index=local_index,
            receiver_index=question.index,
            noise_message=message,
            key=handshake.mac1_key(peer.member, question.secrets.gate),
        )
        context.send(response, source, now)
        return keys

    def tick(self, now: float) -> None:
        """Forget guests without a channel, and those that do not ask."""
        for key, guest in list(self.guests.items()):
            guest.tick(now)
            if guest.channels.is_empty or now >= guest.idle_at:
                del self.guests[key]
                guest.close()
