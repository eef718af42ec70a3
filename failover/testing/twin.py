"""A state machine in a process of its own, with a `PYTHONHASHSEED` of its own, that does what it is told.

Processes are spawned, not forked, on every system: a fork would share its parent's hashes. They end with their
parent, and the parent notices when one ends before its time.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from failover.levels import versions_of
from failover.machine import Context, StateMachine
from failover.records import FEATURE_LEVEL
from failover.testing.checkers import Violation

PIECE_MAX_MS = 5.0
PATIENCE_S = 120.0
"""Nothing that a process is told may take longer."""
REPLY_SIZE_MAX = 65_536
BALLAST = 10_007
"""Objects that one of the processes has more than the other, so that addresses differ everywhere."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What one command came to."""

    reply: bytes = b""
    digest: bytes = b""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Copied:
    """What one snapshot came to."""

    begun_after: int = 0
    digest_before: bytes = b""
    digest_after: bytes = b""
    pieces: int = 0
    slowest_piece_ms: float = 0.0
    error: str = ""


# --- in the parent ---


class Twin:
    """The process, as its parent holds it; a context manager."""

    def __init__(self, machine: Callable[[], StateMachine], hash_seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.hash_seed = hash_seed
        self.name = f"the process with PYTHONHASHSEED={hash_seed}"
        self._here, there = context.Pipe()
        self._process = context.Process(target=work, args=(there, machine, hash_seed), daemon=True)
        before = os.environ.get("PYTHONHASHSEED")
        os.environ["PYTHONHASHSEED"] = str(hash_seed)  # a new process looks at it before it runs anything
        try:
            self._process.start()
        finally:
            if before is None:
                del os.environ["PYTHONHASHSEED"]
            else:
                os.environ["PYTHONHASHSEED"] = before
        there.close()
        self.hash_of_text = 0
        """By which its seed shows."""

    def __enter__(self) -> Twin:
        try:
            self.hash_of_text = self._hear()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._here.close()  # it ends when it hears nothing more
        self._process.join(1.0)
        self._process.kill()
        self._process.join()

    def begin_anew(self) -> None:
        """Forget everything, and go on with a machine in its first state."""
        self._say("anew")

    def begin_apply(self, command: bytes, context: Context) -> None:
        """Have a command applied; `applied` has what came of it."""
        self._say("apply", command, context)

    def applied(self) -> Applied:
        """What came of the last command."""
        result: Applied = self._hear()
        return result

    def go_on_from_snapshot(self) -> Copied:
        """Put a new machine, restored from a snapshot, in the place of the old one."""
        self._say("copy")
        result: Copied = self._hear()
        return result

    def begin_snapshot(self, begun_after: int) -> None:
        """Take the first piece now, and one after each command."""
        self._say("begin", begun_after)

    def end_snapshot(self) -> Copied:
        """Take the rest of the pieces, and restore a new machine from all, which is then forgotten."""
        self._say("end")
        result: Copied = self._hear()
        return result

    def _say(self, *what: object) -> None:
        try:
            self._here.send(what)
        except OSError:
            self._raise_ended()

    def _hear(self) -> Any:
        if not self._here.poll(PATIENCE_S):
            raise Violation(f"{self.name} does not answer for {PATIENCE_S:g} s")
        try:
            return self._here.recv()
        except (EOFError, OSError):
            self._raise_ended()

    def _raise_ended(self) -> None:
        self._process.join(1.0)
        raise Violation(
            f"{self.name} ended (exit code {self._process.exitcode}): can it import the state machine? A script "
            'that calls `check_deterministic` must do so under `if __name__ == "__main__":`'
        ) from None


# --- in the process ---


def work(connection: Connection, machine: Callable[[], StateMachine], hash_seed: int) -> None:
    """Do what the parent says, until it says nothing more."""
    ballast = [object() for _ in range(BALLAST * (hash_seed % 2))]
    connection.send(hash("what its seed makes of this"))
    worker = Worker(machine)
    while True:
        try:
            what, *arguments = connection.recv()
        except EOFError:
            break
        result = getattr(worker, what)(*arguments)
        if result is not None:
            connection.send(result)
    del ballast


class Worker:
    """What the process does: one method for each thing that it may be told."""

    def __init__(self, make: Callable[[], StateMachine]) -> None:
        self._make = make
        self.anew()

    def anew(self) -> None:
        """See `Twin.begin_anew`."""
        self._machine = self._make()
        self._taking: _Taking | None = None
        versions = versions_of(self._machine, FEATURE_LEVEL)
        self._version, self._steps = versions.newest, range(versions.oldest + 1, versions.newest + 1)

    def apply(self, command: bytes, context: Context) -> Applied:
        """Apply a command; and one more piece of a snapshot that is under way."""
        try:
            self._migrate()
            reply = self._machine.apply(command, replace(context, version=self._version))
            if not isinstance(reply, bytes) or len(reply) > REPLY_SIZE_MAX:
                return Applied(error=f"`apply` returned {_kind(reply)}, not 0 to {REPLY_SIZE_MAX} bytes")
            self._machine.view()
            digest = self._machine.digest()
        except Exception as error:
            return Applied(error=f"it raised {type(error).__name__}: {error}")
        if not isinstance(digest, bytes) or not 4 <= len(digest) <= 32:
            return Applied(error=f"`digest` returned {_kind(digest)}, not 4 to 32 bytes")
        if self._taking is not None:
            self._taking.one_more()
        return Applied(reply, digest)

    def _migrate(self) -> None:
        """Before the first command, as in a cluster whose founder has this machine."""
        steps, self._steps = self._steps, range(0)
        migrate = getattr(self._machine, "migrate", None)
        if migrate is not None:
            for version in steps:
                migrate(version)

    def copy(self) -> Copied:
        """See `Twin.go_on_from_snapshot`."""
        taking = _Taking(self._machine, 0)
        machine, copied = taking.restored(self._make)
        self._machine = machine or self._machine
        return copied

    def begin(self, begun_after: int) -> None:
        """See `Twin.begin_snapshot`."""
        self._taking = _Taking(self._machine, begun_after)

    def end(self) -> Copied:
        """See `Twin.end_snapshot`."""
        taking, self._taking = self._taking, None
        assert taking is not None
        return taking.restored(self._make)[1]


class _Taking:
    """A snapshot under way. What raises is told at its end."""

    def __init__(self, machine: StateMachine, begun_after: int) -> None:
        self._begun_after = begun_after
        self._taken: list[bytes] = []
        self._slowest_s = 0.0
        self._error = ""
        self._pieces: Iterator[bytes] = iter(())
        self._digest = b""
        try:
            self._digest = machine.digest()
            self._pieces = machine.snapshot()
        except Exception as error:
            self._error = f"`snapshot` raised {type(error).__name__}: {error}"
        self.one_more()  # as a member does: a generator freezes nothing before its first piece is asked for

    def one_more(self) -> bool:
        """Take a piece; False if there is none."""
        begun = _processor_time()
        try:
            piece = next(self._pieces, None)
        except Exception as error:
            self._error = f"a piece raised {type(error).__name__}: {error}"
            return False
        self._slowest_s = max(self._slowest_s, _processor_time() - begun)
        if piece is None:
            return False
        if not isinstance(piece, bytes):
            self._error = f"a piece is {_kind(piece)}, not bytes"
            return False
        self._taken.append(piece)
        return True

    def restored(self, make: Callable[[], StateMachine]) -> tuple[StateMachine | None, Copied]:
        """Take the rest; a new machine restored from it all, and what came of that."""
        while not self._error and self.one_more():
            pass
        if self._error:
            return None, Copied(self._begun_after, error=self._error)
        machine = make()
        try:
            machine.restore(iter(_cut_anew(self._taken)))
            machine.view()
            digest = machine.digest()
        except Exception as error:
            return None, Copied(self._begun_after, error=f"`restore` raised {type(error).__name__}: {error}")
        slowest_ms = self._slowest_s * 1_000
        return machine, Copied(self._begun_after, self._digest, digest, len(self._taken), slowest_ms)


def _cut_anew(pieces: list[bytes]) -> Iterator[bytes]:
    """The same bytes in other pieces: a member cuts them as its disk and its network like them."""
    data = b"".join(pieces)
    step = max(1, min(len(data) // 3 + 1, 60_000))
    return (data[at : at + step] for at in range(0, len(data), step))


def _processor_time() -> float:
    """Of this thread, where the system measures that finely: what others do meanwhile is not its fault."""
    if time.get_clock_info("thread_time").resolution <= 0.001:
        return time.thread_time()
    return time.perf_counter()


def _kind(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__
