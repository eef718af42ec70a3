"""`failover.testing.simulate`, as a game's author uses it: the example of the docs, and the demo game."""

from __future__ import annotations

import random
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
import trio

import failover
import failover.testing
from demo_game.commands import Accepted, Option, Order, SetOption, decode_reply_untrusted, encode_order
from demo_game.host_function import Pace, server
from demo_game.machine import Hexhold
from demo_game.player import Player, next_request
from demo_game.table import Phase
from failover.testing import Faults, Stroke, Violation

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "test-your-failover.md"


def test_the_example_of_the_docs_runs_as_it_stands(capsys):
    example, _ = re.findall(r"```python\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    exec(example, {})
    assert capsys.readouterr().out.startswith("5 runs well, ")


class Sum:
    """A number to which commands add."""

    def __init__(self):
        self.number = 0

    def apply(self, command, context):
        self.number += len(command)
        return b"%d" % self.number

    def view(self):
        return self.number

    def snapshot(self):
        return iter([b"%d" % self.number])

    def restore(self, chunks):
        self.number = int(b"".join(chunks))

    def digest(self):
        return b"%16d" % self.number


async def add(member, dice):
    while True:
        await trio.sleep(dice.uniform(0.05, 0.5))
        with suppress(failover.OutcomeUnknown, failover.NotHost):
            await member.request(b"." * dice.randrange(1, 9), timeout=5.0)


class Forgetful(Sum):
    """Its snapshots hold nothing."""

    def restore(self, chunks):
        self.number = 0


class Moody(Sum):
    """Not deterministic."""

    def apply(self, command, context):
        self.number += random.choice((1, 2))
        return b""


def test_a_state_machine_whose_snapshots_forget_is_found_and_the_line_that_replays_it_is_given():
    timing = failover.Timing(snapshot_entries=20, kept_entries=0)
    faults = Faults(every_s=0.5).without(Stroke.LEAVE, Stroke.REMOVE)
    with pytest.raises(Violation) as raised:
        failover.testing.simulate(
            Forgetful, play=add, settings=failover.Settings(timing=timing), faults=faults, seconds=20
        )
    assert "has another state" in str(raised.value) or "had the replies" in str(raised.value)
    *_, line = str(raised.value).splitlines()
    assert line.startswith("failover.testing.simulate(Forgetful, play=add, ") and line.endswith(", trace=print)")
    given = {"failover": failover, "Forgetful": Forgetful, "add": add, "print": lambda line: None}
    with pytest.raises(Violation) as again:
        eval(line, given | {"settings": failover.Settings(timing=timing), "faults": faults})
    assert str(again.value) == str(raised.value)


def test_a_state_machine_that_is_not_deterministic_is_found():
    with pytest.raises(Violation, match="another state"):
        failover.testing.simulate(Moody, play=add, seconds=10)


def test_two_runs_that_differ_are_a_violation():
    async def play(member, dice):
        await trio.sleep(random.random())
        await member.request(b".")

    with pytest.raises(Violation, match="two runs of seed 0 differ"):
        failover.testing.simulate(Sum, play=play, faults=Faults.none(), seconds=2, seeds=[0])


def test_what_the_players_code_raises_is_a_violation():
    async def play(member, dice):
        await member.request(b"")

    with pytest.raises(Violation, match="UsageError: a request is 1 to"):
        failover.testing.simulate(Sum, play=play, faults=Faults.none(), seconds=2, seeds=[0])


def test_the_check_sees_the_machines_of_the_end():
    def fails(machine):
        assert machine.number > 10_000, "too little was added"

    with pytest.raises(Violation, match="too little was added"):
        failover.testing.simulate(Sum, play=add, check=fails, faults=Faults.none(), seconds=2, seeds=[0])


def test_without_faults_nothing_changes_hands():
    report = failover.testing.simulate(Sum, play=add, members=5, faults=Faults.none(), seconds=20, seeds=range(2))
    assert (report.runs, report.tenures) == (2, 2)
    assert report.committed > 2 * 5 * 20
    assert "QuorumLost" not in report.happened


# --- the demo game ---


SEATS, TURN_S = 3, 10


class Evening:
    """Players of Hexhold, who note what they ask and hear."""

    def __init__(self) -> None:
        self.accepted: Counter[bytes] = Counter()
        self.carried_out: dict[bytes, set[int]] = {}
        self.furthest = 0
        self._serial = 0

    def machine(self) -> Hexhold:
        machine = Hexhold()
        apply = machine.apply

        def noted(command: bytes, context: failover.Context) -> bytes:
            reply = apply(command, context)
            if context.sender is not None and isinstance(decode_reply_untrusted(reply), Accepted):
                self.carried_out.setdefault(command, set()).add(context.index)
            return reply

        machine.apply = noted
        return machine

    async def play(self, member: failover.Member, dice: random.Random) -> None:
        """Play one seat, as the demo game's own player does."""
        player = Player(member.id, member.status().name, secret=dice.randbytes(32))
        while True:
            await trio.sleep(dice.uniform(0.02, 0.1))
            table = member.state
            self.furthest = max(self.furthest, table.turn + (table.phase is Phase.PLAY))
            command = next_request(table, player)
            options = table.options
            if table.phase is Phase.LOBBY and table.seats and (options.turn_s, options.players) != (TURN_S, SEATS):
                # Who sits first says how they play. The others wait: were all of them to sit down, it would be
                # too late for so few seats.
                is_first = table.seat_of(member.id, 0) >= 0
                turn, seats = SetOption(Option.TURN, TURN_S), SetOption(Option.PLAYERS, SEATS)
                command = (turn if options.turn_s != TURN_S else seats) if is_first else None
            if command is None:
                continue
            self._serial += 1
            order = encode_order(Order(command, 0, self._serial))
            try:
                reply = await member.request(order)
            except (failover.OutcomeUnknown, failover.NotHost, failover.Refused):
                continue
            if isinstance(decode_reply_untrusted(reply), Accepted):
                self.accepted[order] += 1


def test_no_accepted_move_of_hexhold_is_lost_or_doubled():
    evening = Evening()
    report = failover.testing.simulate(
        evening.machine,
        serve=server(Pace(bot_delay_ms=50), lambda: None),
        play=evening.play,
        members=4,
        faults=Faults(every_s=1.0),
        seconds=30,
        seeds=range(3),
    )
    assert report.happened["crash host"] + report.happened["cut host"] > 0
    assert report.tenures > 6
    assert evening.furthest > 3, "a game was played"
    assert len(evening.accepted) > 100
    for order in evening.accepted:
        assert len(evening.carried_out.get(order, ())) == 1
