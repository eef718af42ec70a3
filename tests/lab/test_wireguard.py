"""Live handshakes of `failover.net.noise` with Debian's `wireguard-go`, data both ways, its cookie under load."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from failover.net import noise
from tests.lab import wireguard
from tests.lab.namespaces import NoLab, check_machine, inside
from tests.lab.wireguard import COOKIE, DATA, INITIATION, RESPONSE, SIZES, Tunnel, WireGuardGo

OURS, PSK = os.urandom(32), os.urandom(32)
ICMP, UDP = 1, 17
BURST, BURSTS_MAX = 400, 50


@pytest.fixture
def go(require) -> Iterator[WireGuardGo]:
    """One, waiting for us."""
    with ExitStack() as stack:
        try:
            check_machine("wireguard-go")
            go = stack.enter_context(WireGuardGo(noise.public_key(OURS), PSK))
        except (NoLab, RuntimeError) as error:
            require(False, f"this machine gives no WireGuard: {error}")
            raise
        yield go


def connect(go: WireGuardGo, index: int = 7) -> Tunnel:
    """As initiator."""
    started, body = wireguard.initiation(OURS, go.static, index)
    go.send(wireguard.with_macs(go.static, body))
    return complete(started, go.receive(RESPONSE), index)


def complete(started: noise.Initiator, response: bytes, index: int) -> Tunnel:
    """Read the second message."""
    kind, remote_index, named = struct.unpack_from("<III", response)
    assert (kind, named, len(response)) == (RESPONSE, index, SIZES[RESPONSE])
    assert response[60:76] == wireguard.mac1(noise.public_key(OURS), response[:60])
    payload, keys = started.read_response_untrusted(response[12:60], PSK)
    assert payload == b""
    return Tunnel(keys.initiator_sends, keys.responder_sends, remote_index)


def receive_packet(go: WireGuardGo, tunnel: Tunnel) -> wireguard.Packet:
    """The next packet; keepalives are none."""
    while True:
        packet = tunnel.open(go.receive(DATA))
        if packet:
            return wireguard.read_packet(packet)


def test_we_initiate_and_a_ping_goes_through_the_tunnel_and_back(go):
    tunnel = connect(go)
    for number in range(3):
        asked = wireguard.ping(number)
        go.send(tunnel.seal(wireguard.ip_packet(ICMP, asked)))
        answer = receive_packet(go, tunnel)
        assert answer == (ICMP, wireguard.THERE, wireguard.ping(number, is_answer=True, like=asked))
    told = go.ask("get=1\n")
    assert told["public_key"] == noise.public_key(OURS).hex()
    assert int(told["last_handshake_time_sec"]) > 0 and int(told["rx_bytes"]) > 0 and int(told["tx_bytes"]) > 0


def test_wireguard_go_initiates_and_a_ping_goes_through_the_tunnel_and_back(go):
    command = [*inside(go.namespace), "ping", "-c", "1", "-W", "5", wireguard.HERE]
    if shutil.which("ping") is None:  # a UDP packet does as well, but nobody there waits for its answer
        command = [*inside(go.namespace), "bash", "-c", f"echo hello > /dev/udp/{wireguard.HERE}/9"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as pinging:
        asked = go.receive(INITIATION)
        assert len(asked) == SIZES[INITIATION]
        assert asked[116:132] == wireguard.mac1(noise.public_key(OURS), asked[:116])
        responder = noise.Responder(static=OURS, prologue=wireguard.PROLOGUE, message=asked[8:116])
        assert responder.initiator_static == go.static and len(responder.payload) == 12
        message, keys = responder.respond(ephemeral=os.urandom(32), psk=PSK, payload=b"")
        (remote_index,) = struct.unpack_from("<I", asked, 4)
        go.send(wireguard.with_macs(go.static, struct.pack("<III", RESPONSE, 9, remote_index) + message))
        tunnel = Tunnel(keys.responder_sends, keys.initiator_sends, remote_index)
        packet = receive_packet(go, tunnel)
        assert packet.source == wireguard.THERE
        if packet.protocol == ICMP:
            answer = wireguard.ping(0, is_answer=True, like=packet.content)
            go.send(tunnel.seal(wireguard.ip_packet(ICMP, answer)))
        else:
            assert packet.protocol == UDP and packet.content.endswith(b"hello\n")
        assert pinging.wait(10) == 0


def test_a_wrong_preshared_key_completes_nothing(go):
    started, body = wireguard.initiation(OURS, go.static, 7)
    go.send(wireguard.with_macs(go.static, body))
    response = go.receive(RESPONSE)
    with pytest.raises(noise.MalformedBytes):
        started.read_response_untrusted(response[12:60], bytes(32))
    assert complete(started, response, 7)


def test_a_wrong_mac1_gets_nothing(go):
    _, body = wireguard.initiation(OURS, go.static, 7)
    go.send(body + bytes(32))
    go.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        go.receive(RESPONSE, 0.3)


def cookie_under_load(go: WireGuardGo) -> bytes:
    """Flood it until it answers our own initiation with a cookie."""
    garbage = [
        wireguard.with_macs(go.static, struct.pack("<II", INITIATION, 1000 + number) + os.urandom(108))
        for number in range(BURST)
    ]
    go.socket.settimeout(0.05)
    for _ in range(BURSTS_MAX):
        _, body = wireguard.initiation(OURS, go.static, 7)
        asked = wireguard.with_macs(go.static, body)
        for message in garbage:
            go.send(message)
        go.send(asked)
        try:
            while True:
                answer = go.receive(COOKIE)
                if answer[4:8] == asked[4:8]:
                    assert len(answer) == SIZES[COOKIE]
                    return wireguard.open_cookie(go.static, answer, asked[116:132])
        except TimeoutError:
            continue
    raise AssertionError("wireguard-go was never under load")


def asked_with_a_wrong_cookie(go: WireGuardGo, index: int) -> bool:
    """Whether it still insists on cookies: it stays under load for a second (its `UnderLoadAfterTime`)."""
    _, body = wireguard.initiation(OURS, go.static, index)
    go.send(wireguard.with_macs(go.static, body, b"another's cookie"))
    try:
        while struct.unpack_from("<I", go.receive(COOKIE), 4) != (index,):
            pass
    except TimeoutError:
        return False
    return True


def test_its_cookie_under_load_is_read_and_mac2_lets_us_in(go):
    go.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    cookie = cookie_under_load(go)
    while not asked_with_a_wrong_cookie(go, 11):  # the machine was busy elsewhere for a second
        cookie = cookie_under_load(go)
    go.socket.settimeout(3.0)
    started, body = wireguard.initiation(OURS, go.static, 12)
    go.send(wireguard.with_macs(go.static, body, cookie))
    tunnel = complete(started, go.receive(RESPONSE), 12)
    asked = wireguard.ping(1)
    go.send(tunnel.seal(wireguard.ip_packet(ICMP, asked)))
    assert receive_packet(go, tunnel).content == wireguard.ping(1, is_answer=True, like=asked)
