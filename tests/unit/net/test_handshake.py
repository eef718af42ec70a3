"""Payloads of the handshake: round trips, exact padding, and garbage."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.errors import MalformedBytes
from failover.net import handshake
from failover.net.addresses import Address
from failover.net.handshake import InitiationPayload, ResponsePayload

any_address = st.builds(Address, st.ip_addresses().map(str), st.integers(0, 65535))
u64, u32, u8 = st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 255)
initiations = st.builds(
    InitiationPayload, u64, u64, u32, u8, u8, u32, st.binary(min_size=16, max_size=16),
    st.text(max_size=16), st.lists(any_address, max_size=8).map(tuple),
)  # fmt: skip
responses = st.builds(ResponsePayload, u64, u64, u8, st.none() | any_address)


@given(initiations)
def test_an_initiation_comes_back(payload):
    assert len(payload.pack()) == handshake.INITIATION_PAYLOAD_SIZE
    assert InitiationPayload.unpack_untrusted(payload.pack()) == payload


@given(responses)
def test_a_response_comes_back(payload):
    assert len(payload.pack()) == handshake.RESPONSE_PAYLOAD_SIZE
    assert ResponsePayload.unpack_untrusted(payload.pack()) == payload


@pytest.mark.parametrize("cls", [InitiationPayload, ResponsePayload])
@given(data=st.binary(max_size=300))
def test_garbage_raises_nothing_but_malformed_bytes(cls, data):
    for size in (handshake.INITIATION_PAYLOAD_SIZE, handshake.RESPONSE_PAYLOAD_SIZE, len(data)):
        with contextlib.suppress(MalformedBytes):
            cls.unpack_untrusted(data.ljust(size, b"\0"))


def test_padding_is_zeros_and_names_are_short():
    good = InitiationPayload(2, 1, 1, 1, 1, 1, bytes(16), "x", ())
    with pytest.raises(MalformedBytes):
        InitiationPayload.unpack_untrusted(good.pack()[:-1] + b"\1")
    with pytest.raises(MalformedBytes):
        InitiationPayload.unpack_untrusted(InitiationPayload(2, 1, 1, 1, 1, 1, bytes(16), "x" * 65, ()).pack())
    with pytest.raises(MalformedBytes):
        ResponsePayload.unpack_untrusted(ResponsePayload(2, 1, 1, None).pack()[:-1] + b"\1")


def test_mac1_depends_on_receiver_and_gate():
    keys = {handshake.mac1_key(r * 32, g * 32) for r in (b"a", b"b") for g in (b"c", b"d")}
    assert len(keys) == 4
