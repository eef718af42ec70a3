"""The codec: everything of the core comes back; everything else raises MalformedBytes."""

import contextlib
from dataclasses import dataclass
from typing import Annotated

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.errors import MalformedBytes
from failover.ids import ClusterId, Epoch, Generation, MemberId, Term
from failover.net.bounds import INT_MAX, MaxSize, Range
from failover.net.codec import CORE_KINDS, Codec
from failover.raft import messages
from failover.raft.membership import Membership

CODEC = Codec(CORE_KINDS)
member_ids = st.binary(min_size=32, max_size=32).map(MemberId)
numbers = st.integers(0, INT_MAX)
seconds = st.floats(0, allow_nan=False, allow_infinity=False)
memberships = st.sets(member_ids, min_size=2, max_size=6).map(
    lambda ids: Membership(
        frozenset(sorted(ids)[:-1]), learners=frozenset(sorted(ids)[-1:]), witnesses=frozenset(sorted(ids)[1:])
    )
)
entries = st.builds(messages.Entry, numbers, numbers, st.binary(max_size=50), st.none() | memberships)
releases = st.builds(messages.Release, member_ids, numbers)
hints = st.integers(0, messages.HINT_MAX)
core_messages = st.one_of(
    st.builds(messages.PreVoteRequest, numbers, numbers, numbers),
    st.builds(messages.PreVoteResponse, numbers, numbers, st.booleans(), seconds),
    st.builds(messages.VoteRequest, numbers, numbers, numbers, st.none() | releases),
    st.builds(messages.VoteResponse, numbers, numbers, st.booleans(), seconds),
    st.builds(messages.Heartbeat, numbers, numbers, seconds, numbers, st.none() | st.integers(0, 63)),
    st.builds(messages.HeartbeatResponse, numbers, numbers, seconds, numbers, st.booleans(), hints, st.booleans()),
    st.builds(
        messages.AppendEntries, numbers, numbers, numbers, st.lists(entries, max_size=5).map(tuple), numbers
    ),
    st.builds(messages.AppendResponse, numbers, st.booleans(), numbers, numbers, numbers),
    st.builds(messages.CommitNotice, numbers, numbers),
    st.builds(messages.InstallSnapshot, numbers, numbers, numbers, memberships, numbers, numbers),
    st.builds(messages.HandOver, numbers, releases),
    st.builds(
        messages.RankingNotice,
        numbers,
        st.lists(st.builds(messages.Ranked, member_ids, hints), max_size=10).map(tuple),
    ),
)


@dataclass(frozen=True, slots=True)
class Inner:
    seat: Annotated[int, Range(1, 9)]
    note: Annotated[str, MaxSize(5)] = ""


@dataclass(frozen=True, slots=True)
class Everything:
    epoch: Epoch
    cluster: ClusterId
    body: Annotated[bytes, MaxSize(4)]
    flag: bool
    share: Annotated[float, Range(-1, 1)]
    inners: Annotated[tuple[Inner, ...], MaxSize(3)]
    pair: tuple[int, str]
    maybe: Inner | None
    names: frozenset[str]

    def __post_init__(self) -> None:
        assert self.share != 0.5
        if self.share == 0.25:
            raise ValueError("a quarter")


WIDE = Codec({64: Everything, 65: Inner})
SAMPLE = Everything(
    Epoch(Generation(b"g" * 16), Term(3)), ClusterId(b"c" * 16), b"body", True, -1.0,
    (Inner(1), Inner(9, "hello")), (7, "x"), Inner(2), frozenset({"b", "a"}),
)  # fmt: skip


def test_every_member_of_the_message_union_has_a_kind_and_no_other():
    assert set(CORE_KINDS.values()) == set(messages.Message.__args__)
    assert all(1 <= kind <= 63 for kind in CORE_KINDS)


@given(core_messages)
def test_messages_of_the_core_come_back(message):
    decoded = CODEC.decode_untrusted(CODEC.encode(message))
    assert decoded == message and type(decoded) is type(message)


@given(core_messages)
def test_the_format_is_plain_cbor(message):
    array = cbor2.loads(CODEC.encode(message))
    assert CORE_KINDS[array[0]] is type(message)


def test_every_kind_of_field_comes_back():
    assert WIDE.decode_untrusted(WIDE.encode(SAMPLE)) == SAMPLE


def test_sets_are_sorted_so_that_equal_values_have_equal_bytes():
    ids = [MemberId(bytes([n]) * 32) for n in range(20)]
    one, other = Membership(frozenset(ids)), Membership(frozenset(reversed(ids)))
    encoded = [CODEC.encode(messages.InstallSnapshot(1, 1, 1, each, 1, 1)) for each in (one, other)]
    assert encoded[0] == encoded[1]


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_but_malformed_bytes(data):
    with pytest.raises(MalformedBytes):
        CODEC.decode_untrusted(b"\xf6" + data)
    with contextlib.suppress(MalformedBytes):
        CODEC.decode_untrusted(data)


@given(core_messages, st.data())
def test_damaged_messages_raise_nothing_but_malformed_bytes(message, data):
    raw = bytearray(CODEC.encode(message))
    for _ in range(3):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedBytes):
        CODEC.decode_untrusted(bytes(raw))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.binary(max_size=40)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
)


@given(st.sampled_from([*CORE_KINDS, 64, 65]), st.lists(values, max_size=9))
def test_any_fields_behind_a_kind_raise_nothing_but_malformed_bytes(kind, fields):
    for codec in (CODEC, WIDE):
        with contextlib.suppress(MalformedBytes):
            codec.decode_untrusted(cbor2.dumps([kind, *fields]))


def heartbeat(*fields) -> bytes:
    return cbor2.dumps([5, *fields])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        heartbeat(1, 2, 0.5, 3, 0) + b"\0",  # cbor2.loads would ignore the last byte
        heartbeat(1, 2, 0.5, 3),
        heartbeat(1, 2, 0.5, 3, 0, 4),
        heartbeat(-1, 2, 0.5, 3, 0),
        heartbeat(2**63, 2, 0.5, 3, 0),
        heartbeat(True, 2, 0.5, 3, 0),
        heartbeat(1.0, 2, 0.5, 3, 0),
        heartbeat(1, 2, -0.5, 3, 0),
        heartbeat(1, 2, float("nan"), 3, 0),
        heartbeat(1, 2, float("inf"), 3, 0),
        heartbeat(1, 2, "0.5", 3, 0),
        heartbeat(1, 2, None, 3, 0),
        heartbeat(1, 2, 0.5, 3, 64),
        heartbeat(1, 2, 0.5, 3, -1),
        heartbeat(1, 2, 0.5, 3, b""),
        cbor2.dumps([6, 1, 2, 0.5, 3, False, 256, False]),  # a hint that nobody can have
        cbor2.dumps([12, 1, [[b"m" * 32, 256]]]),
        cbor2.dumps([12, 1, [[b"m" * 32, 1]] * 129]),
        cbor2.dumps([12345, 1]),
        cbor2.dumps([]),
        cbor2.dumps(["5", 1, 2, 0.5, 3, 0]),
        cbor2.dumps([5.0, 1, 2, 0.5, 3, 0]),
        cbor2.dumps([True, 1, 2, 0.5, 3, 0]),
        cbor2.dumps({5: 1}),
        cbor2.dumps(5),
        b"\x9f\x05\x01\x02\xf9\x38\x00\x03\x00\xff",  # indefinite length
        cbor2.dumps([5, cbor2.CBORTag(2, b"\1"), 2, 0.5, 3, 0]),  # a big number that would fit
        cbor2.dumps(cbor2.CBORTag(55799, [5, 1, 2, 0.5, 3, 0])),
        cbor2.dumps([5, cbor2.CBORTag(28, 1), cbor2.CBORTag(29, 0), 0.5, 3, 0]),  # shared references
        cbor2.dumps([5, cbor2.CBORTag(35, "(a+)+$"), 2, 0.5, 3, 0]),
        cbor2.dumps([5, cbor2.CBORTag(4711, 1), 2, 0.5, 3, 0]),
        b"\x81" * 100_000,
        b"\x9b\x7f" + b"\xff" * 7,  # a claim of 2**63 items
        b"\x5b\x00\x00\x00\x7f\xff\xff\xff\xff",
        b"\x62\xff\xff",
    ],
)
def test_what_cbor_allows_and_we_do_not_is_refused(data):
    with pytest.raises(MalformedBytes):
        CODEC.decode_untrusted(data)


def altered(**changes) -> bytes:
    names = list(Everything.__slots__)
    array = cbor2.loads(WIDE.encode(SAMPLE))
    for name, value in changes.items():
        array[1 + names.index(name)] = value
    return cbor2.dumps(array)


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": [b"g" * 15, 3]},
        {"epoch": [b"g" * 16, -3]},
        {"epoch": [b"g" * 16]},
        {"cluster": b"c" * 17},
        {"body": b"12345"},
        {"flag": 1},
        {"share": 1.5},
        {"share": 2**70},
        {"inners": [[1, ""]] * 4},
        {"inners": [[0, ""]]},
        {"inners": [[10, ""]]},
        {"inners": [[1, "sixsix"]]},
        {"inners": [[1]]},
        {"inners": {}},
        {"pair": [1]},
        {"pair": [1, 2]},
        {"maybe": []},
        {"names": ["a", "a"]},
        {"names": [str(n) for n in range(65)]},
        {"names": [["a"]]},
        {"share": 0.5},  # the class itself asserts
        {"share": 0.25},  # the class itself raises ValueError
    ],
)
def test_every_bound_holds(changes):
    with pytest.raises(MalformedBytes):
        WIDE.decode_untrusted(altered(**changes))


def test_a_whole_number_stands_for_seconds():
    assert WIDE.decode_untrusted(altered(share=1)).share == 1.0


def test_the_class_itself_has_the_last_word():
    nobody = [[], [], [], []]
    with pytest.raises(MalformedBytes):
        CODEC.decode_untrusted(cbor2.dumps([10, 1, 1, 1, nobody, 1, 1]))


def test_a_class_that_no_message_may_hold_is_noticed_at_once():
    @dataclass(frozen=True)
    class Odd:
        anything: dict[str, int]

    with pytest.raises(TypeError):
        Codec({64: Odd})


def test_a_kind_stands_for_one_class():
    with pytest.raises(ValueError):
        Codec({64: Inner, 65: Inner})
    with pytest.raises(ValueError):
        Codec({0: Inner})
    with pytest.raises(KeyError):
        CODEC.encode(Inner(1))
    assert WIDE.knows(Inner(1)) and not CODEC.knows(Inner(1))
