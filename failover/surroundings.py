"""What one member takes from the world outside: time, chance, and how its disk writes are carried out.

The defaults are the real system. A simulation gives others, and then everything that a member does follows from
them: nothing else in this library looks at a clock or draws a random number.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import trio

from failover.clock import Clock, system_clock
from failover.fitness import LookAtComputer, look_from_thread
from failover.net.rendezvous import Rendezvous, UdpRendezvous
from failover.net.zeroconf_board import Board
from failover.records import FEATURE_LEVEL
from failover.writer import OpenWriter, writer_for

if TYPE_CHECKING:
    from failover.running import Running

Entropy = Callable[[int], bytes]
"""So many random bytes, for keys: nobody else can guess them."""


Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The IP addresses of a machine's name. OSError: there is no such name, or nobody to ask."""


async def resolve_by_system(host: str) -> Sequence[str]:
    """Ask as all programs on this machine do; off the loop."""
    found = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


OpenBoard = Callable[[str, Entropy], Board]
"""`bind`: one of this machine's addresses, or "0.0.0.0"."""


class OpenRendezvous(Protocol):
    """Opens the sockets of a short code on the LAN."""

    def __call__(self, bind: str, *, hears_calls: bool) -> Rendezvous:
        """`bind`: one of this machine's addresses, or "0.0.0.0"; `hears_calls`: for who gave the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """For `open_member(surroundings=...)`; of use to tests and simulations."""

    clock: Clock = system_clock
    """Seconds on the one clock of the member, which counts suspend."""
    unix_time: Callable[[], float] = time.time
    """Seconds since 1970, for what people and other runs of the program compare."""
    dice: Callable[[], float] = random.random
    """Draws from [0, 1) for random waits."""
    entropy: Entropy = os.urandom
    """Draws keys and ids."""
    open_writer: OpenWriter = writer_for
    """Makes what carries out the writes; `failover.writer.Writer` says what that must do."""
    look_at_computer: LookAtComputer = look_from_thread
    """Says how busy the computer is, and how long its battery will last, for the hint of fitness."""
    resolve: Resolve = resolve_by_system
    """Says what addresses a machine's name has."""
    open_board: OpenBoard | None = None
    """Goes to the LAN's notice board, where members that moved find each other again; None = by zeroconf, if the
    member has UDP sockets of its own."""
    open_rendezvous: OpenRendezvous = UdpRendezvous
    """Opens the sockets by which a short code becomes a ticket."""
    look_on: Callable[[Running], None] | None = None
    """Called with the parts of the member before their first round. What it does to them is its own affair."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    """The environment's variables."""
    level: int = FEATURE_LEVEL
    """What the library understands; less, and the member behaves as one with an older library does."""
    tends_garbage: bool = True
    """Whether the member tells Python's garbage collector which objects it need not look at."""
