"""`start_member`: the same member for a program with its own loop. Real time, real sockets, a real disk."""

import threading
import time
from concurrent.futures import Future

import pytest
import trio
from world import Ledger

import failover


def wait_for(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.005)


def test_a_plain_program_founds_joins_plays_and_resumes(tmp_path):
    woken = threading.Event()
    with failover.start_member(
        Ledger(), found=True, storage=tmp_path / "one.db", bind="127.0.0.1", wake=woken.set
    ) as first:
        wait_for(lambda: first.is_host)
        assert woken.is_set()
        assert failover.BecomeHost in {type(event) for event in first.poll()}
        ticket = first.invite().result(10)
        with failover.start_member(Ledger(), ticket=ticket, bind="127.0.0.1") as second:
            replies = [second.request(b"%d" % number) for number in range(10)]
            assert sorted(reply.result(10) for reply in replies) == [b"%d" % number for number in range(10)]
            second.read_barrier().result(10)
            assert len(second.state) == 10
            assert second.status().result(10).host == first.id
            assert not second.is_host
            assert second.epoch is None
            second.leave().result(10)
            wait_for(lambda: len(first.status().result(10).members) == 1)
        assert first.epoch is not None
        identity = first.id
    with failover.start_member(Ledger(), storage=tmp_path / "one.db", bind="127.0.0.1") as again:
        assert again.id == identity
        wait_for(lambda: again.is_host)
        assert len(again.state) == 10


def test_a_key_is_known_again_after_a_restart(tmp_path):
    with failover.start_member(Ledger(), found=True, storage=tmp_path / "one.db", bind="127.0.0.1") as member:
        key = member.new_key()
        assert member.request(b"once", key=key).result(10) == b"0"
    with failover.start_member(Ledger(), storage=tmp_path / "one.db", bind="127.0.0.1") as again:
        assert again.new_key() > key
        assert again.request(b"once", key=key).result(10) == b"0"
        with pytest.raises(failover.UsageError):
            again.request(b"something else", key=key).result(10)
        assert again.state == (b"once",)


def test_a_member_that_cannot_open_raises_in_the_callers_thread(tmp_path):
    with pytest.raises(failover.StorageMissing):
        failover.start_member(Ledger(), storage=tmp_path / "new.db", bind="127.0.0.1")
    with pytest.raises(failover.BadAddress):
        failover.start_member(Ledger(), found=True, bind="256.0.0.1")
    with pytest.raises(TypeError):
        failover.start_member(Ledger(), found=True, prot=7)


def test_a_hand_over_between_threads():
    with failover.start_member(Ledger(), found=True, bind="127.0.0.1") as first:
        wait_for(lambda: first.is_host)
        ticket = first.invite().result(10)
        with failover.start_member(Ledger(), ticket=ticket, bind="127.0.0.1") as second:
            wait_for(lambda: [m.kind for m in first.status().result(10).members] == ["voter", "voter"])
            time.sleep(0.2)  # until the change of membership that made it a voter is complete
            first.hand_over(second.id).result(10)
            wait_for(lambda: second.is_host)
            assert not first.is_host
            assert first.request(b"after").result(10) == b"0"


def test_calls_after_the_end_say_closed():
    member = failover.start_member(Ledger(), found=True, bind="127.0.0.1")
    wait_for(lambda: member.is_host)
    member.close()
    member.close()
    with pytest.raises(failover.Closed):
        member.request(b"late").result(10)
    assert isinstance(member.poll()[-1], failover.Stopped)


def test_a_call_under_way_when_the_member_closes_has_an_unknown_outcome():
    first = failover.start_member(Ledger(), found=True, bind="127.0.0.1", serve=ignore)
    wait_for(lambda: first.is_host)
    future: Future[bytes] = first.request(b"never answered")
    time.sleep(0.2)
    first.close()
    with pytest.raises(failover.OutcomeUnknown):  # never `Closed`, which would promise that nothing happened
        future.result(10)


async def ignore(host: failover.Host) -> None:
    async for _ in host.requests():
        pass


def test_an_async_function_runs_in_the_members_thread():
    async def ask(member: failover.Member) -> bytes:
        member.check_open()
        return await member.request(b"asked inside")

    async def wait(member: failover.Member) -> None:
        await trio.sleep_forever()

    with failover.start_member(Ledger(), found=True, bind="127.0.0.1") as member:
        assert member.run(ask).result(10) == b"0"
        with pytest.raises(ZeroDivisionError):
            member.run(lambda member: fail()).result(10)
        waiting, has_begun = member.run(wait), member.run(ask)
        assert has_begun.result(10) == b"1"
    with pytest.raises(failover.OutcomeUnknown):
        waiting.result(10)
    with pytest.raises(failover.Closed):
        member.run(ask).result(10)


async def fail() -> None:
    raise ZeroDivisionError


async def test_a_member_says_when_it_is_closed():
    async with failover.open_member(Ledger(), found=True, bind="127.0.0.1") as member:
        member.check_open()
    with pytest.raises(failover.Closed):
        member.check_open()
