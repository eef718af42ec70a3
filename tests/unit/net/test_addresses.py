"""Addresses as text and on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.errors import BadAddress, MalformedBytes
from failover.net.addresses import Address, pack, pack_list, parse, unpack_list_untrusted, unpack_untrusted

any_address = st.builds(Address, st.ip_addresses().map(str), st.integers(0, 65535))


@given(any_address)
def test_text_and_wire_come_back(address):
    assert parse(str(address)) == address
    assert unpack_untrusted(pack(address), 0) == (address, len(pack(address)))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1:7777", Address("192.0.2.1", 7777)),
        (" [2001:DB8::0:1]:0 ", Address("2001:db8::1", 0)),
    ],
)
def test_addresses_become_canonical(text, address):
    assert parse(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "192.0.2.1", "192.0.2.1:", ":7", "192.0.2.1:65536", "192.0.2.1:-1", "2001:db8::1:7", "[::1]7", "name:7",
     "192.0.2.01:7", "192.0.2.1:٣", "x" * 10_000, "192.0.2.1:1e3"],
)  # fmt: skip
def test_what_is_no_address_gets_one_clear_line(text):
    with pytest.raises(BadAddress) as caught:
        parse(text)
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_but_malformed_bytes(data):
    try:
        found, _ = unpack_list_untrusted(data, 0)
    except MalformedBytes:
        return
    assert len(found) <= 8


def test_a_list_is_cut_to_eight():
    many = tuple(Address("192.0.2.1", port) for port in range(20))
    assert unpack_list_untrusted(pack_list(many), 0)[0] == many[:8]
