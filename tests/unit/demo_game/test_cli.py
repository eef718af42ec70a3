from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import failover
from demo_game import cli_options, console, showcase
from demo_game.cli import main
from demo_game.commands import AddBot, Attack, Chat, EndTurn, Option, SetOption
from demo_game.evidence import Verdict
from demo_game.player import Player
from demo_game.session import Opening
from demo_game.table import Table
from demo_game.window import start
from demo_game.window.link import Link


def run(*arguments: str, **more: Any) -> Any:
    return CliRunner().invoke(main, arguments, **more)


def test_sim_prints_what_each_seat_won() -> None:
    result = run("sim", "--games", "10", "--map", "small", "--skill", "easy", "--skill", "hard")
    assert result.exit_code == 0, result.output
    assert "10 games" in result.output and "hard won" in result.output


@pytest.mark.parametrize("command", ["host", "join", "solo", "bot", "showcase", "sim"])
def test_every_command_has_help(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0 and "Options:" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bot",), "there is no ticket"),
        (("bot", "-"), "there is no ticket"),
        (("bot", "@/no/such/file"), "No such file"),
        (("host", "--bots", "4"), "--players at least 5"),
        (("host", "--turn", "5"), "--turn 10"),
        (("sim", "--players", "9"), "2<=x<=8"),
        (("fly",), "No such command"),
        (("--fly",), "No such option"),
        (("--size", "1x1"), "960x540 is the least"),
        (("--name", "Ada", "host"), "unexpected extra argument (host)"),
    ],
)
def test_mistakes_get_one_clear_line_and_a_status(arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments, env={cli_options.TICKET_VARIABLE: ""})
    assert result.exit_code != 0 and not isinstance(result.exception, OSError)
    last = [line for line in result.output.splitlines() if line.startswith("Error")]
    assert len(last) == 1 and words in last[0]


class Windows:
    """In place of the window: what it was opened with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[tuple[start.Looks, start.First, Opening, str | None]] = []
        monkeypatch.setattr(start, "show", self.show)
        monkeypatch.setattr(start, "there_is_a_display", lambda: True)

    def show(self, looks: start.Looks, first: start.First, table: start.TableOf, name: str | None) -> None:
        opening, _ = table()
        self.shown.append((looks, first, opening, name))


@pytest.mark.parametrize("word", [(), ("menu",)])
def test_options_without_a_command_are_those_of_the_menu(
    word: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Windows(monkeypatch)
    for options in ((), ("--dev",), ("--name", "Ada", "--size", "960x540")):
        result = run(*word, *options)
        assert result.exit_code == 0, result.output
    (plain, first, _, no_name), (dev, *_), (small, _, opening, name) = windows.shown
    assert first == start.First() and no_name is None and not plain.dev and plain.size == (1280, 720)
    assert dev.dev and small.size == (960, 540) and opening.name == name == "Ada"


def test_help_without_a_command_is_of_all_commands() -> None:
    for word in ("-h", "--help"):
        result = run(word)
        assert result.exit_code == 0 and "Commands:" in result.output and "showcase" in result.output


def test_without_a_display_no_window_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Windows(monkeypatch)
    monkeypatch.setattr(start, "there_is_a_display", lambda: False)
    result = run("--dev")
    assert result.exit_code == 2 and "there is no display" in result.output and not windows.shown


@pytest.mark.parametrize(
    "command",
    [
        ("host", "--headless"),
        ("host", "--terminal"),
        ("join", "x", "--headless"),
        ("bot", "x"),
        ("solo", "--headless"),
        ("witness", "x"),
    ],
)
def test_every_command_that_opens_a_member_gives_it_the_addresses(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []

    def refuse(*_: object, **options: Any) -> None:
        given.append(options)
        raise failover.BadTicket("this is as far as it goes")

    monkeypatch.setattr(failover, "open_member", refuse)
    monkeypatch.setattr(failover, "open_witness", refuse)
    addresses = ("203.0.113.5:7777", "game.example.org:7777")
    result = run(*command, "--data", str(tmp_path), "--address", addresses[0], "--address", addresses[1])
    assert result.exit_code == 1 and "as far as it goes" in result.output
    assert [each["addresses"] for each in given] == [addresses]


def test_a_window_gives_the_addresses_to_its_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []

    def refuse(_: object, options: dict[str, Any]) -> None:
        given.append(options)
        raise failover.BadTicket("this is as far as it goes")

    windows = Windows(monkeypatch)
    run("--address", "203.0.113.5:7777", "--data", str(tmp_path))
    [(_, _, opening, _)] = windows.shown
    monkeypatch.setattr(failover, "MemberThread", refuse)
    link = Link(opening, lambda: None)
    link.join()
    assert "as far as it goes" in link.error
    assert [each["addresses"] for each in given] == [("203.0.113.5:7777",)]


def test_an_address_that_is_none_is_named_before_anything_is_made(tmp_path: Path) -> None:
    for addresses, words in (
        (["here"], "'here' is not an address"),
        (["a.b:1", "c.d:2", "e.f:3"], "2 of them names"),
    ):
        options = [word for each in addresses for word in ("--address", each)]
        result = run("host", "--headless", "--data", str(tmp_path), "--bind", "127.0.0.1", *options)
        assert result.exit_code == 1 and words in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_ticket_comes_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ticket").write_text("fo1-abc\n def\n", encoding="utf-8")
    assert cli_options.ticket_of(f"@{tmp_path / 'ticket'}") == "fo1-abcdef"
    monkeypatch.setenv(cli_options.TICKET_VARIABLE, "fo1-env")
    assert cli_options.ticket_of(None) == "fo1-env" and cli_options.ticket_of(" fo1-x ") == "fo1-x"
    assert cli_options.ticket_of(" k7qf 3mda\n") == "k7qf3mda"


def test_lines_typed_by_players_are_understood(room: Any) -> None:
    room.deal(2)
    player = Player(room.members[0], "Ada", secret=bytes(32))
    turn = room.table.turn
    for line, command in (
        ("A3xB1", Attack(turn, 0, 2, 8)),
        (" a3 b1\n", Attack(turn, 0, 2, 8)),
        ("end\n", EndTurn(turn, 0)),
        ("say Hello, all", Chat("Hello, all")),
        ("bot hard", AddBot(3)),
        ("map small", SetOption(Option.MAP, 0)),
        ("turn 60", SetOption(Option.TURN, 60)),
    ):
        assert console.command_of(line, room.table, player) == command
    for line in ("", "attack!", "Z9xA1", "turn soon", "start now"):
        with pytest.raises(ValueError, match="type help"):
            console.command_of(line, Table(), player)


def test_the_figures_are_those_measured() -> None:
    kills = [showcase.Kill("Ada", "Björn", 84.24), showcase.Kill("Björn", "Ada", 120.0)]
    figures = showcase.Figures(kills, Verdict(700, 0, 0, True, True), True)
    assert json.loads(figures.json()) == {
        "kills": [
            {"from": "Ada", "to": "Björn", "gap_ms": 84.2},
            {"from": "Björn", "to": "Ada", "gap_ms": 120.0},
        ],
        "gap_ms": {"p50": 84.2, "worst": 120.0},
        "commands": 700,
        "lost": 0,
        "doubled": 0,
        "digests_agree": True,
    }
    assert json.loads(showcase.Figures().json())["digests_agree"] is False
