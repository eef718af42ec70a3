"""The exchange behind a short code: who has the code gets the ticket; nobody else gets anything to think about."""

from __future__ import annotations

import hmac
import random
from collections import Counter

import pytest

from failover.net import code_exchange, code_giver, code_seeker
from failover.net.addresses import Address
from failover.net.code_exchange import CONFIRM, HERE, LIST, LISTED, OPEN, SEEK, SIZES, datagram
from failover.net.code_giver import EXCHANGES_MAX, TRY_EVERY_S, Giver
from failover.net.code_seeker import SEEK_S, TRIALS_MAX
from tests.unit.net.code_world import CODE, TICKET, CodeLan

STRANGER = Address("192.168.1.66", 6666)


def sent(lan: CodeLan, kind: int) -> list[bytes]:
    return [data for data, _, _ in lan.log if data[4] == kind]


def test_who_has_the_code_gets_the_ticket():
    lan = CodeLan()
    giver, seeker = lan.giver(), lan.seeker()
    lan.run(0.1)
    assert seeker.ticket == TICKET + "1"
    assert giver.uses == 0 and not giver.counters and not seeker.counters


@pytest.mark.parametrize("seed", range(5))
def test_loss_costs_time_and_nothing_else(seed):
    lan = CodeLan(seed, loss=0.3)
    giver, seeker = lan.giver(), lan.seeker()
    lan.run(SEEK_S)
    assert seeker.ticket == TICKET + "1" and giver.uses == 0


def test_everything_twice_gives_one_ticket():
    lan = CodeLan()
    lan.meddle = lambda data, source, target: [data, data]
    giver, seeker = lan.giver(uses=2), lan.seeker()
    lan.run(1)
    assert seeker.ticket == TICKET + "1" and giver.uses == 1


def test_a_wrong_code_gets_silence():
    lan = CodeLan()
    giver, seeker = lan.giver(), lan.seeker(code="K7QF-3MDB")
    lan.run(SEEK_S + 1)
    assert seeker.ticket is None and seeker.met == 1
    assert giver.uses == 1 and giver.counters["code: confirm: wrong code"] == 1
    assert not sent(lan, code_exchange.TICKET)
    assert len(sent(lan, CONFIRM)) > 3, "it has asked again, and heard nothing"


def test_a_code_still_works_after_a_wrong_guess():
    """It does not die at the first: then anybody on the LAN, with any code, could kill all that are open."""
    lan = CodeLan()
    lan.giver()
    lan.seeker(8, code="0000-0000")
    lan.run(1)
    seeker = lan.seeker(9)
    lan.run(SEEK_S)
    assert seeker.ticket == TICKET + "1"


def test_one_guess_is_judged_in_five_seconds():
    lan = CodeLan()
    giver = lan.giver()
    for number in range(20, 60):
        lan.seeker(number, code="0000-0000")
        lan.run(0.5)
    assert 20 / TRY_EVERY_S <= giver.counters["code: confirm: wrong code"] <= 20 / TRY_EVERY_S + 1


def test_right_codes_do_not_wait_for_each_other():
    lan = CodeLan()
    giver = lan.giver(uses=6)
    seekers = [lan.seeker(number) for number in range(20, 26)]
    lan.run(1.0)
    assert all(seeker.ticket for seeker in seekers) and giver.uses == 0


def test_who_guesses_and_guesses_keeps_nobody_else_out():
    lan = CodeLan()
    giver = lan.giver()
    for port in range(5000, 5040):  # one machine, always two guesses in the queue
        lan.seeker(66, code="0000-0000", port=port)
        lan.run(1.0)
    assert giver.counters["code: confirm: wrong code"] >= 8
    seeker = lan.seeker(9)
    began = lan.now
    for port in range(6000, 6012):
        lan.seeker(66, code="0000-0000", port=port)
        lan.run(0.5)
        if seeker.ticket:
            break
    assert seeker.ticket and lan.now - began <= TRY_EVERY_S + 0.5


def test_a_code_is_good_for_so_many_uses_and_so_long():
    lan = CodeLan()
    giver = lan.giver(uses=1, valid_s=30.0)
    lan.seeker(8)
    lan.run(1)
    late = lan.seeker(9)
    lan.run(SEEK_S)
    assert late.ticket is None and late.met == 0
    lan.run(20)
    assert giver.is_over(lan.now)
    other = lan.giver(2, valid_s=30.0)
    lan.run(31)
    assert other.is_over(lan.now)
    lan.ends[Address("192.168.1.2", 4000)] = other
    too_late = lan.seeker(10)
    lan.run(SEEK_S)
    assert too_late.ticket is None and too_late.met == 0


def test_several_games_on_one_lan_are_told_apart_by_the_code():
    lan = CodeLan()
    others = [lan.giver(number, code=f"0000-000{number}") for number in (2, 3, 4)]
    lan.giver(1)
    seeker = lan.seeker()
    lan.run(1)
    assert seeker.ticket == TICKET + "1"
    assert all(other.uses == 1 for other in others)


def test_no_answer_is_longer_than_its_question():
    lan = CodeLan()
    lan.giver(title="Ada", uses=2)
    lan.seeker()
    lan.run(1)
    lan.lister()
    lan.run(1)
    giver_address = Address("192.168.1.1", 4000)
    question = None
    for data, source, _ in lan.log:
        if source == giver_address:
            assert len(data) <= len(question)
        else:
            question = data
    assert {data[4] for data, _, _ in lan.log} == set(SIZES), "all kinds were seen"


def test_one_changed_byte_anywhere_gives_no_ticket_and_harms_nothing():
    for kind in set(SIZES) - {LIST, LISTED}:  # `test_code_lister` has those
        for place in random.Random(kind).sample(range(SIZES[kind]), min(SIZES[kind], 6)):
            lan = CodeLan()
            spoilt = []

            def meddle(data, source, target, kind=kind, place=place, spoilt=spoilt):
                if data[4] != kind or spoilt:
                    return [data]
                spoilt.append(True)
                return [data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]]

            lan.meddle = meddle
            giver, first = lan.giver(), lan.seeker(8)
            lan.run(SEEK_S)
            assert spoilt
            if first.ticket is None:  # that exchange was spoilt for good; the code was not
                second = lan.seeker(9)
                lan.run(SEEK_S)
                assert second.ticket == TICKET + "1"
            else:
                assert first.ticket == TICKET + "1"
            assert giver.uses == 0


def test_truncated_and_random_datagrams_are_dropped_unanswered():
    lan = CodeLan()
    giver, seeker = lan.giver(), lan.seeker()
    lan.run(1)
    whole = list({data[4]: data for data, _, _ in lan.log}.values())
    dice, before = random.Random(1), len(lan.log)
    for data in whole:
        for size in range(0, len(data), 7):
            giver.datagram_received(data[:size], STRANGER, lan.now)
            seeker.datagram_received(data[:size], STRANGER, lan.now)
        giver.datagram_received(data + b"\0", STRANGER, lan.now)
    for _ in range(2_000):
        giver.datagram_received(dice.randbytes(dice.choice(list(SIZES.values()))), STRANGER, lan.now)
    assert len(lan.log) == before
    assert set(giver.counters) == {"code: not of this protocol"}


def test_a_reflected_conversation_leads_nowhere():
    """Whoever answers with what was asked shows no knowledge of the code."""
    lan = CodeLan()
    seeker = lan.seeker()
    mirror = Address("192.168.1.77", 4000)
    kinds = {SEEK: HERE, OPEN: code_exchange.ANSWER, CONFIRM: code_exchange.TICKET}

    def reflect(data: bytes, source: Address) -> None:
        kind, nonce, body = code_exchange.split_untrusted(data)
        size = {HERE: 16, code_exchange.ANSWER: 32}.get(kinds[kind], 1128)
        lan.send(datagram(kinds[kind], nonce, body[-size:].ljust(size, b"\0")), mirror, source)

    lan.ends[mirror] = reflect
    lan.send(sent_seek(lan, seeker), lan.address_of(seeker), mirror)
    lan.run(SEEK_S - 1)
    assert seeker.ticket is None and seeker.counters["code: no element, or our own"] >= 1
    assert not sent(lan, CONFIRM), "our own element is recognised before anything is proved with it"


def sent_seek(lan: CodeLan, seeker) -> bytes:
    called: list[bytes] = []
    seeker._call = called.append
    lan.run(0.1)
    return called[0]


def test_a_recorded_conversation_is_of_no_use():
    lan = CodeLan()
    giver, seeker = lan.giver(uses=2), lan.seeker()
    lan.run(1)
    assert seeker.ticket
    recorded = [data for data, source, _ in lan.log if source == lan.address_of(seeker)]
    giver_address, uses = lan.address_of(giver), giver.uses
    heard: list[bytes] = []
    lan.ends[STRANGER] = lambda data, source: heard.append(data)
    for again in (0.0, 25.0):  # while the giver remembers the exchange, and when it does not
        lan.run(again)
        for data in recorded:
            lan.send(data, STRANGER, giver_address)
        lan.run(1)
    assert {data[4] for data in heard} <= {HERE}, "a cookie is for anybody; the rest is not"
    assert giver.uses == uses
    second = lan.seeker(10)  # a giver's recorded answers satisfy no other seeker
    replies = [data for data, source, _ in lan.log if source == giver_address]
    for data in replies:
        second.datagram_received(data, giver_address, lan.now)
    assert second.met == 0 and second.ticket is None


def test_without_the_cookie_nothing_is_computed_or_kept():
    lan = CodeLan()
    giver = lan.giver()
    for number in range(1_000):
        giver.datagram_received(datagram(OPEN, number.to_bytes(16, "big"), bytes(48)), STRANGER, lan.now)
        giver.datagram_received(datagram(CONFIRM, number.to_bytes(16, "big"), bytes(32)), STRANGER, lan.now)
    assert giver.counters == Counter({"code: open: wrong cookie": 1_000, "code: confirm: unknown exchange": 1_000})
    assert not lan.log and not giver._exchanges


def test_a_flood_of_exchanges_is_bounded_in_number_and_rate(monkeypatch):
    begun = []
    monkeypatch.setattr(code_giver, "SPAKE2_B", lambda *a, **k: begun.append(1) or FakeSide())
    lan = CodeLan()
    giver = lan.giver()
    for second in range(60):
        for number in range(200):
            source = Address(f"192.168.2.{number}", 1)
            nonce = (second << 16 | number).to_bytes(16, "big")
            giver.datagram_received(
                datagram(OPEN, nonce, giver._cookie(source, lan.now) + bytes(32)), source, lan.now
            )
        lan.now += 1
    assert len(giver._exchanges) <= EXCHANGES_MAX
    assert len(begun) <= EXCHANGES_MAX * 4, "each holds its place for 20 s"
    assert len(giver._failures) <= code_giver.SOURCES_MAX


class FakeSide:
    def start(self) -> bytes:
        return b"B" + bytes(32)


def test_a_seeker_lets_eight_givers_guess_and_no_more(monkeypatch):
    lan = CodeLan()
    seeker = lan.seeker()
    for number in range(200):
        source = Address(f"192.168.3.{number}", 1)
        seeker.datagram_received(datagram(HERE, seeker._nonce, bytes(16)), source, lan.now)
    assert seeker.met == TRIALS_MAX
    assert seeker.counters["code: too many givers"] == 200 - TRIALS_MAX


def test_a_passer_by_cannot_check_guesses_against_what_he_heard():
    """All that is said in the clear, under two codes, looks alike: no byte follows from the code alone."""
    heard = []
    for code in (CODE, "0000-0000"):
        lan = CodeLan(seed=5)
        lan.giver(code=code)
        lan.seeker(code=code)
        lan.run(1)
        heard.append({data[4]: data for data, _, _ in lan.log})
        assert all(code.replace("-", "").encode() not in data for data, _, _ in lan.log)
        assert all(TICKET[:12].encode() not in data for data, _, _ in lan.log)
    assert heard[0][SEEK] == heard[1][SEEK] and heard[0][HERE] == heard[1][HERE], "equal dice, equal bytes"
    assert heard[0][OPEN] != heard[1][OPEN], "the blinded element depends on dice and code together"


def test_short_codes_and_their_tickets_show_in_no_representation():
    lan = CodeLan()
    giver, seeker = lan.giver(), lan.seeker()
    lan.run(1)
    for shown in (repr(giver), str(giver), repr(seeker), str(dict(giver.counters))):
        assert CODE not in shown and TICKET[:14] not in shown


def test_secrets_are_compared_in_constant_time(monkeypatch):
    """Tailscale TS-2025-003: the comparison that stops at the first wrong byte tells how many were right."""
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(
        code_giver.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or REAL_COMPARE(a, b)
    )
    lan = CodeLan()
    lan.giver()
    lan.seeker()
    lan.run(1)
    open_, confirm = sent(lan, OPEN)[0], sent(lan, CONFIRM)[0]
    given = {other for pair in compared for other in pair}
    assert open_[24:40] in given, "the cookie"
    assert confirm[24:56] in given, "the confirmation"


REAL_COMPARE = hmac.compare_digest


def test_a_giver_that_is_full_of_waiting_guesses_judges_each_in_its_turn():
    lan = CodeLan()
    giver: Giver = lan.giver(uses=2)
    wrong = [lan.seeker(number, code="0000-0000") for number in (20, 21)]
    lan.run(0.05)
    right = lan.seeker(22)
    lan.run(SEEK_S)
    assert right.ticket and not any(seeker.ticket for seeker in wrong)
    assert giver.counters["code: confirm: wrong code"] == 2


def test_the_seeker_asks_for_as_long_as_it_promises():
    lan = CodeLan()
    seeker = lan.seeker()
    began = lan.now
    while lan.ends:
        lan.run(0.5)
    assert lan.now - began == pytest.approx(SEEK_S, abs=0.6)
    assert code_seeker.SEEK_S > 2 * TRY_EVERY_S and seeker.met == 0
