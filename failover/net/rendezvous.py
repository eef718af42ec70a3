"""The sockets of short codes: there only while a code is open or looked for, and reaching no further than the LAN.

Whoever looks calls everybody: a multicast group and the broadcast address of each network. Who gave a code listens
for that on a fixed port, which many may share, and says all that it says from a port of its own. Everything leaves
with a TTL of 1: no router passes it on, so somebody elsewhere who knows this machine's address gets nothing back.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections import Counter
from contextlib import suppress
from typing import Protocol

import psutil
import trio

from failover.errors import PortInUse, Unreachable
from failover.net.addresses import Address
from failover.net.endpoint import DATAGRAM_READ_SIZE

CALL_PORT = 47474
CALL_GROUP = "239.255.47.74"
"""Of the range that stays within an organisation (RFC 2365)."""
EVERYBODY = "255.255.255.255"
LOOPBACK_EVERYBODY = "127.255.255.255"
REACH = 1
"""Time to live: one hop."""


class Rendezvous(Protocol):
    """Carries the exchange behind a short code; may lose, double and reorder."""

    def send(self, data: bytes, address: Address) -> None:
        """Send, or lose it. Never blocks, never raises for what the network does."""

    def call(self, data: bytes) -> None:
        """Send to everybody on the LAN who hears calls."""

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        """The next datagram that has arrived, or None."""

    async def wait_readable(self) -> None:
        """Return when `receive_nowait` may have something."""

    def close(self) -> None:
        """Free the sockets."""


class UdpRendezvous:
    """IPv4, as every LAN has it.

    Args:
        bind: the one of this machine's addresses to use; "0.0.0.0" = all.
        hears_calls: whether it listens for those who look for a code.

    Raises:
        PortInUse: another program holds the port at which calls arrive.
        Unreachable: this machine has no IPv4.
    """

    def __init__(self, bind: str, *, hears_calls: bool) -> None:
        self.counters: Counter[str] = Counter()
        """Errors of the sockets, by name."""
        self._networks = _networks(bind)
        self._sockets: list[socket.socket] = []
        try:
            self._own = _open(bind, 0)
            self._sockets.append(self._own)
            if hears_calls:
                self._sockets.append(self._open_calls())
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise Unreachable(f"no socket for short codes: {error.strerror}; use a ticket") from None
            raise

    def _open_calls(self) -> socket.socket:
        try:
            # Bound to everything: on some systems a socket bound to one address hears no broadcast.
            calls = _open("", CALL_PORT, shared=True)
        except OSError as error:
            raise PortInUse(
                f"UDP port {CALL_PORT}, where short codes are asked for, is taken ({error.strerror}); use a ticket"
            ) from None
        for ip, _ in self._networks:
            wish = struct.pack("4s4s", socket.inet_aton(CALL_GROUP), socket.inet_aton(ip))
            with suppress(OSError):  # no multicast there: broadcasts remain
                calls.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, wish)
        return calls

    def send(self, data: bytes, address: Address) -> None:
        """See `Rendezvous.send`."""
        self._send(data, address.ip, address.port)

    def _send(self, data: bytes, ip: str, port: int) -> None:
        try:
            self._own.sendto(data, (ip, port))
        except (OSError, OverflowError) as error:
            self.counters[f"send: {errno.errorcode.get(getattr(error, 'errno', None) or 0, 'other')}"] += 1

    def call(self, data: bytes) -> None:
        """See `Rendezvous.call`."""
        for ip, everybody in self._networks:
            with suppress(OSError):
                self._own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ip))
                self._send(data, CALL_GROUP, CALL_PORT)
            if everybody:
                self._send(data, everybody, CALL_PORT)

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        """See `Rendezvous.receive_nowait`."""
        for each in self._sockets:
            for _ in range(16):  # each failed try takes one stored error off the socket
                try:
                    data, name = each.recvfrom(DATAGRAM_READ_SIZE)
                except (BlockingIOError, InterruptedError):
                    break
                except OSError as error:
                    self.counters[f"socket: receive {errno.errorcode.get(error.errno or 0, 'other')}"] += 1
                    continue
                return data, Address(name[0], name[1])
        return None

    async def wait_readable(self) -> None:
        """See `Rendezvous.wait_readable`."""
        async with trio.open_nursery() as nursery:

            @trio.lowlevel.enable_ki_protection  # see `failover.interrupts`
            async def wait(each: socket.socket) -> None:
                await trio.lowlevel.wait_readable(each)
                nursery.cancel_scope.cancel()

            for each in self._sockets:
                nursery.start_soon(wait, each)

    def close(self) -> None:
        """Free the sockets; closing twice is harmless."""
        for each in self._sockets:
            if each.fileno() != -1 and trio.lowlevel.in_trio_run():
                trio.lowlevel.notify_closing(each)
            each.close()


def _open(bind: str, port: int, *, shared: bool = False) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, REACH)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, REACH)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        if shared:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):  # macOS and the BSDs want this one
                with suppress(OSError):
                    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind((bind, port))
    except OSError:
        opened.close()
        raise
    return opened


def _networks(bind: str) -> list[tuple[str, str | None]]:
    """This machine's IPv4 addresses, each with the broadcast address of its network."""
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    found: list[tuple[str, str | None]] = []
    for name, entries in psutil.net_if_addrs().items():
        for entry in entries:
            if name not in up or entry.family != socket.AF_INET:
                continue
            is_loopback = ipaddress.ip_address(entry.address).is_loopback
            everybody = LOOPBACK_EVERYBODY if is_loopback else (entry.broadcast or EVERYBODY)
            if bind in ("0.0.0.0", entry.address):  # noqa: S104  # the word for "all", nothing is opened here
                found.append((entry.address, everybody))
    return found
