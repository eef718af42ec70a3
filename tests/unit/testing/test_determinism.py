"""`check_deterministic`, in real processes: finds each planted mistake, and says where and what."""

from __future__ import annotations

import random

import odd_machines
import pytest
from drawn_commands import dictionary_commands, hexhold_commands, queue_commands

import failover
from demo_game.machine import Hexhold
from failover.machines import DictionaryMachine, QueueMachine
from failover.testing import Command, Violation, check_deterministic, made_up_member
from failover.testing.twin import Worker

WORDS = [b"word %d" % (number % 40) for number in range(70)]


def found(machine, commands=WORDS) -> str:
    with pytest.raises(Violation) as raised:
        check_deterministic(machine, commands)
    return str(raised.value)


def test_a_deterministic_machine_passes_and_the_report_says_what_was_tried():
    report = check_deterministic(odd_machines.Words, WORDS)
    assert report.commands == 70
    assert report.restores == 7 + 6 + 2, "after 1, 2, 4, ..., 64, and at the end"
    assert report.pieces > 100
    assert str(report).startswith("70 commands, equal in two processes; 15 snapshots restored, ")


def test_a_machine_of_several_versions_plays_the_newest():
    assert check_deterministic(odd_machines.SecondEdition, WORDS).commands == 70


def test_the_order_of_a_set_is_found_at_the_first_command_that_shows_it():
    text = found(odd_machines.GoesThroughASet)
    assert "the reply differs between two processes" in text
    number = int(text.split()[1])
    assert 2 <= number <= 12
    assert f"(b'word {number - 1}' of member 0)" in text
    assert "PYTHONHASHSEED=1: b'word" in text
    assert "no order of a set" in text


def test_hashes_addresses_and_clocks_are_found():
    assert "command 1 (b'word 0' of member 0): the digest differs" in found(odd_machines.Hashes)
    assert "the reply differs" in found(odd_machines.LooksAtAddresses)
    assert "the digest differs" in found(odd_machines.LooksAtTheClock)


def test_snapshots_that_lack_something_are_found():
    assert "the snapshot after command 16, restored, has the digest" in found(odd_machines.ForgetsInSnapshots)
    assert "or `restore` leaves something" in found(odd_machines.AddsInRestore)
    text = found(odd_machines.ForgetsWhatNoDigestShows)
    assert "command 2 " in text
    assert "Without snapshots they agree" in text


def test_a_snapshot_that_is_not_frozen_is_found():
    text = found(odd_machines.ThawsInSnapshots, [b"one", b"two", b"three", b"four", *[b"four"] * 60])
    assert "begun after command 4 is not frozen" in text


def test_what_raises_or_is_of_the_wrong_kind_is_said():
    text = found(odd_machines.Raises)
    assert "command 6 (b'word 5' of member 0)" in text
    assert "ValueError: five are enough" in text
    assert "after command 1: `restore` raised OSError: no" in found(odd_machines.RaisesInRestore)
    assert "ended (exit code 3)" in found(odd_machines.Dies)


def test_a_process_says_what_is_wrong_in_its_machine():
    context = failover.Context(2, None, None, 0.0)
    assert (
        Worker(odd_machines.RepliesText).apply(b"", context).error == "`apply` returned str, not 0 to 65536 bytes"
    )
    assert (
        "`digest` returned 33 bytes, not 4 to 32" in Worker(odd_machines.HasALongDigest).apply(b"", context).error
    )
    assert Worker(odd_machines.RaisesInSnapshots).copy().error == "a piece raised OSError: no"
    assert Worker(odd_machines.PiecesOfText).copy().error == "a piece is str, not bytes"
    worker = Worker(odd_machines.RaisesInSnapshots)
    worker.begin(7)
    assert "OSError" in worker.end().error


def test_slow_pieces_are_told_and_are_no_failure():
    report = check_deterministic(odd_machines.Slow, WORDS[:3])
    assert report.slowest_piece_ms > 45
    assert str(report).endswith("ms, and should take 5 at most")


def test_what_other_processes_cannot_import_is_refused():
    class Local(odd_machines.Words):
        pass

    with pytest.raises(failover.UsageError, match="top level"):
        check_deterministic(Local, WORDS)
    with pytest.raises(failover.UsageError, match="no command"):
        check_deterministic(odd_machines.Words, [])


def test_commands_are_drawn_with_the_replies_in_sight_and_have_the_context_that_was_asked_for():
    replies: list[bytes] = []

    def draw(dice: random.Random):
        drawn = dice.randrange(1_000)
        replies.append((yield b"%d" % drawn))
        replies.append((yield Command(body=b"x", sender=None, after_s=1.5)))
        replies.append((yield Command(body=b"y", sender=3, after_s=0.0)))

    report = check_deterministic(odd_machines.configured, draw, seed=7)
    assert report.commands == 3
    members = [made_up_member(number).hex()[:8] for number in (0, 3)]
    assert replies == [
        b"1 2 1 %s 0.050" % members[0].encode(),
        b"2 3 1 host 1.550",
        b"3 4 1 %s 1.550" % members[1].encode(),
    ]


def test_the_dictionary_is_deterministic():
    report = check_deterministic(DictionaryMachine, dictionary_commands)
    assert report.commands > 500


def test_the_queue_is_deterministic():
    report = check_deterministic(QueueMachine, queue_commands)
    assert report.commands > 500


def test_hexhold_is_deterministic():
    report = check_deterministic(Hexhold, hexhold_commands)
    assert report.commands > 200
