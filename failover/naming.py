"""Names of machines at work: asked off the loop, all addresses of a name, asked again now and then.

A name is asked for only while the member that it belongs to is not heard: who is connected says himself where he
is. A name that is not known costs one line in the log; the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import trio

from failover.clock import Clock
from failover.errors import Unreachable
from failover.ids import MemberId
from failover.interrupts import unbroken
from failover.net.addresses import Address
from failover.net.names import NAMES_MAX, Name, is_worth_a_try
from failover.net.tickets import ADDRESSES_PER_CONTACT_MAX, Contact, Ticket
from failover.surroundings import Resolve

log = logging.getLogger("failover")

ADDRESSES_PER_NAME_MAX = 4
RESOLVE_WITHIN_S = 5.0
AGAIN_S = 30.0
"""A name is asked for again after this long, while its member is missing: it may point elsewhere by now."""
LOOK_S = 1.0
NAMES_KEPT_MAX = 64 * NAMES_MAX


@dataclass(frozen=True, slots=True)
class _Entry:
    asked_at: float
    addresses: tuple[Address, ...]
    is_known: bool


@unbroken
class NameBook:
    """What name servers said.

    Args:
        resolve: asks one.
        clock: the member's.
        allow_loopback: whether a name may mean this machine.
    """

    def __init__(self, resolve: Resolve, clock: Clock, *, allow_loopback: bool) -> None:
        self._resolve = resolve
        self._clock = clock
        self._allow_loopback = allow_loopback
        self._entries: dict[Name, _Entry] = {}

    def addresses_of(self, names: Iterable[Name]) -> tuple[Address, ...]:
        """What is known of these names at this moment."""
        entries = (self._entries.get(name) for name in names)
        return tuple(dict.fromkeys(address for entry in entries if entry for address in entry.addresses))

    async def ask(self, name: Name) -> bool:
        """Ask for the name; whether there is news of it. What was known stays if nobody knows it now."""
        known = self._entries.pop(name, None)
        ips: tuple[str, ...] = ()
        with trio.move_on_after(RESOLVE_WITHIN_S):
            try:
                ips = tuple(await self._resolve(name.host))
            except (OSError, UnicodeError):  # the second one is of Python's own reading of names
                ips = ()
        fit = [ip for ip in dict.fromkeys(ips) if is_worth_a_try(ip, allow_loopback=self._allow_loopback)]
        found = tuple(Address(ip, name.port) for ip in fit[:ADDRESSES_PER_NAME_MAX])
        before = known.addresses if known is not None else ()
        if not found and (known is None or known.is_known):
            log.warning("no name server knows %s, or it leads nowhere; it will be asked for again", name.host)
        self._entries[name] = _Entry(self._clock(), found or before, bool(found))
        if len(self._entries) > NAMES_KEPT_MAX:
            del self._entries[next(iter(self._entries))]
        return bool(found) and set(found) != set(before)

    def is_due(self, name: Name) -> bool:
        """Whether it has not been asked for lately."""
        entry = self._entries.get(name)
        return entry is None or self._clock() - entry.asked_at >= AGAIN_S

    async def with_addresses(self, ticket: Ticket) -> Ticket:
        """The ticket, with the addresses of the names in it. A newcomer has nothing else to ask.

        Raises Unreachable if that leaves no address at all.
        """
        names = list(dict.fromkeys(name for contact in ticket.contacts for name in contact.names))
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(self.ask, name)
        contacts = tuple(self._with_addresses(contact) for contact in ticket.contacts)
        if not any(contact.addresses for contact in contacts):
            raise Unreachable(
                f"the name server does not know {' or '.join(name.host for name in names)}; "
                "check the network, or ask for a ticket with addresses"
            )
        return replace(ticket, contacts=tuple(contact for contact in contacts if contact.addresses))

    def _with_addresses(self, contact: Contact) -> Contact:
        both = dict.fromkeys((*self.addresses_of(contact.names), *contact.addresses))
        return Contact(contact.member, tuple(both)[:ADDRESSES_PER_CONTACT_MAX])

    async def keep_asking(
        self,
        missing: Callable[[], Mapping[MemberId, Collection[Name]]],
        found: Callable[[MemberId], None],
    ) -> NoReturn:
        """While members are missing, ask for their names now and then; one at a time.

        Args:
            missing: who is not heard, and the names that it has.
            found: called with the member that there is news of.
        """
        while True:
            await trio.sleep(LOOK_S)  # at the start, too: most are heard before that
            for member, names in missing().items():
                for name in list(names)[:NAMES_MAX]:
                    if self.is_due(name) and await self.ask(name):
                        found(member)
