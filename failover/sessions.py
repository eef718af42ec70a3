"""Exactly once: which requests were carried out, and with what reply. Part of the replicated state.

A caller numbers its requests and says up to where it has the answers. A number that was carried out is answered
from here; one that the caller has long had the answer of, or of a process that has since restarted, is not
carried out at all. (The dissertation's 6.3, with acknowledgements in place of a guessed expiry.) What outlives a
process is in `keys`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from failover.ids import MemberId
from failover.records import Caller

OUTSTANDING_MAX = 64
"""A caller has at most so many requests unanswered."""
WINDOW = 2 * OUTSTANDING_MAX
"""Its numbers stay within so many of the oldest unanswered one; the table keeps at most so many replies of it.

With replies of the full 64 KiB that is 8 MiB for each member; all that the table may ever hold."""


@dataclass(slots=True)
class _Session:
    session: int
    answered_below: int = 1
    replies: dict[int, bytes] = field(default_factory=dict)


class Sessions:
    """The answered requests of every member."""

    def __init__(self) -> None:
        self._sessions: dict[MemberId, _Session] = {}

    def is_new(self, caller: Caller) -> bool:
        """Whether the request is to be carried out now."""
        session = self._sessions.get(caller.member)
        if session is None or caller.session > session.session:
            return True
        if caller.session < session.session or caller.number < session.answered_below:
            return False
        # What was refused or given up left no trace here: only the caller knows how far it has come.
        below = max(session.answered_below, caller.answered_below)
        return caller.number not in session.replies and caller.number < below + WINDOW

    def reply(self, caller: Caller) -> bytes | None:
        """The reply that the request got; None if it was not carried out, or is past its horizon."""
        session = self._sessions.get(caller.member)
        if session is None or session.session != caller.session:
            return None
        return session.replies.get(caller.number)

    def add(self, caller: Caller, reply: bytes) -> None:
        """Note that the request was carried out, and forget what the caller has the answer of."""
        session = self._sessions.get(caller.member)
        if session is None or session.session < caller.session:
            session = self._sessions[caller.member] = _Session(caller.session)
        session.replies[caller.number] = reply
        if caller.answered_below > session.answered_below:
            session.answered_below = caller.answered_below
            for number in [n for n in session.replies if n < session.answered_below]:
                del session.replies[number]

    def forget(self, member: MemberId) -> None:
        """The member is gone for good: ids are never reused."""
        self._sessions.pop(member, None)

    def dump(self) -> list[object]:
        """The table as plain values, in a fixed order, for the snapshot."""
        return [
            [member, s.session, s.answered_below, [[n, s.replies[n]] for n in sorted(s.replies)]]
            for member, s in sorted(self._sessions.items())
        ]

    def load(
        self, rows: Iterable[tuple[MemberId, int, int, Iterable[tuple[int, bytes]]]], *, with_replies: bool = True
    ) -> None:
        """Replace the table by what `dump` gave. A witness answers nobody: the numbers are all that it needs."""
        self._sessions = {
            member: _Session(session, below, {n: reply if with_replies else b"" for n, reply in replies})
            for member, session, below, replies in rows
        }
