"""Commands without a cluster around them: contexts that rise, and the machine's own state put to the test."""

from __future__ import annotations

from collections.abc import Callable

import failover
from failover.ids import Epoch, Generation, LogIndex, MemberId, Term

ANN, BEN = MemberId(b"a" * 32), MemberId(b"b" * 32)
EPOCH = Epoch(Generation(b"g" * 16), Term(1))
SPOILING: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: data[:-1],
    lambda data: data + b"x",
    lambda data: b"X" + data[1:],
)
"""What may become of a snapshot on its way."""


class Log:
    """Gives a machine one command after the other."""

    def __init__(self, machine: failover.StateMachine) -> None:
        self.machine = machine
        self.index = 0
        self.time = 0.0

    def __call__(self, command: bytes, sender: MemberId | None = ANN) -> bytes:
        self.index += 1
        return self.machine.apply(command, failover.Context(LogIndex(self.index), EPOCH, sender, self.time))


def copied(machine: failover.StateMachine, make: Callable[[], failover.StateMachine], cut: int = 7) -> object:
    """What its snapshot makes of a new machine, cut anew on the way."""
    data = b"".join(machine.snapshot())
    other = make()
    other.restore(data[at : at + cut] for at in range(0, len(data), cut))
    return other


def digest_of_copy(machine: failover.StateMachine, make: Callable[[], failover.StateMachine]) -> bytes:
    return copied(machine, make).digest()
