"""What an attacker sends, made with the library's own parts: a ticket was leaked, or a key stolen."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from hashlib import blake2s

from memory_network import CLUSTER, SECRETS, Network, Player

from failover.ids import MemberId
from failover.net import cookies, handshake, noise
from failover.net.addresses import Address
from failover.net.peers import Secrets

STRANGER = Address("203.0.113.66", 666)


def initiation_to(
    bob: Player, *, private_key: bytes = b"\x01" * 32, incarnation: int = 50, previous: int = 10, attempt: int = 1,
    secrets: Secrets = SECRETS, index: int = 77, ephemeral: bytes = b"\x42" * 32,
    invite_id: bytes = handshake.NO_INVITE, version: int = 1, addresses: tuple[Address, ...] = (),
) -> tuple[noise.Initiator, bytes]:  # fmt: skip
    """An initiation as its author would make it, with any field as a test wants it."""
    payload = handshake.InitiationPayload(
        incarnation, previous, attempt, version, version, secrets.epoch, invite_id, "mallory", addresses
    )
    initiator = noise.Initiator(
        static=private_key,
        ephemeral=ephemeral,
        responder_static=bob.member,
        prologue=handshake.prologue(CLUSTER),
        payload=payload.pack(),
    )
    key = handshake.mac1_key(bob.member, secrets.gate)
    return initiator, handshake.initiation(sender_index=index, noise_message=initiator.message, key=key)


def initiation_by_thief_of(bob: Player, victim: MemberId, *, incarnation: int, attempt: int = 1) -> bytes:
    """Key compromise impersonation: a first message in the name of `victim`, made with Bob's stolen static key."""
    payload = handshake.InitiationPayload(
        incarnation, incarnation - 1, attempt, 1, 1, SECRETS.epoch, handshake.NO_INVITE, "not the victim",
        (Address("198.51.100.99", 53),),
    )  # fmt: skip
    ephemeral = b"\x55" * 32
    state = noise.Symmetric.start(handshake.prologue(CLUSTER), bob.member)
    state = state.mix_ephemeral(noise.public_key(ephemeral))
    state = state.mix_key(noise._exchange(ephemeral, bob.member))
    state, sealed_static = state.seal(victim)
    state = state.mix_key(noise._exchange(bob.private_key, victim))  # the thief's: Bob's key does as well as hers
    _, sealed_payload = state.seal(payload.pack())
    message = noise.public_key(ephemeral) + sealed_static + sealed_payload
    key = handshake.mac1_key(bob.member, SECRETS.gate)
    return handshake.initiation(sender_index=attempt, noise_message=message, key=key)


def with_right_mac1(bob: Player, count: int, start: int = 0) -> Iterator[bytes]:
    """Initiations of a holder of the gate that are garbage behind their mac1; each is another one."""
    key = handshake.mac1_key(bob.member, SECRETS.gate)
    for number in range(start, start + count):
        message = hmac.digest(b"garbage", number.to_bytes(8, "little"), "blake2s").ljust(1112, b"x")
        yield handshake.initiation(sender_index=number, noise_message=message, key=key)


def answered_with_mac2(bob: Player, initiation: bytes, cookie_datagram: bytes) -> bytes:
    """What a holder of the gate, at an address that is really his, makes of a COOKIE."""
    key = cookies.cookie_key(bob.member, SECRETS.gate)
    cookie = cookies.open_cookie_untrusted(key, cookie_datagram, initiation[1120:1136])
    return handshake.with_cookie(initiation, cookie)


def address_number(number: int) -> Address:
    """One of very many."""
    digest = blake2s(number.to_bytes(8, "little"), digest_size=3).digest()
    return Address(f"100.{digest[0]}.{digest[1]}.{digest[2]}", 1024 + number % 60_000)


def sent_to(network: Network, target: Address) -> list[bytes]:
    """Every datagram that went there."""
    return [data for data, _, to in network.log if to == target]
