"""What one datagram costs a member: of a stranger, a replay, of a flooder with a leaked ticket, and a heartbeat.

One member in this process, nothing but its `Peers`. Processor time is counted, in slices of which the fastest
counts: what disturbs a slice is not ours.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from failover.errors import MalformedBytes
from failover.ids import ClusterId, LogIndex, Term
from failover.net import frames, handshake, noise
from failover.net.addresses import Address
from failover.net.channel import Channel
from failover.net.context import Secrets
from failover.net.gatekeeper import Gatekeeper
from failover.net.limits import BURST_SOURCE, LOAD_PER_S
from failover.net.peers import Peers
from failover.raft.messages import Heartbeat
from failover.wire import WIRE
from tests.benchmarks.bench import Bench
from tests.benchmarks.report import Row, at_most

CLUSTER = ClusterId(b"c" * 16)
EPOCHS = 4
MADE = 2_000
SLICES = 15
HERE, STRANGER = Address("192.0.2.1", 7777), Address("203.0.113.66", 666)


def datagrams(bench: Bench) -> list[Row]:
    """All of them."""
    bench.say("what a datagram costs")
    return [
        *_strangers(),
        _row("a stranger's first bytes of a channel", _unknown_channels(), goal=10),
        *_replays(),
        *_floods(),
        *_heartbeats(),
    ]


def _row(name: str, seconds: float, goal: float | None = None) -> Row:
    return Row(name=name, value=seconds * 1e6, unit="us", goal=None if goal is None else at_most(goal))


def _secrets(count: int) -> tuple[Secrets, ...]:
    return tuple(Secrets(epoch, bytes([epoch]) * 32, bytes([100 + epoch]) * 32) for epoch in range(count, 0, -1))


def _peers(epochs: int = EPOCHS, private_key: bytes = b"\x02" * 32) -> Peers:
    return Peers(
        private_key=private_key,
        cluster=CLUSTER,
        secrets=_secrets(epochs),
        name="measured",
        incarnation=2,
        previous_incarnation=1,
        codec=WIRE,
        transmit=lambda data, address: None,
        entropy=os.urandom,
    )


def _each(take: Callable[[bytes], object], made: Sequence[bytes]) -> float:
    """Seconds for one, in the fastest slice."""
    size, best = len(made) // SLICES, float("inf")
    for start in range(0, size * SLICES, size):
        part = made[start : start + size]
        began = time.process_time_ns()
        for datagram in part:
            take(datagram)
        best = min(best, (time.process_time_ns() - began) / size)
    return best / 1e9


def _initiations(peers: Peers, gate: bytes) -> list[bytes]:
    """Garbage behind a mac1 made with `gate`; with any other, that is what a stranger's best try looks like."""
    key = handshake.mac1_key(peers.member, gate)
    return [
        handshake.initiation(sender_index=number, noise_message=os.urandom(1112), key=key)
        for number in range(MADE)
    ]


def _strangers() -> list[Row]:
    rows = []
    for epochs in (1, EPOCHS):
        peers = _peers(epochs)
        cost = _each(
            lambda data, p=peers: p.datagram_received(data, STRANGER, 0.0), _initiations(peers, bytes(32))
        )
        assert peers.counters["initiation: wrong mac1"] == MADE // SLICES * SLICES
        rows.append(_row(f"a stranger's initiation, {epochs} gate{'s' * (epochs > 1)} to try", cost, goal=10))
    peers = _peers()
    cost = _each(lambda data: peers.datagram_received(data, STRANGER, 0.0), [os.urandom(200) for _ in range(MADE)])
    return [*rows, _row("a stranger's garbage of 200 bytes", cost, goal=10)]


def _unknown_channels() -> float:
    peers = _peers()
    made = [b"\x04\x01\0\0" + os.urandom(60) for _ in range(MADE)]
    return _each(lambda data: peers.datagram_received(data, STRANGER, 0.0), made)


def _replays() -> list[Row]:
    peers = _peers()
    newest = _secrets(EPOCHS)[0]
    datagram = _initiations(peers, newest.gate)[0]
    peers.datagram_received(datagram, STRANGER, 0.0)
    seen = _each(lambda data: peers.datagram_received(data, STRANGER, 0.0), [datagram] * MADE)
    assert peers.counters["initiation: seen before"] == MADE // SLICES * SLICES
    sender, receiver = _channels()
    sealed = sender.seal(b"\0" * 60)
    receiver.open_untrusted(sealed)

    def replay(data: bytes) -> None:
        try:
            receiver.open_untrusted(data)
        except MalformedBytes:
            return
        raise AssertionError("a replay was taken")

    return [
        _row("a replayed initiation", seen, goal=10),
        _row("a replayed datagram of a channel", _each(replay, [sealed] * MADE), goal=10),
    ]


def _floods() -> list[Row]:
    """By a holder of the gate: answered with a COOKIE; and with a mac2, beyond the share of its source."""
    peers = _peers()
    answers: list[bytes] = []
    peers._context.transmit = lambda data, address: answers.append(data)
    flood = _initiations(peers, _secrets(EPOCHS)[0].gate)
    cookies = _each(lambda data: peers.datagram_received(data, STRANGER, 0.0), flood)
    assert len(answers) >= MADE // SLICES * SLICES - LOAD_PER_S
    gatekeeper: Gatekeeper = peers._gatekeeper
    cookie = gatekeeper._jar.cookie(STRANGER)
    shown = [handshake.with_cookie(each, cookie) for each in _initiations(peers, _secrets(EPOCHS)[0].gate)]
    too_many = _each(lambda data: peers.datagram_received(data, STRANGER, 0.0), shown)
    refused = peers.counters["initiation: too many from one source"]
    assert refused >= MADE // SLICES * SLICES - BURST_SOURCE
    return [
        _row("a flooder's initiation with a leaked ticket, answered with a cookie", cookies),
        _row("the same with that cookie, beyond the share of its source", too_many),
    ]


def _channels() -> tuple[Channel, Channel]:
    shared = {"confirmed": True, "created": 0.0, "peer_incarnation": 1, "address": HERE}
    keys = {"send_key": b"a" * 32, "receive_key": b"b" * 32}
    back = {"send_key": b"b" * 32, "receive_key": b"a" * 32}
    return (
        Channel(local_index=1, remote_index=2, initiated=True, **keys, **shared),  # type: ignore[arg-type]
        Channel(local_index=2, remote_index=1, initiated=False, **back, **shared),  # type: ignore[arg-type]
    )


def _heartbeats() -> list[Row]:
    message = Heartbeat(Term(7), 1_000, 0.075, LogIndex(123_456), 1)
    encoded = WIRE.encode(message)
    sender, receiver = _channels()

    def carry(body: bytes) -> None:
        content = receiver.open_untrusted(sender.seal(frames.message(body)))
        found, _ = frames.parse_untrusted(content)
        assert len(found) == 1

    def code(body: bytes) -> None:
        WIRE.encode(message)
        WIRE.decode_untrusted(body)

    return [
        _row("a heartbeat: framed, sealed, opened, parsed", _each(carry, [encoded] * MADE), goal=10),
        _row("a heartbeat: encoded and decoded", _each(code, [encoded] * MADE)),
        _row("a handshake: both sides, all of it", _handshake()),
    ]


def _handshake() -> float:
    alice, bob = b"\x01" * 32, b"\x02" * 32

    def whole(_: bytes) -> None:
        first = noise.Initiator(
            static=alice,
            ephemeral=os.urandom(32),
            responder_static=noise.public_key(bob),
            prologue=b"",
            payload=bytes(1016),
        )
        second = noise.Responder(static=bob, prologue=b"", message=first.message)
        message, _keys = second.respond(ephemeral=os.urandom(32), psk=bytes(32), payload=bytes(1060))
        first.read_response_untrusted(message, bytes(32))

    return _each(whole, [b""] * (SLICES * 10))
