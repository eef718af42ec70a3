"""Addresses and names as people write them, and as they stand in a ticket."""

from __future__ import annotations

import random

import pytest

from failover.errors import BadAddress, MalformedBytes
from failover.ids import ClusterId, MemberId
from failover.net import names
from failover.net.addresses import Address
from failover.net.code_exchange import TICKET_TEXT_MAX
from failover.net.names import Name
from failover.net.tickets import Contact, Ticket


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("203.0.113.5:7777", Address("203.0.113.5", 7777)),
        ("[2001:db8::1]:7777", Address("2001:db8::1", 7777)),
        ("game.example.org:7777", Name("game.example.org", 7777)),
        (" Game.Example.ORG.:1 ", Name("game.example.org", 1)),
        ("localhost:7777", Name("localhost", 7777)),
        ("bücher.example:7777", Name("xn--bcher-kva.example", 7777)),
        ("a_b-c.example:65535", Name("a_b-c.example", 65535)),
        ("1and1.example:7777", Name("1and1.example", 7777)),
    ],
)
def test_what_people_write_is_understood(text, meant):
    assert names.parse(text) == meant
    assert names.parse(str(meant)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "", ":7777", "game.example.org", "game.example.org:", "game.example.org:0", "game.example.org:70000",
        "game.example.org:7x", "999.1.1.1:7777", "1.2.3:7777", "2001:db8::1:7777", "[2001:db8::1:7777",
        "-x.example:1", "x-.example:1", "a..b:1", "a b.example:1", "ex$mple.org:1", "x" * 64 + ".org:1",
        ".".join(["abcdefghi"] * 11) + ":1", "http://game.example.org:7777", "ü" * 300 + ":1", "a\n.example:1",
    ],
)  # fmt: skip
def test_what_is_neither_gets_one_line(text):
    with pytest.raises(BadAddress) as caught:
        names.parse(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200
    assert names.parse_claimed(text) is None


def test_names_come_back_from_their_bytes_and_nothing_else_does():
    both = (Name("game.example.org", 7777), Name("x" * 60 + "." + "y" * 39, 1))
    packed = names.pack_list(both)
    assert names.unpack_list_untrusted(b"--" + packed + b"..", 2) == (both, 2 + len(packed))
    for size in range(len(packed)):
        with pytest.raises(MalformedBytes):
            names.unpack_list_untrusted(packed[:size], 0)
    dice = random.Random(4)
    for _ in range(2_000):
        data = bytes([dice.randrange(4)]) + dice.randbytes(dice.randrange(40))
        try:
            found, end = names.unpack_list_untrusted(data, 0)
        except MalformedBytes:
            continue
        assert names.pack_list(found) == data[:end]


@pytest.mark.parametrize("host", ["GAME.example", "203.0.113.5", "a b", "x..y", "caf\u00e9.example"])
def test_a_ticket_names_machines_in_one_form_only(host):
    raw = host.encode()
    with pytest.raises(MalformedBytes):
        names.unpack_list_untrusted(b"\x01\x10\x10" + bytes([len(raw)]) + raw, 0)


@pytest.mark.parametrize(
    ("ip", "is_worth"),
    [
        ("203.0.113.5", True), ("192.168.1.4", True), ("2001:db8::1", True), ("224.0.0.1", False), ("::", False),
        ("255.255.255.255", False), ("127.0.0.1", False), ("::1", False), ("ff02::1", False), ("fe80::1", False),
        ("fe80::1%eth0", False), ("nonsense", False),
    ],
)  # fmt: skip
def test_a_name_server_cannot_point_at_everything(ip, is_worth):
    assert names.is_worth_a_try(ip, allow_loopback=False) is is_worth


def test_the_longest_ticket_fits_a_short_code_by_leaving_members_out():
    longest = tuple(Name(letter * 60 + "." + letter * 39, 7777) for letter in "ab")
    addresses = (Address("2001:db8::1", 1), Address("2001:db8::2", 2))
    contacts = tuple(Contact(MemberId(bytes([number]) * 32), addresses, longest) for number in range(4))
    ticket = Ticket(ClusterId(b"c" * 16), contacts, b"g" * 32, b"i" * 16, b"s" * 32, 0)
    assert Ticket.parse(ticket.text()) == ticket
    short = Ticket.parse(ticket.text_within(TICKET_TEXT_MAX))
    assert short.contacts == contacts[: len(short.contacts)] and 1 <= len(short.contacts) < 4
    assert ticket.text_within(10_000) == ticket.text()
