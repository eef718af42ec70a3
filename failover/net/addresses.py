"""Addresses: an ip in its one canonical text form, and a port. Names of machines are resolved elsewhere."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from failover.errors import BadAddress, MalformedBytes

_FAMILY_NONE, _FAMILY_IPV4, _FAMILY_IPV6 = 0, 4, 6
PACKED_SIZE_MAX = 19
ADDRESSES_MAX = 8
"""Candidates that one member may name; more would make it a tool for spraying others with datagrams."""


class Address(NamedTuple):
    """Where a datagram goes to or came from."""

    ip: str
    """IPv4 or IPv6, canonical, without brackets or scope."""
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def parse(text: str) -> Address:
    """The address in "1.2.3.4:5678" or "[2001:db8::1]:5678".

    Raises BadAddress, with one line that says what would do.
    """
    host, colon, port_text = text.strip().rpartition(":")
    if not colon or not host:
        raise BadAddress(f"{_quote(text)} is not an address: write 192.0.2.1:7777 or [2001:db8::1]:7777")
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        raise BadAddress(
            f"{_quote(text)} is not an address: an IPv6 address stands in brackets, [2001:db8::1]:7777"
        )
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5 and int(port_text) <= 65_535):
        raise BadAddress(f"{_quote(text)} has no port from 0 to 65535 after its last colon")
    try:
        return Address(str(ipaddress.ip_address(host[1:-1] if bracketed else host)), int(port_text))
    except ValueError:
        raise BadAddress(f"{_quote(text)} does not begin with an IP address") from None


def ip_of(address: Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Its IP. What only spells an IPv4 address as an IPv6 one (::ffff:127.0.0.1) goes where that one goes."""
    ip = ipaddress.ip_address(address.ip)
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip


def _quote(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def pack(address: Address | None) -> bytes:
    """On the wire: family (0 none, 4, 6), port (u16), and 4 or 16 bytes of ip in network order."""
    if address is None:
        return bytes([_FAMILY_NONE])
    raw = ipaddress.ip_address(address.ip.partition("%")[0]).packed
    family = _FAMILY_IPV4 if len(raw) == 4 else _FAMILY_IPV6
    return bytes([family]) + address.port.to_bytes(2, "little") + raw


def pack_list(addresses: tuple[Address, ...]) -> bytes:
    """A count (u8), then each address packed; what is beyond the bound is left out."""
    kept = addresses[:ADDRESSES_MAX]
    return bytes([len(kept)]) + b"".join(pack(address) for address in kept)


def unpack_untrusted(data: bytes, offset: int) -> tuple[Address | None, int]:
    """The packed address at `offset`, and the offset behind it. Raises MalformedBytes."""
    family = data[offset] if offset < len(data) else -1
    if family == _FAMILY_NONE:
        return None, offset + 1
    size = {_FAMILY_IPV4: 4, _FAMILY_IPV6: 16}.get(family)
    if size is None or offset + 3 + size > len(data):
        raise MalformedBytes("address")
    port = int.from_bytes(data[offset + 1 : offset + 3], "little")
    raw = data[offset + 3 : offset + 3 + size]
    return Address(str(ipaddress.ip_address(raw)), port), offset + 3 + size


def unpack_list_untrusted(data: bytes, offset: int) -> tuple[tuple[Address, ...], int]:
    """The packed list at `offset`, and the offset behind it. Raises MalformedBytes."""
    if offset >= len(data) or data[offset] > ADDRESSES_MAX:
        raise MalformedBytes("address count")
    found = []
    count, offset = data[offset], offset + 1
    for _ in range(count):
        address, offset = unpack_untrusted(data, offset)
        if address is None:
            raise MalformedBytes("a list holds no empty address")
        found.append(address)
    return tuple(found), offset
