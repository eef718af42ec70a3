"""What a member tells the core of another: any message of the core, with numbers that matter, from any peer.

Members trust each other, so a cheater may win an election or spoil a log. But what it says must not end another
member's process: nothing raises, and the invariants that the core asserts hold.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NewType

from failover.ids import MemberId
from failover.net.bounds import INT_MAX
from failover.net.codec import CORE_KINDS, Codec
from failover.net.compiler import fields_of
from failover.raft.membership import Membership
from tests.fuzz.feed import Feed
from tests.fuzz.values import SIZES
from tests.unit.raft.harness import THREE, A, B, Bench, C, D, log_of

NUMBERS = (0, 1, 2, 3, 4, 5, 6, 9, 1 << 20, INT_MAX)
SECONDS = (0.0, 0.01, 0.075, 0.5, 1.0, 1e9, 1.7e308)
TEXTS = ("", "text", "[::1]:7", "192.0.2.7:7777", "\x1b[2J", "\u202e")
WAITS_S = (0.0, 0.005, 0.03, 0.1, 0.3, 2.0)
CORE = Codec(CORE_KINDS)
KINDS = tuple(CORE_KINDS.values())


CONTRADICTIONS = ("two leaders in one term", "a committed entry would be replaced", "an entry out of its place")
"""What the core says when it stops rather than believe a peer: then one of them breaks Raft's rules, and a member
that went on could lose what was accepted."""


@dataclass
class Known:
    """What a liar can make messages of."""

    members: Sequence[MemberId]
    memberships: Sequence[Membership]
    numbers: Sequence[int] = NUMBERS
    bodies: Sequence[bytes] = (b"", b"c", b"command")


def value(feed: Feed, known: Known, hint: Any) -> Any:
    """A value for a field with this hint, small or extreme."""
    if typing.get_origin(hint) is typing.Annotated:
        return value(feed, known, typing.get_args(hint)[0])
    if hint is MemberId:
        return feed.choice(known.members)
    if hint in SIZES:
        return bytes([feed.byte() % 2 + 110]) * SIZES[hint]
    if isinstance(hint, NewType):
        return value(feed, known, hint.__supertype__)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        other = next(each for each in arguments if each is not type(None))
        return value(feed, known, other) if feed.byte() % 3 else None
    if origin is tuple:
        return tuple(value(feed, known, arguments[0]) for _ in range(feed.byte() % 4))
    choices = {
        Membership: known.memberships, int: known.numbers, bytes: known.bodies, float: SECONDS, str: TEXTS,
        bool: (False, True),
    }  # fmt: skip
    return feed.choice(choices[hint]) if hint in choices else message_of(feed, known, hint)


def message_of(feed: Feed, known: Known, cls: type) -> Any:
    """One message of that class."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return cls(*(value(feed, known, hints[name]) for name in fields_of(cls)))


BENCH = Known(
    (A, B, C, D),
    (
        THREE,
        Membership(frozenset((A, B))),
        Membership(frozenset((B, C, D)), outgoing=frozenset((A, B, C))),
        Membership(frozenset((B, C)), learners=frozenset((A,))),
        Membership(frozenset((A, B, C)), witnesses=frozenset((A,))),
    ),
)


def read_message(feed: Feed) -> Any | None:
    """A message as the codec lets it through; None if its class refuses it, as the codec then does."""
    try:
        return message_of(feed, BENCH, feed.choice(KINDS))
    except (AssertionError, ValueError):
        return None


def core(data: bytes) -> None:
    """Messages of two peers and of a stranger, with time between them, for a member that may lead."""
    feed = Feed(data)
    bench = Bench(log=log_of(*(1, 1, 1, 2)[: feed.byte() % 5] or (1,)), disk_is_slow=bool(feed.byte() & 1))
    for _ in range(80):
        if feed.is_over:
            break
        what = feed.byte() % 8
        if what == 0:
            bench.at(bench.now + feed.choice(WAITS_S))
        elif what == 1:
            bench.finish_writes()
        elif what == 2:
            bench.propose()
        else:
            message = read_message(feed)
            if message is not None and not is_believed(bench, feed.choice((B, C, B, D)), message):
                return
        check(bench)
    bench.finish_writes()
    bench.at(bench.now + 0.5)


def is_believed(bench: Bench, sender: MemberId, message: Any) -> bool:
    """False if the core stops because of it, as it must."""
    try:
        bench.get(sender, message)
    except AssertionError as error:
        if str(error).startswith(CONTRADICTIONS):
            return False
        raise
    return True


def check(bench: Bench) -> None:
    """What the core holds of itself, and what it says can be encoded."""
    log, now = bench.core.log, bench.core
    assert log.snapshot_index <= now.commit_index <= log.last_index
    for _, message in bench.sent[-20:]:
        CORE.encode(message)


def seeds() -> list[bytes]:
    """A tour through all kinds, twice: as a follower, and after an election."""
    tour = b"".join(bytes([3, kind, *([1, 1, 1, 1] * 3), 0]) for kind in range(len(KINDS)))
    grants = bytes([0, 5, 3, 1, 2, 2, 1, 0, 0, 0, 3, 3, 2, 2, 1, 0, 0])
    return [bytes([1, 0]) + tour, bytes([3, 0]) + grants + tour, bytes([4, 1]) + tour + bytes([1, 2, 0, 4]) + tour]
