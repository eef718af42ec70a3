"""The handles for programs with their own loop. Real time, real sockets, a real disk."""

import threading
import time

import pytest

import failover
from failover.machines import ABSENT, Change, NotHeld, start_dictionary, start_queue


def wait_for(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.005)


def test_a_plain_program_reads_writes_watches_and_resumes(tmp_path):
    with start_dictionary(storage=tmp_path / "one.db", found=True, bind="127.0.0.1") as first:
        first.set("a", 1).result(10)
        assert first["a"] == 1
        ticket = first.member.invite().result(10)
        with start_dictionary(ticket=ticket, bind="127.0.0.1") as second:
            watch, since = second.watch("a", "b"), second.latest().result(10)
            assert dict(since) == {"a": 1}
            woken = threading.Event()
            with second.calling(woken.set):
                assert first.compare_and_set("b", ABSENT, 2).result(10)
                assert woken.wait(10)
            assert first.transact({"b": 2}, {"a": ABSENT, "c": 3}).result(10)
            assert second.update(lambda draft: draft["c"]).result(10) == 3
            assert watch.poll() == [Change("a", 1, ABSENT), Change("b", ABSENT, 2)]
            assert second.watch(since=since).poll()[-1] == Change("c", ABSENT, 3)
            second.delete("c").result(10)
            assert "c" not in second
            with pytest.raises(failover.UsageError):
                second.set("a", object()).result(10)
            second.member.leave().result(20)  # so that the first one needs nobody when it is back
    with start_dictionary(storage=tmp_path / "one.db", bind="127.0.0.1") as again:
        assert dict(again.latest().result(10)) == {"b": 2}
    with pytest.raises(failover.Closed):
        again.set("a", 1).result(10)


def test_a_plain_program_puts_takes_and_finishes(tmp_path):
    with start_queue(storage=tmp_path / "one.db", found=True, bind="127.0.0.1") as first:
        ticket = first.member.invite().result(10)
        with start_queue(ticket=ticket, bind="127.0.0.1") as second:
            waiting = second.get("jobs")
            first.put("jobs", "sweep").result(10)
            item = waiting.result(10)
            assert (item.value, item.topic, item.is_held) == ("sweep", "jobs", True)
            second.give_back(item).result(10)
            with pytest.raises(NotHeld):
                second.done(item).result(10)
            again = first.get("jobs", timeout=10).result(20)
            assert again.number == item.number
            assert first.get("jobs", timeout=0.05).result(10) is None
            first.done(again).result(10)
            first.put("jobs", "dust").result(10)
            assert second.get("jobs").result(10).value == "dust"
            begun = time.monotonic()
        # It was left in order, so nobody waits for its time to pass.
        assert first.get("jobs").result(10).value == "dust"
        assert time.monotonic() - begun < 8
        assert (first.picture.ready_count, first.picture.held_count) == (0, 1)


def test_what_is_wrong_with_a_queues_options_is_said_where_it_is_opened():
    with pytest.raises(failover.UsageError, match="hold_s"), start_queue(found=True, bind="127.0.0.1", hold_s=0.1):
        pytest.fail("it opened")
