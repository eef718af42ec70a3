"""What every storage promises (failover/storage/contract.py), asked of each of them."""

from __future__ import annotations

import pytest

from failover.errors import StorageFailed
from failover.ids import LogIndex, Term
from failover.raft.effects import HardState, Write
from failover.raft.messages import Entry


def test_a_new_storage_is_nobody_and_holds_nothing(shelf):
    storage = shelf.storage
    assert storage.identity() is None
    assert storage.snapshot_meta() is None
    assert list(storage.read_snapshot()) == []
    assert storage.get_note("address") is None
    stored = storage.load()
    assert (stored.hard_state, stored.snapshot, stored.entries) == (HardState(), None, ())


def test_an_identity_is_written_once_and_kept(shelf, samples):
    shelf.storage.found(samples.identity, samples.hard_state)
    storage = shelf.reopen()
    assert storage.identity() == samples.identity
    assert storage.load().hard_state == samples.hard_state
    with pytest.raises(AssertionError):
        storage.found(samples.identity, HardState())
    assert storage.load().hard_state == samples.hard_state


def test_incarnations_rise_with_every_run_and_never_fall(shelf):
    assert shelf.storage.begin_incarnation(1) == (0, 1)
    assert shelf.reopen().begin_incarnation(1) == (1, 2)
    assert shelf.reopen().begin_incarnation(1000) == (2, 1000)
    assert shelf.reopen().begin_incarnation(5) == (1000, 1001)


def test_hard_state_and_entries_come_back_as_they_were(shelf, samples):
    joint = Entry(LogIndex(3), Term(2), b"", samples.membership)
    no_op = Entry(LogIndex(4), Term(2))
    entries = (*samples.entries(1, 2), joint, no_op, samples.entry(5, 2, b"x" * 70_000))
    shelf.storage.write((Write(1, hard_state=samples.hard_state, entries=entries),))
    stored = shelf.reopen().load()
    assert stored.hard_state == samples.hard_state
    assert stored.entries == entries


def test_the_last_hard_state_of_a_batch_counts(shelf):
    states = [HardState(Term(number)) for number in range(1, 4)]
    shelf.storage.write(tuple(Write(number, hard_state=state) for number, state in enumerate(states)))
    assert shelf.reopen().load().hard_state == states[-1]


def test_a_write_without_hard_state_keeps_it(shelf, samples):
    shelf.storage.write((Write(1, hard_state=samples.hard_state),))
    shelf.storage.write(samples.append(1, 1))
    assert shelf.reopen().load().hard_state == samples.hard_state


def test_one_write_truncates_and_then_appends(shelf, samples):
    shelf.storage.write(samples.append(1, 5))
    shelf.storage.write((Write(2, truncate_from=LogIndex(3), entries=samples.entries(3, 4, term=2)),))
    assert shelf.reopen().load().entries == samples.entries(1, 2) + samples.entries(3, 4, term=2)


def test_a_place_overwritten_twice_holds_the_last_entry(shelf, samples):
    """The ABA of raft-bugs 67 and 68: (3, term 1), then (3, term 2), then (3, term 3), in one batch and in two."""
    shelf.storage.write(samples.append(1, 3))
    there = Write(2, truncate_from=LogIndex(3), entries=samples.entries(3, 3, term=2))
    back = Write(3, truncate_from=LogIndex(3), entries=samples.entries(3, 4, term=3))
    shelf.storage.write((there, back))
    assert shelf.storage.load().entries == samples.entries(1, 2) + samples.entries(3, 4, term=3)
    shelf.storage.write((Write(4, truncate_from=LogIndex(2), entries=samples.entries(2, 2, term=4)),))
    assert shelf.reopen().load().entries == samples.entries(1, 1) + samples.entries(2, 2, term=4)


def test_truncating_beyond_the_end_drops_nothing(shelf, samples):
    shelf.storage.write(samples.append(1, 2))
    shelf.storage.write((Write(2, truncate_from=LogIndex(9)),))
    assert shelf.reopen().load().entries == samples.entries(1, 2)


def test_a_log_may_be_truncated_to_nothing_and_grow_again(shelf, samples):
    shelf.storage.write(samples.append(1, 3))
    shelf.storage.write((Write(2, truncate_from=LogIndex(1)),))
    assert shelf.storage.load().entries == ()
    shelf.storage.write(samples.append(1, 1, term=2))
    assert shelf.reopen().load().entries == samples.entries(1, 1, term=2)


@pytest.mark.parametrize("first", [1, 3, 5])
def test_entries_that_do_not_follow_on_are_refused_whole(shelf, samples, first):
    shelf.storage.write(samples.append(1, 3))
    with pytest.raises(AssertionError):
        shelf.storage.write((Write(2, hard_state=samples.hard_state), *samples.append(first, first)))
    stored = shelf.reopen().load()
    assert stored.entries == samples.entries(1, 3)
    assert stored.hard_state == HardState()


def test_a_batch_with_a_wrong_write_does_nothing_of_the_right_ones(shelf, samples):
    with pytest.raises(AssertionError):
        shelf.storage.write((*samples.append(1, 2), *samples.append(4, 4)))
    assert shelf.storage.load().entries == ()
    shelf.storage.write(samples.append(1, 1))
    assert shelf.reopen().load().entries == samples.entries(1, 1)


def test_a_snapshot_of_ones_own_leaves_the_log_until_it_is_compacted(shelf, samples):
    storage = shelf.storage
    storage.write(samples.append(1, 10))
    storage.save_snapshot(samples.meta(6), [b"the ", b"", b"state"], replaces_log=False)
    assert storage.load().entries == samples.entries(1, 10)
    storage.write((Write(2, compact_to=LogIndex(4)),))
    storage = shelf.reopen()
    stored = storage.load()
    assert stored.snapshot == storage.snapshot_meta() == samples.meta(6)
    assert stored.entries == samples.entries(5, 10)
    assert b"".join(storage.read_snapshot()) == b"the state"


def test_compaction_comes_after_the_appends_of_its_write(shelf, samples):
    shelf.storage.write(samples.append(1, 4))
    shelf.storage.save_snapshot(samples.meta(4), [b"s"], replaces_log=False)
    shelf.storage.write((Write(2, entries=samples.entries(5, 6), compact_to=LogIndex(4)),))
    assert shelf.reopen().load().entries == samples.entries(5, 6)


def test_a_fully_compacted_log_goes_on_after_the_snapshot(shelf, samples):
    shelf.storage.write(samples.append(1, 4))
    shelf.storage.save_snapshot(samples.meta(4), [b"s"], replaces_log=False)
    shelf.storage.write((Write(2, compact_to=LogIndex(4)),))
    storage = shelf.reopen()
    assert storage.load().entries == ()
    with pytest.raises(AssertionError):
        storage.write(samples.append(1, 1))
    storage.write(samples.append(5, 5))
    assert shelf.reopen().load().entries == samples.entries(5, 5)


def test_what_no_snapshot_covers_is_not_compacted(shelf, samples):
    shelf.storage.write(samples.append(1, 4))
    shelf.storage.save_snapshot(samples.meta(2), [b"s"], replaces_log=False)
    with pytest.raises(AssertionError):
        shelf.storage.write((Write(2, compact_to=LogIndex(3)),))
    assert shelf.reopen().load().entries == samples.entries(1, 4)


def test_what_a_snapshot_covers_is_not_truncated(shelf, samples):
    shelf.storage.write(samples.append(1, 4))
    shelf.storage.save_snapshot(samples.meta(2), [b"s"], replaces_log=False)
    with pytest.raises(AssertionError):
        shelf.storage.write((Write(2, truncate_from=LogIndex(2)),))
    assert shelf.reopen().load().entries == samples.entries(1, 4)


def test_a_snapshot_from_another_member_replaces_a_log_that_differs(shelf, samples):
    """Both in one transaction: raft-bugs 80."""
    shelf.storage.write(samples.append(1, 10))
    shelf.storage.save_snapshot(samples.meta(6, last_term=2), [b"theirs"], replaces_log=True)
    storage = shelf.reopen()
    assert storage.load().entries == ()
    storage.write(samples.append(7, 7, term=2))
    assert shelf.reopen().load().entries == samples.entries(7, 7, term=2)


def test_a_snapshot_from_another_member_keeps_what_follows_a_matching_entry(shelf, samples):
    shelf.storage.write(samples.append(1, 10))
    shelf.storage.save_snapshot(samples.meta(6), [b"theirs"], replaces_log=True)
    assert shelf.reopen().load().entries == samples.entries(7, 10)


def test_a_snapshot_at_the_place_of_the_stored_one_keeps_what_follows(shelf, samples):
    shelf.storage.save_snapshot(samples.meta(6), [b"one"], replaces_log=True)
    shelf.storage.write(samples.append(7, 8))
    shelf.storage.save_snapshot(samples.meta(6), [b"again"], replaces_log=True)
    storage = shelf.reopen()
    assert storage.load().entries == samples.entries(7, 8)
    assert b"".join(storage.read_snapshot()) == b"again"


def test_a_snapshot_far_ahead_starts_the_log_anew(shelf, samples):
    shelf.storage.write(samples.append(1, 2))
    shelf.storage.save_snapshot(samples.meta(1000, last_term=4), [b"s"], replaces_log=True)
    storage = shelf.reopen()
    assert storage.load().entries == ()
    storage.write(samples.append(1001, 1001, term=4))


def test_ones_own_snapshot_never_takes_the_place_of_a_newer_one(shelf, samples):
    """raft-bugs 84: a snapshot still being taken when a newer one arrived."""
    storage = shelf.storage
    storage.write(samples.append(1, 4))
    storage.save_snapshot(samples.meta(9, last_term=2), [b"newer"], replaces_log=True)
    storage.save_snapshot(samples.meta(4), [b"older"], replaces_log=False)
    storage = shelf.reopen()
    assert storage.snapshot_meta() == samples.meta(9, last_term=2)
    assert b"".join(storage.read_snapshot()) == b"newer"


def test_a_snapshot_that_cannot_be_finished_changes_nothing(shelf, samples):
    storage = shelf.storage
    storage.write(samples.append(1, 4))
    storage.save_snapshot(samples.meta(2), [b"old"], replaces_log=False)

    def torn():
        yield b"x" * 600_000
        raise RuntimeError("the state machine failed")

    with pytest.raises(RuntimeError):
        storage.save_snapshot(samples.meta(4), torn(), replaces_log=True)
    storage = shelf.reopen()
    assert storage.load().entries == samples.entries(1, 4)
    assert storage.snapshot_meta() == samples.meta(2)
    assert b"".join(storage.read_snapshot()) == b"old"


def test_writes_go_on_while_a_snapshot_is_stored_in_pieces(shelf, samples):
    storage = shelf.storage
    storage.write(samples.append(1, 2))
    writer = storage.snapshot_writer()
    for index in range(3, 9):
        writer.add(bytes([index]) * 100_000)
        storage.write(samples.append(index, index))
    writer.finish(samples.meta(2), replaces_log=False)
    storage = shelf.reopen()
    assert storage.load().entries == samples.entries(1, 8)
    assert b"".join(storage.read_snapshot()) == b"".join(bytes([index]) * 100_000 for index in range(3, 9))


def test_beginning_a_snapshot_abandons_the_one_before(shelf, samples):
    storage = shelf.storage
    storage.write(samples.append(1, 2))
    first = storage.snapshot_writer()
    first.add(b"first")
    second = storage.snapshot_writer()
    with pytest.raises(StorageFailed):
        first.add(b"more")
    with pytest.raises(StorageFailed):
        first.finish(samples.meta(1), replaces_log=False)
    first.abandon()
    second.add(b"second")
    second.finish(samples.meta(2), replaces_log=False)
    second.abandon()
    assert b"".join(shelf.reopen().read_snapshot()) == b"second"


def test_reading_a_snapshot_that_was_replaced_meanwhile_says_so(shelf, samples):
    storage = shelf.storage
    storage.write(samples.append(1, 4))
    storage.save_snapshot(samples.meta(2), [b"a" * 300_000, b"b" * 300_000], replaces_log=False)
    reading = storage.read_snapshot()
    next(reading)
    storage.save_snapshot(samples.meta(3), [b"c"], replaces_log=False)
    with pytest.raises(StorageFailed):
        next(reading)
    assert b"".join(storage.read_snapshot()) == b"c"


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 1_000_000])
def test_snapshots_of_any_size_come_back_whole(shelf, samples, size):
    state = (b"0123456789" * (size // 10 + 1))[:size]
    shelf.storage.save_snapshot(samples.meta(5), [state], replaces_log=True)
    assert b"".join(shelf.reopen().read_snapshot()) == state


def test_notes_are_kept_by_key(shelf):
    shelf.storage.set_note("address", b"one")
    shelf.storage.set_note("secret", b"")
    shelf.storage.set_note("address", b"two")
    storage = shelf.reopen()
    assert (storage.get_note("address"), storage.get_note("secret")) == (b"two", b"")
    assert storage.get_note("identity") is None


def test_a_storage_may_be_closed_twice(shelf):
    shelf.storage.close()
    shelf.storage.close()


def test_a_storage_that_begins_anew_is_still_who_it_was_and_holds_no_log(shelf, samples):
    shelf.storage.found(samples.identity, samples.hard_state)
    shelf.storage.begin_incarnation(7)
    shelf.storage.write(samples.append(1, 5))
    shelf.storage.save_snapshot(samples.meta(3), [b"state"], replaces_log=False)
    shelf.storage.write((Write(2, compact_to=LogIndex(2)),))
    shelf.storage.set_note("kept", b"1")
    shelf.storage.set_note("gone", b"2")
    shelf.storage.begin_anew(HardState(Term(0), None, 0.5), {"new": b"3", "gone": None, "never": None})
    for look in (lambda: shelf.storage, shelf.reopen):
        storage = look()
        stored = storage.load()
        assert (stored.hard_state, stored.snapshot, stored.entries) == (HardState(Term(0), None, 0.5), None, ())
        assert list(storage.read_snapshot()) == []
        assert storage.identity() == samples.identity
        assert [storage.get_note(key) for key in ("kept", "gone", "new", "never")] == [b"1", None, b"3", None]
        assert storage.begin_incarnation(1)[0] >= 7
    storage.write(samples.append(1, 2))
    storage.save_snapshot(samples.meta(2), [b"new state"], replaces_log=False)
    again = shelf.reopen()
    assert again.load().entries == samples.entries(1, 2)
    assert b"".join(again.read_snapshot()) == b"new state"
