"""The handshake against published vectors, against a foreign implementation in both roles, and against forgers."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from noise.connection import Keypair, NoiseConnection

from failover.errors import MalformedBytes
from failover.net import noise

PROTOCOL = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
ALICE, BOB, EPHEMERAL_A, EPHEMERAL_B, PSK = (bytes([n]) * 32 for n in (1, 2, 3, 4, 5))


def vector() -> dict:
    vectors = json.loads((Path(__file__).parent / "data" / "noise_ikpsk2.json").read_text())["vectors"]
    return next(each for each in vectors if each["protocol_name"] == PROTOCOL)


def transport(key: bytes, counter: int, plaintext: bytes) -> bytes:
    return ChaCha20Poly1305(key).encrypt(bytes(4) + counter.to_bytes(8, "little"), plaintext, b"")


def initiator(payload: bytes = b"hello", prologue: bytes = b"p") -> noise.Initiator:
    return noise.Initiator(
        static=ALICE,
        ephemeral=EPHEMERAL_A,
        responder_static=noise.public_key(BOB),
        prologue=prologue,
        payload=payload,
    )


def responder(message: bytes, prologue: bytes = b"p") -> noise.Responder:
    return noise.Responder(static=BOB, prologue=prologue, message=message)


def test_the_published_vector_is_met_to_the_last_transport_message():
    v = vector()
    data = {
        key: bytes.fromhex(value) for key, value in v.items() if isinstance(value, str) and key != "protocol_name"
    }
    psk = bytes.fromhex(v["init_psks"][0])
    payloads = [bytes.fromhex(each["payload"]) for each in v["messages"]]
    ciphertexts = [bytes.fromhex(each["ciphertext"]) for each in v["messages"]]
    first = noise.Initiator(
        static=data["init_static"],
        ephemeral=data["init_ephemeral"],
        responder_static=data["init_remote_static"],
        prologue=data["init_prologue"],
        payload=payloads[0],
    )
    assert first.message == ciphertexts[0]
    second = noise.Responder(static=data["resp_static"], prologue=data["resp_prologue"], message=first.message)
    assert second.payload == payloads[0]
    assert second.initiator_static == noise.public_key(data["init_static"])
    message, keys = second.respond(ephemeral=data["resp_ephemeral"], psk=psk, payload=payloads[1])
    assert message == ciphertexts[1]
    payload, same_keys = first.read_response_untrusted(message, psk)
    assert (payload, same_keys) == (payloads[1], keys)
    assert keys.handshake_hash == data["handshake_hash"]
    sealed = [
        transport((keys.initiator_sends, keys.responder_sends)[n % 2], n // 2, plain)
        for n, plain in enumerate(payloads[2:])
    ]
    assert sealed == ciphertexts[2:]


FLYNN = Path("/usr/share/gocode/src/github.com/flynn/noise/vectors.txt")
"""Of Debian's golang-github-flynn-noise-dev: made by another implementation, in Go."""


def flynn_vectors() -> list[dict[str, str]]:
    """Those of our protocol: with and without prologue, with and without payloads."""
    blocks = FLYNN.read_text(encoding="ascii").strip().split("\n\n")
    vectors = [dict(line.split("=", 1) for line in block.splitlines()) for block in blocks]
    return [each for each in vectors if each["handshake"] == PROTOCOL]


def test_the_vectors_of_a_foreign_implementation_are_met(require):
    require(FLYNN.exists(), "the package golang-github-flynn-noise-dev is missing")
    vectors = flynn_vectors()
    assert len(vectors) == 4
    for vector in vectors:
        data = {name: bytes.fromhex(text) for name, text in vector.items() if name != "handshake"}
        prologue, psk = data.get("prologue", b""), data["preshared_key"]
        first = noise.Initiator(
            static=data["init_static"],
            ephemeral=data["gen_init_ephemeral"],
            responder_static=noise.public_key(data["resp_static"]),
            prologue=prologue,
            payload=data["msg_0_payload"],
        )
        assert first.message == data["msg_0_ciphertext"]
        second = noise.Responder(static=data["resp_static"], prologue=prologue, message=first.message)
        assert second.payload == data["msg_0_payload"]
        message, keys = second.respond(
            ephemeral=data["gen_resp_ephemeral"], psk=psk, payload=data["msg_1_payload"]
        )
        assert message == data["msg_1_ciphertext"]
        assert first.read_response_untrusted(message, psk) == (data["msg_1_payload"], keys)
        assert transport(keys.initiator_sends, 0, data["msg_2_payload"]) == data["msg_2_ciphertext"]
        assert transport(keys.responder_sends, 0, data["msg_3_payload"]) == data["msg_3_ciphertext"]


def foreign(*, initiates: bool) -> NoiseConnection:
    connection = NoiseConnection.from_name(PROTOCOL.encode())
    connection.set_psks(PSK)
    connection.set_prologue(b"p")
    if initiates:
        connection.set_as_initiator()
        connection.set_keypair_from_private_bytes(Keypair.STATIC, ALICE)
        connection.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, noise.public_key(BOB))
    else:
        connection.set_as_responder()
        connection.set_keypair_from_private_bytes(Keypair.STATIC, BOB)
    connection.start_handshake()
    return connection


def test_a_foreign_responder_completes_our_initiation():
    other = foreign(initiates=False)
    ours = initiator()
    assert bytes(other.read_message(ours.message)) == b"hello"
    payload, keys = ours.read_response_untrusted(bytes(other.write_message(b"welcome")), PSK)
    assert payload == b"welcome"
    assert other.decrypt(transport(keys.initiator_sends, 0, b"ping")) == b"ping"
    assert bytes(other.encrypt(b"pong")) == transport(keys.responder_sends, 0, b"pong")


def test_a_foreign_initiator_completes_with_our_responder():
    other = foreign(initiates=True)
    ours = responder(bytes(other.write_message(b"hello")))
    assert (ours.payload, ours.initiator_static) == (b"hello", noise.public_key(ALICE))
    message, keys = ours.respond(ephemeral=EPHEMERAL_B, psk=PSK, payload=b"welcome")
    assert bytes(other.read_message(message)) == b"welcome"
    assert bytes(other.encrypt(b"ping")) == transport(keys.initiator_sends, 0, b"ping")


def test_a_forged_response_changes_nothing_and_the_genuine_one_still_works():
    ours = initiator()
    genuine, keys = responder(ours.message).respond(ephemeral=EPHEMERAL_B, psk=PSK, payload=b"welcome")
    for place in range(len(genuine)):
        forged = bytearray(genuine)
        forged[place] ^= 1
        with pytest.raises(MalformedBytes):
            ours.read_response_untrusted(bytes(forged), PSK)
    assert ours.read_response_untrusted(genuine, PSK) == (b"welcome", keys)


def test_no_byte_of_an_initiation_may_change():
    message = initiator().message
    for place in range(len(message)):
        forged = bytearray(message)
        forged[place] ^= 0x80 if place != 31 else 0x01  # the top bit of a public key is ignored (RFC 7748, 5)
        with pytest.raises(MalformedBytes):
            responder(bytes(forged))


@pytest.mark.parametrize("size", [0, 31, 32, 47, 80, 95])
def test_a_short_message_is_refused(size):
    with pytest.raises(MalformedBytes):
        responder(bytes(size))
    with pytest.raises(MalformedBytes):
        initiator().read_response_untrusted(bytes(min(size, 47)), PSK)


def test_another_prologue_or_psk_does_not_complete():
    ours = initiator()
    with pytest.raises(MalformedBytes):
        responder(ours.message, prologue=b"q")
    message, _ = responder(ours.message).respond(ephemeral=EPHEMERAL_B, psk=bytes(32), payload=b"")
    with pytest.raises(MalformedBytes):
        ours.read_response_untrusted(message, PSK)


def test_a_point_of_low_order_is_refused():
    with pytest.raises(MalformedBytes):
        responder(bytes(32) + bytes(100))


def test_keys_do_not_show_in_a_repr():
    _, keys = responder(initiator().message).respond(ephemeral=EPHEMERAL_B, psk=PSK, payload=b"")
    assert repr(keys) == "TransportKeys(...)"
