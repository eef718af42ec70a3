"""A game of two people and two bots, from the menu to the end, whose host is killed twice on the way."""

from __future__ import annotations

import time

import pytest

from demo_game import rules
from demo_game.bots import Skill, decide
from demo_game.replay import load_untrusted
from demo_game.verify import compare, verify
from tests.guarantee import guarantee
from tests.ui.screen import Screen, Window
from tests.ui.test_story import host_of, joined_by_code, moved_from, started

PATIENCE_S = 150.0


def play_once(window: Window) -> bool:
    """Make one move as a person would, by the mouse and the keys, if it is this window's turn; tell whether."""
    table = window.table
    if table["phase"] != "PLAY" or table["seat"] != table["place"] or window.facts["overlays"]:
        return False
    position = rules.position_of(table["position"])
    move = decide(position, Skill.MEDIUM)
    if isinstance(move, rules.EndTurn):
        window.keys("space")
    else:
        if table["chosen"] != move.source:
            window.click_at(*table["spots"][move.source])
        window.click_at(*table["spots"][move.target])
    deadline = time.monotonic() + 1.0
    before = (table["turn"], table["step"])
    while time.monotonic() < deadline and (window.table["turn"], window.table["step"]) == before:
        time.sleep(0.02)
    return True


def table_from_the_menu(screen: Screen) -> Window:
    """Return a window that hosts a short game with two easy bots, all of it chosen by clicks."""
    window = screen.open("Ada", "menu", "--anim", "off")
    window.sees_scene("menu")
    window.click("host")
    window.sees_scene("lobby")
    window.see(lambda f: (f["table"]["code"] and f["table"]["place"] >= 0) or None, "a code and a seat")
    window.click("map +")
    window.sees_words("small")
    for _ in range(4):
        window.click("rounds -")
    window.see(lambda f: "5" in [text[0] for text in f["texts"]] or None, "five rounds")
    window.click("turn -")
    window.click("turn -")
    window.click("turn -")
    window.sees_words("no clock")
    for skill in ("hard", "easy"):
        window.click("skill")
        window.sees_words(skill)
    for bots in (1, 2):
        window.click("bot")
        window.sees_words(f"{1 + bots} of 4 seats taken")
    return window


def play_until(windows: list[Window], done: object, deadline: float) -> None:
    """Let the people at these windows play until something is so."""
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline, [window.told() for window in windows]
        moved = [play_once(window) for window in windows]
        if not any(moved):
            time.sleep(0.05)


@pytest.mark.timeout(300)
def test_two_people_two_bots_the_host_killed_twice_and_the_game_played_to_its_end(screen: Screen) -> None:
    deadline = time.monotonic() + PATIENCE_S
    ada = table_from_the_menu(screen)
    # Two people whose machine dies one after the other need a third vote: a friend who watches.
    bjorn = joined_by_code(screen, "Björn", [ada])
    watcher = joined_by_code(screen, "Chloé", [ada, bjorn])
    watcher.sees_words("You are watching")
    started_by = [ada, bjorn]
    started(started_by)
    windows = {"Ada": ada, "Björn": bjorn, "Chloé": watcher}
    for kill in (1, 2):
        people = [windows["Ada"], windows["Björn"]]
        play_until(people, lambda k=kill: max(w.table["round"] for w in windows.values()) > k, deadline)
        host = host_of(list(windows.values()))
        killed_at = time.monotonic()
        host.kill()
        left = [window for window in windows.values() if window is not host]
        moved_from(host, left[0], killed_at)
        back = screen.open(host.name, "menu", "--anim", "off")
        back.click("rejoin")
        back.sees_scene("board")
        windows[host.name] = back
    people = [windows["Ada"], windows["Björn"]]
    play_until(people, lambda: all("over" in w.facts["overlays"] for w in windows.values()), deadline)
    games = []
    for window in windows.values():
        window.sees_words(" wins")
        window.sees_words("Log verified on 3 of 3")
        window.click("save")
        window.sees_words("Saved as")
        folder = window.folder / "hexhold" / "replays"
        games.append(load_untrusted(next(folder.glob("*.hexhold"))))
    for game in games:
        guarantee(verify(game).is_right, verify(game).problem)
        guarantee(not (problem := compare(games[0], game).problem), problem)
        assert verify(game).is_over
    windows["Ada"].click("rematch")
    for window in windows.values():
        window.sees_scene("lobby")
