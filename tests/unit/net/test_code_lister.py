"""Which games are open on this LAN: those that are listed say so, and what strangers say is only text."""

from __future__ import annotations

import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.net import code_giver
from failover.net.addresses import Address
from failover.net.code_exchange import HERE, LIST, LISTED, SIZES, datagram, listing, split_listing_untrusted
from failover.net.code_lister import ANSWERS_MAX, ListedGame, Lister
from failover.net.titles import TITLE_SIZE_MAX, clean
from tests.unit.net.code_world import CODE, TICKET, CodeLan

STRANGER = Address("192.168.1.66", 6666)


def answers(lan: CodeLan) -> list[bytes]:
    return [data for data, _, _ in lan.log if data[4] == LISTED]


def answer(lister: Lister, code: str = CODE, title: str = "a game") -> bytes:
    return datagram(LISTED, lister._nonce, listing(code, title))


def test_a_listed_game_tells_title_and_code_to_who_asks_and_the_code_lets_in():
    lan = CodeLan()
    lan.giver(title="Ada · 1 of 4 seats")
    lister = lan.lister()
    lan.run(1)
    assert lister.games == (ListedGame("Ada · 1 of 4 seats", CODE, "192.168.1.1:4000"),)
    assert not lister.counters
    seeker = lan.seeker(code=lister.games[0].code)
    lan.run(1)
    assert seeker.ticket == TICKET + "1"


def test_a_game_that_is_not_listed_does_not_answer():
    lan = CodeLan()
    giver, lister = lan.giver(), lan.lister()
    lan.run(2)
    assert lister.games == () and not answers(lan)
    assert giver.counters == {"code: list: not listed": 3}


def test_several_games_are_sorted_by_title_and_then_by_code():
    lan = CodeLan()
    lan.giver(1, title="Bob", code="0000-0003")
    lan.giver(2, title="Ada", code="0000-0002")
    lan.giver(3, title="Ada", code="0000-0001")
    lan.giver(4)
    lister = lan.lister()
    lan.run(1)
    assert [(game.title, game.code) for game in lister.games] == [
        ("Ada", "0000-0001"), ("Ada", "0000-0002"), ("Bob", "0000-0003"),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_it_asks_three_times_so_that_loss_rarely_hides_a_game(seed):
    lan = CodeLan(seed, loss=0.2)
    lan.giver(title="Ada")
    lister = lan.lister()
    lan.run(1)
    assert len([data for data, _, _ in lan.log if data[4] == LIST]) == 3
    assert [game.title for game in lister.games] == ["Ada"]


def test_a_new_title_is_told_from_then_on_and_takes_the_place_of_the_old_one():
    lan = CodeLan()
    giver, lister = lan.giver(title="Ada · 1 of 4"), lan.lister()
    lan.run(0.3)
    giver.title = "Ada · 2 of 4"
    lan.run(1)
    assert [game.title for game in lister.games] == ["Ada · 2 of 4"]


def test_a_code_that_is_used_up_or_too_old_is_not_listed():
    lan = CodeLan()
    used, old = lan.giver(1, title="used"), lan.giver(2, title="old", valid_s=30, code="0000-0001")
    lan.seeker()
    lan.run(1)
    assert used.uses == 0
    first = lan.lister()
    lan.run(1)
    assert [game.title for game in first.games] == ["old"]
    told = len(answers(lan))
    for giver in (used, old):  # at this moment their owner has not dropped them yet
        giver.datagram_received(datagram(LIST, bytes(16), b""), STRANGER, lan.now + 30)
        assert giver.counters["code: code is used up"] >= 1
    assert len(answers(lan)) == told


def test_a_machine_with_two_addresses_is_one_game():
    lister = CodeLan().lister()
    for ip in ("192.168.1.7", "127.0.0.1"):
        lister.datagram_received(answer(lister), Address(ip, 4000), 500.1)
    assert lister.games == (ListedGame("a game", CODE, "127.0.0.1:4000"),)


def test_of_a_flood_32_answers_are_kept_and_those_may_still_change_their_titles():
    lister = CodeLan().lister()
    sources = [Address(f"192.168.1.{n}", 4000) for n in range(1, 200)]
    for number, source in enumerate(sources):
        lister.datagram_received(answer(lister, f"0000-{number:04}"), source, 500.1)
    assert len(lister.games) == ANSWERS_MAX == 32
    assert lister.counters["code: listed: too many"] == len(sources) - ANSWERS_MAX
    lister.datagram_received(answer(lister, "0000-0000", "renamed"), sources[0], 500.2)
    assert len(lister.games) == ANSWERS_MAX and "renamed" in {game.title for game in lister.games}


def test_who_did_not_hear_the_question_cannot_answer_it():
    lan = CodeLan()
    lister, other = lan.lister(), lan.lister(31)
    blind = datagram(LISTED, bytes(16), listing(CODE, "forged"))
    for data in (blind, answer(other, title="meant for another"), datagram(HERE, lister._nonce, bytes(16))):
        lister.datagram_received(data, STRANGER, lan.now)
    assert lister.games == () and lister.counters == {"code: listed: not asked for": 3}


def test_what_comes_too_late_changes_nothing():
    lister = CodeLan().lister(within_s=0.5)
    lister.datagram_received(answer(lister), STRANGER, 500.5)
    assert lister.games == () and lister.counters == {"code: listed: too late": 1}


def test_questions_are_answered_at_a_bounded_rate_and_seekers_do_not_feel_it():
    lan = CodeLan()
    giver = lan.giver(title="Ada")
    for number in range(2_000):  # in two seconds
        giver.datagram_received(datagram(LIST, number.to_bytes(16, "big"), b""), STRANGER, lan.now)
        lan.now += 0.001
    allowed = code_giver.LISTED_BURST + 2 * code_giver.LISTED_RATE
    assert allowed - 1 <= len(answers(lan)) <= allowed + 1
    assert giver.counters["code: list: too many"] == 2_000 - len(answers(lan))
    seeker = lan.seeker()
    lan.run(1)
    assert seeker.ticket == TICKET + "1"


def test_answers_are_as_long_as_questions_and_of_all_titles_alike():
    assert SIZES[LISTED] <= SIZES[LIST]
    assert len(datagram(LISTED, bytes(16), listing(CODE, "A"))) == SIZES[LISTED]
    assert len(datagram(LISTED, bytes(16), listing(CODE, "A" * TITLE_SIZE_MAX))) == SIZES[LISTED]


def test_datagrams_of_wrong_sizes_and_any_bytes_are_dropped_unanswered():
    lan = CodeLan()
    giver, lister = lan.giver(title="Ada"), lan.lister()
    asked, told = datagram(LIST, bytes(16), b""), answer(lister)
    dice, before = random.Random(1), len(lan.log)
    for data in (asked, told):
        for size in range(len(data)):
            giver.datagram_received(data[:size], STRANGER, lan.now)
            lister.datagram_received(data[:size], STRANGER, lan.now)
        giver.datagram_received(data + b"\0", STRANGER, lan.now)
        lister.datagram_received(data + b"\0", STRANGER, lan.now)
    for _ in range(2_000):
        giver.datagram_received(dice.randbytes(SIZES[LIST]), STRANGER, lan.now)
        lister.datagram_received(dice.randbytes(SIZES[LISTED]), STRANGER, lan.now)
    giver.datagram_received(asked[:-1] + b"\1", STRANGER, lan.now)
    giver.datagram_received(told, STRANGER, lan.now)
    assert len(lan.log) == before and lister.games == ()
    assert set(lister.counters) == {"code: not of this protocol"}
    assert set(giver.counters) == {"code: not of this protocol", "code: padding", "code: not for a giver"}


@pytest.mark.parametrize("place", range(SIZES[LISTED]))
def test_one_changed_byte_leaves_the_answer_readable_or_drops_it(place):
    lister = CodeLan().lister()
    data = bytearray(answer(lister))
    for bit in (0x01, 0x20, 0x80):
        changed = bytes(data[:place]) + bytes([data[place] ^ bit]) + bytes(data[place + 1 :])
        lister.datagram_received(changed, STRANGER, 500.1)
    for game in lister.games:
        assert 24 <= place < 24 + 9 + 1 + len("a game"), "within code, size and title alone"
        assert split_listing_untrusted(listing(game.code, game.title)) == (game.code, game.title)


@pytest.mark.parametrize(
    "body",
    [
        b"k7qf-3mda" + b"\1A" + bytes(95),  # not in the one form
        b"K7QF 3MDA" + b"\1A" + bytes(95),
        b"K7QF-3MDU" + b"\1A" + bytes(95),
        b"K7QF3MDA\0" + b"\1A" + bytes(95),
        b"\xc3\xa97QF-3MD" + b"\1A" + bytes(95),
        b"failover1" + b"\1A" + bytes(95),
        b"K7QF-3MDA" + b"\0A" + bytes(95),  # longer than it says
        b"K7QF-3MDA" + b"\x61" + b"A" * 96,  # 97
        b"K7QF-3MDA" + b"\xff" + b"A" * 96,
        b"K7QF-3MDA" + b"\2\xc3(" + bytes(94),  # no UTF-8
        b"K7QF-3MDA" + b"\3\xed\xa0\x80" + bytes(93),  # half of a surrogate pair
    ],
)
def test_an_answer_that_no_giver_writes_is_dropped(body):
    lister = CodeLan().lister()
    lister.datagram_received(datagram(LISTED, lister._nonce, body), STRANGER, 500.1)
    assert lister.games == () and lister.counters == {"code: listed: not readable": 1}


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Ada\x1b[2J\x1b[31m's game", "Ada[2J[31m's game"),
        ("Ada\r\n\tgame\0", "Ada game"),
        ("\u202egnimoc era eW\u202c", "gnimoc era eW"),
        ("\u2066Ada\u2069\u200b\u200d\ufeff\u00ad", "Ada"),
        ("  Ada\u00a0\u3000 plays  ", "Ada plays"),
        ("A\u3164\u115f\u2800\uffa0B", "AB"),
        ("A\U000e0041\U000f0000\ue000\uffff", "A"),
        ("Zoë spielt, Ωμέγα, 阿达, עדה, 🎲", "Zoë spielt, Ωμέγα, 阿达, עדה, 🎲"),
    ],
)
def test_a_hostile_title_is_shown_without_what_makes_it_so(title, shown):
    lister = CodeLan().lister()
    lister.datagram_received(answer(lister, title=title), STRANGER, 500.1)
    assert [game.title for game in lister.games] == [shown]


@pytest.mark.parametrize("title", ["", " ", "\u200b\u200b", "\x1b", "\u3164"])
def test_a_title_of_which_nothing_can_be_seen_is_dropped(title):
    lister = CodeLan().lister()
    lister.datagram_received(answer(lister, title=title), STRANGER, 500.1)
    assert lister.games == () and lister.counters == {"code: listed: no title": 1}


@given(st.text(st.characters(), max_size=60))
def test_what_is_clean_stays_as_it_is_and_goes_over_the_wire(text):
    title = clean(text)
    assert clean(title) == title and "\n" not in title and "  " not in title
    assert not {unicodedata.category(letter) for letter in title} & {"Cc", "Cs", "Co", "Zl", "Zp"}
    if len(title.encode()) <= TITLE_SIZE_MAX:
        assert split_listing_untrusted(listing(CODE, title)) == (CODE, title)


def test_it_ends_when_it_says():
    lan = CodeLan()
    lister = lan.lister(within_s=2.0)
    lan.run(1.9)
    assert lister in lan.ends.values() and repr(lister) == "Lister(answers=0)"
    lan.run(0.2)
    assert not lan.ends
