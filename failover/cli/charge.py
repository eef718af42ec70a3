"""One cluster of a process that is the witness of many: opened, looked at, and opened again if need be.

It ends with a line that says why, and takes nobody with it. A storage that is of no more use gets another name;
nothing is ever deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

import failover
from failover.cli.telling import Teller
from failover.errors import (
    BadTicket,
    FailoverError,
    NotAdmitted,
    PortInUse,
    StorageCorrupt,
    StorageMissing,
    UsageError,
)
from failover.opening import NOTE_PORT
from failover.surroundings import Surroundings

log = logging.getLogger("failover")

AGAIN_FIRST_S, AGAIN_MAX_S = 5.0, 300.0
"""What may go better the next time is tried again after so long; doubled each time."""
SUFFIX, REMOVED = ".db", ".removed"
Done = Callable[[bool], None]
"""Called once, when it is known whether a ticket was of use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the operator chose for all clusters."""

    name: str = "witness"
    bind: str = "::"
    ports: Sequence[int] = ()
    """One for each cluster; empty: any free ones."""
    addresses: Sequence[str] = ()
    """Without a port: each cluster has its own."""
    settings: failover.Settings = field(default_factory=failover.Settings)


@dataclass(frozen=True, slots=True)
class Offer:
    """A ticket, and who wants to know what became of it."""

    ticket: str
    done: Done


class Charge:
    """One cluster.

    Args:
        path: its storage.
        options: the operator's.
        say: called with a line for people.
    """

    def __init__(self, path: Path, options: Options, say: Callable[[str], None]) -> None:
        self._path = path
        self._options = options
        self._teller = Teller(say, trio.current_time)
        self._offer: Offer | None = None
        """The ticket with which it is opened next."""
        self._scope = trio.CancelScope()
        self._pause_s = AGAIN_FIRST_S
        self.witness: failover.Witness | None = None
        """While it is open."""

    def offer(self, offer: Offer) -> None:
        """Somebody brings a ticket for it. Who hears the others needs none."""
        if self.witness is not None and _hears_somebody(self.witness):
            offer.done(True)
            return
        if self._offer is not None:
            self._offer.done(False)  # a newer one takes its place
        self._offer = offer
        self._scope.cancel()

    async def serve(self, offer: Offer | None) -> None:
        """Be its witness until that has ended for good."""
        self._offer = offer
        is_over = False
        while not is_over:
            offer = self._offer
            with trio.CancelScope() as self._scope:
                is_over = await self._open()
                if not is_over and offer is self._offer:
                    await trio.sleep(self._pause_s)
                    self._pause_s = min(2 * self._pause_s, AGAIN_MAX_S)

    async def _open(self) -> bool:
        """Open it once, and stay until it is closed; whether there is no sense in opening it again."""
        try:
            return await self._stay()
        except StorageMissing:
            return True  # it never came in; the next ticket goes on with the key that is in there
        except (BadTicket, NotAdmitted) as error:
            self._teller.say(str(error))
            self._judged(False)  # and without it? Perhaps this is a member all the same
            return False
        except (UsageError, StorageCorrupt) as error:
            self._teller.say(str(error))
            self._judged(False)
            return True
        except FailoverError as error:
            self._teller.say(f"{error}; trying again")
            return False
        except Exception as error:
            log.error("%s: %r", self._path.name, error, exc_info=error)
            self._teller.say(f"a mistake of this program: {error!r}; trying again")
            return False
        finally:
            self.witness = None

    async def _stay(self) -> bool:
        options, offer = self._options, self._offer
        with self._storage() as (storage, transport):
            port = transport.address.port if transport is not None else 0
            async with failover.open_witness(
                storage=storage,
                ticket=offer.ticket if offer is not None else None,
                name=options.name,
                bind=options.bind,
                addresses=[f"[{each}]:{port}" if ":" in each else f"{each}:{port}" for each in options.addresses],
                settings=options.settings,
                transport=transport,
                surroundings=Surroundings(tends_garbage=False),  # a short pause does no harm here
            ) as witness:
                self.witness, self._pause_s = witness, AGAIN_FIRST_S
                self._teller.opened(witness, has_joined=offer is not None)
                self._judged(True)
                was_removed = await self._teller.look_on(witness)
        if was_removed:
            old = self._path.with_suffix(REMOVED)
            with suppress(OSError):
                self._path.replace(old)
            self._teller.say(f"the members removed this witness; {old.name} is of no more use")
        return was_removed

    @contextmanager
    def _storage(self) -> Iterator[tuple[failover.Storage, failover.UdpTransport | None]]:
        """The storage, and the socket if the operator minds which port it has; closed afterwards."""
        storage = failover.SqliteStorage(self._path)
        try:
            transport = self._transport(storage) if self._options.ports else None
            try:
                yield storage, transport
            finally:
                if transport is not None:
                    transport.close()
        finally:
            storage.close()

    def _transport(self, storage: failover.Storage) -> failover.UdpTransport:
        """On the port of the last run, else on the first that is free: others remember where it was."""
        ports = list(self._options.ports)
        noted = storage.get_note(NOTE_PORT)
        for port in [port for port in ports if noted == b"%d" % port] + ports:
            with suppress(PortInUse):
                transport = failover.UdpTransport(self._options.bind, port)
                storage.set_note(NOTE_PORT, b"%d" % port)
                return transport
        raise PortInUse(f"none of the ports {ports[0]} to {ports[-1]} is free; give more of them")

    def _judged(self, was_of_use: bool) -> None:
        offer, self._offer = self._offer, None
        if offer is not None:
            offer.done(was_of_use)


def _hears_somebody(witness: failover.Witness) -> bool:
    return any(info.is_connected for info in witness.status().members if info.member != witness.id)
