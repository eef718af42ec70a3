"""Lines in the log about peers that prove who they are and then send what cannot be read: one a minute for each.

Such a peer has another version of the game, a fault, or means ill; its player should hear of it. Strangers are
never logged: who can write lines into a log can fill a disk.
"""

from __future__ import annotations

import logging

from failover.ids import MemberId, short

log = logging.getLogger("failover")

EVERY_S = 60.0
PEERS_MAX = 64
"""Guests may come with ever new keys; beyond so many in a minute nobody new is named."""
TEXT_SIZE_MAX = 120


class Complaints:
    """When each peer was named last, and what was left out since."""

    __slots__ = ("_noted",)

    def __init__(self) -> None:
        self._noted: dict[MemberId, tuple[float, int]] = {}
        """Peer -> when its next line is due, and what was left out since the last."""

    def note(self, peer: MemberId, now: float, what: str) -> None:
        """Log that `peer` sent something unreadable, unless that was said within the last minute."""
        due_at, left_out = self._noted.pop(peer, (now, 0))
        if now < due_at:
            self._noted[peer] = due_at, left_out + 1
            return
        if len(self._noted) >= PEERS_MAX:
            self._noted = {each: noted for each, noted in self._noted.items() if now < noted[0]}
            if len(self._noted) >= PEERS_MAX:
                return
        self._noted[peer] = now + EVERY_S, 0
        since = f"; {left_out} more since the last such line" if left_out else ""
        # `what` may hold texts of the peer's: printable ASCII only, and not much of it.
        shown = what.encode("ascii", "backslashreplace").decode()[:TEXT_SIZE_MAX]
        shown = "".join(letter if letter.isprintable() else "?" for letter in shown)
        log.warning("member %s sent what cannot be read here (%s): dropped%s", short(peer), shown, since)
