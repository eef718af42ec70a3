"""One process that is the witness of many clusters: each has a storage and a task (`cli/charge.py`) of its own.

What ends one of them is nothing to the others. Here is decided which there are: those of which the folder holds a
storage, those of the tickets on the command line, and those whose tickets are dropped into the letterbox.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from failover.cli.charge import SUFFIX, Charge, Done, Offer, Options
from failover.cli.handing_in import Letterbox
from failover.codes import ticket_by_code
from failover.errors import BadTicket, FailoverError
from failover.net import short_codes
from failover.net.tickets import Ticket

CLUSTERS_MAX = 64
LOOK_S = 2.0
"""How often the letterbox is looked into."""
TICKETS = "tickets"
"""The letterbox's name in the folder."""


class Keeper:
    """See the module's docstring.

    Args:
        folder: holds the storages and the letterbox; is made if it is not there.
        options: for all clusters.
        say: called with the short name of a cluster, or nothing, and a line.
    """

    def __init__(self, folder: Path, options: Options, say: Callable[[str, str], None]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._options = options
        self._say = say
        self.charges: dict[str, Charge] = {}
        """Those that are served, or that it is tried with, by the cluster's id in hexadecimal."""
        self._looked_up = 0
        """Short codes that are being looked up."""
        self._letterbox = Letterbox(folder / TICKETS, self.take)
        self._nursery: trio.Nursery
        self._has_served = False

    @property
    def is_empty(self) -> bool:
        """Whether the folder holds no cluster's storage."""
        return not self._stored()

    def _stored(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob(f"*{SUFFIX}") if _is_cluster(path.stem))

    async def run(self, tickets: Sequence[str]) -> None:
        """Resume what the folder holds, join with the tickets, take what comes; until cancelled.

        Returns if there were tickets and none was of use, and there is nothing else to serve.
        """
        async with trio.open_nursery() as self._nursery:
            for name in self._stored():
                self._begin(name, None)
            for _ in range(2):  # those have the ports of their last run now, before any newcomer looks for one
                await trio.lowlevel.checkpoint()
            for ticket in tickets:
                self.take(ticket, self._judged)
            while not tickets or self._has_served or self.charges or self._looked_up:
                self._letterbox.look()
                await trio.sleep(LOOK_S)

    def take(self, ticket: str, done: Done) -> None:
        """Use a ticket, or a short code; `done` is called once it is known whether it was of use."""
        if short_codes.is_code(ticket):
            self._looked_up += 1
            self._nursery.start_soon(self._look_up, ticket, done)
            return
        try:
            name = Ticket.parse(ticket).cluster.hex()
        except BadTicket as error:
            self._say("", str(error))
            done(False)
        else:
            offer = Offer(ticket, done)
            if name in self.charges:
                self.charges[name].offer(offer)
            else:
                self._begin(name, offer)

    def _judged(self, was_of_use: bool) -> None:
        self._has_served |= was_of_use

    async def _look_up(self, code: str, done: Done) -> None:
        bind = self._options.bind
        try:
            ticket = await ticket_by_code(code, bind="0.0.0.0" if ":" in bind else bind)  # noqa: S104  # the word for "all"
        except FailoverError as error:
            self._say("", str(error))
            done(False)
        else:
            self.take(ticket, done)
        finally:
            self._looked_up -= 1

    def _begin(self, name: str, offer: Offer | None) -> None:
        if len(self.charges) >= CLUSTERS_MAX:
            self._say(name[:8], f"not served: this process has {CLUSTERS_MAX} clusters already")
            if offer is not None:
                offer.done(False)
            return
        charge = Charge(self._folder / (name + SUFFIX), self._options, lambda line: self._say(name[:8], line))
        self.charges[name] = charge
        self._nursery.start_soon(self._serve, name, charge, offer)

    async def _serve(self, name: str, charge: Charge, offer: Offer | None) -> None:
        try:
            await charge.serve(offer)
        finally:
            del self.charges[name]


def _is_cluster(name: str) -> bool:
    return re.fullmatch("[0-9a-f]{32}", name) is not None
