"""Tickets: whole, cut, mistyped, foreign."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.errors import BadTicket
from failover.ids import ClusterId, MemberId
from failover.net.addresses import Address
from failover.net.names import Name
from failover.net.tickets import _ALPHABET, PREFIX, Contact, Ticket, _checksum, _to_base32

sized = lambda size: st.binary(min_size=size, max_size=size)  # noqa: E731
any_address = st.builds(Address, st.ip_addresses().map(str), st.integers(0, 65535))
hosts = st.sampled_from(["localhost", "a.b", "game.example.org", "xn--bcher-kva.example", "x" * 60 + ".example"])
any_name = st.builds(Name, hosts, st.integers(1, 65535))
contacts = st.one_of(
    st.builds(Contact, sized(32).map(MemberId), st.lists(any_address, min_size=1, max_size=4).map(tuple)),
    st.builds(
        Contact,
        sized(32).map(MemberId),
        st.lists(any_address, max_size=2).map(tuple),
        st.lists(any_name, min_size=1, max_size=2).map(tuple),
    ),
)
tickets = st.builds(
    Ticket,
    cluster=sized(16).map(ClusterId),
    contacts=st.lists(contacts, min_size=1, max_size=4).map(tuple),
    gate=sized(32),
    invite_id=sized(16),
    invite_secret=sized(32),
    expires_at=st.integers(0, 2**64 - 1),
)
SAMPLE = Ticket(
    ClusterId(b"c" * 16),
    (Contact(MemberId(b"m" * 32), (Address("192.0.2.1", 7777),)),),
    b"g" * 32,
    b"i" * 16,
    b"s" * 32,
    1_800_000_000,
)


@given(tickets)
def test_a_ticket_comes_back_whole(ticket):
    assert Ticket.parse(ticket.text()) == ticket


@given(tickets)
def test_spaces_line_breaks_and_case_do_not_matter(ticket):
    text = ticket.text()
    assert Ticket.parse(f"\n {text[:40].upper()}\r\n {text[40:]}\t") == ticket


@settings(max_examples=20)
@given(tickets, st.data())
def test_every_change_of_one_character_is_noticed(ticket, data):
    text = ticket.text()
    for _ in range(50):
        place = data.draw(st.integers(0, len(text) - 1))
        other = data.draw(st.sampled_from(_ALPHABET + "-189 é"))
        changed = text[:place] + other + text[place + 1 :]
        if changed != text:
            with pytest.raises(BadTicket):
                Ticket.parse(changed)


def test_every_change_of_one_character_of_a_sample_is_noticed():
    text = SAMPLE.text()
    for place in range(len(text)):
        for other in set(_ALPHABET + "01-") - {text[place]}:
            with pytest.raises(BadTicket):
                Ticket.parse(text[:place] + other + text[place + 1 :])


@settings(max_examples=20)
@given(tickets)
def test_every_cut_is_called_a_cut(ticket):
    text = ticket.text()
    for size in range(1, len(text)):
        with pytest.raises(BadTicket, match="cut off"):
            Ticket.parse(text[:size])


def test_what_follows_a_ticket_is_noticed():
    for more in ("a", "aaaaaaaa", "-"):
        with pytest.raises(BadTicket):
            Ticket.parse(SAMPLE.text() + more)


@given(st.text(max_size=300))
def test_any_text_gets_one_short_line_that_shows_none_of_it(text):
    for candidate in (text, PREFIX + text):
        with pytest.raises(BadTicket) as caught:
            Ticket.parse(candidate)
        assert len(str(caught.value)) < 120 and "\n" not in str(caught.value)


def test_a_very_long_text_is_refused_at_once():
    with pytest.raises(BadTicket, match="far too long"):
        Ticket.parse(PREFIX + "a" * 1_000_000)


@pytest.mark.parametrize("text", ["failover2-abcdef", "failover10-abcdef"])
def test_another_version_in_the_prefix_is_named(text):
    with pytest.raises(BadTicket, match="another version"):
        Ticket.parse(text)


def test_another_version_inside_is_named():
    raw = b"\x02\x0a\x00ab"
    with pytest.raises(BadTicket, match="another version"):
        Ticket.parse(PREFIX + _to_base32(raw + _checksum(raw)))


def test_no_secret_shows_in_repr_or_str():
    for shown in (repr(SAMPLE), str(SAMPLE), f"{SAMPLE}"):
        for secret in (SAMPLE.gate, SAMPLE.invite_secret, SAMPLE.invite_id):
            assert secret.hex() not in shown and secret.decode() not in shown
        assert SAMPLE.text() not in shown


def test_an_ordinary_ticket_fits_a_chat_message():
    assert len(SAMPLE.text()) < 280
