"""WireGuard's messages around `failover.net.noise`, and Debian's `wireguard-go` in a namespace, to talk to.

The layouts are those of the WireGuard paper, 5.4. Nothing here is used by the library: it shows that its handshake
and its cookies are those of others.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from contextlib import ExitStack
from hashlib import blake2s
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from failover.net import cookies, noise
from tests.lab.namespaces import COMMAND_S, Namespaces, inside, ip, udp_socket

PROLOGUE = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
INITIATION, RESPONSE, COOKIE, DATA = 1, 2, 3, 4
SIZES = {INITIATION: 148, RESPONSE: 92, COOKIE: 64}
PORT = 51820
HERE, THERE = "10.99.0.1", "10.99.0.2"
"""Inside the tunnel: ours, and wireguard-go's."""
UAPI_S = 5.0


def timestamp() -> bytes:
    """TAI64N, 12 bytes: what WireGuard has instead of an incarnation."""
    now = time.time_ns()
    return struct.pack(">QI", 2**62 + 10 + now // 10**9, now % 10**9)


def mac1(receiver_static: bytes, body: bytes) -> bytes:
    """16 bytes; the gate is missing here."""
    return blake2s(body, key=blake2s(b"mac1----" + receiver_static).digest(), digest_size=16).digest()


def mac2(cookie: bytes, body: bytes) -> bytes:
    """16 bytes over everything up to mac1, that included."""
    return blake2s(body, key=cookie, digest_size=16).digest()


def with_macs(receiver_static: bytes, body: bytes, cookie: bytes = b"") -> bytes:
    """A whole handshake message."""
    body += mac1(receiver_static, body)
    return body + (mac2(cookie, body) if cookie else bytes(16))


def initiation(static: bytes, receiver_static: bytes, index: int) -> tuple[noise.Initiator, bytes]:
    """The first message, without its macs."""
    started = noise.Initiator(
        static=static,
        ephemeral=os.urandom(32),
        responder_static=receiver_static,
        prologue=PROLOGUE,
        payload=timestamp(),
    )
    return started, struct.pack("<II", INITIATION, index) + started.message


def open_cookie(responder_static: bytes, message: bytes, asked_mac1: bytes) -> bytes:
    """The cookie in a message of type 3."""
    key = blake2s(b"cookie--" + responder_static).digest()
    cipher, nonce = cookies.xchacha20poly1305(key, message[8:32])
    return cipher.decrypt(nonce, message[32:64], asked_mac1)


class Tunnel:
    """The keys of a handshake that is complete, as DATA uses them."""

    def __init__(self, send_key: bytes, receive_key: bytes, remote_index: int) -> None:
        self._send, self._receive = ChaCha20Poly1305(send_key), ChaCha20Poly1305(receive_key)
        self._remote_index = remote_index
        self._counter = 0

    def seal(self, packet: bytes) -> bytes:
        """A message of type 4; an empty packet is a keepalive."""
        padded = packet + bytes(-len(packet) % 16)
        nonce = self._counter.to_bytes(8, "little")
        self._counter += 1
        return (
            struct.pack("<II", DATA, self._remote_index)
            + nonce
            + self._send.encrypt(bytes(4) + nonce, padded, b"")
        )

    def open(self, message: bytes) -> bytes:
        """The packet in it, padding included."""
        return self._receive.decrypt(bytes(4) + message[8:16], message[16:], b"")


def checksum(data: bytes) -> int:
    """Of the internet (RFC 1071)."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(protocol: int, content: bytes) -> bytes:
    """From here to there, inside the tunnel."""
    ends = socket.inet_aton(HERE) + socket.inet_aton(THERE)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(content), 1, 0, 64, protocol, 0) + ends
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + content


def ping(number: int, *, is_answer: bool = False, like: bytes = b"") -> bytes:
    """An ICMP echo request; or the answer to the one that is the content of `like`."""
    content = like[4:] if is_answer else struct.pack(">HH", 7, number) + b"failover"
    head = struct.pack(">BBH", 0 if is_answer else 8, 0, 0)
    return head[:2] + struct.pack(">H", checksum(head + content)) + content


class Packet(NamedTuple):
    """What a tunnel carried."""

    protocol: int
    source: str
    content: bytes


def read_packet(packet: bytes) -> Packet:
    """An IPv4 packet, without WireGuard's padding."""
    (size,) = struct.unpack_from(">H", packet, 2)
    return Packet(packet[9], socket.inet_ntoa(packet[12:16]), packet[4 * (packet[0] & 15) : size])


class WireGuardGo:
    """`wireguard-go` with one peer, in a namespace of its own, and a socket beside it that is this peer's."""

    def __init__(self, peer_static: bytes, psk: bytes) -> None:
        self.private_key = os.urandom(32)
        self.static = noise.public_key(self.private_key)
        self._peer_static, self._psk = peer_static, psk
        self._stack = ExitStack()

    def __enter__(self) -> WireGuardGo:
        """Start it."""
        with ExitStack() as stack:
            made = Namespaces()
            stack.callback(made.close)
            self.namespace = made.add("wireguard")
            self.socket = stack.enter_context(udp_socket(self.namespace, "127.0.0.1", timeout_s=3.0))
            self.interface = f"wg{os.getpid() % 1_000_000}"
            self._process = subprocess.Popen(
                [*inside(self.namespace), "wireguard-go", "--foreground", self.interface],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"LOG_LEVEL": "error"},
            )
            stack.callback(self._stop)
            self._configure()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(COMMAND_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(COMMAND_S)

    def _configure(self) -> None:
        settings = {
            "private_key": self.private_key.hex(),
            "listen_port": str(PORT),
            "public_key": self._peer_static.hex(),
            "preshared_key": self._psk.hex(),
            "endpoint": f"127.0.0.1:{self.socket.getsockname()[1]}",
            "allowed_ip": f"{HERE}/32",
        }
        answer = self.ask("set=1\n" + "".join(f"{name}={value}\n" for name, value in settings.items()))
        if answer != {"errno": "0"}:
            raise RuntimeError(f"wireguard-go refused its settings: {answer}")
        ip(self.namespace, f"addr add {THERE}/24 dev {self.interface}", f"link set {self.interface} up")

    def ask(self, question: str) -> dict[str, str]:
        """Through its own socket, in its own plain text; of doubled names the last counts."""
        path = Path("/var/run/wireguard", f"{self.interface}.sock")
        until = time.monotonic() + UAPI_S
        while not path.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("wireguard-go does not start: it needs /dev/net/tun and root")
            time.sleep(0.01)
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(UAPI_S)
            talk.connect(str(path))
            talk.sendall(question.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n\n"):
                answer += talk.recv(4096)
        return dict(line.split("=", 1) for line in answer.decode().split())

    def send(self, message: bytes) -> None:
        """From the peer's socket."""
        self.socket.sendto(message, ("127.0.0.1", PORT))

    def receive(self, kind: int, within_s: float = 3.0) -> bytes:
        """The next message of this type; others are dropped, as a peer may send what we do not wait for."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            message = self.socket.recv(4096)
            if message[0] == kind:
                return message
        raise TimeoutError(f"no message of type {kind} within {within_s} s")
