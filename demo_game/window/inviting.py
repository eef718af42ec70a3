"""How others get to the table: the ticket, the short code, and the title in the list of games on the network."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future

import failover
from demo_game.records import Journal
from demo_game.session import INVITE_USES
from demo_game.table import Phase, Table

CODE_VALID_S = 3_600.0
RENEW_S = 60.0


class Inviting:
    """One window's own ticket and code. Whoever hosts has a code open as long as the lobby lasts.

    Args:
        name: of this player, for the title.
        journal: gets ticket and code, for tests.
        watched: makes a future wake the window when it is done.
    """

    def __init__(self, name: str, journal: Journal, watched: Callable[[Future[str]], Future[str]]) -> None:
        self.ticket = ""
        self.code = ""
        self.trouble = ""
        """Why there is no code; one line."""
        self._name, self._journal, self._watched = name, journal, watched
        self._invited: Future[str] | None = None
        self._coded: Future[str] | None = None
        self._titled = ""
        self._asked_at = 0.0
        self.is_wanted = False
        """Whether the player asked for a code of his own, though another machine hosts."""

    def ask(self, member: failover.MemberThread, table: Table) -> None:
        """Get a ticket and a code of this machine's own."""
        self.trouble, self._asked_at = "", time.monotonic()
        self._titled = self._title(table)
        self._invited = self._watched(member.invite(uses=INVITE_USES))
        code = member.short_code(uses=INVITE_USES, valid_s=CODE_VALID_S, listed=self._titled)
        self._coded = self._watched(code)

    def close(self, member: failover.MemberThread) -> None:
        """From now on nobody joins by the code, or finds the game in a list."""
        if self.code:
            member.close_short_code()
            self.code = ""

    def attend(self, member: failover.MemberThread, table: Table, *, hosts: bool, solo: bool) -> None:
        """Take in what came, and do what is due: a code while there is a lobby, a title that is true."""
        self._take()
        if self.code and time.monotonic() - self._asked_at > CODE_VALID_S - RENEW_S:
            self.code = ""  # it is about to end: there will be another
        waits = self._coded is not None or bool(self.code or self.trouble)
        if hosts and table.phase is Phase.LOBBY and not solo and not waits:
            self.ask(member, table)
        if self.code and (table.phase is Phase.PLAY or not (hosts or self.is_wanted)):
            self.close(member)
        if self.code and self._titled != self._title(table):
            self._titled = self._title(table)
            member.relist(self._titled)

    def _title(self, table: Table) -> str:
        return f"{self._name[:24]} · {len(table.seats)} of {table.options.players} seats"

    def _take(self) -> None:
        if self._invited is not None and self._invited.done():
            if self._invited.exception() is None:
                self.ticket = self._invited.result()
                self._journal.write("ticket", ticket=self.ticket)
            self._invited = None
        if self._coded is not None and self._coded.done():
            error = self._coded.exception()
            if error is None:
                self.code = self._coded.result()
                self._journal.write("code", code=self.code)
            else:
                self.trouble = " ".join(str(error).split())
            self._coded = None
