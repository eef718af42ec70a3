"""`python -m tests.ui.speed`: how soon the window is there, what it costs when idle, how fast it answers.

Needs a quiet machine: nothing else should run. Each figure is a median of several, with the spread.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from demo_game import rules
from demo_game.bots import Skill, decide
from tests.ui.screen import Screen, Window, screen

WINDOWS = 7
IDLE_S = 15.0
MOVES = 40


def first_picture_s(shown: Screen, number: int) -> float:
    """Return how long it takes from the start of the process to the first picture of the menu."""
    began = time.monotonic()
    window = shown.open(f"w{number}", "menu", size="1280x720")
    while not window.facts:
        time.sleep(0.002)
    at = window.facts["time"]
    window.kill()
    return at - began


def cpu(window: Window, seconds: float) -> float:
    """Return what a window's process takes of a core, in per cent."""
    process = psutil.Process(window.process.pid)
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    return 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)


def answers_ms(window: Window, moves: int) -> list[float]:
    """Play; return how long it took from each key or click of a move to the picture that shows what it did."""
    deadline = time.monotonic() + 90
    while len(window.facts["answers_ms"]) < moves and time.monotonic() < deadline:
        table = window.table
        if table["phase"] != "PLAY":
            break
        if table["seat"] != table["place"]:
            time.sleep(0.02)
            continue
        move = decide(rules.position_of(table["position"]), Skill.MEDIUM)
        before = table["turn"], table["step"]
        if isinstance(move, rules.EndTurn):
            window.keys("space")
        else:
            if table["chosen"] != move.source:
                window.click_at(*table["spots"][move.source])
                time.sleep(0.05)
            window.click_at(*table["spots"][move.target])
        until = time.monotonic() + 1.0
        while (window.table["turn"], window.table["step"]) == before and time.monotonic() < until:
            time.sleep(0.005)
    return list(window.facts["answers_ms"])


def told(what: str, values: list[float], unit: str, goal: str) -> None:
    """Print one figure."""
    spread = f"{min(values):.3g} to {max(values):.3g}" if len(values) > 1 else "once"
    print(f"{what:44} {statistics.median(values):7.3g} {unit:4} ({spread}; goal {goal})", flush=True)


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, screen(Path(folder)) as shown:
        told("first picture of the menu", [first_picture_s(shown, k) for k in range(WINDOWS)], "s", "under 1")
        menu = shown.open("idle", "menu", size="1280x720")
        menu.sees_scene("menu")
        time.sleep(1.0)
        told("menu, nothing happens", [cpu(menu, IDLE_S)], "%", "under 2")
        menu.kill()
        quiet = ("--turn", "0", "--anim", "slow")
        ada = shown.open(
            "Ada", "host", "--players", "3", "--bots", "1", "--map", "small", "--bot-delay", "0.1", *quiet
        )
        ada.see(lambda f: (f["table"] or {}).get("ticket") or None, "a ticket")
        bjorn = shown.open("Björn", "join", ada.table["ticket"], "--anim", "slow")
        for window in (ada, bjorn):
            window.see(lambda f: (f["scene"] == "lobby" and f["table"]["place"] >= 0) or None, "its seat")
            window.keys("r")
            window.sees_words("Not ready")
        ada.click("start")
        for window in (ada, bjorn):
            window.sees_scene("board")
        host = next(window for window in (ada, bjorn) if window.table["is_host"])
        guest = bjorn if host is ada else ada
        time.sleep(3.0)
        told("board at somebody's turn, host", [cpu(host, IDLE_S)], "%", "-")
        told("board at somebody's turn, guest", [cpu(guest, IDLE_S)], "%", "-")
        found: dict[str, list[float]] = {"host": [], "guest": []}
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and min(map(len, found.values())) < MOVES // 2:
            for who, window in (("host", host), ("guest", guest)):
                if window.table["phase"] == "PLAY" and window.table["seat"] == window.table["place"]:
                    found[who] = answers_ms(window, len(window.facts["answers_ms"]) + 4)
            if host.table["phase"] != "PLAY":
                break
            time.sleep(0.02)
        for who, values in found.items():
            if values:
                told(f"from a move's input to its picture, {who}", values, "ms", "within 50")
    return 0


if __name__ == "__main__":
    sys.exit(main())
