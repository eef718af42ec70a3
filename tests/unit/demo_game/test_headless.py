"""What a headless host says to those who would join: the ticket, and a short code until the game begins."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from click.testing import CliRunner

import failover
from demo_game import session
from demo_game.cli import main
from demo_game.player import Player
from demo_game.records import Journal, parsed
from demo_game.table import Phase, Table

PLAY_AT_S = 300.0
END_AT_S = 600.0


class Member:
    """A member whose game begins after a while; nobody answers its requests."""

    id = bytes(32)

    def __init__(self, refusal: Exception | None, phase: Phase) -> None:
        self.refusal, self.phase = refusal, phase
        self.code_open: list[tuple[float, bool]] = []

    @property
    def state(self) -> Table:
        began = trio.current_time() >= PLAY_AT_S
        return replace(Table(), phase=Phase.PLAY if began else self.phase)

    async def read_barrier(self) -> None:
        await trio.lowlevel.checkpoint()

    async def invite(self, *, uses: int) -> str:
        assert uses > 1
        return "failover1-abc"

    async def short_code(self, *, uses: int, valid_s: float) -> str:
        assert uses > 1 and valid_s > PLAY_AT_S
        if self.refusal is not None:
            raise self.refusal
        self.code_open.append((trio.current_time(), True))
        return "K7QF-3MDA"

    def close_short_code(self) -> None:
        self.code_open.append((trio.current_time(), False))

    def poll_unreliable(self) -> list[failover.Unreliable]:
        return []

    async def request(self, _: bytes) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    async def events(self) -> AsyncIterator[failover.Event]:
        await trio.sleep_forever()
        yield failover.QuorumRegained()


def said(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    *,
    refusal: Exception | None = None,
    phase: Phase = Phase.LOBBY,
    **how: Any,
) -> tuple[list[str], Member, list[dict[str, Any]]]:
    """Run a headless host for ten minutes; return its lines, its member and its journal."""
    member, lines, out = Member(refusal, phase), [], io.StringIO()

    @asynccontextmanager
    async def open_member(*_: object, **__: object) -> AsyncIterator[Member]:
        yield member

    async def run() -> None:
        opening = session.Opening("Ada", folder, **({"found": True} | how), journal=Journal(out))
        with trio.move_on_after(END_AT_S):
            await session.headless(opening, lambda key: Player(key, "Ada"), (), lines.append)

    monkeypatch.setattr(failover, "open_member", open_member)
    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(run, clock=clock)
    return lines, member, list(parsed(out.getvalue().splitlines()))


def test_a_headless_host_says_its_ticket_and_has_a_code_until_the_game_begins(tmp_path, monkeypatch):
    lines, member, journal = said(monkeypatch, tmp_path)
    assert lines == ["Ticket: failover1-abc", "Short code: K7QF-3MDA"]
    (opened, is_open), (closed, is_still_open) = member.code_open
    assert is_open and not is_still_open and opened < 1.0 and 0 <= closed - PLAY_AT_S < 1.0
    assert [record["code"] for record in journal if record["kind"] == "code"] == ["K7QF-3MDA"]


@pytest.mark.parametrize(
    "refusal", [failover.PortInUse("taken"), failover.Unreachable("no IPv4"), failover.OutcomeUnknown("no host")]
)
def test_where_no_code_can_be_opened_the_ticket_is_enough(refusal, tmp_path, monkeypatch):
    lines, _, journal = said(monkeypatch, tmp_path, refusal=refusal)
    assert lines == ["Ticket: failover1-abc"]
    assert [record["ticket"] for record in journal if record["kind"] == "ticket"] == ["failover1-abc"]


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1"])
def test_no_code_is_opened_where_no_other_machine_could_hear_of_it(bind, tmp_path, monkeypatch):
    lines, member, _ = said(monkeypatch, tmp_path, bind=bind)
    assert lines == ["Ticket: failover1-abc"] and member.code_open == []


def test_no_code_is_opened_for_a_game_that_is_going_on(tmp_path, monkeypatch):
    lines, member, _ = said(monkeypatch, tmp_path, phase=Phase.PLAY)
    assert lines == ["Ticket: failover1-abc"] and member.code_open == []


def test_who_joins_says_nothing(tmp_path, monkeypatch):
    assert said(monkeypatch, tmp_path, found=False, ticket="failover1-abc")[0] == []


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("host", "--headless"), "Ticket: failover1-abc"),
        (("host", "--headless", "--report", "FILE"), "Ticket: failover1-abc"),
        (("host", "--headless", "--report", "-"), ""),
        (("solo", "--headless"), ""),
    ],
)
def test_the_line_goes_to_the_standard_output_but_not_into_a_journal(arguments, output, tmp_path, monkeypatch):
    async def headless(_: object, __: object, ___: object, say: Any) -> None:
        if say is not None:
            say("Ticket: failover1-abc")

    monkeypatch.setattr(session, "headless", headless)
    words = [str(tmp_path / "report") if word == "FILE" else word for word in arguments]
    result = CliRunner().invoke(main, [*words, "--data", str(tmp_path)])
    assert (result.exit_code, result.stdout.strip()) == (0, output)
