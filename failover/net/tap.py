"""The tap: shows every datagram that passes a `Transport` to somebody, at the price of one call each.

It stands between the net and the transport, so it sees what this member sends, and what it receives, as it is on
the wire; decrypting is the listener's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from failover.net.addresses import Address
from failover.net.channel import HEADER_SIZE
from failover.net.endpoint import CountsLosses, Transport
from failover.net.keylog import KeyRing

TYPE_OPENED = 0x84
"""Stands in a capture in place of type 4: a DATA datagram whose frames follow its header unsealed, without tag."""

Listener = Callable[[bytes, Address, Address], None]
"""Called with datagram, source and target. Must return at once, and never raise."""


def opened(datagram: bytes, keys: KeyRing) -> bytes:
    """The datagram as a capture holds it: DATA unsealed where there is a key, all else as it is."""
    content = keys.open_untrusted(datagram)
    return datagram if content is None else bytes([TYPE_OPENED]) + datagram[1:HEADER_SIZE] + content


class TappedTransport:
    """A `Transport` with a listener."""

    def __init__(self, transport: Transport, listener: Listener) -> None:
        self._transport = transport
        self._listener = listener
        self._own: dict[bool, Address] = {}

    def send(self, data: bytes, address: Address) -> None:
        """Send, and show it."""
        self._transport.send(data, address)
        self._listener(data, self._local(address), address)

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        """The next datagram, shown."""
        received = self._transport.receive_nowait()
        if received is not None:
            data, source = received
            self._listener(data, source, self._local(source))
        return received

    async def wait_readable(self) -> None:
        """As the transport does."""
        await self._transport.wait_readable()

    def close(self) -> None:
        """As the transport does."""
        self._transport.close()

    @property
    def local_addresses(self) -> Sequence[Address]:
        """As the transport says."""
        return self._transport.local_addresses

    @property
    def counters(self) -> Mapping[str, int]:
        """As the transport counts."""
        return self._transport.counters if isinstance(self._transport, CountsLosses) else {}

    def _local(self, other: Address) -> Address:
        """Our address of the other's family: a socket that listens on all of them does not say which it was."""
        is_ipv6 = ":" in other.ip
        if is_ipv6 not in self._own:
            known = [each for each in self._transport.local_addresses if (":" in each.ip) == is_ipv6]
            any_ip = "::" if is_ipv6 else "0.0.0.0"  # noqa: S104  # the word for "some address"
            port = self._transport.local_addresses[0].port if self._transport.local_addresses else 0
            self._own[is_ipv6] = known[0] if known else Address(any_ip, port)
        return self._own[is_ipv6]
