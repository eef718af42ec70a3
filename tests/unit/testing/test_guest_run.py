"""Several trio runs in one thread, stepped by hand."""

from __future__ import annotations

import gc
import random
import threading
import weakref

import pytest
import trio

from failover.testing import guest_run
from failover.testing.guest_run import GuestRun, Stuck, Unsuitable, deterministic_runs


def in_steps(main, now, until):
    """Run alone, its clock jumping from deadline to deadline; returns when it had something to do."""
    run, times = GuestRun(main, lambda: now[0]), []
    while not run.is_over and now[0] <= until:
        run.step()
        times.append(now[0])
        now[0] = max(now[0], run.deadline)
    return run, times


@pytest.fixture(autouse=True)
def room():
    threads = threading.active_count()
    with deterministic_runs(random.Random(1)):
        yield
    assert threading.active_count() == threads


def test_a_run_does_something_only_when_it_is_stepped_and_says_when_it_wants_to_be():
    woke = []

    async def main():
        for seconds in (1.0, 2.5):
            await trio.sleep(seconds)
            woke.append(trio.current_time())

    run, times = in_steps(main, [0.0], 10.0)
    assert (woke, times, run.is_over) == ([1.0, 3.5], [0.0, 1.0, 3.5], True)


def test_two_runs_interleave_each_with_its_own_time():
    def named(name, seconds, said):
        async def main():
            for _ in range(3):
                await trio.sleep(seconds)
                said.append((name, trio.current_time()))

        return main

    said, now = [], [0.0]
    runs = [GuestRun(named("ada", 1.0, said), lambda: now[0]), GuestRun(named("ben", 1.5, said), lambda: -now[0])]
    runs[0].step()
    runs[1].step()
    for now[0] in (1.0, 2.0, 3.0):
        runs[0].step()
    assert said == [("ada", 1.0), ("ada", 2.0), ("ada", 3.0)]
    assert not runs[1].is_over and runs[1].deadline == 1.5
    runs[1].unwind(lambda deadline: now.__setitem__(0, -deadline))


def test_what_is_called_from_outside_wakes_tasks():
    async def main():
        await event.wait()
        return "woken"

    event = trio.Event()
    run = GuestRun(main, lambda: 0.0)
    run.step()
    assert not run.is_over and run.deadline == float("inf")
    with run.inside():
        event.set()
    run.step()
    assert run.outcome.unwrap() == "woken"


def test_tasks_that_can_run_at_once_run_in_an_order_that_follows_from_the_seed():
    def order(seed):
        said = []

        async def main():
            async with trio.open_nursery() as nursery:
                for number in range(8):
                    nursery.start_soon(say, number)

        async def say(number):
            await trio.sleep(1.0)
            said.append(number)

        guest_run._set_scheduling(True, random.Random(seed))
        in_steps(main, [0.0], 10.0)
        return said

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(5)}) > 1


def test_a_task_that_never_waits_is_found(monkeypatch):
    async def main():
        while True:
            await trio.lowlevel.checkpoint()

    monkeypatch.setattr(guest_run, "STEPS_MAX", 100)
    run = GuestRun(main, lambda: 0.0)
    with pytest.raises(Stuck, match="loops without waiting"):
        run.step()
    with pytest.raises(Stuck):
        run.unwind(lambda deadline: None)
    monkeypatch.undo()
    with run.inside():
        main_task = run._runner.main_task
        main_task._cancel_status._scope.cancel()
    run.step()
    assert run.is_over


def test_what_shields_itself_for_ever_is_found():
    event = trio.Event()

    async def main():
        with trio.CancelScope(shield=True):
            await event.wait()

    run = GuestRun(main, lambda: 0.0)
    with pytest.raises(Stuck, match="shields itself"):
        run.unwind(lambda deadline: None)
    with run.inside():
        event.set()
    run.step()


def test_the_async_generators_of_one_run_are_not_closed_by_another():
    async def numbers(said, name):
        try:
            while True:
                yield 1
        finally:
            said.append(name)

    said = []

    def main_of(name, seconds):
        async def main():
            generator = numbers(said, name)
            await anext(generator)
            await trio.sleep(seconds)
            await generator.aclose()

        return main

    now = [0.0]
    long, short = (GuestRun(main_of(name, s), lambda: now[0]) for name, s in (("long", 5.0), ("short", 1.0)))
    long.step()
    short.step()
    now[0] = 1.0
    short.step()
    assert short.is_over and said == ["short"]
    now[0] = 5.0
    long.step()
    assert long.is_over and said == ["short", "long"]


def test_what_a_run_held_can_be_forgotten():
    """Found by a long simulation: each run of a member stayed in memory for good."""

    class Clock(list):
        """Known to the run, and knows the run."""

    async def main():
        await trio.sleep(1.0)

    def leave() -> weakref.ref[Clock]:
        clock = Clock([0.0])
        clock.run, _ = in_steps(main, clock, 10.0)
        return weakref.ref(clock)

    left = leave()
    gc.collect()
    assert left() is None


def test_a_trio_that_lacks_what_is_needed_is_refused_clearly(monkeypatch):
    monkeypatch.delattr(guest_run.trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING")
    with pytest.raises(Unsuitable, match="has no _ALLOW_DETERMINISTIC_SCHEDULING"):
        guest_run.check_trio()
