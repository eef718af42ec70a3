"""Captures: the classic pcap format, and the IP and UDP headers in it. What we write, every tool reads; what
tcpdump writes on the usual kinds of networks, we read. Nothing is allocated from a claimed size.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from struct import Struct, error
from typing import BinaryIO, NamedTuple

from failover.errors import MalformedBytes
from failover.net.addresses import Address

LINK_RAW_IP = 101
RECORD_SIZE_MAX = 1 << 18
"""tcpdump's own bound; a longer record is damage."""
_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
}
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_LINK_HEADERS = {0: 4, 1: 14, 12: 0, LINK_RAW_IP: 0, 113: 16, 276: 20, 228: 0, 229: 0}
"""Bytes before the IP header: loopback of macOS and BSD, Ethernet, raw IP, Linux "any" (two forms), IPv4, IPv6."""
_VLAN_TAGS = (b"\x81\x00", b"\x88\xa8")
_UDP = 17
_IPV4 = Struct(">BBHHHBBH4s4s")
_IPV6 = Struct(">IHBB16s16s")
_UDP_HEADER = Struct(">HHHH")
_RECORD = Struct("<IIII")


class Datagram(NamedTuple):
    """One UDP datagram of a capture."""

    time: float
    """Unix seconds."""
    source: Address
    target: Address
    payload: bytes
    """As far as it was captured."""
    is_whole: bool


# Writing.


def file_header() -> bytes:
    """The beginning of a file whose records are IP packets, with times in microseconds."""
    return Struct("<IHHiIII").pack(0xA1B2C3D4, 2, 4, 0, 0, RECORD_SIZE_MAX, LINK_RAW_IP)


def record(time: float, source: Address, target: Address, payload: bytes) -> bytes:
    """One UDP datagram as it stands in the file, with IP and UDP headers made for it."""
    packet = _packet(source, target, payload)
    seconds, rest = divmod(int(time * 1_000_000), 1_000_000)
    return _RECORD.pack(seconds & 0xFFFFFFFF, rest, len(packet), len(packet)) + packet


def _packet(source: Address, target: Address, payload: bytes) -> bytes:
    froms, tos = ipaddress.ip_address(source.ip).packed, ipaddress.ip_address(target.ip).packed
    size = _UDP_HEADER.size + len(payload)
    if len(froms) != len(tos):  # an IPv4 address of one who is bound to IPv6, or the other way round
        froms, tos = (_as_ipv6(each) for each in (froms, tos))
    pseudo = froms + tos + size.to_bytes(4, "big") + _UDP.to_bytes(4, "big")
    udp = _UDP_HEADER.pack(source.port, target.port, size, 0)
    udp = udp[:6] + (_checksum(pseudo + udp + payload) or 0xFFFF).to_bytes(2, "big")
    if len(froms) == 16:
        return _IPV6.pack(6 << 28, size, _UDP, 64, froms, tos) + udp + payload
    header = _IPV4.pack(0x45, 0, _IPV4.size + size, 0, 0, 64, _UDP, 0, froms, tos)
    header = _IPV4.pack(0x45, 0, _IPV4.size + size, 0, 0, 64, _UDP, _checksum(header), froms, tos)
    return header + udp + payload


def _as_ipv6(raw: bytes) -> bytes:
    return raw if len(raw) == 16 else bytes(10) + b"\xff\xff" + raw


def _checksum(data: bytes) -> int:
    """Of the internet (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(Struct(f">{len(data) // 2}H").unpack(data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


# Reading.


def read_untrusted(file: BinaryIO) -> Iterator[Datagram]:
    """The UDP datagrams of a capture, in their order; packets of other kinds are passed over.

    Raises MalformedBytes, with one line that says what is wrong, where the file is none, damaged or cut off.
    """
    header = file.read(24)
    if header[:4] == _PCAPNG:
        raise MalformedBytes("a pcapng file: convert it with `tcpdump -r FILE -w NEW.pcap` first")
    if header[:4] not in _MAGICS:
        raise MalformedBytes("not a capture: neither of `failover` nor of tcpdump")
    order, per_second = _MAGICS[header[:4]]
    if len(header) < 24:
        raise MalformedBytes("cut off within its first 24 bytes")
    link = Struct(order + "I").unpack(header[20:])[0] & 0xFFFF
    if link not in _LINK_HEADERS:
        raise MalformedBytes(f"a capture of a kind of network (link type {link}) that is not understood here")
    form, number = Struct(order + "IIII"), 0
    while head := file.read(form.size):
        number += 1
        if len(head) < form.size:
            raise MalformedBytes(f"cut off in packet {number}")
        seconds, rest, size, whole_size = form.unpack(head)
        if size > RECORD_SIZE_MAX or rest >= per_second:
            raise MalformedBytes(f"damaged from packet {number} on")
        packet = file.read(size)
        if len(packet) < size:
            raise MalformedBytes(f"cut off in packet {number}")
        found = _unwrap(packet, link)
        if found is not None:
            source, target, payload, is_whole = found
            yield Datagram(seconds + rest / per_second, source, target, payload, is_whole and size >= whole_size)


def _unwrap(packet: bytes, link: int) -> tuple[Address, Address, bytes, bool] | None:
    """Source, target, payload, and whether that is all of it; None for what is not UDP."""
    at = _LINK_HEADERS[link]
    while link == 1 and packet[at - 2 : at] in _VLAN_TAGS:
        at += 4
    packet = packet[at:]
    try:
        return _from_ipv4(packet) if packet[:1] and packet[0] >> 4 == 4 else _from_ipv6(packet)
    except error:
        return None


def _from_ipv4(packet: bytes) -> tuple[Address, Address, bytes, bool] | None:
    head, _, _, _, fragment, _, protocol, _, source, target = _IPV4.unpack_from(packet)
    if protocol != _UDP or fragment & 0x3FFF:  # a fragment: we never send such
        return None
    return _from_udp(packet[(head & 15) * 4 :], source, target)


def _from_ipv6(packet: bytes) -> tuple[Address, Address, bytes, bool] | None:
    head, _, protocol, _, source, target = _IPV6.unpack_from(packet)
    if head >> 28 != 6 or protocol != _UDP:
        return None
    return _from_udp(packet[_IPV6.size :], source, target)


def _from_udp(data: bytes, source: bytes, target: bytes) -> tuple[Address, Address, bytes, bool]:
    from_port, to_port, size, _ = _UDP_HEADER.unpack_from(data)
    payload = data[_UDP_HEADER.size : size]
    return (
        Address(_text(source), from_port),
        Address(_text(target), to_port),
        payload,
        len(payload) == size - _UDP_HEADER.size,
    )


def _text(raw: bytes) -> str:
    ip = ipaddress.ip_address(raw)
    mapped = getattr(ip, "ipv4_mapped", None)
    return str(mapped or ip)
