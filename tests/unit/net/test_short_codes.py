"""What people read aloud, and what they type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.errors import BadTicket
from failover.net import short_codes


@given(st.binary(min_size=5, max_size=5), st.data())
def test_a_code_survives_what_people_do_to_it(random, data):
    code = short_codes.from_entropy(random)
    assert len(code) == 9 and code[4] == "-" and not set(code) & set("ILOU")
    typed = "".join(data.draw(st.sampled_from([sign, sign.lower()])) for sign in code)
    typed = typed.replace("0", data.draw(st.sampled_from("0Oo"))).replace("1", data.draw(st.sampled_from("1IiLl")))
    typed = typed.replace("-", data.draw(st.sampled_from(["", "-", " ", " - "])))
    assert short_codes.is_code(typed)
    assert short_codes.parse(typed) == code


def test_all_forty_bits_count():
    codes = {short_codes.from_entropy((1 << bit).to_bytes(5, "big")) for bit in range(40)}
    assert len(codes) == 40
    assert short_codes.from_entropy(bytes(5)) == "0000-0000"
    assert short_codes.from_entropy(b"\xff" * 5) == "ZZZZ-ZZZZ"


@pytest.mark.parametrize("typed", ["9XQF-3MD", "9XQF-3MDAA", "9XQF-3MDU", "9XQF-3MD!", "héllo wörld", "--"])
def test_what_is_no_code_gets_a_line_without_it(typed):
    assert short_codes.is_code(typed)
    with pytest.raises(BadTicket) as caught:
        short_codes.parse(typed)
    assert typed not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("typed", ["", "  ", "failover1-abc", "FAILOVER", "x" * 25, "failover 1-abcd"])
def test_a_ticket_is_not_taken_for_a_code(typed):
    assert not short_codes.is_code(typed)
