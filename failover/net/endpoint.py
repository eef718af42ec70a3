"""The sockets: the one file of this room that does I/O, and knows trio.

`Transport` is what the driver pumps: it may be UDP, a game's own network (`custom`), or a simulated one. Nothing
that the network does raises here: errors of earlier sends that surface on receiving (Windows: 10054, 10052,
10040), full buffers, unreachable networks and firewalls are counted. Raft lives with datagrams that are lost.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol, runtime_checkable

import psutil
import trio

from failover.errors import BadAddress, PortInUse
from failover.net.addresses import Address

ALL = "::"
"""The word for all addresses of this machine: IPv6, and IPv4 on the same socket."""
RECEIVE_BUFFER_SIZE = 4 << 20
"""Asked of the system, which may give less: room for what arrives while the process is not scheduled."""
DATAGRAM_READ_SIZE = 2048
"""More than any of ours, so that a larger one shows as too large."""
_LINUX_IP_MTU_DISCOVER, _LINUX_IP_PMTUDISC_PROBE = 10, 3
_LINUX_IPV6_MTU_DISCOVER = 23
"""Set "do not fragment", ignore what the path claims about its MTU: a forged "too big" changes nothing."""


class Transport(Protocol):
    """Carries datagrams of at most 1,200 bytes between addresses; may lose, double, delay and reorder them.

    `open_member(transport=...)` takes any object with these methods. For a network of the game's own that knows
    players by names (Steam, WebRTC), `NamedTransport` is one already. All members of a cluster use one kind. What
    is carried is encrypted and authenticated above, and who it comes from is believed to nobody: a transport needs
    neither protect nor check anything. It is used by the member's thread alone, and closed by `open_member`.
    """

    def send(self, data: bytes, address: Address) -> None:
        """Send, or lose it. Never blocks, never raises for what the network does."""

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        """The next datagram that has arrived, or None. Never raises for what the network does."""

    async def wait_readable(self) -> None:
        """Return when `receive_nowait` may have something. A checkpoint; cancelling it loses nothing."""

    def close(self) -> None:
        """Free the socket; a task in `wait_readable` gets `trio.ClosedResourceError`."""

    @property
    def local_addresses(self) -> Sequence[Address]:
        """Where others may reach this one: candidates for tickets, the most useful first."""


@runtime_checkable
class CountsLosses(Protocol):
    """What a `Transport` may have besides: its counters are shown in `Status.dropped`."""

    @property
    def counters(self) -> Mapping[str, int]:
        """What it lost, by reason."""


class UdpTransport:
    """One unconnected, non-blocking UDP socket.

    Args:
        bind: an IP address of this machine; "::" = all that it has, of IPv6 and of IPv4; "0.0.0.0" = all of IPv4.
        port: 0 = any free one.

    Raises:
        PortInUse: another program holds the port.
        BadAddress: `bind` is no IP address, or not one of this machine.
    """

    def __init__(self, bind: str = ALL, port: int = 0) -> None:
        self.counters: Counter[str] = Counter()
        """What could not be sent or received, by the name of the system's error."""
        self._socket = _open_socket(bind, port)
        name = self._socket.getsockname()
        self.address = Address(name[0], name[1])
        """What the socket is bound to, with the port that the system chose."""
        self._is_ipv6 = self._socket.family == socket.AF_INET6
        self._is_dual = self._is_ipv6 and bind == ALL
        self._sendto = self._socket.sendto
        self._recvfrom = self._socket.recvfrom

    def send(self, data: bytes, address: Address) -> None:
        """Hand one datagram to the system; errors are counted."""
        ip, port = address
        if self._is_ipv6 and ":" not in ip:
            ip = f"::ffff:{ip}"
        try:
            self._sendto(data, (ip, port))
        except (OSError, OverflowError, ValueError) as error:
            self._count("send", error)

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        """The next datagram; a zero-length one is a datagram, not an end."""
        for _ in range(16):  # each failed try takes one stored error off the socket
            try:
                data, name = self._recvfrom(DATAGRAM_READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return None
            except OSError as error:
                if error.errno == errno.EBADF:
                    return None
                self._count("receive", error)
                continue
            ip = name[0]
            if self._is_ipv6:
                ip = _plain(ip)
            return data, Address(ip, name[1])
        return None

    async def wait_readable(self) -> None:
        """Until something arrives. Cancelling it loses nothing."""
        await trio.lowlevel.wait_readable(self._socket)

    def close(self) -> None:
        """Free the socket; closing twice is harmless."""
        if self._socket.fileno() != -1:
            if trio.lowlevel.in_trio_run():
                trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    @property
    def local_addresses(self) -> tuple[Address, ...]:
        """The bound address; if it is "all", those of every interface that is up, loopback last."""
        if not ipaddress.ip_address(self.address.ip).is_unspecified:
            return (self.address,)
        families = [socket.AF_INET6] if self._is_ipv6 else [socket.AF_INET]
        if self._is_dual:
            families.insert(0, socket.AF_INET)
        return tuple(Address(ip, self.address.port) for ip in _interface_ips(families))

    def _count(self, doing: str, error: Exception) -> None:
        number = getattr(error, "winerror", None) or getattr(error, "errno", None)
        self.counters[f"socket: {doing} {errno.errorcode.get(number or 0, number or type(error).__name__)}"] += 1


def _open_socket(bind: str, port: int) -> socket.socket:
    try:
        ip = ipaddress.ip_address(bind)
    except ValueError:
        raise BadAddress(
            f"{bind[:60]!r} is no IP address to bind to; {ALL} stands for all of this machine"
        ) from None
    if not 0 <= port <= 65_535:
        raise BadAddress(f"{port} is no port; 0 stands for any free one, else 1 to 65535")
    if bind == ALL:
        if socket.has_dualstack_ipv6():
            with suppress(BadAddress):  # IPv6 is there, but switched off
                return _bound(socket.AF_INET6, bind, port, is_dual=True)
        return _bound(socket.AF_INET, "0.0.0.0", port)  # noqa: S104  # players are on other machines
    return _bound(socket.AF_INET if ip.version == 4 else socket.AF_INET6, bind, port)


def _bound(family: socket.AddressFamily, bind: str, port: int, *, is_dual: bool = False) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        _set_options(opened, is_dual=is_dual)
        opened.bind((bind, port))
    except OSError as error:
        opened.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES) or getattr(error, "winerror", None) in (10048, 10013):
            raise PortInUse(
                f"UDP port {port} of {bind} is in use; choose another, or 0 for any free one"
            ) from None
        raise BadAddress(f"{bind} is not an address of this machine ({error.strerror})") from None
    return opened


def _set_options(opened: socket.socket, *, is_dual: bool) -> None:
    """None of them is vital: a system that refuses one works without it."""
    options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_SIZE)]
    if opened.family == socket.AF_INET6:
        options.append((socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if is_dual else 1))
    if sys.platform == "linux":
        if opened.family == socket.AF_INET6:
            options.append((socket.IPPROTO_IPV6, _LINUX_IPV6_MTU_DISCOVER, _LINUX_IP_PMTUDISC_PROBE))
        if opened.family == socket.AF_INET or is_dual:
            options.append((socket.IPPROTO_IP, _LINUX_IP_MTU_DISCOVER, _LINUX_IP_PMTUDISC_PROBE))
    for level, option, value in options:
        try:
            opened.setsockopt(level, option, value)
        except OSError:
            continue


def _plain(ip: str) -> str:
    """An IPv4 address that an IPv6 socket shows as ::ffff:1.2.3.4, in its own form; no scope."""
    if ip.startswith("::ffff:") and "." in ip:
        return ip[7:]
    return ip.partition("%")[0]


def _interface_ips(families: list[socket.AddressFamily]) -> list[str]:
    """Of all interfaces that are up: addresses that others may reach first, loopback last, no link-local ones."""
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    found: dict[str, tuple[bool, int]] = {}
    for name, entries in psutil.net_if_addrs().items():
        for entry in entries:
            if name not in up or entry.family not in families:
                continue
            ip = ipaddress.ip_address(entry.address.partition("%")[0])
            if not (ip.is_link_local or ip.is_multicast or ip.is_unspecified):
                found[str(ip)] = (ip.is_loopback, families.index(socket.AddressFamily(entry.family)))
    return sorted(found, key=lambda text: found[text])
