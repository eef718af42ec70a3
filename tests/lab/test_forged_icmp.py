"""A forged ICMP "too big" from somebody on the network: it shrinks the datagrams of others, not ours."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from failover.net.endpoint import UdpTransport
from tests.lab.namespaces import call_inside, udp_socket
from tests.lab.wireguard import checksum

ICMP_UNREACHABLE, FRAGMENTATION_NEEDED = 3, 4
FORGED_MTU = 576
SIZE = 1200


def forge_too_big(namespace: str, victim: tuple[str, int], target: tuple[str, int]) -> None:
    """Tell `victim` that its datagrams to `target` are too big for the way."""
    ends = socket.inet_aton(victim[0]) + socket.inet_aton(target[0])
    head = struct.pack(">BBHHHBBH", 0x45, 0, 28 + SIZE, 1, 0x4000, 64, socket.IPPROTO_UDP, 0) + ends
    said = head + struct.pack(">HHHH", victim[1], target[1], 8 + SIZE, 0)
    start = struct.pack(">BBHHH", ICMP_UNREACHABLE, FRAGMENTATION_NEEDED, 0, 0, FORGED_MTU)
    message = start[:2] + struct.pack(">H", checksum(start + said)) + start[4:] + said

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            raw.sendto(message, (victim[0], 0))

    call_inside(namespace, send)


def fragments_made(namespace: str) -> int:
    """By this namespace, since it is there."""

    def look() -> int:
        names, values = (
            line.split()
            for line in Path("/proc/thread-self/net/snmp").read_text().splitlines()
            if line[:3] == "Ip:"
        )
        return int(values[names.index("FragCreates")])

    return call_inside(namespace, look)


@pytest.mark.parametrize("bind", ["10.77.0.1", "::"])
def test_a_forged_icmp_too_big_changes_nothing(lan, bind):
    """Also where one socket serves both families, as those of members do."""
    victim, peer, attacker = lan.namespaces
    with udp_socket(peer, lan.addresses[1]) as receiver, udp_socket(victim, lan.addresses[0]) as ordinary:
        target = receiver.getsockname()
        ours = call_inside(victim, lambda: UdpTransport(bind))
        for source in (ordinary.getsockname(), (lan.addresses[0], ours.address.port)):
            ordinary.sendto(b"known", target)  # the way is in use
            receiver.recv(2048)
            forge_too_big(attacker, source, target)
        ordinary.sendto(bytes(SIZE), target)
        assert len(receiver.recv(2048)) == SIZE
        made = fragments_made(victim)
        assert made > 0, "the forged message fooled nobody, so this test shows nothing"
        ours.send(bytes(SIZE), type(ours.address)(*target))
        assert len(receiver.recv(2048)) == SIZE
        assert fragments_made(victim) == made
        ours.close()
