from __future__ import annotations

from typing import Any

from demo_game.commands import Accepted, Back, Chat, Command, Order, Refused, encode_order, encode_reply
from demo_game.figures import Kill, Running, gap_at, settled

YES, NO = encode_reply(Accepted()).hex(), encode_reply(Refused("no")).hex()
ADA = {"kind": "player", "time": 0.0, "member": "aa", "name": "Ada"}


def order(command: Command, serial: int = 1) -> str:
    return encode_order(Order(command, 0, serial)).hex()


def answer(command: Command, time: float = 1.0, reply: str = YES) -> dict[str, Any]:
    return {"kind": "answer", "time": time, "serial": 1, "order": order(command), "reply": reply}


def entry(index: int, command: Command) -> dict[str, Any]:
    return {
        "kind": "applied", "time": 1.0, "index": index, "term": 1, "sender": "aa", "at": 1.0,
        "order": order(command), "reply": YES, "digest": "",
    }  # fmt: skip


def test_the_median_and_the_longest_gap() -> None:
    kills = [Kill("Ada", "Björn", gap) for gap in (300.0, 84.24, 120.0)]
    assert (gap_at(kills, 0.5), gap_at(kills, 1.0)) == (120.0, 300.0)
    assert gap_at([], 0.5) is None


def test_moves_are_accepted_requests_that_mean_something_each_counted_once() -> None:
    running, records = (
        Running(),
        {"Ada": [ADA, answer(Chat("hello")), answer(Back(b"")), answer(Chat("x"), 1.0, NO)]},
    )
    running.look(records, 0.5)
    running.look(records, 1.0)
    assert running.moves == 1
    records["Ada"].append(answer(Chat("again")))
    running.look(records, 1.5)
    assert running.moves == 2


def test_an_answer_read_before_its_entry_does_not_look_lost() -> None:
    early = {"Ada": [ADA, entry(1, Chat("a")), answer(Chat("a"), 1.0), answer(Chat("b"), 2.0)]}
    assert len(settled(early, 1.5)["Ada"]) == 3
    running = Running()
    running.look(early, 1.5)
    assert running.verdict is not None and running.verdict.lost == 0
    running.look(early, 4.0)
    assert running.verdict.lost == 1


def test_the_verdict_is_not_made_anew_all_the_time() -> None:
    running = Running()
    running.look({"Ada": [ADA]}, 1.0)
    first = running.verdict
    running.look({"Ada": [ADA, entry(1, Chat("a"))]}, 2.9)
    assert running.verdict is first
    running.look({"Ada": [ADA, entry(1, Chat("a"))]}, 3.0)
    assert running.verdict is not None and running.verdict.commands == 1
