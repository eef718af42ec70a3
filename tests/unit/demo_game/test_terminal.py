from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from demo_game.commands import Chat, HostChanged
from demo_game.palette import GLYPHS
from demo_game.table import Table, with_seat
from demo_game.terminal import Machine, Scene, picture

SIZES = [(80, 24), (100, 30), (132, 40), (90, 25)]


def shown(scene: Scene, width: int, height: int) -> str:
    console = Console(record=True, width=width, height=height, file=io.StringIO(), force_terminal=True)
    console.print(picture(scene, width, height))
    return console.export_text()


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("people", [0, 2, 8])
def test_a_picture_fits_its_terminal_to_the_cell(room: Any, people: int, width: int, height: int) -> None:
    if people:
        room.deal(people)
        room.play(30)
        names = ("日本語の名前がとても長い", "Đorđe the very long-named one!!!", "Ада", "Zoë")
        seats = tuple(replace(s, name=names[s.colour % 4]) for s in room.table.seats)
        room.table = replace(room.table, seats=seats)
        room.do(Chat("日本語 " * 20), 0)
    scene = Scene(room.table, machines=(Machine("ada-laptop", "host"), Machine("björn", "gone", 3.0)))
    lines = shown(scene, width, height).rstrip("\n").split("\n")
    assert len(lines) <= height - 1
    assert max(cell_len(line) for line in lines) <= width


def test_every_territory_shows_its_glyph_and_dice(room: Any) -> None:
    room.deal(4)
    room.play(25)
    text = shown(Scene(room.table), 100, 30)
    position = room.table.position
    for glyph_of, dice in zip(position.owners, position.dice, strict=True):
        assert f"{GLYPHS[room.table.seats[glyph_of].colour]}{dice}" in text
    assert sum(text.count(f"{glyph}{dice}") for glyph in GLYPHS for dice in range(1, 9)) == 40


def test_the_names_of_territories_show_for_who_types_moves(room: Any) -> None:
    room.deal(3)
    text = shown(Scene(room.table, names=True), 100, 30)
    assert all(f"{row}{place}" in text for row in "ABCDE" for place in range(1, 9))


def test_players_host_dice_seal_and_story_are_there(room: Any) -> None:
    room.deal(3)
    room.play(5)
    room.do(HostChanged(room.members[1]))
    scene = Scene(room.table, room.now_ms, digest="9c1e77a0 on 3 of 3", me=room.members[room.on_turn()])
    text = shown(scene, 100, 30)
    for words in (
        "round 1/30", "your turn", "Player 1 ♛", "9c1e77a0 on 3 of 3", f"seal {room.table.seal.hex()}",
        "Player 0 left. Player 1 hosts now.", "STORY",
    ):  # fmt: skip
        assert words in text
    assert f"= {sum(room.table.battle.attack)}" in text


def test_the_banner_takes_the_top_line(room: Any) -> None:
    room.deal(2)
    words = "Björn left. Ada hosts now: 84 ms. Same dice."
    assert words in shown(Scene(room.table, banner=words), 80, 24).split("\n")[0]


def test_an_absent_player_is_marked(room: Any) -> None:
    room.deal(2)
    table: Table = with_seat(room.table, 0, replace(room.table.seats[0], away_ms=1_000))
    assert "away 0:12, bot at 0:30" in shown(Scene(table, 13_000), 132, 30)
    assert "away 0:12" in shown(Scene(table, 13_000), 100, 30)


def test_the_lobby_shows_seats_and_who_is_ready(room: Any) -> None:
    room.gather(2, players=4)
    text = shown(Scene(room.table), 80, 24)
    assert text.count("open seat") == 2 and text.count("ready") == 2 and "standard map" in text
