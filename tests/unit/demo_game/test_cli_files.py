from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from demo_game import cli_options, luck, showing
from demo_game.bots import Skill
from demo_game.cli import main
from demo_game.commands import (
    Chat,
    Command,
    HostChanged,
    Join,
    Order,
    Ready,
    Reveal,
    SetOption,
    Start,
    encode_order,
)
from demo_game.commands import Option as Opt
from demo_game.host_function import bot_move
from demo_game.kept import Kept
from demo_game.machine import Hexhold
from demo_game.replay import Replay, load_untrusted
from demo_game.retelling import lines_of, new_lines, retold
from demo_game.table import Line, LineKind, Phase, Table

MEMBERS = (b"a" * 32, b"b" * 32)


class _Epoch:
    term = 1


class Context:
    epoch = _Epoch()

    def __init__(self, index: int, sender: bytes | None, time: float) -> None:
        self.index, self.sender, self.time = index, sender, time


def run(*arguments: object, **more: Any) -> Any:
    return CliRunner().invoke(main, [str(each) for each in arguments], **more)


@pytest.fixture(scope="module")
def game() -> Replay:
    """Two players, three rounds, one change of host, some chat."""
    kept = Kept(Hexhold())
    index = 0

    def do(command: Command, who: int | None = None) -> None:
        nonlocal index
        index += 1
        sender = None if who is None else MEMBERS[who]
        body = encode_order(Order(command, 0, index))
        kept.apply(body, Context(index, sender, index / 10))  # type: ignore[arg-type]

    do(HostChanged(MEMBERS[0]))
    for who, name in enumerate(("Ada", "Björn")):
        do(Join(name), who)
    do(SetOption(Opt.MAP, 0), 0)
    do(SetOption(Opt.ROUNDS, 3), 0)
    nonces = [bytes([who]) * 16 for who in (0, 1)]
    for who in (0, 1):
        do(Ready(luck.nonce_hash(nonces[who], MEMBERS[who], 0)), who)
    do(Start(), 0)
    for who in (0, 1):
        do(Reveal(nonces[who]), who)
    while (seat := kept.view().on_turn) is not None:
        if kept.view().turn & 0xFFFF == 2 and kept.view().host == MEMBERS[0]:
            do(HostChanged(MEMBERS[1]))
            do(Chat("still there?"), 1)
        do(bot_move(kept.view(), Skill.HARD), MEMBERS.index(seat.member))
    assert kept.view().phase is Phase.OVER
    replay = kept.replay()
    assert replay is not None
    return replay


@pytest.fixture
def file(game: Replay, tmp_path: Path) -> Path:
    game.save(tmp_path / "ada.hexhold")
    return tmp_path / "ada.hexhold"


def test_verify_prints_what_the_game_was_and_that_it_is_verified(game: Replay, file: Path) -> None:
    result = run("verify", file)
    assert result.exit_code == 0, result.output
    told = {line[2:18].strip(): line[18:].strip() for line in result.output.splitlines() if line.startswith("  ")}
    assert set(told["players"].split(", ")) == {"Ada", "Björn"}
    assert told["rounds"] == "3; the game is over" and told["changes of host"] == "1"
    assert (
        told["entries"].startswith(f"{len(game.entries)}, 8 to ") and told["final digest"] == game.digest[:4].hex()
    )
    assert "verified" in told


def test_verify_compares_files(game: Replay, file: Path, tmp_path: Path) -> None:
    game.save(tmp_path / "bjoern.hexhold")
    result = run("verify", file, tmp_path / "bjoern.hexhold")
    assert result.exit_code == 0 and f"the same game, {len(game.entries)} entries in common" in result.output


def test_verify_names_what_is_wrong_and_has_a_status(game: Replay, file: Path, tmp_path: Path) -> None:
    entries = (*game.entries[:9], replace(game.entries[9], term=7), *game.entries[10:])
    replace(game, entries=entries).save(tmp_path / "changed.hexhold")
    (tmp_path / "other").write_bytes(b"something else")
    result = run("verify", file, tmp_path / "changed.hexhold", tmp_path / "other", tmp_path / "none")
    assert result.exit_code == 1
    errors = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    for words in (
        f"changed.hexhold: entry {entries[9].index}: ",
        "other: this is no replay",
        "none: No such file",
    ):
        assert words in errors[0]


def test_replay_tells_the_story(game: Replay, file: Path) -> None:
    result = run("replay", file, "--headless")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines == list(retold(game))
    text = result.output
    assert lines[0].endswith("The game begins: the nonces are shown.") and " The map is dealt, seal " in text
    for words in ("Round 2 of 3.", "Ada left. Björn hosts now. Same dice.", "Björn: “still there?”", " beats "):
        assert words in text
    assert "wins: " in lines[-1]


def test_replay_without_a_terminal_prints_lines_too(file: Path) -> None:
    assert run("replay", file).output == run("replay", file, "--headless").output


def test_replay_refuses_a_file_that_was_changed(game: Replay, tmp_path: Path) -> None:
    replace(game, is_cut=True).save(tmp_path / "changed")
    for path in ("changed", "none"):
        result = run("replay", tmp_path / path)
        assert result.exit_code == 1 and result.output.startswith("Error: ") and result.output.count("\n") == 1


def test_the_boards_show_each_step_and_the_new_host_across_the_top(game: Replay) -> None:
    steps = list(showing.scenes(game, "ada.hexhold"))
    assert len(game.entries) // 2 < len(steps) <= len(game.entries)
    banners = [scene.banner for scene in steps if scene.banner]
    assert set(banners) == {"Ada left. Björn hosts now. Same dice."} and len(banners) == showing.BANNER_STEPS
    assert steps[-1].table.phase is Phase.OVER and steps[-1].digest.startswith("ada.hexhold: ")


def test_the_story_of_a_game_met_in_the_middle_says_so(game: Replay) -> None:
    kept = Kept(Hexhold())
    start, entry = game.start, game.entries[0]
    lines = list(retold(replace(game, start=replace(start, phase=Phase.REVEAL), entries=(entry,), is_cut=True)))
    assert lines[0].endswith("In the middle of the game's beginning.") and "no more was kept" in lines[-1]
    assert kept.replay() is None


def test_what_was_refused_is_not_told(game: Replay) -> None:
    from demo_game.commands import Refused

    assert lines_of(game.start, game.entries[0], game.start, Refused("no")) == []


def test_new_lines_are_found_when_old_ones_go() -> None:
    lines = tuple(Line(n, LineKind.CHAT, 0, "hello" if n % 2 else f"{n}") for n in range(60))
    for first, last, count in ((0, 5, 1), (0, 50, 1), (0, 50, 3), (0, 0, 2), (3, 20, 0)):
        before = Table(lines=lines[first:last])
        after = Table(lines=lines[first : last + count][-50:])
        assert new_lines(before, after) == lines[last : last + count]


def test_a_replay_needs_a_folder_to_be_saved_in(tmp_path: Path) -> None:
    result = run("solo", "--headless", "--save-replay", tmp_path / "nowhere" / "file")
    assert result.exit_code == 2 and "no folder" in result.output


@pytest.mark.parametrize("command", ["verify", "replay", "witness"])
def test_every_command_has_help(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0 and "Options:" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify",), "Missing argument"),
        (("replay", "x", "--speed", "0"), "0.1<=x<=100"),
        (("witness",), "there is no ticket"),
        (("witness", "@/no/such/file"), "No such file"),
        (("witness", "hello"), "ticket"),
    ],
)
def test_mistakes_get_one_clear_line_and_a_status(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data") if arguments[0] == "witness" else ()
    result = run(*arguments, *data, env={cli_options.TICKET_VARIABLE: ""})
    assert result.exit_code != 0
    errors = [line for line in result.output.splitlines() if line.startswith("Error")]
    assert len(errors) == 1 and words in errors[0]


def test_a_saved_file_is_read_back(game: Replay, file: Path) -> None:
    assert load_untrusted(file) == game
