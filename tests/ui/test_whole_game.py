"""A game of two people and two bots, from the menu to the end, whose host is killed twice on the way."""

from __future__ import annotations

import time

import pytest

from demo_game import rules
from demo_game.bots import Skill, decide
from demo_game.replay import load_untrusted
from demo_game.verify import compare, verify
from tests.ui.screen import Screen, Window
from tests.ui.test_story import host_of, hosted, joined_by_code, moved_from, started

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
    ada = hosted(screen, "--rounds", "5", "--bots", "2", "--bot-skill", "easy", "--bot-delay", "0.1", players=4)
    # Two people whose machine dies one after the other need a third vote: a friend who watches.
    bjorn = joined_by_code(screen, "Björn", [ada])
    watcher = joined_by_code(screen, "Chloé", [ada, bjorn])
    watcher.sees_words("You are watching.")
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
        if host.name == "Chloé":  # who has no seat has nothing to return to in the menu's eyes
            back.kill()
            folders = sorted((host.folder / "hexhold" / "games").iterdir())
            back = screen.open(host.name, "join", "--data", str(folders[-1]), left[0].table["ticket"])
        else:
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
        assert verify(game).is_right and verify(game).is_over
        assert compare(games[0], game).problem == ""
    windows["Ada"].click("rematch")
    for window in windows.values():
        window.sees_scene("lobby")
