"""The asking side and the hosts' side, while everything between them is late, lost, doubled or out of order.

Real `Requests`, `Hosting` and `Replica`, one host after another, with as much of the log of the last as chance
leaves; the net, the core and the server function are dice. What each caller heard is compared with what was done.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import trio
from tally import A, founded
from trio.testing import MockClock

import failover
from failover.host import Request, propose
from failover.hosting import Hosting
from failover.ids import LogIndex, MemberId, Term
from failover.keys import KeyTable
from failover.raft.messages import Entry
from failover.replica import Replica
from failover.requests import Requests
from failover.sessions import OUTSTANDING_MAX
from failover.testing.guest_run import deterministic_runs
from failover.wire import Answer

TERMS = 12
CALLS = 150
SEEDS = 12


class OneHost:
    """One member's hosting in one term."""

    def __init__(self, world: Edges, term: int) -> None:
        self.world = world
        self.replica, self.machine = world.replica_of_committed()
        self.uncommitted: list[Entry] = []
        core = SimpleNamespace(term=Term(term), leadership=object(), lease_until=float("inf"))
        driver = SimpleNamespace(core=core, clock=trio.current_time, propose=self.append, kick=lambda: None)
        self.hosting = Hosting(
            me=MemberId(bytes([term]) * 32),
            driver=driver,  # type: ignore[arg-type]
            replica=self.replica,
            settings=failover.Settings(),
            serve=None,
            nursery=Mock(),
            answer=lambda _, answer: world.later(lambda: world.requests.answered(answer)),
            ended=lambda *_: None,
            surroundings=failover.Surroundings(),
            confirming=Mock(),
            lane=Mock(),
        )
        self.hosting.begin(Term(term))
        assert self.hosting.tenure is not None
        self.tenure = self.hosting.tenure
        self.taken: list[Request] = []

    def append(self, command: bytes) -> LogIndex | None:
        """What the core does with a proposal; sometimes there is no room."""
        if self.world.dice.random() < 0.05:
            return None
        entry = Entry(LogIndex(len(self.world.committed) + 2 + len(self.uncommitted)), self.term, command)
        self.uncommitted.append(entry)
        return entry.index

    @property
    def term(self) -> Term:
        return self.tenure.epoch.term

    def serve(self) -> None:
        """Take what waits; propose it, refuse it, keep it for later or forget it."""
        dice = self.world.dice
        while self.tenure.waiting:
            self.taken.append(self.tenure.waiting.popleft())
        for request in list(self.taken):
            what = dice.choice(("propose", "propose", "propose", "refuse", "later", "forget"))
            if what == "propose" and propose(self.tenure, request.body, request) is None:
                continue
            if what == "refuse":
                request.refuse("no")
            if what != "later":
                self.taken.remove(request)

    def commit_some(self, upto: int) -> None:
        """A quorum holds the first of them: apply them here and at the asker."""
        for entry in self.uncommitted[:upto]:
            self.world.committed.append(entry)
            applied = self.replica.apply(entry)
            if self.hosting.tenure is not None:
                self.hosting.applied(applied)
            self.world.later(lambda entry=entry: self.world.asker_applies(entry))
        del self.uncommitted[:upto]

    def end(self) -> None:
        """Some of what is not committed reaches the next host, the rest is lost."""
        self.hosting.stop("lease lost")
        self.commit_some(self.world.dice.randint(0, len(self.uncommitted)))
        self.uncommitted.clear()


@dataclass
class Edges:
    """Everything, in one trio run with a virtual clock."""

    dice: random.Random
    nursery: trio.Nursery
    committed: list[Entry] = field(default_factory=list)
    asked: set[bytes] = field(default_factory=set)
    """Bodies that went to some host at least once."""
    calling: Counter[bytes] = field(default_factory=Counter)
    """How many calls are under way for each body."""
    begun: Counter[bytes] = field(default_factory=Counter)
    """How many there were."""
    last_word: dict[bytes, object] = field(default_factory=dict)
    """What the newest call for a body heard, if no other was under way with it."""
    heard: dict[bytes, list[object]] = field(default_factory=dict)
    session: int = 0

    def __post_init__(self) -> None:
        self.asker, _ = founded()
        self.hosts: list[OneHost] = []
        self.next_life()

    def next_life(self) -> None:
        """The asking process starts, again."""
        self.session += 1
        self.requests = Requests(A, self.session, self.send)

    def replica_of_committed(self) -> tuple[Replica, Any]:
        replica, machine = founded()
        for entry in self.committed:
            replica.apply(entry)
        return replica, machine

    def later(self, action: Any, longest_s: float = 1.0) -> None:
        """In any order, sometimes twice, sometimes never, sometimes very late."""

        async def wait_and_act(seconds: float) -> None:
            await trio.sleep(seconds)
            action()

        for _ in range(self.dice.choice((0, 1, 1, 1, 1, 1, 2))):
            seconds = self.dice.choice((0.0, 0.01, 0.1, longest_s)) * self.dice.random()
            self.nursery.start_soon(wait_and_act, seconds)

    def send(self, host: MemberId, ask: Any) -> None:
        self.asked.add(ask.body)
        self.later(lambda: [each.hosting.ask(A, ask) for each in self.hosts if each.hosting._me == host], 20.0)

    def asker_applies(self, entry: Entry) -> None:
        """Only in order, whatever came late."""
        while self.asker.applied_index < entry.index:
            applied = self.asker.apply(self.committed[self.asker.applied_index - 1])
            if applied.caller is not None and applied.reply is not None:
                self.requests.applied(applied.caller, applied.reply)

    async def call(self, body: bytes, key: bytes | None) -> None:
        """One call of the application; some are cancelled, some give up early."""
        await trio.sleep(
            self.dice.choice((10.0, self.dice.uniform(0, 60)))
        )  # half of them at once: more than may be
        timeout_s = self.dice.choice((0.05, 1.0, 30.0))
        self.begun[body] += 1
        is_alone, number = not self.calling[body], self.begun[body]
        self.calling[body] += 1
        self.last_word.pop(body, None)
        outcome: object = "cancelled"
        with trio.move_on_after(self.dice.choice((0.02, 0.5, 5.0, 1e9, 1e9, 1e9))):
            outcome = await self.outcome(body, key, timeout_s)
        self.heard.setdefault(body, []).append(outcome)
        self.calling[body] -= 1
        if is_alone and number == self.begun[body]:
            self.last_word[body] = outcome

    async def outcome(self, body: bytes, key: bytes | None, timeout_s: float) -> object:
        try:
            return await self.requests.request(body, timeout_s=timeout_s, key=key)
        except failover.FailoverError as error:
            return type(error)

    async def change_hosts(self) -> None:
        """One host after another, with or without a pause in which there is none."""
        for term in range(1, TERMS + 1):
            self.requests.host_is(None, Term(term))
            await trio.sleep(self.dice.choice((0.0, 0.2, 3.0)))
            host = OneHost(self, term)
            self.hosts.append(host)
            self.later(lambda host=host: self.know(host))
            ends = trio.current_time() + self.dice.uniform(0.1, 12.0)
            while trio.current_time() < ends:
                await trio.sleep(self.dice.uniform(0, 0.05))
                self.know(host) if self.dice.random() < 0.05 else None
                host.serve()
                host.commit_some(self.dice.randint(0, len(host.uncommitted)))
            host.end()

    def know(self, host: OneHost) -> None:
        """The asker hears of a host; never of an earlier one after a later."""
        if host is self.hosts[-1] and host.hosting.tenure is not None:
            self.requests.host_is(host.hosting._me, host.term)


def play(seed: int, *, closes: bool) -> Edges:
    """Return the world when nothing is under way any more. A seed gives the same run again."""
    dice = random.Random(seed)
    with deterministic_runs(dice):
        return trio.run(partial(live, dice, closes), clock=MockClock(autojump_threshold=0))


async def live(dice: random.Random, closes: bool) -> Edges:
    async with trio.open_nursery() as nursery:
        world = Edges(dice, nursery)
        nursery.start_soon(world.change_hosts)
        keys = {b"%d" % number: b"%04d" % number for number in range(CALLS) if number % 3 == 0}
        for number in range(CALLS):
            body = b"%d" % number
            for _ in range(1 + 2 * (number % 6 == 0)):  # some with the same key at once, or one after another
                nursery.start_soon(world.call, body, keys.get(body))
        if closes:
            await trio.sleep(dice.uniform(5, 40))
            world.requests.close()
            world.next_life()
            for body, key in keys.items():
                nursery.start_soon(world.call, body, key)
    return world


def check(world: Edges) -> Counter[str]:
    """Compare what was heard with what was done."""
    _, machine = world.replica_of_committed()
    done, seen = Counter(machine.items), Counter[str]()
    assert set(done.values()) <= {1}, "done twice"
    for body, outcomes in world.heard.items():
        replies = {outcome for outcome in outcomes if isinstance(outcome, bytes)}
        assert len(replies) <= 1, "two replies"
        if world.last_word.get(body) is failover.Refused:  # whatever became of earlier calls with the same key
            assert done[body.decode()] == 0, "refused in the end, and done"
        for outcome in outcomes:
            what = "reply" if isinstance(outcome, bytes) else getattr(outcome, "__name__", str(outcome))
            seen[what] += 1
            if what == "reply":
                assert machine.items[int(outcome) - 1] == body.decode()  # type: ignore[call-overload]
            elif what == "OutcomeUnknown":
                assert body in world.asked, "nobody was ever asked: that nothing happened is known"
            elif len(outcomes) == 1 and what in ("Refused", "NotHost", "Closed"):
                assert done[body.decode()] == 0, f"{what}, and done"
            else:
                assert what in ("cancelled", "Refused", "NotHost", "Closed")
    assert not world.requests._pending
    assert world.requests._places.value == OUTSTANDING_MAX
    return seen


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_a_caller_hears_is_what_was_done(seed, closes):
    seen = check(play(seed, closes=closes))
    assert seen["reply"] > 20
    assert seen["OutcomeUnknown"]
    assert seen["Refused"]
    assert seen["cancelled"]


def keys_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KeyTable, "add", lambda self, member, mark, reply: None)


def refusals_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Hosting, "refuse", forgetful(Hosting.refuse))


def an_earlier_host_may_refuse(patch: pytest.MonkeyPatch) -> None:
    answered = Requests.answered

    def believing(self: Requests, answer: Answer) -> None:
        for pending in self._pending.values():
            pending.asked_term = Term(0)
        answered(self, answer)

    patch.setattr(Requests, "answered", believing)


def giving_up_always_means_unknown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(failover.requests, "NotHost", failover.OutcomeUnknown)


BUGS = (
    keys_are_forgotten,
    refusals_are_forgotten,
    an_earlier_host_may_refuse,
    giving_up_always_means_unknown,
)


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch):
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        for seed in range(SEEDS):
            check(play(seed, closes=True))


def forgetful(refuse: Any) -> Any:
    """A host that keeps no refusals."""

    def refuse_and_forget(self: Hosting, caller: Any, reason: str) -> None:
        refuse(self, caller, reason)
        self._refused.clear()

    return refuse_and_forget
