"""The bytes of a snapshot: the same CBOR as ever, but made a little at a time."""

from __future__ import annotations

from itertools import accumulate, pairwise

import cbor2
from hypothesis import given
from hypothesis import strategies as st

from failover.snapshot_format import CODED_AT_ONCE, ITEMS_AT_ONCE, framed, unframed

values = st.recursive(
    st.integers(-5, 2**63) | st.binary(max_size=300) | st.text(max_size=30) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=30),
    max_leaves=60,
)


@given(
    st.lists(values, max_size=300), st.binary(max_size=20), st.lists(st.binary(max_size=20), max_size=5), st.data()
)
def test_it_is_the_length_and_plain_cbor_and_the_machine_s_pieces_however_they_are_cut(tables, first, rest, data):
    whole = b"".join(framed(tables, first, iter(rest)))
    coded = cbor2.dumps(tables)
    assert whole == len(coded).to_bytes(4, "little") + coded + first + b"".join(rest)
    sizes = data.draw(st.lists(st.integers(0, 40), max_size=9))
    cuts = [0, *accumulate(sizes), len(whole)]
    chunks = iter([whole[start:end] for start, end in pairwise(cuts)])
    found, beyond = unframed(chunks)
    assert found == tables
    assert beyond + b"".join(chunks) == first + b"".join(rest)


def test_long_arrays_have_the_heads_that_the_rfc_gives_them():
    for length in (23, 24, 255, 256, 65_535, 65_536):
        tables = [[0] * length]
        assert b"".join(framed(tables, b"", iter([])))[4:] == cbor2.dumps(tables)


def test_large_tables_are_coded_a_little_at_a_time():
    """128 replies of 64 KiB of each of ten members: the most that the table of answered requests holds."""
    tables = [[[member, [[number, bytes(65_536)] for number in range(128)]] for member in range(10)]]
    sizes = [len(piece) for piece in framed(tables, b"", iter([]))]
    assert max(sizes) < CODED_AT_ONCE + 65_536 + 8
    assert sizes.count(0) > 10 * 128 * 65_536 // CODED_AT_ONCE - 80
    many = [[number, b"x"] for number in range(10_000)]
    assert sum(1 for _ in framed(many, b"", iter([]))) > 30_000 // ITEMS_AT_ONCE
