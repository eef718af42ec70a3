"""Writes data/golden.json: `python -m tests.unit.net.make_golden`, then read the diff.

A handshake with fixed keys, then one datagram for each frame and each kind of message, and a ticket; beside each,
what it was made to say. A changed line is a changed format: members of before do not understand it.
A new kind of message gets its sample by itself; a new frame wants a line in `frame_samples`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from failover.ids import ClusterId, Generation, MemberId
from failover.net import cookies, frames, handshake, noise
from failover.net.addresses import Address
from failover.net.channel import Channel
from failover.net.compiler import fields_of
from failover.net.names import Name
from failover.net.runs import sealed_run
from failover.net.tickets import Contact, Ticket
from failover.raft.membership import Membership
from failover.wire import WIRE

FILE = Path(__file__).parent / "data" / "golden.json"
KEYS = {
    "cluster": b"c" * 16,
    "psk": b"p" * 32,
    "gate": b"g" * 32,
    "alice": b"\x01" * 32,
    "bob": b"\x02" * 32,
    "alice_ephemeral": b"\x03" * 32,
    "bob_ephemeral": b"\x04" * 32,
}
HOME, V6 = Address("192.0.2.7", 7777), Address("2001:db8::7", 7777)
HOME_SAYS = {"family": 4, "port": 7777, "ip": "c0000207"}
V6_SAYS = {"family": 6, "port": 7777, "ip": "20010db8000000000000000000000007"}


def readable(value: Any) -> Any:
    """As JSON has it: bytes in hex, tuples as lists."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: readable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [readable(each) for each in value]
    return value


# Messages, from their classes.


def _member(number: int) -> MemberId:
    return MemberId(bytes([number]) * 32)


JOINT = Membership(
    voters=frozenset((_member(3), _member(1))),
    outgoing=frozenset((_member(2), _member(1))),
    learners=frozenset((_member(5), _member(4))),
    learners_next=frozenset((_member(2),)),
    witnesses=frozenset((_member(5), _member(3))),
)
SMALLEST = {Membership: Membership(frozenset((_member(1),)))}
FULLEST = {Membership: JOINT}
"""Classes that refuse most values."""


class _Samples:
    """Values of every type that a message may hold, each another."""

    def __init__(self, *, is_full: bool) -> None:
        self._is_full = is_full
        self._last = 0

    def message(self, cls: type) -> Any:
        return cls(**{name: self._value(shape) for name, shape in fields_of(cls).items()})

    def _value(self, shape: Any) -> Any:
        self._last += 1
        number = self._last
        match shape.kind:
            case "int":
                if not self._is_full:
                    return int(shape.low)
                if number == 1:
                    return int(min(shape.high, 2**40 + 1))
                return int(shape.low) + number * 11 % int(min(shape.high - shape.low + 1, 64))
            case "float":
                return float(shape.low) + (number / 8 if self._is_full else 0.0)
            case "bool":
                return self._is_full
            case "bytes":
                size = int(shape.low or (min(shape.high, 4) if self._is_full else 0))
                return bytes([number % 251]) * size
            case "str":
                return f"zü{number}"[: int(shape.high)] if self._is_full else ""
            case "optional":
                return self._value(shape.inner[0]) if self._is_full else None
            case "object":
                chosen = FULLEST if self._is_full else SMALLEST
                return chosen[shape.cls] if shape.cls in chosen else self.message(shape.cls)
            case "tuple" | "frozenset":
                items = [self._value(shape.inner[0]) for _ in range(2 if self._is_full else 0)]
                return tuple(items) if shape.kind == "tuple" else frozenset(items)
            case "fixed":
                return tuple(self._value(each) for each in shape.inner)
        raise AssertionError(shape.kind)


def says(value: Any) -> Any:
    """A message's fields by name, as the class itself has them: the encoder takes no part."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: says(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, frozenset):
        return [says(each) for each in sorted(value)]
    return [says(each) for each in value] if isinstance(value, tuple) else value


def message_samples() -> list[tuple[str, dict[str, Any], bytes]]:
    """Every kind, once full and once with as little as it can hold."""
    found = []
    for _, cls in sorted(WIRE.kinds.items()):
        for is_full in (True, False):
            sample = _Samples(is_full=is_full).message(cls)
            encoded = WIRE.encode(sample)
            assert WIRE.decode_untrusted(encoded) == sample
            found.append((cls.__name__, says(sample), encoded))
    return found


# Frames.


def frame_samples() -> list[tuple[str, dict[str, Any], bytes]]:
    """Every frame: its name, its fields as the page calls them, its bytes."""
    announced = WIRE.encode(_Samples(is_full=True).message(WIRE.kinds[10]))
    install = ("InstallSnapshot", says(_Samples(is_full=True).message(WIRE.kinds[10])))
    joins = _Samples(is_full=True).message(WIRE.kinds[71])
    body = WIRE.encode(joins)
    return [
        ("PING", {"token": 2**63 + 1}, frames.ping(2**63 + 1)),
        ("PONG", {"token": 7, "observed": HOME_SAYS}, frames.pong(7, HOME)),
        ("PONG", {"token": 8, "observed": V6_SAYS}, frames.pong(8, V6)),
        ("PONG", {"token": 9, "observed": {"family": 0}}, frames.pong(9, None)),
        ("JOIN", {"size": len(body), "body": ("JoinRequest", says(joins))}, frames.join(body)),
        (
            "OPEN",
            {
                "transfer": 1,
                "kind": 0,
                "size": 2_000,
                "digest_size": 0,
                "digest": b"",
                "header_size": 0,
                "header": b"",
            },
            frames.open_batch(1, 2_000),
        ),
        (
            "OPEN",
            {
                "transfer": 2,
                "kind": 1,
                "size": 2**28,
                "digest_size": 32,
                "digest": bytes(range(32)),
                "header_size": len(announced),
                "header": install,
            },
            frames.open_snapshot(2, 2**28, bytes(range(32)), announced),
        ),
        (
            "ACCEPT",
            {"transfer": 2**31 + 2, "below": 7, "size": 1, "bitmap": b"\x01"},
            frames.accept(2**31 + 2, 7, 1),
        ),
        ("CHUNK", {"transfer": 1, "number": 3, "size": 5, "data": b"chunk"}, frames.chunk(1, 3, b"chunk")),
        ("ACK", {"transfer": 1, "below": 4, "size": 2, "bitmap": b"\x05\x80"}, frames.ack(1, 4, 0x8005)),
        ("ACK", {"transfer": 1, "below": 5, "size": 0, "bitmap": b""}, frames.ack(1, 5, 0)),
        ("END", {"transfer": 1, "by_sender": 1}, frames.end(1, True)),
        ("END", {"transfer": 2, "by_sender": 0}, frames.end(2, False)),
        (
            "ADDRESSES",
            {"candidates": {"count": 2, "list": [HOME_SAYS, V6_SAYS]}},
            frames.candidate_addresses((HOME, V6)),
        ),
        (
            "UNRELIABLE",
            {"way": 2, "generation": b"g" * 16, "term": 2**63 + 3, "size": 4, "content": b"here"},
            frames.unreliable(frames.Way.FROM_HOST, b"g" * 16, 2**63 + 3, b"here"),
        ),
        (
            "RELAY",
            {"direction": 0, "member": b"m" * 12, "size": 40, "datagram": bytes(range(40))},
            frames.relay(frames.PASS_ON, b"m" * 12, bytes(range(40))),
        ),
        (
            "RELAY",
            {"direction": 1, "member": b"n" * 12, "size": 32, "datagram": bytes(32)},
            frames.relay(frames.PASSED_ON, b"n" * 12, bytes(32)),
        ),
        ("RELAY REFUSED", {"member": b"m" * 12}, frames.relay_refused(b"m" * 12)),
    ]


# Datagrams.


def _handshake() -> tuple[list[dict[str, Any]], Channel, Channel]:
    """INITIATION, COOKIE, the same again with mac2, a RESPONSE that refuses, one that does not; the channels."""
    asked = handshake.InitiationPayload(
        incarnation=10,
        previous_incarnation=9,
        attempt=3,
        version_min=1,
        version_max=2,
        secret_epoch=4,
        invite_id=bytes(16),
        name="Zoë",
        addresses=(HOME, V6),
        generation=Generation(b"a" * 16),
        seal=sealed_run(KEYS["alice"], 10, b"nonce 10").seal,
    )
    bob_public = noise.public_key(KEYS["bob"])
    prologue = handshake.prologue(ClusterId(KEYS["cluster"]))
    initiator = noise.Initiator(
        static=KEYS["alice"],
        ephemeral=KEYS["alice_ephemeral"],
        responder_static=bob_public,
        prologue=prologue,
        payload=asked.pack(),
    )
    initiation = handshake.initiation(
        sender_index=0x0A0A0A0A,
        noise_message=initiator.message,
        key=handshake.mac1_key(bob_public, KEYS["gate"]),
    )
    cookie = b"\x0c" * 16
    asked_for = cookies.CookieSealer(cookies.cookie_key(bob_public, KEYS["gate"]), b"n" * 16).datagram(
        receiver_index=0x0A0A0A0A,
        cookie=cookie,
        mac1=initiation[handshake.MAC1_OFFSET : handshake.MAC2_OFFSET],
    )
    again = handshake.with_cookie(initiation, cookie)
    responder = noise.Responder(static=KEYS["bob"], prologue=prologue, message=initiator.message)
    ours = sealed_run(KEYS["bob"], 20, b"nonce 20").seal
    answered = handshake.ResponsePayload(
        incarnation=20,
        previous_incarnation=19,
        version=1,
        observed=HOME,
        seal=ours,
        generation=Generation(b"b" * 16),
    )
    message, keys = responder.respond(ephemeral=KEYS["bob_ephemeral"], psk=KEYS["psk"], payload=answered.pack())
    response = handshake.response(
        sender_index=0x0B0B0B0B,
        receiver_index=0x0A0A0A0A,
        noise_message=message,
        key=handshake.mac1_key(noise.public_key(KEYS["alice"]), KEYS["gate"]),
    )
    refused = replace(answered, met=sealed_run(KEYS["alice"], 15, b"nonce 15"))
    refusal = handshake.response(
        sender_index=0x0C0C0C0C,
        receiver_index=0x0A0A0A0A,
        noise_message=responder.respond(ephemeral=b"\x05" * 32, psk=KEYS["psk"], payload=refused.pack())[0],
        key=handshake.mac1_key(noise.public_key(KEYS["alice"]), KEYS["gate"]),
    )
    asks = {
        "incarnation": 10, "previous_incarnation": 9, "seal": asked.seal, "attempt": 3,
        "version_min": 1, "version_max": 2, "secret_epoch": 4,
        "generation": b"a" * 16, "invite": bytes(16), "name_size": 4, "name": "Zoë",
        "candidates": {"count": 2, "list": [HOME_SAYS, V6_SAYS]}, "padding": "",
    }  # fmt: skip
    answers = {
        "incarnation": 20, "previous_incarnation": 19, "seal": ours, "met": 0, "met_seal": bytes(24), "version": 1,
        "generation": b"b" * 16,
        "observed": HOME_SAYS, "padding": "",
    }  # fmt: skip
    refuses = answers | {"met": 15, "met_seal": refused.met.seal}
    shared = {"confirmed": True, "created": 0.0, "address": HOME}
    alice = Channel(
        send_key=keys.initiator_sends,
        receive_key=keys.responder_sends,
        local_index=0x0A0A0A0A,
        remote_index=0x0B0B0B0B,
        initiated=True,
        peer_incarnation=20,
        **shared,
    )
    bob = Channel(
        send_key=keys.responder_sends,
        receive_key=keys.initiator_sends,
        local_index=0x0B0B0B0B,
        remote_index=0x0A0A0A0A,
        initiated=False,
        peer_incarnation=10,
        **shared,
    )
    return (
        [
            {"type": "INITIATION", "from": "alice", "says": asks, "hex": initiation},
            {"type": "COOKIE", "from": "bob", "says": {"cookie": cookie}, "hex": asked_for},
            {"type": "INITIATION", "from": "alice", "says": asks, "hex": again},
            {"type": "RESPONSE", "from": "bob", "says": refuses, "hex": refusal},
            {"type": "RESPONSE", "from": "bob", "says": answers, "hex": response},
        ],
        alice,
        bob,
    )


def _place(contents: dict[int, tuple[list[Any], bytes]], kind: int, said: list[Any], content: bytes) -> None:
    """Under a counter that follows from the kind: what is added later changes no bytes of the others."""
    number = 10 * kind
    while number in contents:
        number += 1
    contents[number] = said, content


def golden() -> dict[str, Any]:
    """The content of the file."""
    datagrams, alice, bob = _handshake()
    contents: dict[int, tuple[list[Any], bytes]] = {}
    for name, fields, content in frame_samples():
        _place(contents, content[0], [[name, fields]], content)
    for name, fields, encoded in message_samples():
        kind = next(kind for kind, cls in WIRE.kinds.items() if cls.__name__ == name)
        said = [["MESSAGE", {"size": len(encoded), "body": (name, fields)}]]
        _place(contents, 100 + kind, said, frames.message(encoded))
    together = frames.PONG * 10, frames.ACCEPT * 10, (100 + 9) * 10
    said = [each for number in together for each in contents[number][0]]
    contents[0] = (said, b"\0".join(contents[number][1] for number in together))
    for number, (said, content) in sorted(contents.items()):
        sender, channel = ("bob", bob) if number % 2 else ("alice", alice)
        channel.counter = number
        datagrams.append({"type": "DATA", "from": sender, "says": said, "hex": channel.seal(content)})
    ticket = Ticket(
        ClusterId(KEYS["cluster"]),
        (Contact(_member(1), (HOME, V6)), Contact(_member(2), (HOME,), (Name("game.example.org", 7777),))),
        KEYS["gate"],
        b"i" * 16,
        b"s" * 32,
        2_000_000_000,
    )
    return {"keys": readable(KEYS), "ticket": ticket.text(), "datagrams": readable(datagrams)}


def text_of(found: dict[str, Any]) -> str:
    """As JSON whose lines a person can compare: what a datagram says on one, its bytes on the next."""

    def one(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    datagrams = [
        "{" + ", ".join(f"{one(name)}: {one(value)}" for name, value in each.items() if name != "hex")
        + f',\n  "hex": {one(each["hex"])}}}'
        for each in found["datagrams"]
    ]  # fmt: skip
    rest = "".join(f"{one(name)}: {one(found[name])},\n" for name in ("keys", "ticket"))
    return "{" + rest + '"datagrams": [\n' + ",\n".join(datagrams) + "\n]}\n"


if __name__ == "__main__":
    FILE.write_text(text_of(golden()), encoding="utf-8")
