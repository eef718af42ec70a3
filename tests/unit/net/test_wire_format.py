"""Golden datagrams, decoded with nothing but the tables of docs/reference/wire-format.md, without the library.

`data/golden.json` is written by make_golden.py. If this fails, old and new members do not understand each other.
"""

import ast
import base64
import hmac
import json
import re
from copy import copy
from hashlib import blake2s
from pathlib import Path
from typing import get_args

import cbor2
import pytest
import wire_page
import xchacha
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from make_golden import FILE, golden, readable, text_of

PAGE = wire_page.parse(wire_page.PAGE.read_text(encoding="utf-8"))
GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))
KEYS = {name: bytes.fromhex(value) for name, value in GOLDEN["keys"].items()}
AGAIN = "run `python -m tests.unit.net.make_golden` and read the diff: what changed there changed on the wire"


# The reader: primitives, and what the page says of them.


def public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def dh(private: bytes, peer: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(peer))


def hkdf(chain: bytes, material: bytes, count: int) -> list[bytes]:
    secret, out = hmac.digest(chain, material, "blake2s"), [b""]
    for number in range(count):
        out.append(hmac.digest(secret, out[-1] + bytes([number + 1]), "blake2s"))
    return out[1:]


class Noise:
    """As one follows it who knows the keys of both. The name has more than 32 bytes."""

    def __init__(self):
        name = re.search(r"^`(Noise_\w+)`", PAGE.text, re.M)[1].encode()
        self.chain = self.hash = blake2s(name).digest()
        self.key = b""

    def mix_hash(self, data):
        self.hash = blake2s(self.hash + data).digest()

    def mix_key(self, material):
        self.chain, self.key = hkdf(self.chain, material, 2)

    def mix_psk(self, psk):
        self.chain, middle, self.key = hkdf(self.chain, psk, 3)
        self.mix_hash(middle)

    def open(self, sealed):
        plain = ChaCha20Poly1305(self.key).decrypt(bytes(12), sealed, self.hash)
        self.mix_hash(sealed)
        return plain


def mac1(receiver_static: bytes, datagram: bytes, gate: bytes) -> bytes:
    label = re.search(r'Its key is BLAKE2s \(32 bytes\) of `"(.*?)"`', PAGE.text)[1].encode()
    key = blake2s(label + receiver_static + gate).digest()
    return blake2s(blake2s(datagram[:1120]).digest(), key=key, digest_size=16).digest()


def mac2(cookie: bytes, datagram: bytes) -> bytes:
    return blake2s(blake2s(datagram[:1120]).digest() + datagram[1120:1136], key=cookie, digest_size=16).digest()


class Reader:
    """Reads a handshake of Alice with Bob and what follows, in the order in which it came."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        self.keys = keys
        self.send_keys: dict[str, bytes] = {}
        self.indices: dict[str, bytes] = {}
        """By sender: the key of its DATA, and the index that it drew."""
        self.cookie = b""

    def read(self, sender: str, datagram: bytes):
        """The name of the datagram, and what it says."""
        assert datagram[1:4] == b"\x01\x00\x00"
        layout = PAGE.datagrams[datagram[0]]
        parts = layout.split(datagram)
        if layout.name == "DATA":
            return layout.name, self._data(sender, datagram, parts)
        if "sender index" in parts:
            self.indices[sender] = parts["sender index"]
        read = {"INITIATION": self._initiation, "RESPONSE": self._response, "COOKIE": self._cookie}[layout.name]
        return layout.name, read(datagram, parts)

    def _cookie(self, datagram, parts):
        assert parts["receiver index"] == self.indices["alice"]
        label = re.search(r'Key: BLAKE2s \(32 bytes\) of `"(.*?)"`', PAGE.text)[1].encode()
        key = blake2s(label + public(self.keys["bob"]) + self.keys["gate"]).digest()
        self.cookie = xchacha.open_sealed(key, parts["nonce"], parts["sealed cookie"], self.asked_mac1)
        return {"cookie": self.cookie}

    def _initiation(self, datagram, parts):
        keys = self.keys
        assert parts["mac1"] == mac1(public(keys["bob"]), datagram, keys["gate"])
        assert parts["mac2"] == (mac2(self.cookie, datagram) if self.cookie else bytes(16))
        self.asked_mac1 = parts["mac1"]
        self.noise = noise = Noise()
        label = re.search(r'Prologue: `"(.*?)"`', PAGE.text)[1].encode()
        noise.mix_hash(label + keys["cluster"])
        noise.mix_hash(public(keys["bob"]))
        noise.mix_hash(parts["ephemeral"])
        noise.mix_key(parts["ephemeral"])
        noise.mix_key(dh(keys["bob"], parts["ephemeral"]))
        self.alice = noise.open(parts["sealed static"])
        noise.mix_key(dh(keys["bob"], self.alice))
        return PAGE.read_payload("INITIATION", noise.open(parts["sealed payload"]))

    def _response(self, datagram, parts):
        keys, noise = self.keys, copy(self.noise)  # of several answers each begins there
        assert parts["mac1"] == mac1(self.alice, datagram, keys["gate"])
        assert parts["mac2"] == bytes(16)
        assert parts["receiver index"] == self.indices["alice"]
        noise.mix_hash(parts["ephemeral"])
        noise.mix_key(parts["ephemeral"])
        noise.mix_key(dh(keys["alice_ephemeral"], parts["ephemeral"]))
        noise.mix_key(dh(keys["alice"], parts["ephemeral"]))
        noise.mix_psk(keys["psk"])
        said = PAGE.read_payload("RESPONSE", noise.open(parts["sealed payload"]))
        self.send_keys = dict(zip(("alice", "bob"), hkdf(noise.chain, b"", 2), strict=True))
        return said

    def _data(self, sender, datagram, parts):
        assert parts["receiver index"] == self.indices["bob" if sender == "alice" else "alice"]
        cipher = ChaCha20Poly1305(self.send_keys[sender])
        plain = cipher.decrypt(bytes(4) + parts["counter"], parts["ciphertext and tag"], datagram[:16])
        return PAGE.read_frames(plain)


# What the golden datagrams say.


def test_each_golden_datagram_says_what_it_was_made_to_say():
    reader = Reader(KEYS)
    for each in GOLDEN["datagrams"]:
        name, said = reader.read(each["from"], bytes.fromhex(each["hex"]))
        assert (name, readable(said)) == (each["type"], each["says"])
    assert reader.alice == public(KEYS["alice"])


def test_one_byte_more_or_less_is_not_what_the_page_says():
    reader, spoilt = Reader(KEYS), 0
    for each in GOLDEN["datagrams"]:
        datagram = bytes.fromhex(each["hex"])
        reader.read(each["from"], datagram)
        if each["type"] == "DATA":
            cipher = ChaCha20Poly1305(reader.send_keys[each["from"]])
            plain = cipher.decrypt(bytes(4) + datagram[8:16], datagram[16:], datagram[:16])
            if each["says"][-1][0] == "PING":
                plain = plain[:-19]
            for other in (plain + b"\xff", plain[:-1]):
                with pytest.raises((wire_page.Wrong, cbor2.CBORError)):
                    PAGE.read_frames(other)
                spoilt += 1
    assert spoilt == 2 * sum(each["type"] == "DATA" for each in GOLDEN["datagrams"])


def test_the_golden_ticket_says_what_it_was_made_to_say():
    prefix = re.search(r"^`(failover\d-)` and the bytes below", PAGE.text, re.M)[1]
    text = GOLDEN["ticket"].removeprefix(prefix).upper()
    raw = base64.b32decode(text + "=" * (-len(text) % 8))
    said = PAGE.read_all(PAGE.ticket, raw)
    assert (said["format"], said["size"], said["expiry"]) == (1, len(raw), 2_000_000_000)
    assert (said["cluster"], said["gate"]) == (KEYS["cluster"], KEYS["gate"])
    assert (said["invite"], said["secret"]) == (b"i" * 16, b"s" * 32)
    ports = [[each["port"] for each in contact["addresses"]["list"]] for contact in said["contacts"]]
    assert ports == [[7777, 7777], [7777]]
    names = [[(each["host"], each["port"]) for each in contact["names"]] for contact in said["contacts"]]
    assert names == [[], [("game.example.org", 7777)]]
    assert said["checksum"] == blake2s(b"failover ticket" + raw[:-5], digest_size=5).digest()


def test_what_members_really_send_can_be_read_by_the_page_alone():
    """A handshake, a small message and a batch between two `Peers`; their keys are overheard at the dice."""
    from memory_network import CLUSTER, SECRETS, Network, append, notice

    network = Network(7)
    drawn: list[bytes] = []

    def overheard(player):
        drawn.append(player.dice.randbytes(32))
        return drawn[-1]

    alice, bob = network.player(1), network.player(2)
    for player in (alice, bob):
        player.options["entropy"] = lambda size, p=player: overheard(p) if size == 32 else p.dice.randbytes(size)
        player.restart()
    bob.peers.set_members({alice.member: ()})
    alice.peers.set_members({bob.member: (bob.address,)})
    alice.peers.connect(bob.member, network.now)
    network.run(0.1)
    alice.peers.send(bob.member, notice(5), network.now)
    network.run(0.1)
    alice.peers.send(bob.member, append(2, 1000), network.now)
    network.run(0.1)
    ephemeral = next(key for key in drawn if public(key) == network.log[0][0][8:40])
    reader = Reader(
        {"cluster": CLUSTER, "psk": SECRETS.psk, "gate": SECRETS.gate, "alice": alice.private_key,
         "bob": bob.private_key, "alice_ephemeral": ephemeral}
    )  # fmt: skip
    said = [reader.read("alice" if source == alice.address else "bob", data) for data, source, _ in network.log]
    assert [name for name, _ in said[:2]] == ["INITIATION", "RESPONSE"]
    found = [frame for name, frames in said if name == "DATA" for frame in frames]
    assert found[0][0] == "PING"
    messages = [fields["body"] for name, fields in found if name == "MESSAGE"]
    assert ("CommitNotice", {"term": 1, "commit_index": 5}) in messages
    chunks = [fields["data"] for name, fields in found if name == "CHUNK"]
    name, fields = PAGE.read_message(b"".join(chunks))
    assert name == "AppendEntries" and [len(entry["command"]) for entry in fields["entries"]] == [1000, 1000]


# The page, the golden datagrams and the library speak of the same things.


def test_the_library_still_writes_the_golden_datagrams():
    assert text_of(golden()) == FILE.read_text(encoding="utf-8"), AGAIN


def golden_names() -> tuple[set[str], set[str], set[str]]:
    """Datagrams, frames and messages that the golden datagrams hold."""
    datagrams = {each["type"] for each in GOLDEN["datagrams"]}
    frames = [frame for each in GOLDEN["datagrams"] if each["type"] == "DATA" for frame in each["says"]]
    bodies = {fields["body"][0] for _, fields in frames if "body" in fields}
    return datagrams, {name for name, _ in frames}, bodies


def test_every_datagram_of_the_page_is_in_the_golden_file():
    assert {layout.name for layout in PAGE.datagrams.values()} == golden_names()[0]


def test_every_frame_that_the_library_reads_is_on_the_page_and_in_the_golden_file():
    from failover.errors import MalformedBytes
    from failover.net import frames

    known = set()
    for number in range(256):
        try:
            _, unknown = frames.parse_untrusted(bytes([number]))
        except MalformedBytes:
            unknown = None  # known, and cut off
        if unknown is None:
            known.add(number)
    assert known == set(PAGE.frames)
    for number, (name, _) in PAGE.frames.items():
        assert getattr(frames, name.replace(" ", "_")) == number
    assert {name for name, _ in PAGE.frames.values()} - golden_names()[1] == {"PAD"}, (
        "add a sample to make_golden.frame_samples"
    )
    assert len(get_args(frames.Frame)) == len(known) - 1, "one class per frame but PAD"


def as_the_page_writes(shape) -> tuple[str, tuple[int, int] | None]:
    """Type and bound of a field, from the library's own knowledge; None = what the type allows anyway."""
    from failover.net import bounds

    inner, inner_bound = as_the_page_writes(shape.inner[0]) if shape.inner else ("", None)
    name, usual = {
        "int": ("number", bounds.INT_MAX),
        "float": ("seconds", shape.high),
        "bool": ("bool", 0),
        "bytes": ("bytes", bounds.BYTES_SIZE_MAX),
        "str": ("text", bounds.BYTES_SIZE_MAX),
        "tuple": (f"[{inner}]", bounds.TUPLE_ITEMS_MAX),
        "frozenset": (f"{{{inner}}}", bounds.FROZENSET_ITEMS_MAX),
        "optional": (f"{inner}?", 0),
        "object": (shape.cls.__name__ if shape.cls else "", 0),
    }[shape.kind]
    if shape.kind == "bytes" and shape.low:
        return {32: "member", 16: "generation"}[shape.low], None
    if shape.kind == "optional":
        return name, inner_bound
    return name, None if shape.high == usual else (int(shape.low), int(shape.high))


def test_every_message_and_every_nested_value_is_on_the_page_field_by_field():
    from failover.net.compiler import fields_of
    from failover.raft.membership import Membership
    from failover.raft.messages import Entry, Ranked, Release
    from failover.records import MemberInfo
    from failover.wire import WIRE

    pairs = [(PAGE.nested[cls.__name__], cls) for cls in (Release, Ranked, Entry, Membership, MemberInfo)]
    for kind, cls in WIRE.kinds.items():
        assert kind in PAGE.kinds, f"{cls.__name__} (kind {kind}) is missing on the page"
        name, fields = PAGE.kinds[kind]
        assert name == cls.__name__
        pairs.append((fields, cls))
    assert set(PAGE.kinds) == set(WIRE.kinds)
    for fields, cls in pairs:
        shapes = fields_of(cls)
        assert [each.name for each in fields] == list(shapes), cls
        for each in fields:
            written, bound = as_the_page_writes(shapes[each.name])
            assert each.type == written, f"{cls.__name__}.{each.name}"
            assert bound is None or (each.bound.low, each.bound.high) == bound, f"{cls.__name__}.{each.name}"
    assert {name for name, _ in PAGE.kinds.values()} == golden_names()[2]


# The reader itself.


def test_the_reader_of_the_page_knows_nothing_of_the_library():
    tree = ast.parse(Path(wire_page.__file__).read_text(encoding="utf-8"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in modules} == {
        "__future__", "math", "re", "dataclasses", "pathlib", "typing", "cbor2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("| 5 ACCEPT | transfer u32, below", "| 5 ACCEPT | transfer u16, below"),
        ("| 7 ACK | transfer u32, below u32, size u16", "| 7 ACK | below u32, transfer u32, size u16"),
        ("| 2 PONG | token u64, observed address |", "| 2 PONG | token u64 |"),
        ("family u8 (0 none, 4 IPv4, 6 IPv6)", "family u8 (0 none, 4 IPv4)"),
        ("| 9 | CommitNotice | term number, commit_index number |", "| 9 | CommitNotice | term number |"),
        ("learners {member}, learners_next {member}", "learners_next {member}, learners {member}"),
        ("| name_size u8 (to 64), name text[name_size] | |", "| name_size u8 (to 3), name text[name_size] | |"),
        ("number, is_leaving bool, hint number (to 255)", "number, is_leaving bool, hint number (to 1)"),
        ("8: ephemeral 32 · 40: sealed static 48", "8: ephemeral 40 · 48: sealed static 40"),
    ],
)
def test_a_wrong_page_is_found(before, after, monkeypatch):
    assert PAGE.text.count(before) == 1
    monkeypatch.setitem(globals(), "PAGE", wire_page.parse(PAGE.text.replace(before, after)))
    with pytest.raises((wire_page.Wrong, AssertionError, KeyError, ValueError, InvalidTag)):
        test_each_golden_datagram_says_what_it_was_made_to_say()


@pytest.mark.parametrize(
    "row",
    [
        "| 8 END | the transfer (u32) | |",
        "| 8 END | transfer u32 (about 7) | |",
        "| 8 END | transfer u32; number u8 | |",
    ],
)
def test_a_row_that_only_people_understand_is_refused(row):
    with pytest.raises(wire_page.BadPage):
        wire_page.parse(
            PAGE.text.replace("| 8 END | transfer u32, by_sender u8 (0 by the receiver, 1 by the sender) | |", row)
        )
