"""Finding members on the LAN that moved while they were apart: two laptops that both came back with new addresses.

Costs nothing while everybody is heard: a member posts a note on the LAN's board, and reads it, only while somebody
has been missing for a while. So does the one that is missed, for it misses others too. Notes are announcements of
`net/discovery.py`; what they say of a member is tried by a handshake, and by nothing else.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NoReturn

import trio

from failover.ids import MemberId
from failover.interrupts import unbroken
from failover.net.addresses import Address
from failover.net.discovery import RANDOM_SIZE, Recogniser, announcement, is_near
from failover.net.peers import Peers
from failover.net.zeroconf_board import Board
from failover.surroundings import OpenBoard, Surroundings

KEY = "f"
"""Under which an announcement stands in a note."""
LOOK_S = 1.0
READ_S = 0.25
"""How often the board is read while it is open."""
MISSING_S = 4.0
"""Somebody who is not heard for so long may be elsewhere: by then the known addresses have been tried, and what
his going set off is over. Opening the board makes the loop some 10 ms late on a busy machine; a lease has 50."""
CALM_S = 30.0
"""The board is left when nobody has been missing for this long: others may still look for somebody."""
TRY_EVERY_S = 2.0
"""A member's new addresses are tried at once, but no more often than this, whatever is claimed."""
FRESH_S = 10.0
"""Own addresses and the gate are looked at so often while a note is up."""


@unbroken
class Finding:
    """One per member.

    Args:
        me: this member.
        surroundings: clock and entropy.
        open_board: goes to the LAN's board.
        bind: this machine's address on that LAN; "0.0.0.0" = all.
        peers: the net.
        members: the others.
        addresses: where this member can be reached now.
        is_loopback: whether it can be reached on its own machine only.
        found: called after news of a member.
    """

    def __init__(
        self,
        *,
        me: MemberId,
        surroundings: Surroundings,
        open_board: OpenBoard,
        bind: str,
        peers: Peers,
        members: Callable[[], Collection[MemberId]],
        addresses: Callable[[], Sequence[Address]],
        is_loopback: bool,
        found: Callable[[], None],
    ) -> None:
        self._me = me
        self._surroundings = surroundings
        self._clock = surroundings.clock
        self._open_board = open_board
        self._bind = bind
        self._peers = peers
        self._members = members
        self._addresses = addresses
        self._found = found
        self._is_loopback = is_loopback
        self._recogniser = Recogniser(me, self._gates, members, allow_loopback=is_loopback)
        self._tried: dict[MemberId, float] = {}
        self._due: set[MemberId] = set()

    def _gates(self) -> tuple[bytes, ...]:
        return tuple(each.gate for each in self._peers.secrets)

    def addresses_of(self, member: MemberId) -> tuple[Address, ...]:
        """Where the LAN says that a member is."""
        return self._recogniser.addresses_of(member)

    async def run(self) -> NoReturn:
        """Look, for as long as the member lives."""
        while True:
            await self._until_missing()
            board = self._open_board(self._bind, self._surroundings.entropy)
            try:
                await self._look(board)
            finally:
                await board.aclose()
                self._recogniser.counters.update(board.counters)

    async def _until_missing(self) -> None:
        since = self._clock()
        while self._clock() - since < MISSING_S:
            await trio.sleep(LOOK_S)
            if not self._is_somebody_missing():
                since = self._clock()

    def _is_somebody_missing(self) -> bool:
        return not all(self._peers.is_connected(member) for member in self._members())

    async def _look(self, board: Board) -> None:
        posted: tuple[object, ...] = ()
        looked_at = -math.inf
        calm_since = self._clock()
        while self._clock() - calm_since < CALM_S:
            now = self._clock()
            if now - looked_at >= FRESH_S:
                looked_at = now
                posted = self._post(board, posted)
            for note in board.take():
                self._take(note.get(KEY, b""), now)
            self._try(now)
            if self._is_somebody_missing():
                calm_since = now
            await trio.sleep(READ_S)

    def _post(self, board: Board, posted: tuple[object, ...]) -> tuple[object, ...]:
        near = [each for each in self._addresses() if is_near(each, allow_loopback=self._is_loopback)]
        gate = self._gates()[0]
        if near and posted != (gate, near):
            random = self._surroundings.entropy(RANDOM_SIZE)
            board.post({KEY: announcement(gate, self._me, near, random)})
        return gate, near

    def _take(self, said: bytes, now: float) -> None:
        self._recogniser.forget_others()
        member = self._recogniser.heard(said, now)
        if member is not None and not self._peers.is_connected(member):
            self._due.add(member)

    def _try(self, now: float) -> None:
        """Shake hands where the news says; news that comes too fast waits."""
        ready = {member for member in self._due if now - self._tried.get(member, -math.inf) >= TRY_EVERY_S}
        if not ready:
            return
        self._due -= ready
        self._found()  # the net learns the addresses
        for member in sorted(ready):
            self._tried[member] = now
            self._peers.hurry(member, now)

    @property
    def dropped(self) -> Counter[str]:
        """Announcements that were not taken, by reason."""
        return self._recogniser.counters
