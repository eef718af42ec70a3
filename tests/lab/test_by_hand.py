"""`python -m tests.lab`: what can be written, and what is shown and written in the end."""

from __future__ import annotations

import argparse
import json
import os
import sys

import pytest

from tests.lab.__main__ import bits_per_second, main, percent, queue
from tests.lab.namespaces import NoLab, check_machine, run


def test_rates_queues_and_parts_are_read_as_people_write_them():
    assert [bits_per_second(text) for text in ("10mbit", "512kbit", "1.5Gbit")] == [10e6, 512e3, 1.5e9]
    assert (queue("50ms"), queue("64kB")) == ({"queue_s": 0.05}, {"queue_s": 3600.0, "queue_bytes": 64_000})
    assert (percent("2"), percent("0.5%")) == (0.02, 0.005)


@pytest.mark.parametrize(("read", "text"), [(bits_per_second, "fast"), (queue, "long"), (percent, "101")])
def test_what_makes_no_sense_is_refused(read, text):
    with pytest.raises(argparse.ArgumentTypeError):
        read(text)


def test_two_members_play_for_a_moment_and_leave_numbers_and_nothing_else(monkeypatch, require, tmp_path, capsys):
    try:
        check_machine("nft", "conntrack")
    except NoLab as error:
        require(False, str(error))
    path = tmp_path / "seen.json"
    words = ["lab", "--members", "2", "--delay", "20", "--rate", "1mbit", "--seconds", "1.5", "--json", str(path)]
    monkeypatch.setattr(sys, "argv", words)
    assert main() == 0
    seen = json.loads(path.read_text())
    assert seen["commit_ms"]["number"] > 5
    assert 20 <= seen["commit_ms"]["p50"] < seen["request_ms"]["p50"]
    assert seen["members"]["member 1"]["round_trips_ms"]["member 2"] >= 20
    assert seen["changes_of_host"] == 0
    assert seen["links"]["carried"] > 50
    assert "changes of host" in capsys.readouterr().out
    assert f"fo-{os.getpid()}-" not in run("ip", "netns", "list")
