"""A game's own network (a relay service, a store's peer-to-peer layer) in place of UDP; the encryption stays on.

The game moves bytes between members; here each member gets a made-up address, so that the rest of this room need
not know the difference. The addresses are IPv6 ones of the private range fd00::/8, derived from the member's id.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from failover.ids import MemberId
from failover.net.addresses import Address

SYNTHETIC_PORT = 1


class MemberNetwork(Protocol):
    """What a game provides. At most 1,200 bytes at a time; may lose, double, delay and reorder."""

    def send(self, member: MemberId, data: bytes) -> None:
        """Send, or lose it; must neither block nor raise."""

    def receive(self) -> tuple[MemberId, bytes] | None:
        """What has arrived, with the member that the game's network says it came from; or None."""

    async def wait(self) -> None:
        """Return when `receive` may have something."""


def synthetic_address(member: MemberId) -> Address:
    """The made-up address of a member: the same on every machine."""
    raw = b"\xfd" + hashlib.blake2s(b"failover address" + member, digest_size=15).digest()
    return Address(str(ipaddress.ip_address(raw)), SYNTHETIC_PORT)


class MemberTransport:
    """Makes a `Transport` of a game's `MemberNetwork`, for `open_member(transport=...)`.

    Args:
        network: the game's.
        own: this member's id; `open_member` fills it in, since the storage draws it.
        close: called when the member is closed.
    """

    def __init__(
        self, network: MemberNetwork, own: MemberId | None = None, close: Callable[[], None] = lambda: None
    ) -> None:
        self._network = network
        self.own = own
        self._close = close
        self._members: dict[Address, MemberId] = {}
        self.counters: Counter[str] = Counter()
        """What could not be sent, by reason."""

    def be(self, own: MemberId) -> None:
        """Learn this member's id."""
        self.own = own

    def address_of(self, member: MemberId) -> Address:
        """To be given to `Peers.set_members`; remembers whom the address stands for."""
        address = synthetic_address(member)
        self._members[address] = member
        return address

    def send(self, data: bytes, address: Address) -> None:
        """To the member behind `address`; to an address of nobody, it is lost."""
        member = self._members.get(address)
        if member is None:
            self.counters["socket: address of no member"] += 1
        else:
            self._network.send(member, data)

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        """The next datagram."""
        received = self._network.receive()
        if received is None:
            return None
        member, data = received
        return data, self.address_of(member)

    async def wait_readable(self) -> None:
        """Until the game's network has something."""
        await self._network.wait()

    def close(self) -> None:
        """As the game wishes."""
        self._close()

    @property
    def local_addresses(self) -> tuple[Address, ...]:
        """The made-up address of this member."""
        assert self.own is not None, "known as soon as the storage is open"
        return (synthetic_address(self.own),)
