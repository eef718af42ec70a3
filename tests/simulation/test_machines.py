"""The ready machines on simulated computers, while all goes wrong that can."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import trio

import failover
import failover.testing
from failover.machines import Dictionary, DictionaryMachine, NotHeld, QueueMachine, use_queue
from failover.testing import Faults

SETTINGS = failover.Settings(timing=failover.Timing(snapshot_entries=40, kept_entries=5))
SEEDS = range(2)
"""The first seed of a simulation runs twice: notes are sets, in which the second run is no news."""


class Bank:
    """Members pay each other, and number what they do; nobody may lose money, or get a number twice."""

    def __init__(self) -> None:
        self.known: set[tuple[int, bytes]] = set()

    async def play(self, member: failover.Member, dice: random.Random) -> None:
        board: Dictionary[str, object] = Dictionary(member)
        while True:
            await trio.sleep(dice.uniform(0.02, 0.3))
            token, (giver, taker) = dice.randbytes(8), dice.sample("abcd", 2)

            def pay(draft, token=token, giver=giver, taker=taker):
                number = draft["payments"] = draft.get("payments", 0) + 1
                draft[giver] = draft.get(giver, 0) - 1
                draft[taker] = draft.get(taker, 0) + 1
                draft[f"payment {number}"] = token
                return number

            try:
                number = await board.update(pay, timeout=5.0)
            except failover.OutcomeUnknown:
                continue
            self.known.add((number, token))
            assert board[f"payment {number}"] == token, "who writes and then reads sees it"

    def check(self, machine: DictionaryMachine) -> None:
        board = machine.view()
        assert sum(board.get(name, 0) for name in "abcd") == 0
        assert len(board) == board["payments"] + 5
        for number, token in self.known:
            assert board[f"payment {number}"] == token


@pytest.mark.parametrize("seed", SEEDS)
def test_no_payment_is_lost_doubled_or_half_done(seed):
    bank = Bank()
    report = failover.testing.simulate(
        DictionaryMachine,
        play=bank.play,
        check=bank.check,
        settings=SETTINGS,
        members=4,
        faults=Faults(every_s=1.0),
        seconds=25,
        seeds=[seed],
    )
    assert report.tenures > 2
    assert len(bank.known) > 50


class Office:
    """Members put jobs and do them; each is done once at most, and is done or still there in the end."""

    def __init__(self) -> None:
        self.put: set[int] = set()
        self.given: set[tuple[int, bytes]] = set()
        self.asked: set[int] = set()
        """Somebody began to say that it is done."""
        self.done: set[tuple[int, bytes]] = set()

    async def play(self, member: failover.Member, dice: random.Random) -> None:
        async with use_queue(member, hold_s=3.0) as queue, trio.open_nursery() as nursery:
            nursery.start_soon(self._put, queue, dice)
            nursery.start_soon(self._work, queue, dice)

    async def _put(self, queue, dice):
        while True:
            await trio.sleep(dice.uniform(0.1, 0.5))
            try:
                self.put.add(await queue.put(dice.choice("ab"), dice.randrange(1_000), timeout=5.0))
            except failover.OutcomeUnknown:
                continue

    async def _work(self, queue, dice):
        while True:
            with trio.move_on_after(dice.choice((0.01, 1.0, 10.0))):
                item = await queue.get(dice.choice("ab"))
                attempt = dice.randbytes(8)
                self.given.add((item.number, attempt))
                await trio.sleep(dice.choice((0.01, 0.3)))
                self.asked.add(item.number)
                try:
                    await item.done()
                except (NotHeld, failover.OutcomeUnknown):
                    continue
                self.done.add((item.number, attempt))

    def check(self, machine: QueueMachine) -> None:
        state = machine._state
        left = {item.number for tree in (state.ready, state.held) for _, item in tree.items()}
        dones = Counter(number for number, _ in self.done)
        assert set(dones.values()) <= {1}, "done twice"
        assert not left & set(dones), "done, and still there"
        assert self.put <= left | self.asked, "lost"


@pytest.mark.parametrize("seed", SEEDS)
def test_no_job_is_lost_or_done_twice(seed):
    office = Office()
    report = failover.testing.simulate(
        QueueMachine,
        play=office.play,
        check=office.check,
        settings=SETTINGS,
        members=4,
        faults=Faults(every_s=1.0),
        seconds=25,
        seeds=[seed],
    )
    assert report.tenures > 2
    assert len(office.done) > 40
    assert len(office.given) > len(office.done)
