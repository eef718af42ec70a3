"""Records come back as they were, and other bytes are refused with the one exception that is caught."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.errors import MalformedBytes
from failover.ids import ClusterId, LogIndex, MemberId, Term
from failover.raft.effects import HardState, SnapshotMeta
from failover.raft.membership import Membership
from failover.storage import records
from failover.storage.contract import Identity

ids = st.binary(min_size=32, max_size=32).map(MemberId)
numbers = st.integers(0, records.INTEGER_MAX)


@st.composite
def memberships(draw) -> Membership:
    roles = draw(st.dictionaries(ids, st.integers(0, 4), min_size=1, max_size=8))
    first = next(iter(roles))
    chosen = {role: frozenset(at for at in roles if roles[at] == role and at != first) for role in range(5)}
    return Membership(
        voters=chosen[0] | chosen[1] | {first},
        outgoing=chosen[1] | chosen[2] | chosen[3],
        learners=chosen[4],
        learners_next=chosen[3],
        witnesses=frozenset(at for at in roles if at != first and draw(st.booleans())),
    )


@given(memberships())
def test_memberships_come_back(membership):
    packed = records.pack_membership(membership)
    assert records.unpack_membership_untrusted(packed) == membership


@given(st.builds(HardState, numbers.map(Term), st.none() | ids, st.floats(0, 10)))
def test_hard_states_come_back(state):
    assert records.unpack_hard_state_untrusted(records.pack_hard_state(state)) == state


@given(memberships(), st.tuples(numbers, numbers), numbers, numbers, numbers)
def test_snapshots_come_back(membership, indexes, term, first, count):
    lower, upper = sorted(indexes)
    meta = SnapshotMeta(LogIndex(upper), Term(term), membership, LogIndex(lower))
    packed = records.pack_snapshot(meta, first, count)
    assert records.unpack_snapshot_untrusted(packed) == (meta, first, count)


@given(ids, ids, st.binary(min_size=16, max_size=16))
def test_identities_come_back(member, key, cluster):
    identity = Identity(member, key, ClusterId(cluster))
    assert records.unpack_identity_untrusted(records.pack_identity(identity)) == identity


@pytest.mark.parametrize(
    "unpack",
    [
        records.unpack_membership_untrusted,
        records.unpack_hard_state_untrusted,
        records.unpack_snapshot_untrusted,
        records.unpack_identity_untrusted,
        records.unpack_number_untrusted,
    ],
)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_the_one_exception(unpack, data):
    with suppress(MalformedBytes):
        unpack(data)


A, B = b"a" * 32, b"b" * 32


@pytest.mark.parametrize(
    "packed",
    [
        b"\0\0" * 4,  # nobody votes
        b"\0\2" + b"\0\0" * 3 + B + A,  # out of order
        b"\0\2" + b"\0\0" * 3 + A + A,  # twice
        b"\0\1\0\0\0\1\0\0" + A + A,  # voter and learner
        b"\0\1\0\0\0\0\0\1" + A + B,  # to become a learner, and no outgoing voter
        b"\0\1" + b"\0\0" * 3 + A + b"x",  # more than it says
        b"\0\2" + b"\0\0" * 3 + A,  # less than it says
        b"\0\1" + b"\0\0" * 3 + A + A,  # nobody may host
        b"\0\1" + b"\0\0" * 3 + A + B,  # a witness that is no member
        b"\0\2" + b"\0\0" * 3 + A + B + B + B,  # a witness twice
    ],
)
def test_each_membership_has_one_form(packed):
    with pytest.raises(MalformedBytes):
        records.unpack_membership_untrusted(packed)


@given(st.binary(max_size=60), st.data())
def test_a_sealed_record_fits_its_name_and_no_changed_bit(record, data):
    sealed = records.seal(record, "name")
    assert records.unseal_untrusted(sealed, "name") == record
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    changed = (int.from_bytes(sealed, "big") ^ 1 << bit).to_bytes(len(sealed), "big")
    for wrong, name in ((changed, "name"), (sealed, "other"), (sealed[:-1], "name"), (None, "name")):
        with pytest.raises(MalformedBytes):
            records.unseal_untrusted(wrong, name)
