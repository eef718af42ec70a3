from __future__ import annotations

from typing import Any

from demo_game.commands import Accepted, Refused, encode_reply
from demo_game.evidence import gap_ms, judge

YES, NO = encode_reply(Accepted()).hex(), encode_reply(Refused("no")).hex()


def entry(
    index: int, order: str, *, sender: str = "aa", reply: str = YES, term: int = 1, digest: str = "d"
) -> Any:
    return {
        "kind": "applied", "time": 0.0, "index": index, "term": term, "sender": sender, "at": 1.0,
        "order": order, "reply": reply, "digest": digest,
    }  # fmt: skip


def answer(order: str, time: float = 1.0, reply: str = YES) -> Any:
    return {"kind": "answer", "time": time, "serial": 1, "order": order, "reply": reply}


ADA = {"kind": "player", "time": 0.0, "member": "aa", "name": "Ada"}
BEN = {"kind": "player", "time": 0.0, "member": "bb", "name": "Ben"}


def test_all_is_well_when_everybody_tells_the_same() -> None:
    verdict = judge({"Ada": [ADA, answer("01"), entry(1, "01")], "Ben": [BEN, entry(1, "01")]})
    assert (verdict.commands, verdict.lost, verdict.doubled) == (1, 0, 0)
    assert verdict.digests_agree and verdict.orders_agree


def test_an_answered_order_that_nobody_applied_is_lost() -> None:
    assert judge({"Ada": [ADA, answer("01"), answer("02"), entry(1, "01")]}).lost == 1


def test_an_answer_that_differs_from_what_was_applied_is_lost() -> None:
    assert judge({"Ada": [ADA, answer("01"), entry(1, "01", reply=NO)]}).lost == 1


def test_an_order_applied_at_two_places_is_doubled_and_a_repeated_record_is_not() -> None:
    assert judge({"Ada": [ADA, entry(1, "01"), entry(2, "01"), entry(2, "01")]}).doubled == 1
    assert judge({"Ada": [ADA, entry(1, "01"), entry(1, "01")]}).doubled == 0


def test_the_hosts_own_commands_may_repeat() -> None:
    assert judge({"Ada": [ADA, entry(1, "01", sender=""), entry(2, "01", sender="")]}).doubled == 0


def test_different_digests_or_orders_at_one_index_are_seen() -> None:
    assert not judge({"Ada": [ADA, entry(1, "01")], "Ben": [BEN, entry(1, "01", digest="x")]}).digests_agree
    assert not judge({"Ada": [ADA, entry(1, "01")], "Ben": [BEN, entry(1, "02")]}).orders_agree


def test_digests_that_nobody_compared_do_not_agree() -> None:
    assert not judge({"Ada": [ADA, entry(1, "01")]}).digests_agree


def test_the_gap_ends_with_the_first_acceptance_under_a_later_host() -> None:
    records = {
        "Ada": [ADA, answer("07", 10.01)],  # the killed one
        "Ben": [
            BEN,
            answer("02", 9.9),
            answer("03", 10.001),  # accepted by the old host, still on its way
            answer("04", 10.07, NO),
            answer("05", 10.084),
            answer("06", 10.2),
            entry(3, "03", term=1),
            *[entry(n, f"0{n}", term=2) for n in (4, 5, 6, 7)],
        ],
    }
    gap = gap_ms(records, "Ada", 10.0, 1)
    assert gap is not None and round(gap) == 84
    assert gap_ms({"Ben": [BEN, answer("03", 10.001), entry(3, "03")]}, "Ada", 10.0, 1) is None
