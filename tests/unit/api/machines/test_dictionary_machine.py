"""The dictionary's state machine: against a plain dict, and against bytes that nobody should send."""

from contextlib import suppress

import pytest
from commands import SPOILING, Log, copied
from hypothesis import given
from hypothesis import strategies as st

import failover
from failover.machines import ABSENT, PLAIN, RAW, TEXT, DictionaryMachine
from failover.machines.changes import DONE, FULL, MALFORMED, UNMET, read_reply
from failover.machines.dictionary_machine import ENTRY_COST, Command, decode_untrusted, mark

keys = st.sampled_from([b"", b"a", b"b", b"bb", b"c" * 1_024])
values = st.none() | st.sampled_from([b"", b"1", b"2", b"x" * 3_000])
transactions = st.lists(
    st.tuples(st.dictionaries(keys, values, max_size=2), st.dictionaries(keys, values, max_size=3)), max_size=30
)


def raw(**options):
    return DictionaryMachine(RAW, RAW, **options)


def command(conditions, writes):
    return Command(tuple((key, mark(value)) for key, value in conditions.items()), tuple(writes.items()))


def asked(log, conditions, writes):
    return read_reply(log(command(conditions, writes).encode()))[0]


@given(transactions)
def test_transactions_do_what_they_do_to_a_plain_dict(steps):
    machine, plain = raw(), {}
    log = Log(machine)
    for conditions, writes in steps:
        holds = all(plain.get(key) == value for key, value in conditions.items())
        assert asked(log, conditions, writes) == (DONE if holds else UNMET)
        if holds:
            plain = {key: value for key, value in (plain | writes).items() if value is not None}
        assert dict(machine.view()) == plain
        assert machine.view().index == log.index
    other = copied(machine, raw)
    assert (dict(other.view()), other.digest(), other.view().index) == (plain, machine.digest(), log.index)
    assert b"".join(other.snapshot()) == b"".join(machine.snapshot())


@given(transactions, transactions)
def test_digests_are_equal_exactly_when_the_contents_are(first, second):
    one, two = raw(), raw()
    for machine, steps in ((one, first), (two, second)):
        log = Log(machine)
        for conditions, writes in steps:
            asked(log, conditions, writes)
        log.index = 999
        log(b"any")
    assert (one.digest() == two.digest()) == (dict(one.view()) == dict(two.view()))


@given(
    st.binary(max_size=200) | transactions.map(lambda steps: command(*steps[0]).encode() if steps else b""),
    st.data(),
)
def test_any_bytes_get_a_reply_and_what_is_no_command_changes_nothing(data, draw):
    if data and draw.draw(st.booleans()):
        data = data[: draw.draw(st.integers(0, len(data)))] + draw.draw(st.binary(max_size=3))
    machine = raw()
    log = Log(machine)
    asked(log, {}, {b"a": b"1"})
    before = dict(machine.view())
    reply = log(data)
    try:
        decode_untrusted(data)
    except failover.MalformedBytes:
        assert reply[0] == MALFORMED
        assert dict(machine.view()) == before
    else:
        assert reply[0] in (DONE, UNMET)


def test_what_does_not_fit_is_refused_whole_and_deleting_makes_room():
    machine = raw(size_max=3 * (ENTRY_COST + 11))
    log = Log(machine)
    assert asked(log, {}, {b"a": b"x" * 10, b"b": b"x" * 10}) == DONE
    assert asked(log, {}, {b"c": b"x" * 10, b"d": b""}) == FULL
    assert b"c" not in machine.view()
    assert asked(log, {}, {b"c": b"x" * 10}) == DONE
    assert asked(log, {}, {b"c": b"x" * 11}) == FULL
    assert asked(log, {}, {b"a": None, b"c": b"x" * 100}) == DONE
    assert asked(copied_log(machine, log), {}, {b"d": b"x" * 100}) == FULL


def copied_log(machine, log):
    other = Log(copied(machine, lambda: raw(size_max=3 * (ENTRY_COST + 11))))
    other.index = log.index
    return other


def test_a_snapshot_is_frozen_when_it_is_asked_for():
    machine = raw()
    log = Log(machine)
    for number in range(2_000):
        asked(log, {}, {b"%d" % number: bytes(100)})
    digest, pieces = machine.digest(), machine.snapshot()
    taken = []
    for number, piece in enumerate(pieces):
        taken.append(piece)
        asked(log, {}, {b"%d" % number: None, b"%d" % (1_999 - number): b"new"})
    other = raw()
    other.restore(taken)
    assert len(taken) > 3
    assert other.digest() == digest != machine.digest()


@pytest.mark.parametrize("spoil", SPOILING)
def test_a_spoilt_snapshot_is_refused_and_changes_nothing(spoil):
    machine = raw()
    asked(Log(machine), {}, {b"a": b"1"})
    spoilt = spoil(b"".join(machine.snapshot()))
    other = raw()
    asked(Log(other), {}, {b"b": b"2"})
    before = other.digest()
    with pytest.raises(failover.MalformedBytes):
        other.restore([spoilt])
    assert other.digest() == before


def test_a_picture_never_changes_and_gives_values_of_its_own():
    machine = DictionaryMachine(TEXT, PLAIN)
    log = Log(machine)
    picture = machine.view()
    body = Command((), ((picture.encode_key("a"), picture.encode_value([1])),)).encode()
    log(body)
    newer = machine.view()
    newer["a"].append(2)
    assert (dict(picture), dict(newer)) == ({}, {"a": [1]})
    assert picture.encode_value(ABSENT) is None
    with pytest.raises(failover.UsageError):
        newer[3]
    with pytest.raises(KeyError):
        newer["b"]


def test_what_another_codec_wrote_is_refused_where_it_is_looked_at():
    machine = DictionaryMachine(TEXT, PLAIN)
    log = Log(machine)
    log(Command((), ((b"\xff", b"\xff"), (b"a", b"\xff"))).encode())
    with pytest.raises(failover.MalformedBytes):
        machine.view()["a"]
    with pytest.raises(failover.MalformedBytes):
        list(machine.view())


plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(plain_values)
def test_plain_values_come_back_and_have_one_coding(value):
    data = PLAIN.encode(value)
    assert PLAIN.decode(data) == value
    assert PLAIN.encode(PLAIN.decode(data)) == data


def test_the_order_of_a_dict_does_not_count():
    assert PLAIN.encode({"a": 1, "b": 2}) == PLAIN.encode({"b": 2, "a": 1})
    assert len({PLAIN.encode(value) for value in (1, 1.0, True)}) == 3


@pytest.mark.parametrize("value", [{1, 2}, object(), 2**64, Exception, [[[...]]], "\ud800"])
def test_what_is_not_plain_cannot_be_stored(value):
    with pytest.raises(failover.UsageError):
        PLAIN.encode(value)


def test_what_goes_too_deep_or_round_cannot_be_stored():
    round_and_round: list[object] = []
    round_and_round.append(round_and_round)
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    for value in (round_and_round, deep):
        with pytest.raises(failover.UsageError):
            PLAIN.encode(value)


@given(st.binary(max_size=60))
def test_any_bytes_are_plain_or_malformed(data):
    with suppress(failover.MalformedBytes):
        PLAIN.decode(data)
