"""Opening a member, in the loop or in a thread of its own, and not getting that far."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
import trio
from tally import Cuttable, Tally, member, until, voters

import failover


async def test_a_newcomer_is_told_that_there_is_no_host_to_admit_it(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Cuttable()
    async with (
        member(found=True) as founder,
        member(ticket=await founder.invite(), transport=wire) as other,
    ):
        await voters(2, founder, other)
        ticket = await founder.invite()
        wire.is_cut = True
        await until(lambda: not founder.is_host)
        monkeypatch.setattr("failover.admission.ADMITTED_WITHIN_S", 0.3)
        with trio.fail_after(5), pytest.raises(failover.Unreachable, match="to have a host"):
            async with member(ticket=ticket):
                pass
        wire.is_cut = False


@pytest.mark.parametrize("name", ["", "n" * 65, "\ud800"])
async def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(failover.UsageError, match="a name has"):
        async with member(found=True, name=name):
            pass


def a_ticket_that_leads_nowhere() -> str:
    with failover.start_member(Tally(), found=True, bind="127.0.0.1") as founder:
        return founder.invite().result(5)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself Ctrl+C there")
def test_ctrl_c_while_a_thread_is_opening_leaves_nothing_behind(tmp_path: Path) -> None:
    ticket = a_ticket_that_leads_nowhere()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        failover.start_member(Tally(), ticket=ticket, storage=tmp_path / "a.db", bind="127.0.0.1")
    assert [thread.name for thread in threading.enumerate() if "failover" in thread.name] == []
    with pytest.raises(failover.StorageMissing):  # so it is free
        failover.start_member(Tally(), storage=tmp_path / "a.db", bind="127.0.0.1")


def test_what_opening_raises_comes_out_of_start_member() -> None:
    with pytest.raises(failover.BadTicket):
        failover.start_member(Tally(), ticket="rubbish")
    with pytest.raises(TypeError):
        failover.start_member(Tally(), tickets="rubbish")


def test_calls_after_closing_say_so() -> None:
    with failover.start_member(Tally(), found=True, bind="127.0.0.1") as alone:
        assert alone.request(b"a").result(5) == b"1"
        waiting = alone.request(b"b")
        waiting.cancel()
    alone.close()
    for future in (alone.request(b"c"), alone.status()):
        with pytest.raises(failover.Closed):
            future.result(5)
    assert isinstance(alone.poll()[-1], failover.Stopped)
