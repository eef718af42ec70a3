"""The state machine of who has none: a witness holds the log and the snapshots of others, and reads neither.

It refuses to look inside: commands get empty replies, which nobody ever sees, since a witness never hosts; and of
a snapshot the machine's part stays where it is, on the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from failover.machine import Context
from failover.records import VERSION_MAX


class Opaque:
    """A `StateMachine` that keeps nothing. Whoever is opened with it is a witness."""

    version, oldest_version = VERSION_MAX, 1
    """It plays by any rules, so that no game ever waits for a witness to be updated."""

    def apply(self, command: bytes, context: Context) -> bytes:
        """Take no notice."""
        return b""

    def view(self) -> object:
        """There is nothing to see."""
        return None

    def snapshot(self) -> Iterator[bytes]:
        """The core never asks a witness for one."""
        raise AssertionError("a witness has no state of which to take a snapshot")

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Leave them unread."""

    def digest(self) -> bytes:
        """Of nothing; it is compared with nobody's."""
        return b""
