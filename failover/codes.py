"""Short codes at work: a member keeps one open while people type it; a newcomer turns what it typed into a ticket,
or asks which games are listed.

The exchange itself is in `net/code_giver.py`, `code_seeker.py` and `code_lister.py`; here it gets its sockets and
its time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

import trio

from failover.errors import Unreachable, UsageError
from failover.interrupts import unbroken
from failover.net import short_codes
from failover.net.code_exchange import TICKET_TEXT_MAX
from failover.net.code_giver import Giver
from failover.net.code_lister import ListedGame, Lister
from failover.net.code_seeker import Seeker
from failover.net.rendezvous import Rendezvous
from failover.net.tickets import Ticket
from failover.net.titles import TITLE_SIZE_MAX, clean
from failover.surroundings import Surroundings

log = logging.getLogger("failover")

CODE_S = 600.0
"""How long a code is good for unless its giver says otherwise."""
CODE_MAX_S = 86_400.0
USES_MAX = 64
LISTING_MIN_S, LISTING_MAX_S = 0.1, 60.0
READ_AT_ONCE_MAX = 64
"""Datagrams between two looks at the clock: a flood must not make a second of asking longer."""
INVITE_LONGER_S = 60.0
"""The ticket outlives its code: who gets it in the last moment still has to join."""


def check(uses: int, valid_s: float, listed: str) -> str:
    """The title as it is told, "" if there is none. Raises UsageError for what no code can be."""
    if not 1 <= uses <= USES_MAX:
        raise UsageError(f"a short code lets in 1 to {USES_MAX} members, not {uses}")
    if not 1 <= valid_s <= CODE_MAX_S:
        raise UsageError(f"a short code is good for 1 to {CODE_MAX_S:g} seconds, not {valid_s:g}")
    return title_of(listed) if listed else ""


def title_of(listed: str) -> str:
    """The title as it is told. Raises UsageError if nothing of it can be seen, or too much."""
    title = clean(listed)
    size = len(title.encode())
    if not 1 <= size <= TITLE_SIZE_MAX:
        raise UsageError(f"the title of a listed game has 1 to {TITLE_SIZE_MAX} bytes of UTF-8, not {size}")
    return title


@unbroken
class CodeDesk:
    """Keeps at most one code of this member open."""

    def __init__(self, surroundings: Surroundings, nursery: trio.Nursery, bind: str) -> None:
        self._surroundings = surroundings
        self._nursery = nursery
        self._bind = bind
        self._scope: trio.CancelScope | None = None
        self._giver: Giver | None = None
        """Of the newest code, also when that has ended by itself; None = it was closed, or there was none."""
        self.dropped: Counter[str] = Counter()
        """What was not taken, by reason."""

    def open(self, ticket: str, uses: int, valid_s: float, is_good: Callable[[], bool], title: str = "") -> str:
        """Open a code for the ticket, in place of the one that is open; returns it.

        Args:
            ticket: what the code stands for.
            uses: how often it is handed out.
            valid_s: for how long, in seconds.
            is_good: whether the ticket still lets in; once it does not, the code is closed.
            title: of `title_of`: who asks is told of it and of the code; "" = nobody is.

        Raises PortInUse, Unreachable: see `UdpRendezvous`; then the old one is closed all the same.
        """
        self.close()
        world = self._surroundings
        short = Ticket.parse(ticket).text_within(TICKET_TEXT_MAX)
        code = short_codes.from_entropy(world.entropy(short_codes.CODE_SIZE))
        rendezvous = world.open_rendezvous(self._bind, hears_calls=True)
        giver = Giver(
            code=code,
            ticket=short,
            uses=uses,
            valid_until=world.clock() + valid_s,
            entropy=world.entropy,
            transmit=rendezvous.send,
            title=title,
        )
        self._giver = giver
        self._scope = trio.CancelScope()
        self._nursery.start_soon(self._give, giver, rendezvous, self._scope, is_good)
        return code

    def close(self) -> None:
        """From now on the code is of no use, and nobody listens for calls."""
        if self._scope is not None:
            self._scope.cancel()  # its task closes the sockets
            self._scope = None
        self._giver = None

    def relist(self, title: str) -> None:
        """Tell another title from now on. Raises UsageError: see `Member.relist`."""
        shown = title_of(title)
        if self._giver is None or not self._giver.title:
            raise UsageError("no code is listed: open one by short_code(listed=...)")
        self._giver.title = shown

    async def _give(
        self, giver: Giver, rendezvous: Rendezvous, scope: trio.CancelScope, is_good: Callable[[], bool]
    ) -> None:
        clock = self._surroundings.clock
        try:
            with scope:
                while not giver.is_over(clock()):
                    with trio.move_on_after(max(0.0, giver.deadline - clock())):
                        await rendezvous.wait_readable()
                    if not is_good():  # somebody was removed, and all invites with him, or this one was closed
                        log.warning("the short code is of no use any more, since its invite was closed")
                        break
                    # One at a time: each may cost milliseconds, and heartbeats have to get in between.
                    datagram = rendezvous.receive_nowait()
                    if datagram is not None:
                        giver.datagram_received(*datagram, clock())
                    giver.tick(clock())
                    self.dropped.update(giver.counters)
                    giver.counters.clear()
                    await trio.lowlevel.checkpoint()
        finally:
            self.dropped.update(giver.counters)
            giver.counters.clear()
            rendezvous.close()


@unbroken
async def ticket_by_code(code: str, *, bind: str = "0.0.0.0", surroundings: Surroundings | None = None) -> str:  # noqa: S104
    """Find the member on this LAN that gave a short code, and get its ticket. `open_member(ticket=code)` does so.

    Args:
        code: as a person typed it; case, dashes and spaces do not matter.
        bind: the address of this machine to ask from; "0.0.0.0" = all.
        surroundings: clock, dice and the like; None = the real ones.

    Raises:
        BadTicket: it is no code.
        Unreachable: nobody on the LAN knows it, within 12 seconds; or a firewall drops what is said. One on this
            computer that lets in only answers drops the reply to a call; a ticket works in spite of it.

    Cancelled, nothing is kept; the code may be used up.
    """
    world = surroundings or Surroundings()
    letters = short_codes.parse(code)
    rendezvous = world.open_rendezvous(bind, hears_calls=False)
    seeker = Seeker(
        code=letters, entropy=world.entropy, transmit=rendezvous.send, call=rendezvous.call, now=world.clock()
    )
    try:
        while seeker.ticket is None and world.clock() < seeker.over_at:
            seeker.tick(world.clock())
            with trio.move_on_after(max(0.0, seeker.deadline - world.clock())):
                await rendezvous.wait_readable()
            while seeker.ticket is None and (datagram := rendezvous.receive_nowait()) is not None:
                seeker.datagram_received(*datagram, world.clock())
    finally:
        rendezvous.close()
    if seeker.ticket is not None:
        return seeker.ticket
    if seeker.met:
        raise Unreachable(
            "somebody on this network gave a short code, but not this one; check it, or ask for a new one"
        )
    raise Unreachable(
        "nobody on this network has this short code open; check that both are on the same network, and that no "
        "firewall drops UDP, on this computer too: one that lets in only answers drops the reply to a short code, "
        "since that is asked of everybody. Ask for a new code, or for a ticket, which works in spite of that"
    )


@unbroken
async def listed_games(
    *,
    within_s: float = 1.0,
    bind: str = "0.0.0.0",  # noqa: S104  # the word for "all"
    surroundings: Surroundings | None = None,
) -> tuple[ListedGame, ...]:
    """Ask on this LAN which games are open, for a menu: those whose members called `short_code(listed=...)`.

    Args:
        within_s: how long to ask and to wait, 0.1 to 60 seconds. All of it passes: nobody knows who will answer.
        bind: the address of this machine to ask from; "0.0.0.0" = all.
        surroundings: clock, dice and the like; None = the real ones.

    Returns:
        At most 32, by title, then by code; the code goes into `open_member(ticket=...)`. Not promised: that all
        answer in time, or that a game is what its title says; anybody on the LAN may answer what he likes.

    Raises:
        Unreachable: this machine has no socket for it.
        UsageError: the time.

    Cancelled, nothing stays open. `trio.run(failover.listed_games)` asks from a thread without a loop of trio's.
    """
    if not LISTING_MIN_S <= within_s <= LISTING_MAX_S:
        raise UsageError(f"games are asked for {LISTING_MIN_S:g} to {LISTING_MAX_S:g} seconds, not {within_s:g}")
    world = surroundings or Surroundings()
    rendezvous = world.open_rendezvous(bind, hears_calls=False)
    lister = Lister(within_s=within_s, entropy=world.entropy, call=rendezvous.call, now=world.clock())
    try:
        while world.clock() < lister.over_at:
            lister.tick(world.clock())
            with trio.move_on_after(max(0.0, lister.deadline - world.clock())):
                await rendezvous.wait_readable()
            for _ in range(READ_AT_ONCE_MAX):
                datagram = rendezvous.receive_nowait()
                if datagram is None:
                    break
                lister.datagram_received(*datagram, world.clock())
    finally:
        rendezvous.close()
    return lister.games
