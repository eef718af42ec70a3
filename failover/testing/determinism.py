"""`check_deterministic`: does a state machine come to the same in every process, and do its snapshots hold it all?

Two processes with different `PYTHONHASHSEED`s are given the same commands, one after the other, and their replies
and digests are compared after each. One of them goes on from its own snapshot now and then; the other takes
snapshots while commands go on, which must not show in them. It needs no network and no virtual time.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from failover.errors import UsageError
from failover.ids import Epoch, Generation, LogIndex, MemberId, Term
from failover.machine import Context, StateMachine
from failover.testing.checkers import Violation
from failover.testing.twin import PIECE_MAX_MS, Copied, Twin

SEED_MAX = 1_000_000_000
SHOWN_MAX = 200
"""Bytes of a command or a reply that are shown."""

WHAT_MAKES_STATES_DIFFER = (
    "Nothing but the state, the command and its context may count: no order of a set, no hash() or id(), no clock "
    "and no chance, nothing of the machine it runs on."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command with what is said of it in its `Context`."""

    body: bytes
    sender: int | None = 0
    """The number of a made-up member (`made_up_member`); None = the host's own."""
    after_s: float = 0.05
    """Cluster seconds since the command before."""


Commands = Iterable[bytes | Command] | Callable[[Random], Iterable[bytes | Command]]
"""Given ones, or a function that draws them; a generator gets the reply to each as the value of its `yield`."""


@dataclass(slots=True)
class DeterminismReport:
    """What `check_deterministic` was worth."""

    commands: int = 0
    restores: int = 0
    """Snapshots that were restored, and came to the same digest."""
    pieces: int = 0
    """Of which those snapshots consisted."""
    slowest_piece_ms: float = 0.0
    """Processor time of the piece that took longest to make; more than 5 makes a member's heartbeats late."""

    def add(self, copied: Copied) -> None:
        """Count one more snapshot."""
        self.restores += 1
        self.pieces += copied.pieces
        self.slowest_piece_ms = max(self.slowest_piece_ms, copied.slowest_piece_ms)

    def __str__(self) -> str:
        late = f", and should take {PIECE_MAX_MS:g} at most" if self.slowest_piece_ms > PIECE_MAX_MS else ""
        return (
            f"{self.commands} commands, equal in two processes; {self.restores} snapshots restored, "
            f"{self.pieces} pieces, the slowest took {self.slowest_piece_ms:.2f} ms{late}"
        )


def made_up_member(number: int) -> MemberId:
    """The id of the member with this number, as commands of `check_deterministic` have it in their context."""
    return MemberId(hashlib.blake2b(b"made-up member %d" % number, digest_size=32).digest())


def check_deterministic(
    machine: Callable[[], StateMachine], commands: Commands, *, seed: int = 0
) -> DeterminismReport:
    """Give the same commands to two processes, and compare.

    Args:
        machine: makes a state machine in its first state, such as its class. A name at the top level of a module,
            since other processes import it; a script that calls this does so under `if __name__ == "__main__":`.
        commands: bytes or `Command`s; or a function that draws them from the `random.Random` that it is given. If
            it is a generator, each `yield` returns the reply, so it may ask what makes sense by then.
        seed: of that `Random`, and of the two processes' hashes: 0 to 1,000,000,000. A set of two or three may
            have the same order in both by chance, so try several.

    Returns:
        How much was tried, and how long the slowest piece of a snapshot took.

    Raises:
        Violation: says at which command the two first differ, and how; or what raised; or that a snapshot lacks
            something, or holds what was applied after it was asked for.
        UsageError: there is no command, or other processes cannot import `machine`.

    It finds what differs here and now: an order that depends on hashes, addresses, clocks, chance. It does not
    find what differs between systems, such as the last digits of `math.sin`.

    Example:
        >>> import failover.testing
        >>> print(failover.testing.check_deterministic(Chest, [b"take"] * 200))  # doctest: +SKIP
    """
    _check_importable(machine)
    if not 0 <= seed <= SEED_MAX:
        raise UsageError(f"a seed is 0 to {SEED_MAX}, not {seed}")
    asked: list[Command] = []
    with ExitStack() as stack:
        one, two = (stack.enter_context(Twin(machine, 2 * seed + each)) for each in (1, 2))
        if one.hash_of_text == two.hash_of_text:
            raise UsageError("this Python ignores PYTHONHASHSEED (-I or -E?): run it without")
        try:
            return _run(one, two, _contexts(_drawn(commands, seed), asked), restores=True)
        except _Different as difference:
            try:  # the one that went on from a snapshot may have lost something that no digest shows
                _run(one, two, _contexts(_given(asked), []), restores=False)
            except _Different as again:
                raise Violation(f"{again}\n{WHAT_MAKES_STATES_DIFFER}") from None
            raise Violation(
                f"{difference}\nWithout snapshots they agree: what `restore` makes of a snapshot has an equal "
                "digest, and is not the same state. Something is missing in the snapshot, and in the digest."
            ) from None


class _Different(Exception):
    """The two processes differ."""


_Asking = Generator[tuple[Command, Context], bytes, None]


def _run(one: Twin, two: Twin, asking: _Asking, *, restores: bool) -> DeterminismReport:
    report = DeterminismReport()
    one.begin_anew()
    two.begin_anew()
    step = next(asking, None)
    if step is None:
        raise UsageError("there is no command to check anything with")
    while step is not None:
        command, context = step
        report.commands += 1
        one.begin_apply(command.body, context)
        two.begin_apply(command.body, context)
        reply = _compare(report.commands, command, one, two)
        if restores and report.commands & (report.commands - 1) == 0:  # after 1, 2, 4, 8, ...
            if report.commands > 1:
                report.add(_frozen(one))
            one.begin_snapshot(report.commands)
            report.add(_undisturbed(report.commands, two))
        try:
            step = asking.send(reply)
        except StopIteration:
            step = None
    if restores:
        report.add(_frozen(one))
        report.add(_undisturbed(report.commands, two))
    return report


def _compare(number: int, command: Command, one: Twin, two: Twin) -> bytes:
    """The reply, if both came to the same."""
    what = f"command {number} ({_shown(command.body)} of {_name(command.sender)})"
    first, second = one.applied(), two.applied()
    for twin, applied in ((one, first), (two, second)):
        if applied.error:
            raise Violation(f"{what} in {twin.name}: {applied.error}")
    for name in ("reply", "digest"):
        if (ours := getattr(first, name)) != (theirs := getattr(second, name)):
            raise _Different(
                f"{what}: the {name} differs between two processes\n"
                f"    PYTHONHASHSEED={one.hash_seed}: {_shown(ours)}\n"
                f"    PYTHONHASHSEED={two.hash_seed}: {_shown(theirs)}"
            )
    return first.reply


def _undisturbed(number: int, twin: Twin) -> Copied:
    """A snapshot while nothing else happens; the process goes on from what was restored."""
    copied = twin.go_on_from_snapshot()
    if copied.error:
        raise Violation(f"the snapshot after command {number}: {copied.error}")
    if copied.digest_before != copied.digest_after:
        raise Violation(
            f"the snapshot after command {number}, restored, has the digest {_shown(copied.digest_after)}, "
            f"not {_shown(copied.digest_before)}: it lacks something, or `restore` leaves something of before"
        )
    return copied


def _frozen(twin: Twin) -> Copied:
    """A snapshot whose pieces were taken one after each command."""
    copied = twin.end_snapshot()
    if copied.error:
        raise Violation(f"the snapshot that was begun after command {copied.begun_after}: {copied.error}")
    if copied.digest_before != copied.digest_after:
        raise Violation(
            f"the snapshot that was begun after command {copied.begun_after} is not frozen: what was applied "
            f"between its pieces is in it. Restored, it has the digest {_shown(copied.digest_after)}, not "
            f"{_shown(copied.digest_before)}. `snapshot` must keep what the state was when it was called"
        )
    return copied


# --- commands ---


def _drawn(commands: Commands, seed: int) -> Generator[Command, bytes, None]:
    source = iter(commands(Random(seed)) if callable(commands) else commands)
    reply: bytes | None = None
    while True:
        try:
            item = source.send(reply) if isinstance(source, Generator) else next(source)
        except StopIteration:
            return
        reply = yield Command(body=item) if isinstance(item, bytes) else item


def _given(commands: list[Command]) -> Generator[Command, bytes, None]:
    for command in commands:  # noqa: UP028  # a list takes no replies: `yield from` would raise
        yield command


def _contexts(commands: Generator[Command, bytes, None], asked: list[Command]) -> _Asking:
    """Each command with its context, as a log would give it; notes them in `asked`."""
    time_us, generation = 0, Generation(bytes(16))
    command = next(commands, None)
    for index in _indices():
        if command is None:
            return
        asked.append(replace(command))
        time_us += max(0, round(command.after_s * 1_000_000))
        sender = None if command.sender is None else made_up_member(command.sender)
        # Entries of the library stand between those of the application, and terms end now and then.
        epoch = Epoch(generation, Term(1 + index // 50))
        reply = yield command, Context(LogIndex(index), epoch, sender, time_us / 1_000_000)
        try:
            command = commands.send(reply)
        except StopIteration:
            return


def _indices() -> Iterator[int]:
    index = 2
    while True:
        yield index
        index += 3 if index % 7 == 0 else 1


def _check_importable(machine: Callable[[], StateMachine]) -> None:
    try:
        pickle.dumps(machine)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"other processes cannot import the state machine ({error}): give a class or a function at the top "
            "level of a module"
        ) from None


def _name(sender: int | None) -> str:
    return "the host" if sender is None else f"member {sender}"


def _shown(data: Any) -> str:
    return repr(data) if len(data) <= SHOWN_MAX else f"{data[:SHOWN_MAX]!r}... ({len(data)} bytes)"
