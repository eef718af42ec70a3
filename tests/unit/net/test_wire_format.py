"""Golden datagrams, decoded with nothing but docs/reference/wire-format.md; the library takes no part in that.

`data/golden.json` was written once by `golden()` below. If this fails, old and new members do not understand each
other: that is a new version of the protocol, not a change of the file.
"""

import dataclasses
import hmac
import json
import random
import re
import struct
from hashlib import blake2s
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "reference" / "wire-format.md").read_text()
FILE = Path(__file__).parent / "data" / "golden.json"
CLUSTER, PSK, GATE = b"c" * 16, b"p" * 32, b"g" * 32
ALICE, BOB = b"\x01" * 32, b"\x02" * 32


# The writer: the only part that knows the library.


def golden() -> list[dict]:
    """A handshake of Alice (10.0.0.1) with Bob, a small message, and a batch of two chunks."""
    from memory_network import Network, append, notice, pair

    network = Network(7)
    alice, bob = pair(network)
    alice.peers.send(bob.member, notice(5), network.now)
    network.run(0.1)
    alice.peers.send(bob.member, append(2, 1000), network.now)
    network.run(0.1)
    return [
        {"from": "alice" if source == alice.address else "bob", "hex": data.hex()}
        for data, source, _ in network.log
    ]


def test_the_library_still_writes_the_golden_datagrams():
    assert golden() == json.loads(FILE.read_text())


# The reader: primitives and the document.


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
    """IKpsk2, as one follows it who knows Alice's keys and Bob's static one. The name has more than 32 bytes."""

    def __init__(self):
        self.chain = self.hash = blake2s(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s").digest()
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


def address(data: bytes, at: int):
    family = data[at]
    if family == 0:
        return None, at + 1
    size = {4: 4, 6: 16}[family]
    (port,) = struct.unpack_from("<H", data, at + 1)
    return (data[at + 3 : at + 3 + size], port), at + 3 + size


def frames(data: bytes) -> list[tuple]:
    found, at = [], 0
    while at < len(data):
        kind = data[at]
        if kind == 0:
            at += 1
        elif kind == 1:
            found.append(("PING", *struct.unpack_from("<Q", data, at + 1)))
            at += 9
        elif kind == 2:
            observed, end = address(data, at + 9)
            found.append(("PONG", *struct.unpack_from("<Q", data, at + 1), observed))
            at = end
        elif kind == 3:
            (size,) = struct.unpack_from("<H", data, at + 1)
            found.append(("MESSAGE", data[at + 3 : at + 3 + size]))
            at += 3 + size
        elif kind == 4:
            transfer, what, size, header = struct.unpack_from("<IBQH", data, at + 1)
            found.append(("OPEN", transfer, what, size, data[at + 16 : at + 16 + header]))
            at += 16 + header
        elif kind == 6:
            transfer, number, size = struct.unpack_from("<IIH", data, at + 1)
            found.append(("CHUNK", transfer, number, data[at + 11 : at + 11 + size]))
            at += 11 + size
        elif kind == 7:
            transfer, below, size = struct.unpack_from("<IIB", data, at + 1)
            found.append(("ACK", transfer, below, data[at + 10 : at + 10 + size]))
            at += 10 + size
        else:
            raise AssertionError(f"frame {kind}")
    return found


def mac1(receiver_static: bytes, datagram: bytes) -> bytes:
    key = blake2s(b"failover mac1" + receiver_static + GATE).digest()
    return blake2s(datagram[:1120], key=key, digest_size=16).digest()


@pytest.fixture(scope="module")
def story():
    """Everything that the golden datagrams say, in order."""
    # Alice's ephemeral key is the first thing that she draws from her dice.
    dice = random.Random(7)
    ephemeral = random.Random(f"1 {dice.random()}").randbytes(32)
    datagrams = [(each["from"], bytes.fromhex(each["hex"])) for each in json.loads(FILE.read_text())]
    (_, initiation), (_, response) = datagrams[:2]
    noise = Noise()
    noise.mix_hash(b"failover net 1" + CLUSTER)
    noise.mix_hash(public(BOB))
    noise.mix_hash(initiation[8:40])
    noise.mix_key(initiation[8:40])
    noise.mix_key(dh(BOB, initiation[8:40]))
    static = noise.open(initiation[40:88])
    noise.mix_key(dh(BOB, static))
    asked = noise.open(initiation[88:1120])
    noise.mix_hash(response[12:44])
    noise.mix_key(response[12:44])
    noise.mix_key(dh(ephemeral, response[12:44]))
    noise.mix_key(dh(ALICE, response[12:44]))
    noise.mix_psk(PSK)
    answered = noise.open(response[44:1120])
    from_alice, from_bob = hkdf(noise.chain, b"", 2)
    said = []
    for sender, datagram in datagrams[2:]:
        assert datagram[:4] == b"\x04\x01\x00\x00"
        key = from_alice if sender == "alice" else from_bob
        plain = ChaCha20Poly1305(key).decrypt(bytes(4) + datagram[8:16], datagram[16:], datagram[:16])
        receiver = response[4:8] if sender == "alice" else initiation[4:8]
        assert datagram[4:8] == receiver
        said.append((sender, struct.unpack_from("<Q", datagram, 8)[0], frames(plain)))
    return {"initiation": initiation, "response": response, "static": static, "asked": asked,
            "answered": answered, "said": said}  # fmt: skip


def test_the_handshake_datagrams_are_as_the_document_says(story):
    initiation, response = story["initiation"], story["response"]
    assert (len(initiation), initiation[:4]) == (1152, b"\x01\x01\x00\x00")
    assert (len(response), response[:4], response[8:12]) == (1152, b"\x02\x01\x00\x00", initiation[4:8])
    assert initiation[1120:] == mac1(public(BOB), initiation) + bytes(16)
    assert response[1120:] == mac1(public(ALICE), response) + bytes(16)
    assert story["static"] == public(ALICE)


def test_the_payload_of_the_initiation_is_as_the_document_says(story):
    asked = story["asked"]
    assert len(asked) == 1016
    incarnation, previous, attempt, low, high, epoch, invite, size = struct.unpack_from("<QQIBBI16sB", asked)
    assert (incarnation, previous, attempt, low, high, epoch, invite) == (10, 0, 1, 1, 1, 1, bytes(16))
    assert asked[43 : 43 + size] == b"player 1"
    assert asked[43 + size :] == bytes(1016 - 43 - size)  # no addresses: their count is a zero too


def test_the_payload_of_the_response_is_as_the_document_says(story):
    answered = story["answered"]
    assert len(answered) == 1060
    assert struct.unpack_from("<QQB", answered) == (10, 0, 1)
    assert address(answered, 17) == ((bytes([10, 0, 0, 1]), 7000), 24)
    assert answered[24:] == bytes(1060 - 24)


def test_the_frames_tell_the_story(story):
    said = story["said"]
    assert said[0][:2] == ("alice", 0) and said[0][2][0][0] == "PING"
    kinds = [(sender, frame[0]) for sender, _, found in said for frame in found]
    assert ("bob", "PONG") in kinds and ("alice", "PONG") in kinds
    messages = [cbor2.loads(frame[1]) for _, _, found in said for frame in found if frame[0] == "MESSAGE"]
    assert messages == [[9, 1, 5]]
    for sender in ("alice", "bob"):
        counters = [counter for who, counter, _ in said if who == sender]
        assert counters == list(range(len(counters)))


def test_the_chunks_of_the_batch_make_the_message(story):
    every = [frame for _, _, found in story["said"] for frame in found]
    opens = [frame for frame in every if frame[0] == "OPEN"]
    chunks = [frame for frame in every if frame[0] == "CHUNK"]
    content = b"".join(frame[3] for frame in chunks)
    assert opens == [("OPEN", 1, 0, len(content), b"")] * 2
    assert [(frame[2], len(frame[3])) for frame in chunks] == [(0, 1088), (1, len(content) - 1088)]
    assert cbor2.loads(content) == [7, 1, 0, 1, [[1, 1, b"\0" * 1000, None], [2, 1, b"\1" * 1000, None]], 0]
    assert [frame for frame in every if frame[0] == "ACK"] == [("ACK", 1, 2, b"")]


def test_the_document_lists_every_kind_with_its_fields():
    from failover.net.codec import CORE_KINDS

    rows = dict(re.findall(r"^\| (\d+) \| \w+ \| (.*) \|$", DOCUMENT, re.M))
    names = dict(re.findall(r"^\| (\d+) \| (\w+) \| .* \|$", DOCUMENT, re.M))
    for kind, cls in CORE_KINDS.items():
        assert names[str(kind)] == cls.__name__
        listed = [field.split()[0] for field in rows[str(kind)].split(", ")]
        assert listed == [field.name for field in dataclasses.fields(cls)]


def test_the_document_lists_every_frame():
    from failover.net import frames as ours

    for name in ("PAD", "PING", "PONG", "MESSAGE", "OPEN", "ACCEPT", "CHUNK", "ACK", "END", "ADDRESSES", "JOIN"):
        assert f"| {getattr(ours, name)} {name} |" in DOCUMENT


def test_a_membership_is_on_the_wire_as_the_document_says():
    from failover.raft.membership import Membership
    from failover.raft.messages import AppendEntries, Entry
    from failover.wire import WIRE

    a, b, c, d, e = (bytes([number]) * 32 for number in range(1, 6))
    joint = Membership(
        voters=frozenset((c, a)),
        outgoing=frozenset((b, a)),
        learners=frozenset((e, d)),
        learners_next=frozenset((b,)),
        witnesses=frozenset((e, c)),
    )
    message = AppendEntries(3, 1, 2, (Entry(2, 3, b"why", joint),), 1)
    written = cbor2.dumps([7, 3, 1, 2, [[2, 3, b"why", [[a, c], [a, b], [d, e], [b], [c, e]]]], 1])
    assert WIRE.encode(message) == written
    assert WIRE.decode_untrusted(written) == message
    sets = re.search(r"\*\*Membership\*\* (.*?);", DOCUMENT)[1].split(", ")
    assert [each.split()[0] for each in sets] == [field.name for field in dataclasses.fields(Membership)]
