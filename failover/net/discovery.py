"""What a member says of itself to the LAN, and how it recognises others there. Pure: bytes in, members out.

Two members that both moved while they were apart find each other so, without anybody's help. An announcement is
random to whoever does not hold a gate of the cluster: it names no cluster, no member and no game. Its mac is over
a random value, the addresses and the id of the member that it is of, so a holder of the gate finds out which.

The gate is in every ticket. So an announcement proves only that it is of somebody who had a ticket once: what it
says is a candidate, for a handshake that must succeed, and only addresses that no router on the internet would
pass on are candidates at all. Nobody far away can be hammered with what was heard here.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from hashlib import blake2s

from failover.errors import MalformedBytes
from failover.ids import MemberId
from failover.net.addresses import Address, ip_of, pack_list, unpack_list_untrusted
from failover.net.bucket import Bucket

VERSION = 1
RANDOM_SIZE = 16
MAC_SIZE = 16
ADDRESSES_MAX = 4
ANNOUNCEMENT_SIZE_MAX = 1 + RANDOM_SIZE + 1 + ADDRESSES_MAX * 19 + MAC_SIZE
MEMBERS_MAX = 64
"""Ids that are tried on an announcement: at most 64 for each of at most 4 gates, about 1 us each."""
RATE, BURST = 10.0, 40.0
"""Announcements a second that are looked at."""
SEEN_MAX = 256
"""Announcements remembered as nobody's."""
FOUND_MAX = 2
"""Announcements of one member that count at a time: one that somebody forged must not hide the true one."""

Gates = Sequence[bytes]


def _mac(gate: bytes, random: bytes, addresses: bytes, member: MemberId) -> bytes:
    key = blake2s(b"failover lan" + gate).digest()
    return blake2s(random + addresses + member, key=key, digest_size=MAC_SIZE).digest()


def announcement(gate: bytes, member: MemberId, addresses: Sequence[Address], random: bytes) -> bytes:
    """What a member says of itself, under the newest gate."""
    assert len(random) == RANDOM_SIZE
    packed = pack_list(tuple(addresses[:ADDRESSES_MAX]))
    return bytes([VERSION]) + random + packed + _mac(gate, random, packed, member)


def is_near(address: Address, *, allow_loopback: bool) -> bool:
    """Whether an address can be on this LAN, as far as one sees from its face."""
    ip = ip_of(address)
    if ip.is_loopback:
        return allow_loopback
    return not (ip.is_global or ip.is_multicast or ip.is_unspecified or ip.is_reserved) and address.port >= 1024


def _split_untrusted(data: bytes) -> tuple[bytes, bytes, tuple[Address, ...], bytes]:
    """Random value, packed addresses, addresses and mac. Raises MalformedBytes."""
    if not 1 + RANDOM_SIZE + 1 + MAC_SIZE <= len(data) <= ANNOUNCEMENT_SIZE_MAX:
        raise MalformedBytes("size")
    if data[0] != VERSION:
        raise MalformedBytes("version")
    start = 1 + RANDOM_SIZE
    found, end = unpack_list_untrusted(data, start)
    if end != len(data) - MAC_SIZE or not found:
        raise MalformedBytes("size")
    return data[1:start], data[start:end], found, data[end:]


class Recogniser:
    """Hears announcements, remembers where which member is said to be.

    Args:
        me: this member, whose own announcements come back.
        gates: those that are valid, newest first.
        members: the others.
        allow_loopback: whether members on this machine count.
    """

    def __init__(
        self,
        me: MemberId,
        gates: Callable[[], Gates],
        members: Callable[[], Collection[MemberId]],
        *,
        allow_loopback: bool,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._me = me
        self._gates = gates
        self._members = members
        self._allow_loopback = allow_loopback
        self._found: dict[MemberId, dict[tuple[Address, ...], None]] = {}
        """The newest last."""
        self._seen: dict[bytes, None] = {}
        self._seen_with: tuple[object, ...] = ()
        self._bucket: Bucket | None = None

    def heard(self, data: bytes, now: float) -> MemberId | None:
        """Somebody on the LAN says so. Returns the member that it is news of, if it is.

        Whatever is wrong with it is dropped and counted.
        """
        try:
            return self._heard_untrusted(data, now)
        except MalformedBytes as error:
            self.counters[f"announcement: {error}"] += 1
            return None

    def _heard_untrusted(self, data: bytes, now: float) -> MemberId | None:
        random, packed, addresses, mac = _split_untrusted(data)
        gates, members = tuple(self._gates()), sorted(self._members())[:MEMBERS_MAX]
        if (gates, members) != self._seen_with:
            self._seen.clear()  # what was nobody's may be somebody's now
            self._seen_with = gates, members
        if data in self._seen:
            raise MalformedBytes("nobody we know, again")
        self._bucket = self._bucket or Bucket(RATE, BURST, now)
        if not self._bucket.take(now):
            raise MalformedBytes("too many")
        member = self._whose(gates, [*members, self._me], random, packed, mac)
        if member is None:
            self._seen[data] = None
            if len(self._seen) > SEEN_MAX:
                del self._seen[next(iter(self._seen))]
            raise MalformedBytes("nobody we know")
        if member == self._me:
            return None
        near = tuple(each for each in addresses if is_near(each, allow_loopback=self._allow_loopback))
        if not near:
            raise MalformedBytes("not of this network")
        found = self._found.setdefault(member, {})
        is_news = near not in found
        found.pop(near, None)
        found[near] = None
        if len(found) > FOUND_MAX:
            del found[next(iter(found))]
        return member if is_news else None

    @staticmethod
    def _whose(
        gates: Gates, members: Sequence[MemberId], random: bytes, packed: bytes, mac: bytes
    ) -> MemberId | None:
        for gate in gates:
            for member in members:
                if hmac.compare_digest(_mac(gate, random, packed, member), mac):
                    return member
        return None

    def addresses_of(self, member: MemberId) -> tuple[Address, ...]:
        """Where it is said to be, the newest first."""
        said = reversed(self._found.get(member, {}))
        return tuple(dict.fromkeys(address for addresses in said for address in addresses))[:ADDRESSES_MAX]

    def forget_others(self) -> None:
        """Forget whom the membership forgot."""
        members = self._members()
        self._found = {member: found for member, found in self._found.items() if member in members}
