"""Whole members, of which one lies: three on simulated computers, and what one of them says is the fuzzer's.

Members trust each other, so a liar may keep them from hosting, or make their states differ, and no checker is
asked about that. But no message of his ends another member's process, whatever it says of the log, of requests or
of members.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from failover.ids import MemberId
from failover.raft.membership import Membership
from failover.records import ACTIONS, RECORDS, AppCommand, SystemCommand
from failover.testing.checkers import Violation
from failover.testing.computer import Computer
from failover.testing.stack_simulation import StackSimulation
from failover.wire import WIRE
from tests.fuzz.feed import Feed
from tests.fuzz.members import CONTRADICTIONS, NUMBERS, Known, message_of
from tests.fuzz.values import one_of_each
from tests.simulation.stories import play, quiet

STEPS_MAX = 80
WAITS_S = (0.0, 0.0, 0.0, 0.001, 0.05, 0.3)
KINDS = [WIRE.kinds[kind] for kind in sorted(WIRE.kinds)]
STRANGER = MemberId(b"z" * 32)
BODIES = (
    b"", b"c",
    RECORDS.encode(AppCommand(5, None, b"not a command of this game")),
    RECORDS.encode(SystemCommand(5, None, b"no action")),
    *(RECORDS.encode(SystemCommand(5, None, ACTIONS.encode(action))) for action in one_of_each(ACTIONS)),
    *(ACTIONS.encode(action) for action in one_of_each(ACTIONS)),
    *(RECORDS.encode(record) for record in one_of_each(RECORDS)),
)  # fmt: skip


def lies(data: bytes) -> None:
    """Messages of all kinds from one of three, in any order, with numbers that fit the log or do not."""
    feed = Feed(data)
    with StackSimulation("a liar", quiet()) as world:
        *others, liar = play(world, 3)
        lied_to = [each.process.running.life for each in others]
        with only_what_ends_a_process():
            for _ in range(STEPS_MAX):
                if feed.is_over or liar.process is None or not liar.process.is_running:
                    break
                say(feed, others, liar)
                world.run(feed.choice(WAITS_S))
            world.run(1.0)
        for life in lied_to:
            check_end(life.error)


def say(feed: Feed, others: list[Computer], liar: Computer) -> None:
    """One message; its class or the codec may refuse it, as the reader would."""
    process = liar.process
    assert process is not None and process.running is not None
    log, members = process.running.core.log, [each.member for each in (*others, liar)] + [STRANGER]
    last, term = log.last_index, process.running.core.term
    known = Known(
        members,
        (Membership(frozenset(members[:3])), Membership(frozenset(members[:2])), Membership(frozenset(members))),
        (*NUMBERS, last, last, last + 1, last - 1, term, term, term + 1),
        BODIES,
    )
    to = feed.choice(others)
    try:
        encoded = WIRE.encode(message_of(feed, known, feed.choice(KINDS)))
    except (AssertionError, ValueError):
        return
    with process._run.inside():
        process.running.driver.peers.send_encoded(to.member, encoded, process.running.clock())
    process.step()


def check_end(error: BaseException | None) -> None:
    """A member stops by itself where what it hears contradicts what it knows, and for no other reason."""
    if error is not None and not (isinstance(error, AssertionError) and str(error).startswith(CONTRADICTIONS)):
        raise error


@contextmanager
def only_what_ends_a_process() -> Iterator[None]:
    """A checker that objects has seen the lie; what is looked for is an error that no member may end with."""
    try:
        yield
    except Violation as found:
        if found.__cause__ is not None:
            raise


def seeds() -> list[bytes]:
    """One of each kind, to each of the others, with the same small numbers and with others."""
    return [
        b"".join(bytes([to, kind]) + bytes([start, 1, 1, 2] * 6) + b"\0" for kind in range(len(KINDS)))
        for to, start in ((0, 1), (1, 11), (0, 14))
    ]
