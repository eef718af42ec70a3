"""Ctrl+C is raised in the game's own code or where it waits, never in the middle of what the library does.

Once in forty times it came between an entry's place in the log and its way to the disk, when the server function
of a busy host had just called `propose`: the member stopped with an assertion and handed nothing over.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest
import trio
from tally import until

import failover
import failover.machines
from failover.interrupts import unbroken
from tests.processes.worker import Ledger

LIBRARY = str(Path(failover.__file__).parent)


@contextmanager
def watched() -> Iterator[set[str]]:
    """The functions of the library that were entered where Ctrl+C would have been raised at once."""
    broken: set[str] = set()

    def look(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(LIBRARY) and not trio.lowlevel.currently_ki_protected():
            broken.add(f"{Path(code.co_filename).relative_to(LIBRARY)}: {code.co_qualname}")

    sys.setprofile(look)
    try:
        yield broken
    finally:
        sys.setprofile(None)


async def serve(host: failover.Host) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(use, host)
        async for request in host.requests():
            if request.body == b"no":
                request.refuse("no")
            else:
                await request.propose()


async def use(host: failover.Host) -> None:
    host.propose(b"proposed")
    host.send_unreliable(b"here")
    host.poll_unreliable()
    assert host.is_running() and host.time >= 0 and host.epoch and host.state is not None
    await host.commit(b"committed")


async def play(member: failover.Member) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hear, member)
        await member.request(b"one")
        with pytest.raises(failover.Refused):
            await member.request(b"no")
        await member.read_barrier()
        member.send_unreliable(b"there")
        member.poll_unreliable()
        member.status()
        assert member.id and member.state is not None and member.is_host in (True, False)


async def hear(member: failover.Member) -> None:
    async for event in member.events():
        if isinstance(event, failover.HostChanged):
            return


async def test_nothing_of_the_library_is_open_to_an_interrupt(tmp_path):
    def member(name, **options):
        return failover.open_member(Ledger(), storage=tmp_path / name, bind="127.0.0.1", serve=serve, **options)

    with watched() as broken:
        async with member("1", found=True) as one:
            await play(one)
            ticket = await one.invite(uses=2)
            async with member("2", ticket=ticket) as two, member("3", ticket=ticket) as three:
                await play(two)
                await until(lambda: sum(info.kind == "voter" for info in one.status().members) == 3, 20.0)
                with suppress(failover.NotHost):  # slow as all is here, somebody else may host by now
                    await one.hand_over(two.id)
                await play(three)
                await three.leave()
                await one.short_code(listed="Ada")
                one.relist("Ada, alone")
                await failover.listed_games(within_s=0.1)
                one.close_short_code()
        async with member("1") as one:
            await play(one)
    assert broken == set()


def test_what_is_marked_is_put_off_and_what_is_not_is_found():
    def bare() -> bool:
        return trio.lowlevel.currently_ki_protected()

    @unbroken
    class Marked:
        def method(self) -> bool:
            return bare()

        @property
        def value(self) -> bool:
            return bare()

        @staticmethod
        def static() -> bool:
            return bare()

        @classmethod
        def of_class(cls) -> bool:
            return bare()

        @contextmanager
        def block(self) -> Iterator[bool]:
            yield bare()

    async def main() -> None:
        marked = Marked()
        with marked.block() as inside:
            assert [marked.method(), marked.value, marked.static(), marked.of_class(), inside] == [True] * 5
            assert not bare(), "the block itself is the game's"

    trio.run(main)


PROGRAM = """
import trio, failover
from tally import Tally

async def main():
    async with failover.open_member(Tally(), found=True, bind="127.0.0.1") as member{nursery}:
        try:
            await member.request(b"a")
            print("open", flush=True)
            await trio.sleep_forever()
        finally:
            assert member.is_host
    print("not reached")

try:
    trio.run(main)
except* KeyboardInterrupt:
    print("ended")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there Ctrl+C cannot be sent to one process")
@pytest.mark.parametrize("nursery", ["", ", trio.open_nursery() as nursery"])
def test_a_program_catches_ctrl_c_as_the_docstring_says(nursery):
    program = PROGRAM.format(nursery=nursery)
    folders = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": folders},
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "open\n"
        running.send_signal(signal.SIGINT)
        assert running.communicate(timeout=20)[0] == "ended\n"
    assert running.returncode == 0
    assert "except* KeyboardInterrupt" in str(failover.open_member.__doc__)


async def test_an_interrupt_in_a_task_of_the_server_function_still_hands_over(tmp_path):
    async def interrupted(host: failover.Host) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(interrupt)
            await trio.sleep_forever()

    async def interrupt() -> None:
        await has_two.wait()
        raise KeyboardInterrupt

    has_two, changed = trio.Event(), []
    async with trio.open_nursery() as nursery:

        async def first(task_status: trio.TaskStatus[str]) -> None:
            with pytest.raises(BaseExceptionGroup) as raised:
                async with failover.open_member(Ledger(), found=True, bind="127.0.0.1", serve=interrupted) as one:
                    task_status.started(await one.invite())
                    await trio.sleep_forever()
            assert raised.group_contains(KeyboardInterrupt)

        ticket = await nursery.start(first)
        async with failover.open_member(Ledger(), ticket=ticket, bind="127.0.0.1") as two:
            with trio.fail_after(10):
                await until(lambda: sum(info.kind == "voter" for info in two.status().members) == 2)
                has_two.set()
                async for event in two.events():
                    if isinstance(event, failover.HostChanged):
                        changed.append(event.reason)
                    if isinstance(event, failover.BecomeHost):
                        break
        assert changed[-1:] != ["silent"]
