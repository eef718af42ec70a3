"""Do all copies of the table agree? Members tell each other the digest of their table at the same entries.

The library compares digests too, and says when they differ (`StateDiverged`); this is for people, who want to see
that they are equal: `9c1e77a0 on 3 of 3`. Sent over the unreliable lane: what is lost is said again in a second.
"""

from __future__ import annotations

import struct
from collections import deque

KIND = b"d"
"""First byte of what is said, so that other uses of the lane can be told apart."""
KEPT = 16
"""Own digests that are remembered; a member that is further behind is not counted until it has caught up."""
EVERY = 8
"""Entries between two digests: those of which `records` writes one down, too."""
SHOWN = 4
"""Bytes of a digest that people are shown."""
TELL_S = 1.0
FRESH_S = 4.0
"""A member that said nothing for so long is not counted."""
_BODY = struct.Struct(">cQ16s")


class Agreement:
    """What this member and the others said. Times are of any one clock."""

    def __init__(self) -> None:
        self._own: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._others: dict[bytes, tuple[float, int, bytes]] = {}

    def note(self, index: int, digest: bytes) -> None:
        """Take this member's digest at an entry. May be called in another thread than the rest."""
        self._own.append((index, digest))

    def telling(self) -> bytes | None:
        """Return what to tell the others; None before there is anything."""
        return _BODY.pack(KIND, *self._own[-1]) if self._own else None

    def heard_untrusted(self, member: bytes, body: bytes, now: float) -> None:
        """Take what another member said; anything else on the lane is passed over."""
        if len(body) == _BODY.size and body[:1] == KIND:
            _, index, digest = _BODY.unpack(body)
            self._others[member] = (now, index, digest)

    def shown(self, now: float) -> tuple[str, int, int]:
        """Return the newest digest that can be compared (8 hex digits), on how many members it is so, of how many.

        ("", 0, 0) before there is one. This member counts too.
        """
        own = dict(tuple(self._own))
        if not own:
            return "", 0, 0
        told = [(index, digest) for at, index, digest in self._others.values() if now - at <= FRESH_S]
        comparable = [index for index, _ in told if index in own]
        index = max(comparable, default=max(own))
        compared = [digest for other, digest in told if other in own]
        agree = 1 + sum(own[other] == digest for other, digest in told if other in own)
        return own[index][:SHOWN].hex(), agree, 1 + len(compared)

    def words(self, now: float) -> str:
        """Return that as people read it."""
        digest, agree, count = self.shown(now)
        return f"{digest} on {agree} of {count}" if digest else ""
