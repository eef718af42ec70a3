"""Names for the numbers and keys that travel through every room, so that one cannot be taken for another."""

from __future__ import annotations

from typing import NamedTuple, NewType

MemberId = NewType("MemberId", bytes)
"""One running copy with one storage: the 32 raw bytes of its public key, drawn with the storage, never reused."""

ClusterId = NewType("ClusterId", bytes)
"""16 random bytes, drawn when a cluster is founded."""

Generation = NewType("Generation", bytes)
"""16 random bytes for one line of history, from the founding or from a `continue_alone()` on."""

Term = NewType("Term", int)
"""A term of Raft; 0 = none yet."""

LogIndex = NewType("LogIndex", int)
"""A place in the log, 1-based; 0 = before the first entry."""

SecretKey = NewType("SecretKey", bytes)
"""32 random bytes that members share."""

MEMBER_ID_SIZE = 32
CLUSTER_ID_SIZE = 16
GENERATION_SIZE = 16
SECRET_KEY_SIZE = 32

NO_GENERATION = Generation(bytes(GENERATION_SIZE))
"""Of who has yet to join."""


class Epoch(NamedTuple):
    """The fencing token of one tenure. Within a generation a larger term is a later tenure."""

    generation: Generation
    term: Term

    def __str__(self) -> str:
        return f"{self.generation.hex()[:6]}/{self.term}"


def short(member: MemberId) -> str:
    """The first 8 hex digits of a member's id: for people and logs, never for comparing."""
    return member.hex()[:8]
