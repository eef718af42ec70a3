"""Keys: what became of requests that carry one, also for a requester that has restarted. Replicated state.

The keys of a member rise (`Member.new_key` makes them so), and the largest of them are kept with their replies. Of
all that were forgotten one thing is known: the largest. A key that is not here is new if it is above that one, and
else nobody can say, so it is never carried out. (RIFL, SOSP 2015, numbers the requests of a client for the same
reason; tables that expire by the clock, as those of payment APIs, run an old key a second time.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from failover.ids import MemberId
from failover.records import Mark

KEYS_MAX = 256
"""Of one member: four times what it may have under way, so a restart finds them all."""
KEPT_BYTES_MAX = 4 * 1024 * 1024
"""Of all members together, replies, keys and what surrounds them."""
_AROUND = 200
"""Bytes that Python needs for an entry beside its content."""


class Fate(Enum):
    """What the table knows of a key."""

    NEW = "new"
    """Never carried out: it may be now."""
    DONE = "done"
    """Carried out; the reply is here."""
    MISUSED = "misused"
    """Carried out for a request with another body."""
    UNKNOWN = "unknown"
    """Not above what was forgotten: it may have been carried out."""


@dataclass(frozen=True, slots=True)
class _Kept:
    asked: bytes
    reply: bytes


@dataclass(slots=True)
class _Keys:
    """Of one member."""

    forgotten: bytes = b""
    """The largest that was forgotten; below all that are kept."""
    kept: dict[bytes, _Kept] = field(default_factory=dict)
    size: int = 0

    def add(self, key: bytes, kept: _Kept) -> int:
        """Keep a reply; returns the bytes that it takes."""
        self.kept[key] = kept
        self.size += (size := _size(key, kept))
        return size

    def drop(self) -> int:
        """Forget the smallest key; returns the bytes that it took."""
        self.forgotten = min(self.kept)
        size = _size(self.forgotten, self.kept.pop(self.forgotten))
        self.size -= size
        return size


def digest_of(body: bytes) -> bytes:
    """What is kept of a request's body, to tell it from another with the same key."""
    return hashlib.blake2s(body, digest_size=16).digest()


class KeyTable:
    """The keys of every member, within its bounds."""

    def __init__(self) -> None:
        self._members: dict[MemberId, _Keys] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes in all, about."""
        return self._size

    def fate(self, member: MemberId, mark: Mark) -> Fate:
        """What became of the request of `member` that carries this mark."""
        keys = self._members.get(member)
        if keys is None:
            return Fate.NEW
        kept = keys.kept.get(mark.key)
        if kept is not None:
            return Fate.DONE if kept.asked == mark.asked else Fate.MISUSED
        return Fate.NEW if mark.key > keys.forgotten else Fate.UNKNOWN

    def reply(self, member: MemberId, key: bytes) -> bytes:
        """The reply to a request that is done."""
        return self._members[member].kept[key].reply

    def add(self, member: MemberId, mark: Mark, reply: bytes) -> None:
        """Note that a new one was carried out, and forget what is too much.

        Where all replies together are too large, whoever has the most bytes loses its smallest key: a member that
        fills the table pushes out nothing but its own.
        """
        keys = self._members.setdefault(member, _Keys())
        self._size += keys.add(mark.key, _Kept(mark.asked, reply))
        if len(keys.kept) > KEYS_MAX:
            self._size -= keys.drop()
        while self._size > KEPT_BYTES_MAX:
            _, largest = max(self._members.items(), key=lambda item: (item[1].size, item[0]))
            self._size -= largest.drop()

    def forget(self, member: MemberId) -> None:
        """The member is gone for good: ids are never reused."""
        keys = self._members.pop(member, None)
        if keys is not None:
            self._size -= keys.size

    def dump(self) -> list[object]:
        """The table as plain values, in a fixed order, for the snapshot."""
        return [
            [member, keys.forgotten, [[key, kept.asked, kept.reply] for key, kept in sorted(keys.kept.items())]]
            for member, keys in sorted(self._members.items())
        ]

    def load(self, rows: Iterable[tuple[MemberId, bytes, Iterable[tuple[bytes, bytes, bytes]]]]) -> None:
        """Replace the table by what `dump` gave."""
        self._members, self._size = {}, 0
        for member, forgotten, entries in rows:
            keys = self._members[member] = _Keys(forgotten)
            for key, asked, reply in entries:
                self._size += keys.add(key, _Kept(asked, reply))


def _size(key: bytes, kept: _Kept) -> int:
    return _AROUND + len(key) + len(kept.asked) + len(kept.reply)
