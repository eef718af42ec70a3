"""Names of machines, with a port, for where the address may change. They are asked for elsewhere (`naming`)."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from failover.errors import BadAddress, MalformedBytes
from failover.net import addresses
from failover.net.addresses import Address

HOST_SIZE_MAX = 100
"""Characters. DNS allows 253; the names of cloud providers' machines have some 60."""
NAMES_MAX = 2
"""Of one member: each may cost all others a question to their name servers now and then."""
TEXT_SIZE_MAX = HOST_SIZE_MAX + 6
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class Name(NamedTuple):
    """A machine that a name server knows."""

    host: str
    """ASCII, lower case; "xn--..." where it is in another script."""
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse(text: str) -> Address | Name:
    """The address or the name in "203.0.113.5:7777", "[2001:db8::1]:7777" or "game.example.org:7777".

    Raises BadAddress, with one line that says what would do.
    """
    host, _, port = text.strip().rpartition(":")
    if ":" in host or host.startswith("[") or not _is_host(host):
        return addresses.parse(text)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65_535):
        raise BadAddress(f"{text.strip()[:60]!r} has no port from 1 to 65535 after its last colon")
    return Name(_to_ascii(host), int(port))


def _is_host(host: str) -> bool:
    """Whether it is meant as a name: the last part of an IPv4 address is a number, that of a name is none."""
    return bool(host) and not host.rstrip(".").rpartition(".")[2].isdigit()


def _to_ascii(host: str) -> str:
    try:
        ascii_host = host.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        ascii_host = ""
    if len(ascii_host) > HOST_SIZE_MAX or not all(_LABEL.fullmatch(label) for label in ascii_host.split(".")):
        raise BadAddress(
            f"{host[:60]!r} is no name of a machine: letters, digits, dots and dashes, at most {HOST_SIZE_MAX}"
        )
    return ascii_host


def parse_claimed(text: str) -> Address | Name | None:
    """The same for what somebody else says; None for what is neither."""
    try:
        return parse(text)
    except BadAddress:
        return None


def is_worth_a_try(ip: str, *, allow_loopback: bool) -> bool:
    """Whether to send anything to an address that a name server gave."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if address.is_loopback:
        return allow_loopback
    return not (address.is_multicast or address.is_unspecified or address.is_reserved or address.is_link_local)


def pack_list(names: tuple[Name, ...]) -> bytes:
    """In a ticket: a count (u8), then for each a port (u16), a size (u8) and the host."""
    assert len(names) <= NAMES_MAX
    packed = (each.port.to_bytes(2, "little") + bytes([len(each.host)]) + each.host.encode() for each in names)
    return bytes([len(names)]) + b"".join(packed)


def unpack_list_untrusted(data: bytes, offset: int) -> tuple[tuple[Name, ...], int]:
    """The packed list at `offset`, and the offset behind it. Raises MalformedBytes."""
    if offset >= len(data) or data[offset] > NAMES_MAX:
        raise MalformedBytes("name count")
    count, offset = data[offset], offset + 1
    found = []
    for _ in range(count):
        end = offset + 3 + (data[offset + 2] if offset + 2 < len(data) else 0)
        host = data[offset + 3 : end].decode("ascii", "replace")
        name = Name(host, int.from_bytes(data[offset : offset + 2], "little"))
        claimed = parse_claimed(str(name))
        if end > len(data) or not isinstance(claimed, Name) or claimed != name:
            raise MalformedBytes("name")
        found.append(name)
        offset = end
    return tuple(found), offset
