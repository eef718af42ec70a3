"""A network of the game's own (a store's relay, WebRTC, TCP) in place of UDP; the encryption stays on.

Such a network knows players by names of its own: a Steam id, a UUID, whatever it is. Here each name is written as
an address, of the private range fd00::/8, so that names travel wherever addresses do, in tickets too, and the
rest of this room need not know the difference.
"""

from __future__ import annotations

import ipaddress
import logging
from collections import Counter, deque
from collections.abc import Callable

import trio

from failover.errors import UsageError
from failover.net.addresses import Address

log = logging.getLogger("failover")

NAME_SIZE_MAX = 16
WAITING_MAX = 1024
"""Datagrams that have arrived and wait for the member: the newest, since what is old is repeated anyway."""
_PREFIX = 0xFD
_SHORT, _FULL = 0xF000, 0xE000
"""Ports of names of at most 15 bytes, and of 16: plus the size, and plus the last byte."""


def address_of(name: bytes) -> Address:
    """The address that stands for a name; the same on every machine."""
    # From its last byte on: numbers differ there, and the first half of an IPv6 address counts as one place.
    raw = name[:15][::-1].ljust(15, b"\0")
    port = _SHORT + len(name) if len(name) <= 15 else _FULL + name[15]
    return Address(str(ipaddress.ip_address(bytes([_PREFIX]) + raw)), port)


def name_of(address: Address) -> bytes | None:
    """The name that an address stands for, None if it is an address like any other."""
    raw, port = ipaddress.ip_address(address.ip).packed, address.port
    if len(raw) != 16 or raw[0] != _PREFIX:
        return None
    size = port - _SHORT
    if 1 <= size <= 15 and not any(raw[1 + size :]):
        return raw[1 : 1 + size][::-1]
    return raw[1:][::-1] + bytes([port - _FULL]) if 0 <= port - _FULL <= 255 else None


class NamedTransport:
    """A `Transport` over a network that knows players by name: give it to `open_member(transport=...)`.

    Args:
        name: how the others reach this player over that network: 1 to 16 bytes, such as a Steam id (8) or a UUID
            (16). Members tell each other, and tickets hold it.
        send: called as `send(name, data)` from the member's thread, for each datagram of at most 1,200 bytes. It
            must return at once. It may lose what it is given, double and reorder it; where nothing can be sent
            now, losing is better than keeping it. What it raises is logged and counted as a loss.
        close: called once, when the member is closed.

    What comes in is handed over with `arrived`. Everything is encrypted and authenticated above: the network sees
    who talks to whom and how much, and the worst that it can do is not to deliver.

    Raises:
        UsageError: the name is empty or too long.
    """

    def __init__(
        self, name: bytes, send: Callable[[bytes, bytes], object], close: Callable[[], object] = lambda: None
    ) -> None:
        if not isinstance(name, bytes) or not 1 <= len(name) <= NAME_SIZE_MAX:
            raise UsageError(f"a name on an own network has 1 to {NAME_SIZE_MAX} bytes")
        self.name = name
        self.counters: Counter[str] = Counter()
        """What was lost on this side, by reason; `Member.status().dropped` has it too."""
        self._send = send
        self._close = close
        self._queue: deque[tuple[bytes, Address]] = deque(maxlen=WAITING_MAX)
        self._arrived = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        """Of the loop whose task waits; None if nobody does."""
        self._is_closed = False

    def arrived(self, name: bytes, data: bytes) -> None:
        """Hand over what the network brought, from any thread. Never blocks.

        Args:
            name: of whom the network says that it came from; needs not be trustworthy.
            data: one whole datagram, as it was given to `send` over there.
        """
        if not 1 <= len(name) <= NAME_SIZE_MAX:
            self.counters["socket: no such name"] += 1
            return
        if len(self._queue) == WAITING_MAX:
            self.counters["socket: not read in time"] += 1
        self._queue.append((data, address_of(name)))
        if (token := self._token) is None:
            return
        if trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is token:
            self._arrived.set()
        else:
            self._wake_from_elsewhere(token)

    def _wake_from_elsewhere(self, token: trio.lowlevel.TrioToken) -> None:
        try:
            token.run_sync_soon(self._wake, idempotent=True)
        except trio.RunFinishedError:
            self._token = None

    def _wake(self) -> None:
        self._arrived.set()

    # --- `Transport` ---

    def send(self, data: bytes, address: Address) -> None:
        """See `Transport.send`."""
        name = name_of(address)
        if name is None or self._is_closed:
            self.counters["socket: no such name"] += 1
            return
        try:
            self._send(name, data)
        except Exception:  # whatever it is, it must not stop the member: to it, this is a lost datagram
            if not self.counters["socket: send raised"]:
                log.exception("the own network's send raised; from now on this is only counted")
            self.counters["socket: send raised"] += 1

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        """See `Transport.receive_nowait`."""
        return self._queue.popleft() if self._queue else None

    async def wait_readable(self) -> None:
        """See `Transport.wait_readable`."""
        self._token = trio.lowlevel.current_trio_token()  # first: what arrives from here on sets the event
        self._arrived = trio.Event()
        try:
            if self._queue:
                await trio.lowlevel.checkpoint()
            elif self._is_closed:
                raise trio.ClosedResourceError
            else:
                await self._arrived.wait()
                if self._is_closed:
                    raise trio.ClosedResourceError
        finally:
            self._token = None

    def close(self) -> None:
        """See `Transport.close`."""
        if not self._is_closed:
            self._is_closed = True
            self._arrived.set()
            self._close()

    @property
    def local_addresses(self) -> tuple[Address, ...]:
        """The address that stands for the name."""
        return (address_of(self.name),)
