from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_game.coding import U8, U16, U64, Malformed, decode_untrusted, encode
from demo_game.commands import (
    Accepted,
    Attack,
    Command,
    HostChanged,
    Option,
    Order,
    Refused,
    SetOption,
    Tick,
    decode_order_untrusted,
    decode_reply_untrusted,
    encode_order,
    encode_reply,
)
from demo_game.rules import Battle
from demo_game.table import Table


class Shade(IntEnum):
    DARK = 1
    LIGHT = 2


@dataclass(frozen=True)
class Inner:
    number: U16


@dataclass(frozen=True)
class Everything:
    small: U8
    large: U64
    flag: bool
    data: bytes
    text: str
    shade: Shade
    inner: Inner
    some: tuple[Inner, ...]
    maybe: Inner | None


values = st.builds(
    Everything,
    st.integers(0, 255),
    st.integers(0, 2**64 - 1),
    st.booleans(),
    st.binary(max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(Shade),
    st.builds(Inner, st.integers(0, 65535)),
    st.lists(st.builds(Inner, st.integers(0, 65535)), max_size=4).map(tuple),
    st.none() | st.builds(Inner, st.integers(0, 65535)),
)


@given(values)
def test_what_is_written_is_read_back(value: Everything) -> None:
    assert decode_untrusted(Everything, encode(value)) == value


@given(values, st.data())
def test_every_cut_and_every_addition_is_malformed(value: Everything, data: st.DataObject) -> None:
    coded = encode(value)
    cut = data.draw(st.integers(0, len(coded) - 1))
    for wrong in (coded[:cut], coded + b"\0"):
        with pytest.raises(Malformed):
            decode_untrusted(Everything, wrong)


@given(st.binary(max_size=120))
def test_bytes_that_are_read_are_the_only_coding_of_their_value(data: bytes) -> None:
    for kind in (Everything, Table):
        try:
            value = decode_untrusted(kind, data)
        except Malformed:
            continue
        assert encode(value) == data


def commands() -> list[type[Command]]:
    return list(Command.__args__)


def test_the_first_byte_of_every_command_stays_what_it_is() -> None:
    names = [kind.__name__ for kind in commands()]
    assert names == [
        "Join",
        "Leave",
        "Ready",
        "Reveal",
        "Kick",
        "SetOption",
        "AddBot",
        "RemoveBot",
        "Start",
        "Attack",
        "EndTurn",
        "Timeout",
        "Tick",
        "Away",
        "Back",
        "Chat",
        "Surrender",
        "Rematch",
        "HostChanged",
    ]


@pytest.mark.parametrize("kind", commands(), ids=lambda kind: kind.__name__)
def test_every_command_is_read_back(kind: type[Command]) -> None:
    @given(st.integers(0, 255), st.integers(0, 2**64 - 1))
    def check(number: int, serial: int) -> None:
        sample = example(kind)
        order = Order(sample, number, serial)
        assert decode_order_untrusted(encode_order(order)) == order

    check()


def example(kind: type[Command]) -> Command:
    """Return a command of this kind with something in every field."""
    filled = {"str": "Zoë", "bytes": b"\1\2", "Option": Option.TURN, "Skill": 2}
    hints = kind.__annotations__
    return kind(**{name: filled.get(str(hint), 7) for name, hint in hints.items()})  # type: ignore[arg-type]


def test_the_bytes_of_an_attack_are_these() -> None:
    order = Order(Attack(turn=0x10002, step=3, source=4, target=5), number=1, serial=9)
    assert encode_order(order).hex() == "0901" + "0000000000000009" + "00010002" + "0003" + "0405"


def test_a_command_is_small() -> None:
    for command in (Attack(1, 2, 3, 4), Tick(1, 2, 3), SetOption(Option.MAP, 1)):
        assert len(encode_order(Order(command))) <= 24
    assert len(encode_order(Order(HostChanged(bytes(32))))) == 44


@given(st.binary(max_size=60))
def test_garbage_is_malformed_or_an_order(data: bytes) -> None:
    try:
        order = decode_order_untrusted(data)
    except Malformed:
        return
    assert encode_order(order) == data


@pytest.mark.parametrize(
    "reply",
    [Accepted(), Refused("niño"), Accepted(Battle(1, 2, 3, 4, b"\1\2", b"\6", True))],
    ids=["accepted", "refused", "battle"],
)
def test_replies_are_read_back(reply: Accepted | Refused) -> None:
    coded = encode_reply(reply)
    assert decode_reply_untrusted(coded) == reply
    for cut in range(len(coded)):
        with pytest.raises(Malformed):
            decode_reply_untrusted(coded[:cut])
    with pytest.raises(Malformed):
        decode_reply_untrusted(b"\2" + coded[1:])
