"""Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s: the handshake of WireGuard, after the Noise specification.

    <- s
    ...
    -> e, es, s, ss          (the initiation)
    <- e, ee, se, psk        (the response)

Prologue, payloads and ephemeral keys are arguments: nothing here draws a random number. A read that fails leaves
its object as it was, so that a forged response changes nothing and the genuine one still works. (A library that
cannot do this lets one spoofed datagram kill a handshake: CVE-2021-4239.)
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import blake2s

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from failover.errors import MalformedBytes

PROTOCOL_NAME = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
KEY_SIZE = 32
TAG_SIZE = 16


def public_key(private_key: bytes) -> bytes:
    """The 32 raw bytes of the public key that belongs to the 32 of `private_key`."""
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def is_canonical(public: bytes) -> bool:
    """Whether these are the bytes that stand for this point: an identity has no second spelling.

    X25519 ignores the highest bit and reduces the rest, so a few keys have two (Nebula, GHSA-69x3-g4r3-p962).
    """
    return int.from_bytes(public, "little") < 2**255 - 19


def _exchange(private_key: bytes, public: bytes) -> bytes:
    """X25519. Refuses points of low order (an all-zero result), as RFC 7748, 6.1 allows."""
    try:
        return X25519PrivateKey.from_private_bytes(private_key).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise MalformedBytes("a public key of low order") from None


def _hkdf(chaining_key: bytes, material: bytes, count: int) -> list[bytes]:
    """HKDF of the Noise specification, 4.3: `count` keys of 32 bytes."""
    secret = hmac.digest(chaining_key, material, "blake2s")
    keys: list[bytes] = []
    for number in range(1, count + 1):
        keys.append(hmac.digest(secret, (keys[-1] if keys else b"") + bytes([number]), "blake2s"))
    return keys


@dataclass(frozen=True, slots=True)
class Symmetric:
    """The SymmetricState of the specification, 5.2, as a value: each step returns the next one."""

    chaining_key: bytes
    hash: bytes
    key: bytes = b""
    """Of the cipher; its nonce is always 0 in this pattern, as a `mix_key` comes between any two uses."""

    @classmethod
    def start(cls, prologue: bytes, responder_static: bytes) -> Symmetric:
        """Before the first message: the name of the protocol, the prologue, and the premessage `<- s`."""
        name = PROTOCOL_NAME if len(PROTOCOL_NAME) <= 32 else blake2s(PROTOCOL_NAME).digest()
        name = name.ljust(32, b"\0")
        return cls(name, name).mix_hash(prologue).mix_hash(responder_static)

    def mix_hash(self, data: bytes) -> Symmetric:
        """Bind `data` to everything that follows."""
        return Symmetric(self.chaining_key, blake2s(self.hash + data).digest(), self.key)

    def mix_key(self, material: bytes) -> Symmetric:
        """Stir in a secret."""
        chaining_key, key = _hkdf(self.chaining_key, material, 2)
        return Symmetric(chaining_key, self.hash, key)

    def mix_ephemeral(self, public: bytes) -> Symmetric:
        """The token `e` where there is a psk: the specification, 9.2, mixes it into the key too."""
        return self.mix_hash(public).mix_key(public)

    def mix_psk(self, psk: bytes) -> Symmetric:
        """The token `psk` (9.1)."""
        chaining_key, middle, key = _hkdf(self.chaining_key, psk, 3)
        return Symmetric(chaining_key, blake2s(self.hash + middle).digest(), key)

    def seal(self, plaintext: bytes) -> tuple[Symmetric, bytes]:
        """Encrypt and bind."""
        sealed = ChaCha20Poly1305(self.key).encrypt(bytes(12), plaintext, self.hash)
        return self.mix_hash(sealed), sealed

    def open_untrusted(self, sealed: bytes) -> tuple[Symmetric, bytes]:
        """Decrypt and bind. Raises MalformedBytes if one bit is not as it was sealed."""
        try:
            plaintext = ChaCha20Poly1305(self.key).decrypt(bytes(12), sealed, self.hash)
        except InvalidTag:
            raise MalformedBytes("handshake tag") from None
        return self.mix_hash(sealed), plaintext

    def split(self) -> TransportKeys:
        """The end of the handshake (5.2): one key per direction."""
        first, second = _hkdf(self.chaining_key, b"", 2)
        return TransportKeys(first, second, self.hash)


@dataclass(frozen=True, slots=True)
class TransportKeys:
    """What both sides hold after the handshake."""

    initiator_sends: bytes
    responder_sends: bytes
    handshake_hash: bytes

    def __repr__(self) -> str:
        return "TransportKeys(...)"


class Initiator:
    """The side that knows the other's static key. Immutable: `read_response_untrusted` may be tried again."""

    __slots__ = ("_ephemeral", "_state", "_static", "message")

    def __init__(
        self, *, static: bytes, ephemeral: bytes, responder_static: bytes, prologue: bytes, payload: bytes
    ) -> None:
        self._static = static
        self._ephemeral = ephemeral
        ephemeral_public = public_key(ephemeral)
        state = Symmetric.start(prologue, responder_static).mix_ephemeral(ephemeral_public)
        state = state.mix_key(_exchange(ephemeral, responder_static))
        state, sealed_static = state.seal(public_key(static))
        state = state.mix_key(_exchange(static, responder_static))
        self._state, sealed_payload = state.seal(payload)
        self.message = ephemeral_public + sealed_static + sealed_payload
        """The first message: ephemeral 32, sealed static 48, sealed payload."""

    def read_response_untrusted(self, message: bytes, psk: bytes) -> tuple[bytes, TransportKeys]:
        """Payload and keys. Raises MalformedBytes, and then nothing has changed."""
        if len(message) < KEY_SIZE + TAG_SIZE:
            raise MalformedBytes("response too short")
        ephemeral = message[:KEY_SIZE]
        state = self._state.mix_ephemeral(ephemeral)
        state = state.mix_key(_exchange(self._ephemeral, ephemeral))
        state = state.mix_key(_exchange(self._static, ephemeral)).mix_psk(psk)
        state, payload = state.open_untrusted(message[KEY_SIZE:])
        return payload, state.split()


class Responder:
    """The side that was called. Made from an initiation that verified; raises MalformedBytes for any other."""

    __slots__ = ("_ephemeral_initiator", "_state", "initiator_static", "payload")

    def __init__(self, *, static: bytes, prologue: bytes, message: bytes) -> None:
        if len(message) < KEY_SIZE + KEY_SIZE + TAG_SIZE + TAG_SIZE:
            raise MalformedBytes("initiation too short")
        ephemeral, sealed_static = message[:32], message[32:80]
        state = Symmetric.start(prologue, public_key(static)).mix_ephemeral(ephemeral)
        state = state.mix_key(_exchange(static, ephemeral))
        state, self.initiator_static = state.open_untrusted(sealed_static)
        state = state.mix_key(_exchange(static, self.initiator_static))
        self._state, self.payload = state.open_untrusted(message[80:])
        self._ephemeral_initiator = ephemeral

    def respond(self, *, ephemeral: bytes, psk: bytes, payload: bytes) -> tuple[bytes, TransportKeys]:
        """The second message, and the keys."""
        ephemeral_public = public_key(ephemeral)
        state = self._state.mix_ephemeral(ephemeral_public)
        state = state.mix_key(_exchange(ephemeral, self._ephemeral_initiator))
        state = state.mix_key(_exchange(ephemeral, self.initiator_static)).mix_psk(psk)
        state, sealed = state.seal(payload)
        return ephemeral_public + sealed, state.split()
