"""Several trio runs in one thread, each stepped by hand: the one file of this room that knows trio's inside.

A simulated process is a trio run of its own, in guest mode, whose host loop is the simulation. What trio does not
offer for that, and what this file therefore takes from its private parts (seen in trio 0.27 to 0.35):

- `GLOBAL_RUN_CONTEXT`, where trio keeps the run of a thread: it is put in place around each step;
- the hooks for async generators, of which trio takes one set for each run: the same;
- `_ALLOW_DETERMINISTIC_SCHEDULING` and `_r`, by which tasks that can run at once run in an order that follows from
  a seed (Hypothesis uses them, too).

No thread is started and no time is waited: the clock of a run answers each question how long to sleep with "not at
all", and notes that the run has nothing to do before its next deadline.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from random import Random
from types import FrameType
from typing import Any

import trio
from trio._core import _run as trio_run

STEPS_MAX = 100_000
"""More steps at one moment are a busy loop."""


class Unsuitable(RuntimeError):
    """This version of trio lacks what the simulation needs."""


class Stuck(RuntimeError):
    """A run that was to end does not: something shields itself from cancellation for ever, or loops."""


def check_trio() -> None:
    """Raise `Unsuitable`, saying what is missing, if trio has changed inside."""
    needed = ("GLOBAL_RUN_CONTEXT", "_ALLOW_DETERMINISTIC_SCHEDULING", "_r")
    missing = [name for name in needed if not hasattr(trio_run, name)]
    if missing:
        raise Unsuitable(f"trio {trio.__version__} has no {', '.join(missing)}: simulations need another version")


@contextmanager
def deterministic_runs(dice: Random) -> Iterator[Callable[[], bool]]:
    """Make room for guest runs in this thread, scheduled by `dice`; yields a test for Ctrl+C."""
    check_trio()
    context = trio_run.GLOBAL_RUN_CONTEXT.__dict__
    outer, interrupted = dict(context), [False]

    def interrupt(number: int, frame: FrameType | None) -> None:
        if interrupted[0]:  # asked twice: something loops
            raise KeyboardInterrupt
        interrupted[0] = True

    before = (trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio_run._r)
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if is_main else None
    context.clear()  # the caller may be in a run of its own
    _set_scheduling(True, dice)
    if is_main:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield lambda: interrupted[0]
    finally:
        if is_main:
            signal.signal(signal.SIGINT, handler)
        _set_scheduling(*before)
        context.clear()
        context.update(outer)


def _set_scheduling(is_deterministic: bool, dice: Random) -> None:
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = is_deterministic  # type: ignore[misc]
    trio_run._r = dice


class _GuestClock(trio.abc.Clock):
    """Shows the process's time, and notes what the run would wait for."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.is_idle = False
        self.deadline = 0.0

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self._now()

    def deadline_to_sleep_time(self, deadline: float) -> float:
        self.is_idle = True
        self.deadline = deadline
        return 0.0


class _Inside:
    """One run in its place in this thread, for as long as the block lasts."""

    __slots__ = ("_before", "_hooks", "_runner")

    def __init__(self, runner: Any, hooks: Any) -> None:
        self._runner, self._hooks = runner, hooks

    def __enter__(self) -> None:
        self._before = tuple(sys.get_asyncgen_hooks())
        trio_run.GLOBAL_RUN_CONTEXT.runner = self._runner
        sys.set_asyncgen_hooks(*self._hooks)

    def __exit__(self, *_: object) -> None:
        sys.set_asyncgen_hooks(*self._before)
        trio_run.GLOBAL_RUN_CONTEXT.__dict__.clear()


class GuestRun:
    """One trio run that does something only while `step` is called.

    Args:
        main: its main task.
        now: the time that this run sees.
    """

    def __init__(self, main: Callable[[], Awaitable[object]], now: Callable[[], float]) -> None:
        self._clock = _GuestClock(now)
        self._tick: Callable[[], object] | None = None
        self.outcome: Any = None
        """Of the main task, once the run is over."""
        hooks = sys.get_asyncgen_hooks()
        trio.lowlevel.start_guest_run(
            main,
            run_sync_soon_threadsafe=self._take_tick,
            done_callback=self._ended,
            host_uses_signal_set_wakeup_fd=True,
            clock=self._clock,
        )
        self._runner = trio_run.GLOBAL_RUN_CONTEXT.runner
        # A plain tuple: cycles through a struct sequence are not seen by the garbage collector (CPython 3.11).
        self._hooks = tuple(sys.get_asyncgen_hooks())
        trio_run.GLOBAL_RUN_CONTEXT.__dict__.clear()
        sys.set_asyncgen_hooks(*hooks)

    @property
    def deadline(self) -> float:
        """When this run has something to do again by itself, in its own time."""
        return self._clock.deadline

    @property
    def is_over(self) -> bool:
        """Whether the main task and everything else has ended."""
        return self.outcome is not None

    def inside(self) -> _Inside:
        """Call into the run from outside: what wakes tasks of it must be called in here. `step` comes next."""
        return _Inside(self._runner, self._hooks)

    def step(self) -> None:
        """Run everything that can run at this moment."""
        if self.outcome is not None:
            return
        with self.inside():
            for _ in range(STEPS_MAX):
                self._clock.is_idle = False
                assert self._tick is not None
                self._tick()
                # What trio hands to itself goes through a socket, even at its end: there may be more to do.
                if self.outcome is not None or (self._clock.is_idle and not self._runner.entry_queue.size()):
                    return
        raise Stuck(f"{STEPS_MAX} steps at one moment: a task loops without waiting")

    def unwind(self, jump: Callable[[float], None]) -> None:
        """Step until the run is over, with `jump` to set its clock to each deadline.

        Raises:
            Stuck: it does not end.
        """
        for _ in range(STEPS_MAX):
            self.step()
            if self.outcome is not None:
                return
            if self.deadline == float("inf"):
                break
            jump(self.deadline)
        raise Stuck("a process that died does not end: something in it shields itself from cancellation")

    def _take_tick(self, tick: Callable[[], object]) -> None:
        self._tick = tick

    def _ended(self, result: Any) -> None:
        self.outcome = result
