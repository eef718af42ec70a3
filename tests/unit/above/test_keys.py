"""The table of keys: what it knows, what it forgets, and that it knows what it has forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tally import founded

from failover.ids import LogIndex, MemberId, Term
from failover.keys import KEPT_BYTES_MAX, KEYS_MAX, Fate, KeyTable, digest_of
from failover.raft.messages import Entry
from failover.records import RECORDS, AppCommand, Caller, KeyedCommand, Mark
from failover.replica import Replica

A, B, C = (MemberId(letter * 32) for letter in (b"a", b"b", b"c"))


def mark(key: bytes, body: bytes = b"body") -> Mark:
    return Mark(key, digest_of(body))


def number(at: int) -> bytes:
    return at.to_bytes(8, "big")


def test_a_key_is_new_until_it_was_carried_out():
    table = KeyTable()
    assert table.fate(A, mark(b"k")) is Fate.NEW
    table.add(A, mark(b"k"), b"reply")
    assert table.fate(A, mark(b"k")) is Fate.DONE
    assert table.reply(A, b"k") == b"reply"


def test_a_key_stands_for_one_body_alone():
    table = KeyTable()
    table.add(A, mark(b"k"), b"reply")
    assert table.fate(A, mark(b"k", b"another body")) is Fate.MISUSED


def test_a_key_belongs_to_the_member_that_used_it():
    table = KeyTable()
    table.add(A, mark(b"k"), b"reply")
    assert table.fate(B, mark(b"k")) is Fate.NEW


def test_a_key_below_what_was_forgotten_is_never_new_again():
    table = KeyTable()
    for at in range(KEYS_MAX + 10):
        table.add(A, mark(number(2 * at)), b"")
    assert table.fate(A, mark(number(0))) is Fate.UNKNOWN
    assert table.fate(A, mark(number(17))) is Fate.UNKNOWN, "it may have been one of those"
    assert table.fate(A, mark(number(18))) is Fate.UNKNOWN
    assert table.fate(A, mark(number(19))) is Fate.NEW, "skipped, and above all that was forgotten"
    assert table.fate(A, mark(number(20))) is Fate.DONE
    assert table.fate(A, mark(number(10_000))) is Fate.NEW


def test_a_member_that_is_gone_leaves_nothing():
    table = KeyTable()
    table.add(A, mark(b"k"), b"reply")
    table.forget(A)
    table.forget(A)
    assert table.size == 0
    assert table.dump() == []


def test_thousands_of_keys_of_many_members_with_the_largest_replies_stay_within_the_bound():
    table, reply = KeyTable(), bytes(65_536)
    for at in range(1, 300):
        for member in (MemberId(bytes([which]) * 32) for which in range(1, 21)):
            table.add(member, mark(number(at)), reply)
            assert table.size <= KEPT_BYTES_MAX
    assert len(cbor2.dumps(table.dump())) <= KEPT_BYTES_MAX
    kept = sum(len(row[2]) for row in table.dump())
    assert kept == KEPT_BYTES_MAX // (65_536 + 8 + 16 + 200), "as many as there is room for"


def test_who_fills_the_table_pushes_out_its_own_keys_alone():
    table = KeyTable()
    for at in range(1, 11):
        table.add(A, mark(number(at)), b"small")
    for at in range(1, 1000):
        table.add(B, mark(number(at)), bytes(65_536))
    assert all(table.fate(A, mark(number(at))) is Fate.DONE for at in range(1, 11))
    assert table.fate(B, mark(number(1))) is Fate.UNKNOWN
    assert table.fate(B, mark(number(999))) is Fate.DONE


def test_a_reply_that_finds_no_room_among_larger_keys_is_forgotten_and_known_to_be():
    table = KeyTable()
    for at in range(KEYS_MAX):
        table.add(A, mark(number(100 + at)), b"")
    table.add(A, mark(number(5)), b"late")
    assert table.fate(A, mark(number(5))) is Fate.UNKNOWN


# Against an oracle that forgets nothing.

keys = st.integers(0, 700).map(number) | st.binary(min_size=1, max_size=64)
members = st.sampled_from((A, B, C))


@dataclass
class Everything:
    """All that ever happened."""

    replies: dict[tuple[MemberId, bytes], tuple[bytes, bytes]] = field(default_factory=dict)


class TableBesideOracle(RuleBasedStateMachine):
    """The table may forget; it may never say "new" of what was done, nor give another reply."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.all = KeyTable(), Everything()
        self.at = 0

    @rule(
        member=members, key=keys, body=st.sampled_from((b"x", b"y")), size=st.sampled_from((0, 9, 30_000, 65_536))
    )
    def ask(self, member, key, body, size):
        self.carry_out(member, key, body, size)

    @rule(
        member=members, first=st.integers(0, 600), count=st.integers(1, 300), size=st.sampled_from((0, 3, 65_536))
    )
    def ask_many(self, member, first, count, size):
        for at in range(first, first + count):
            self.carry_out(member, number(at), b"x", size)

    def carry_out(self, member, key, body, size):
        fate, known = self.table.fate(member, mark(key, body)), self.all.replies.get((member, key))
        if fate is Fate.NEW:
            assert known is None, "a second run"
            self.at += 1
            reply = self.at.to_bytes(8, "big") + bytes(size)
            reply = reply[:65_536]
            self.all.replies[member, key] = (body, reply)
            self.table.add(member, mark(key, body), reply)
        elif fate is Fate.DONE:
            assert known == (body, self.table.reply(member, key))
        elif fate is Fate.MISUSED:
            assert known is not None
            assert known[0] != body

    @rule(member=members)
    def newer_keys_are_always_taken(self, member):
        used = [key for who, key in self.all.replies if who == member]
        above = max(used, default=b"")[:63] + b"\xff"
        if above > max(used, default=b""):
            assert self.table.fate(member, mark(above)) is Fate.NEW

    @rule()
    def another_member_takes_it_over(self):
        self.table.load(cbor2.loads(cbor2.dumps(before := self.table.dump())))
        assert self.table.dump() == before

    @invariant()
    def it_is_bounded(self):
        assert self.table.size <= KEPT_BYTES_MAX
        assert all(len(row[2]) <= KEYS_MAX for row in self.table.dump())


TestTableBesideOracle = TableBesideOracle.TestCase
TestTableBesideOracle.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


# In the replicated state.


def apply(
    replica: Replica, index: int, session: int, at: int, key: bytes, body: bytes, asked: bytes | None = None
):
    record = KeyedCommand(index, Caller(A, session, at, at), mark(key, body if asked is None else asked), body)
    return replica.apply(Entry(LogIndex(index), Term(1), RECORDS.encode(record))).reply


def test_a_later_session_gets_the_reply_of_the_first_and_nothing_is_done():
    replica, machine = founded()
    assert apply(replica, 2, 1, 1, b"k", b"once") == b"1"
    assert apply(replica, 3, 2, 1, b"k", b"once") == b"1"
    assert apply(replica, 4, 2, 1, b"k", b"once") == b"1", "a copy of the later one"
    assert machine.items == ["once"]


def test_two_requests_with_one_key_in_the_log_are_one():
    replica, machine = founded()
    assert apply(replica, 2, 1, 1, b"k", b"once") == b"1"
    assert apply(replica, 3, 1, 2, b"k", b"once") == b"1"
    assert machine.items == ["once"]


def test_another_body_under_the_same_key_is_not_carried_out():
    replica, machine = founded()
    apply(replica, 2, 1, 1, b"k", b"once")
    assert apply(replica, 3, 2, 1, b"k", b"other") is None
    assert machine.items == ["once"]


def test_the_host_may_propose_something_else_than_was_asked():
    replica, machine = founded()
    assert apply(replica, 2, 1, 1, b"k", b"proposed", b"asked") == b"1"
    assert apply(replica, 3, 2, 1, b"k", b"proposed now", b"asked") == b"1"
    assert machine.items == ["proposed"]


def test_what_an_earlier_session_left_in_the_log_is_not_carried_out_after_a_later_one_was():
    replica, machine = founded()
    apply(replica, 2, 2, 1, b"other", b"later")
    assert apply(replica, 3, 1, 1, b"k", b"earlier") is None
    assert machine.items == ["later"]


def test_a_snapshot_takes_the_keys_along():
    replica, machine = founded()
    apply(replica, 2, 1, 1, b"k", b"once")
    fresh, same = founded()
    fresh.restore(LogIndex(2), replica.snapshot())
    assert apply(fresh, 3, 2, 1, b"k", b"once") == b"1"
    assert same.items == machine.items == ["once"]


def test_a_snapshot_of_a_version_without_keys_is_still_read():
    replica, _ = founded()
    replica.apply(Entry(LogIndex(2), Term(1), RECORDS.encode(AppCommand(7, None, b"a"))))
    whole = b"".join(replica.snapshot())
    size = int.from_bytes(whole[:4], "little")
    head = cbor2.dumps(cbor2.loads(whole[4 : 4 + size])[:3])
    fresh, machine = founded()
    fresh.restore(LogIndex(2), iter([len(head).to_bytes(4, "little") + head + whole[4 + size :]]))
    assert machine.items == ["a"]
    assert fresh.keys.dump() == []


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(0, 3)), max_size=40))
@settings(deadline=None)
def test_whatever_stands_in_the_log_a_key_takes_effect_once_and_has_one_reply(calls):
    """Sessions and numbers in any order, as a log with entries of several hosts might have them."""
    replica, machine = founded()
    heard: dict[int, bytes] = {}
    for index, (session, at, key) in enumerate(calls, start=2):
        reply = apply(replica, index, session, 10 * key + at, number(key), b"%d" % key)
        if reply is not None:
            assert heard.setdefault(key, reply) == reply
    assert len(machine.items) == len(set(machine.items)) == len(heard)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_same_keys_in_the_same_order_are_forgotten_by_all(count):
    tables = [KeyTable() for _ in range(count)]
    for at in range(2 * KEYS_MAX):
        for member, size in ((A, 9), (B, 30_000)):
            for table in tables:
                table.add(member, mark(number(at)), bytes(size))
    assert all(table.dump() == tables[0].dump() for table in tables)
