"""Which records a member reads when it opens: all but those of the application."""

from __future__ import annotations

import cbor2
from hypothesis import given
from hypothesis import strategies as st

from failover.errors import MalformedBytes
from failover.ids import ClusterId, Generation, MemberId
from failover.net.peers import Secrets
from failover.records import (
    RECORDS,
    AppCommand,
    Caller,
    Founding,
    MemberInfo,
    SystemCommand,
    is_of_application,
)

ME = MemberId(b"m" * 32)
CALLER = Caller(ME, 2, 2, 2)
FOUNDING = Founding(
    ClusterId(b"c" * 16), Generation(b"g" * 16), MemberInfo(ME, "", ()), Secrets(2, b"p" * 32, b"g" * 32)
)


def test_a_record_of_the_application_is_known_without_reading_it() -> None:
    for caller in (None, CALLER):
        for size in (1, 23, 24, 255, 256, 65_536):
            assert is_of_application(RECORDS.encode(AppCommand(2, caller, b"\x02" * size)))


def test_a_record_of_the_library_never_looks_like_one_of_the_application() -> None:
    for record in (FOUNDING, SystemCommand(2, CALLER, b"\x02"), SystemCommand(2, None, b"\x02" * 300)):
        assert not is_of_application(RECORDS.encode(record))


@given(st.binary(max_size=80) | st.tuples(st.integers(0x80, 0x9F), st.binary(max_size=60)).map(
    lambda parts: bytes([parts[0]]) + parts[1]
))  # fmt: skip
def test_whatever_is_taken_for_one_is_one_or_is_nothing(data: bytes) -> None:
    if is_of_application(data):
        try:
            assert isinstance(RECORDS.decode_untrusted(data), AppCommand)
        except MalformedBytes:
            assert not isinstance(_loosely(data), list) or _loosely(data)[0] == 2


def _loosely(data: bytes) -> object:
    try:
        return cbor2.loads(data)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError):
        return None
