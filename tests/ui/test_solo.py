"""A game against bots, played by keys alone and by the mouse alone."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.ui.screen import HEIGHT, WIDTH, Screen, Window


def at_the_board(screen: Screen, *options: str) -> Window:
    """Return a window on a small solo game, at the player's turn."""
    window = screen.open(
        "Ada",
        "solo",
        "--players",
        "2",
        "--map",
        "small",
        "--turn",
        "0",
        "--bot-delay",
        "0.05",
        "--anim",
        "off",
        *options,
    )
    window.sees_scene("board")
    my_turn(window)
    return window


def my_turn(window: Window, at_most_s: float = 20.0) -> int:
    """Wait for the player's turn; return its number."""

    def turn(facts: dict[str, Any]) -> int | None:
        table = facts["table"]
        return table["turn"] if table["seat"] == table["place"] else None

    return window.see(turn, "its own turn", at_most_s)


def attackable(window: Window) -> tuple[int, int]:
    """Return an attack with many dice against few."""
    from demo_game import rules

    table = window.table
    position = rules.position_of(table["position"])
    best = max(rules.attacks(position), key=lambda a: position.dice[a.source] - position.dice[a.target])
    return best.source, best.target


def test_solo_by_the_mouse(screen: Screen) -> None:
    window = at_the_board(screen)
    source, target = attackable(window)
    step = window.table["step"]
    window.click_at(*window.table["spots"][source])
    window.see(lambda f: f["table"]["chosen"] == source or None, "the territory chosen")
    window.point_at(*window.table["spots"][target])
    odds = window.sees_words(" %")
    assert 1 <= int(odds.split()[0]) <= 100
    window.click_at(*window.table["spots"][target])
    window.see(lambda f: f["table"]["step"] > step or None, "the attack")
    turn = window.table["turn"]
    window.click("end turn")
    window.see(lambda f: f["table"]["turn"] > turn or None, "the end of the turn")
    my_turn(window)
    mine = [t for t, owner in enumerate(window.table["owners"]) if owner == window.table["place"]]
    lonely = next((t for t in mine if window.table["dice"][t] == 1), None)
    if lonely is not None:
        window.click_at(*window.table["spots"][lonely])
        window.sees_words("at least two dice")
    assert window.close() == 0


def test_solo_by_keys(screen: Screen) -> None:
    window = screen.open("Ada", "menu", "--anim", "off")
    window.sees_scene("menu")
    for _ in range(20):
        if window.facts["focus"] == "solo":
            break
        window.keys("Tab")
        time.sleep(0.05)
    assert window.facts["focus"] == "solo"
    for _ in range(2):  # one bot is enough here: the step to fewer is the next thing
        window.keys("Tab")
        window.see(lambda f: f["focus"] == "bots -" or None, "the choice of bots")
        window.keys("Return", "shift+Tab")
    window.sees_words("1")
    window.see(lambda f: f["focus"] == "solo" or None, "the focus back on the button")
    window.keys("Return")
    window.sees_scene("board")
    my_turn(window, 60.0)
    window.keys("Tab")
    cursor = window.see(lambda f: f["table"]["cursor"] if f["table"]["cursor"] >= 0 else None, "a cursor")
    assert window.table["owners"][cursor] == window.table["place"]
    window.keys("Return")
    window.see(lambda f: f["table"]["chosen"] == cursor or None, "the territory chosen")
    window.keys("Tab")
    window.see(lambda f: f["table"]["cursor"] != cursor or None, "the cursor on a target")
    step = window.table["step"]
    window.keys("Return")
    window.see(lambda f: f["table"]["step"] > step or None, "the attack")
    before = window.table["cursor"]
    window.keys("Left", "Up", "Left")
    window.see(lambda f: f["table"]["cursor"] != before or None, "the cursor elsewhere")
    if window.table["chosen"] >= 0:
        window.keys("Escape")
    window.see(lambda f: f["table"]["chosen"] < 0 or None, "nothing chosen")
    for key, card in (("F1", "rules"), ("F2", "network")):
        window.keys(key)
        window.sees_overlay(card)
        window.keys(key)
        window.sees_scene("board")
    window.keys("t")
    window.see(lambda f: f["focus"] == "chat" or None, "the chat's line")
    window.type("well met")
    window.keys("Return")
    window.sees_words("Ada: well met")
    turn = window.table["turn"]
    window.keys("space")
    window.see(lambda f: f["table"]["turn"] > turn or None, "the end of the turn")
    window.keys("m")
    window.sees_words("Sounds")
    window.keys("a")
    window.sees_words("Animations:")
    window.keys("F12")
    window.sees_words("Screenshot:")
    assert [path.suffix for path in (window.folder / "hexhold" / "screenshots").iterdir()] == [".png"]
    window.keys("Escape")
    window.sees_overlay("pause")
    window.keys("Escape")
    window.sees_scene("board")
    assert window.close() == 0


def test_the_window_is_resized_and_fills_the_screen(screen: Screen) -> None:
    window = at_the_board(screen)
    for width, height in ((1100, 900), (1500, 560), (960, 540)):
        window.display.run("xdotool", "windowsize", "--sync", window.id, str(width), str(height))
        window.see(lambda f: f["size"] == [width, height] or None, f"{width}x{height}")  # noqa: B023
        shot = window.pixels()
        assert (shot.width, shot.height) == (width, height)
        x, y = window.table["spots"][0]
        assert 0 < x < width and 0 < y < height
    window.keys("F11")
    window.look_for_it_again()
    window.see(lambda f: f["size"] == [WIDTH, HEIGHT] or None, "the full screen")
    source, _ = attackable(window)
    window.click_at(*window.table["spots"][source])
    window.see(lambda f: f["table"]["chosen"] == source or None, "the territory chosen")
    window.keys("F11")
    window.look_for_it_again()
    window.see(lambda f: f["size"] == [960, 540] or None, "its size as before")
    assert window.close() == 0


@pytest.mark.parametrize("size", ["960x540", "1280x720", "1600x900"])
def test_every_territory_has_its_owners_colour(screen: Screen, size: str) -> None:
    from collections import Counter

    from demo_game.palette import BACKGROUND, SEATS
    from demo_game.window.land_view import DIM_PERCENT
    from demo_game.window.shapes import mixed

    window = screen.open(
        "Ada", "solo", "--players", "8", "--turn", "0", "--bot-delay", "30", "--anim", "off", size=size
    )
    window.sees_scene("board")
    window.display.run("xdotool", "mousemove", "0", "1400")
    window.see(lambda f: (f["table"]["owners"] and f["frame"] > 3) or None, "the map")
    time.sleep(0.3)
    shot, table = window.pixels(), window.table
    assert f"{shot.width}x{shot.height}" == size
    shades = {}
    for seat in range(8):
        colour = SEATS[table["colours"][seat]]
        shades[colour] = shades[mixed(colour, BACKGROUND, DIM_PERCENT)] = seat
    right = 0
    for territory, owner in enumerate(table["owners"]):
        points = [(x, y) for t, x, y in table["hexes"] if t == territory]
        commonest, _ = Counter(shot.at(x, y) for x, y in points).most_common(1)[0]
        nearest = min(shades, key=lambda c: sum((a - b) ** 2 for a, b in zip(c, commonest, strict=True)))
        off = sum(abs(a - b) for a, b in zip(nearest, commonest, strict=True))
        right += shades[nearest] == owner and off <= 24
    assert right == len(table["owners"]) == 40
