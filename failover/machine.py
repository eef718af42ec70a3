"""What an application brings: a deterministic state machine.

Every member applies the same commands in the same order, so equal code gives equal states everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from failover.ids import Epoch, LogIndex, MemberId


@dataclass(frozen=True, slots=True)
class Context:
    """What `apply` may know besides the command; the same on every member."""

    index: LogIndex
    """The command's place in the log."""
    epoch: Epoch
    """The tenure in which the host appended it."""
    sender: MemberId | None
    """The authenticated member whose request this is; None for the host's own commands."""
    time: float
    """Cluster seconds: stamped by the host, never backwards, standing still while there is no host."""
    version: int = 1
    """Of the rules: by this one the command is to be applied, today and whenever the log is read again."""


class StateMachine(Protocol):
    """The application's state. All methods but `view` are called from the member's thread alone.

    If one raises, its member stops with `MachineFailed`, which names the method and the index; the others go on.

    A machine whose rules have changed since players have storages says so with these, each of which may be missing
    (docs/how-to/change-the-rules.md):

    - `version: int`, 1 to 65,535: the newest rules that it knows; 1 if missing.
    - `oldest_version: int`: the oldest that it still plays; equal to `version` if missing. Its first state is that
      of the oldest.
    - `migrate(version: int) -> None`: makes the state of `version - 1` that of `version`. Called at the same index
      on every member: once for each step when the rules are raised, and when a cluster begins above the oldest. As
      deterministic as `apply`.
    """

    def apply(self, command: bytes, context: Context) -> bytes:
        """Carry out one command and return the reply for its sender.

        Deterministic: nothing but the state, `command` and `context` may influence what it does. It judges
        legality; a refusal is a reply like any other. It must accept any bytes. If it raises, the member stops
        with `ApplyFailed`, since the others would raise too or differ.

        Returns:
            0 to 65,536 bytes.
        """
        ...

    def view(self) -> object:
        """Return an immutable picture of the state, for any thread. Called after each batch of commands."""
        ...

    def snapshot(self) -> Iterator[bytes]:
        """Yield the whole state in pieces, each made within 5 ms; `apply` may run between two pieces.

        The iterator works on a frozen view: what `apply` does after `snapshot` was called is not in it.
        """
        ...

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Replace the whole state by what `snapshot` yielded once, here or on another member.

        The chunks are cut anew, 64 KiB or so each. Take them one at a time: with each the member gets a turn to
        answer heartbeats, and calls nothing of the machine meanwhile. Who first joins all of 64 MiB and then reads
        it in one go keeps the member silent for as long as that takes, which may cost a voter's host its lease.
        """
        ...

    def digest(self) -> bytes:
        """Return 4 to 32 bytes that are equal exactly when the states are equal."""
        ...
