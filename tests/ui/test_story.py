"""The story that the game is there to tell: the host goes, in every way there is, and play goes on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conftest import Require
from tests.guarantee import guarantee
from tests.lab.lan import Lan
from tests.lab.namespaces import NoLab, check_machine, inside
from tests.ui.screen import ROOT, Screen, Window, until

QUICK = ("--map", "small", "--turn", "0", "--anim", "off")


def hosted(screen: Screen, *options: str, players: int = 3) -> Window:
    """Return a window in the lobby of its own table, with a short code."""
    window = screen.open("Ada", "host", "--players", str(players), *QUICK, *options)
    window.sees_scene("lobby")
    window.see(lambda f: (f["table"]["code"] and f["table"]["ticket"]) or None, "a code and a ticket")
    return window


def joined_by_code(screen: Screen, name: str, windows: list[Window], *options: str) -> Window:
    """Return a window that joined by the code, typed into the menu.

    On a busy machine the host may change meanwhile, and its code with it: then people read the new one aloud.
    """
    window = screen.open(name, "menu", "--anim", "off", *options)

    def type_code() -> None:
        code = host_of(windows).see(lambda f: f["table"]["code"] or None, "a code")
        window.click("ticket")
        window.keys("ctrl+u")
        window.type(code.lower().replace("-", " "))
        window.keys("Return")

    joined(window, type_code)
    return window


def joined(window: Window, try_it: Callable[[], None]) -> None:
    """Try to join from the menu; again, if the host changed meanwhile, and its code with it."""
    for _ in range(4):
        window.sees_scene("menu")
        try_it()
        window.see(lambda f: f["scene"] == "lobby" or "check it" in str(f["texts"]) or None, "an answer")
        if window.facts["scene"] == "lobby":
            return
    raise AssertionError(f"{window.name} could not join: {window.told()}")


def started(windows: list[Window]) -> None:
    """Let everybody get ready, and the first start the game."""
    for window in windows:
        window.see(lambda f: f["table"]["place"] >= 0 or None, "its seat")
        window.keys("r")
        window.sees_words("Not ready")
    first = windows[0]
    first.see(lambda f: "start" in f["targets"] or None, "that all are ready")
    first.click("start")
    for window in windows:
        window.sees_scene("board")


def game_of(screen: Screen, *names: str, options: tuple[str, ...] = ()) -> list[Window]:
    """Return windows in a game, the first one hosting."""
    host = hosted(screen, *options, players=1 + len(names))
    windows = [host]
    for name in names:
        windows.append(joined_by_code(screen, name, windows, *options))
    started(windows)
    return windows


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a process with the block."""
    with process:
        try:
            yield
        finally:
            process.terminate()


def host_of(windows: list[Window]) -> Window:
    """Return the window that hosts, once all have agreed on it for a while: a busy machine may move it about."""

    def settled() -> Window | None:
        seen = []
        for _ in range(5):
            hosts = [window for window in windows if window.table.get("is_host")]
            seen.append((hosts, {window.table["term"] for window in windows}))
            time.sleep(0.06)
        (first, terms), agreed = seen[0], all(each == seen[0] for each in seen)
        return first[0] if agreed and len(first) == len(terms) == 1 else None

    return until(settled, lambda: f"nobody hosts: {[window.told() for window in windows]}")


def turn_of(windows: list[Window]) -> Window:
    """Return the window whose player is on turn."""

    def on_turn() -> Window | None:
        tables = [(window, window.table) for window in windows]
        newest = max((table for _, table in tables), key=lambda t: (t["turn"], t["step"]))
        return next((w for w, t in tables if t["turn"] == newest["turn"] and t["place"] == t["seat"]), None)

    return until(on_turn, "nobody of these is on turn")


def moved_from(host: Window, seen_by: Window, since: float, at_most_s: float = 10.0) -> tuple[str, float, str]:
    """Wait until a window knows that the role went from this host to another, and look what the banner says of it.

    Returns the new host, the ms, and the reason. `since` is a time of `time.monotonic`.
    """

    def look(facts: dict[str, Any]) -> list[list[Any]]:
        moves = [move for move in facts["table"]["moves"] if move[6] > since]
        first = next((number for number, move in enumerate(moves) if move[0] == host.name), len(moves))
        return moves[first:]

    # A machine that is very busy may have moved it again, even before the first new host had said anything.
    moves = seen_by.see(
        lambda facts: found if (found := look(facts)) and found[-1][5] else None,
        f"that {host.name} hosts no more",
        at_most_s,
    )
    facts = seen_by.facts
    if look(facts) == moves:
        source, target, gap_ms, reason, *_ = moves[-1]
        verb = "handed over" if reason == "handed over" else "left"
        who = f"{target} hosts again" if source == target else f"{source} {verb}. {target} hosts now"
        words = f"{who}: {gap_ms:.0f} ms. Same dice."
        assert facts["table"]["banner"] == ["moved", words]
        assert words in [text[0] for text in facts["texts"]], "the banner is on the screen"
    guarantee(all(before == after for *_, before, after, _ in moves if after), f"somebody rerolled: {moves}")
    _, target, gap_ms, reason, *_ = moves[0]
    return target, gap_ms, reason


def end_turn(window: Window, windows: list[Window]) -> None:
    """End a turn by the key, and see that everybody saw it."""
    turn = window.table["turn"]
    window.keys("space")
    for other in windows:
        other.see(lambda f: f["table"]["turn"] > turn or None, "the end of that turn")


def play_on(windows: list[Window]) -> None:
    """Let everybody make a turn, so that it is seen to go on."""
    for _ in windows:
        end_turn(turn_of(windows), windows)


def test_three_windows_the_code_typed_and_the_hosts_process_killed(screen: Screen) -> None:
    windows = game_of(screen, "Björn", "Chloé")
    play_on(windows)
    host = host_of(windows)
    left = [window for window in windows if window is not host]
    for window in left:
        window.see(lambda f: f["table"]["agreement"][2] == 3 or None, "that three agree")
    killed_at = time.monotonic()
    host.kill()
    for window in left:
        target, gap_ms, reason = moved_from(host, window, killed_at)
        assert target in {other.name for other in left} and reason == "silent"
        assert 20 < gap_ms < 3_000
        chat = re.compile(rf"{host.name} left. {target} hosts now. Same dice. \d+ ms")
        assert chat.search(" ".join(window.words)), "the chat tells it, with the milliseconds"
    # Who is gone misses his turn: the others end theirs, and a bot plays his after half a minute.
    mover = turn_of(left) if left[0].table["seat"] in {w.table["place"] for w in left} else None
    if mover is not None:
        end_turn(mover, left)
    back = screen.open(host.name, "menu", "--anim", "off")
    back.sees_scene("menu")
    back.click("rejoin")
    back.sees_scene("board")
    everybody = [*left, back]
    back.see(
        lambda f: (f["table"]["place"] >= 0 and not f["table"]["away"][f["table"]["place"]]) or None, "its seat"
    )
    play_on(everybody)
    for window in everybody:
        window.see(lambda f: f["table"]["agreement"][1:] == [3, 3] or None, "that three agree again")


def test_the_host_closes_its_window_and_comes_back_to_the_same_seat(screen: Screen) -> None:
    windows = game_of(screen, "Björn", "Chloé")
    host = host_of(windows)
    left = [window for window in windows if window is not host]
    place, closed_at = host.table["place"], time.monotonic()
    assert host.close() == 0
    for window in left:
        _, gap_ms, reason = moved_from(host, window, closed_at)
        assert reason == "handed over" and gap_ms < 1_000
    back = screen.open(host.name, "menu", "--anim", "off")
    back.click("rejoin")
    back.sees_scene("board")
    back.see(lambda f: f["table"]["place"] == place or None, "its old seat")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_in_good_order(screen: Screen, number: signal.Signals) -> None:
    windows = game_of(screen, "Björn", "Chloé")
    host = host_of(windows)
    told_at = time.monotonic()
    host.process.send_signal(number)
    assert host.process.wait(timeout=10) == 0
    other = next(window for window in windows if window is not host)
    assert moved_from(host, other, told_at)[2] == "handed over"


def test_the_lid_is_closed_and_opened_again(screen: Screen) -> None:
    windows = game_of(screen, "Björn", "Chloé")
    host = host_of(windows)
    left = [window for window in windows if window is not host]
    stopped_at = time.monotonic()
    host.process.send_signal(signal.SIGSTOP)
    for window in left:
        moved_from(host, window, stopped_at)
    host.process.send_signal(signal.SIGCONT)
    host.see(lambda f: (not f["table"]["is_host"] and f["table"]["hosts"] >= 2) or None, "the other host")
    play_on(windows)


def test_a_window_that_is_blocked_keeps_its_role(screen: Screen) -> None:
    windows = game_of(screen, "Björn", "Chloé", options=("--dev",))
    host = host_of(windows)
    other = next(window for window in windows if window is not host)
    hosts, term = host.table["hosts"], other.see(lambda f: f["table"]["term"] or None, "a term")
    host.keys("b")
    began = time.monotonic()
    before = host.facts["frame"]
    while time.monotonic() - began < 1.5:
        assert host.facts["frame"] - before <= 2, "it is blocked"
        if other.table["place"] == other.table["seat"]:
            other.keys("space")  # the host's server function answers all the while
        time.sleep(0.2)
    time.sleep(1.5)
    assert other.table["hosts"] == hosts and other.table["term"] == term
    assert host.table["is_host"]


def test_the_plug_is_pulled_by_a_button(screen: Screen) -> None:
    windows = game_of(screen, "Björn", "Chloé", options=("--dev",))
    host = host_of(windows)
    other = next(window for window in windows if window is not host)
    pulled_at = time.monotonic()
    other.click("plug")
    assert host.process.wait(timeout=10) == -signal.SIGKILL
    moved_from(host, other, pulled_at)
    other.click("who is next")
    other.sees_words("Next host: ")


def test_the_hosts_cable_is_pulled_and_put_back(screen: Screen, require: Require) -> None:
    try:
        check_machine("ip")
    except NoLab as reason:
        require(False, str(reason))
    lan = Lan(3)
    lan.open()
    try:
        names, windows = ("Ada", "Björn", "Chloé"), []
        for number, name in enumerate(names):
            within = inside(lan.namespaces[number])
            if windows:
                ticket = windows[0].table["ticket"]
                windows.append(screen.open(name, "join", ticket, "--anim", "off", within=within))
            else:
                windows.append(screen.open(name, "host", "--players", "3", *QUICK, within=within))
                windows[0].see(lambda f: (f["table"] or {}).get("ticket") or None, "a ticket")
            windows[-1].sees_scene("lobby")
        started(windows)
        host = host_of(windows)
        left = [window for window in windows if window is not host]
        cut_at = time.monotonic()
        lan.cut(names.index(host.name))
        for window in left:
            moved_from(host, window, cut_at)
        host.sees_words("1 of 3 reachable")
        assert host.table["banner"][0] == "alone" and not host.table["is_host"]
        lan.mend(names.index(host.name))
        host.see(lambda f: f["table"]["banner"][:1] != ["alone"] or None, "the others again")
        for window in windows:
            window.see(lambda f: f["table"]["agreement"][1:] == [3, 3] or None, "that three agree")
        play_on(windows)
    finally:
        screen.close()
        lan.close()


def test_two_players_and_a_witness_survive_a_crash(screen: Screen) -> None:
    ada = hosted(screen, players=2)
    bjorn = joined_by_code(screen, "Björn", [ada])
    command = [
        sys.executable,
        "-m",
        "demo_game",
        "witness",
        ada.table["ticket"],
        "--data",
        str(screen.folder / "w"),
    ]
    witness = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with ended(witness):
        assert witness.stdout is not None
        told = witness.stdout.readline()
        assert "vot" in told.lower(), told
        windows = [ada, bjorn]
        started(windows)
        ada.keys("F2")
        ada.sees_words("witness")
        ada.keys("F2")
        host = host_of(windows)
        other = bjorn if host is ada else ada
        killed_at = time.monotonic()
        host.kill()
        moved_from(host, other, killed_at)
        assert other.table["is_host"]
        if other.table["place"] == other.table["seat"]:
            end_turn(other, [other])


def test_a_player_without_a_window_says_which_state_it_has_too(screen: Screen) -> None:
    ada = hosted(screen, players=2)
    command = [sys.executable, "-m", "demo_game", "join", ada.table["ticket"], "--headless", "--name", "Bo"]
    player = subprocess.Popen(
        [*command, "--data", str(screen.folder / "bo")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with ended(player):
        ada.sees_words("2 of 2 seats taken")
        started([ada])
        ada.see(lambda f: f["table"]["agreement"][1:] == [2, 2] or None, "that both have the same state")


def test_two_players_one_crashes_and_the_other_continues_alone(screen: Screen) -> None:
    windows = game_of(screen, "Björn")
    host = host_of(windows)
    other = next(window for window in windows if window is not host)
    host.kill()
    other.sees_words("1 of 2 reachable", 10.0)
    assert other.table["banner"][0] == "alone"
    turn = other.table["turn"]
    if other.table["seat"] == other.table["place"]:
        other.keys("space")
        time.sleep(0.5)
        assert other.table["turn"] == turn, "without a quorum nothing is accepted"
    other.click("alone")
    other.sees_overlay("alone")
    other.sees_words("lost")
    other.click("go on")
    other.see(lambda f: f["table"]["is_host"] or None, "that it hosts")
    back = screen.open(host.name, "menu", "--anim", "off")
    back.click("rejoin")
    back.sees_scene("board")
    both = [other, back]
    for window in both:
        window.see(lambda f: f["table"]["agreement"][1:] == [2, 2] or None, "that both agree")
    play_on(both)


def test_a_game_is_found_in_the_list_and_the_lobby_survives_its_host(screen: Screen) -> None:
    host = hosted(screen)
    others = []
    for name in ("Björn", "Chloé"):
        window = screen.open(name, "menu", "--anim", "off")
        joined(window, lambda: window.click("game 0"))  # noqa: B023 - called at once
        others.append(window)
    watcher = screen.open("Dmitri", "join", host.table["ticket"], "--anim", "off")
    watcher.sees_words("You are watching")
    host.kill()
    new = host_of(others)
    new.see(lambda f: f["table"]["code"] or None, "a code of its own")
    for window in others:
        assert window.facts["scene"] == "lobby"
        window.sees_words("3 of 3 seats taken")
    third = screen.open("Ada", "menu", "--anim", "off")
    third.click("rejoin")
    third.sees_scene("lobby")
    started([*others, third])
    watcher.sees_scene("board")
    watcher.sees_words("Watching")


def test_who_looks_for_a_table_that_is_gone_gives_up_at_once(screen: Screen) -> None:
    host = hosted(screen)
    ticket = host.table["ticket"]
    host.kill()
    window = screen.open("Björn", "join", ticket, "--anim", "off")
    window.sees_scene("opening")
    window.click("cancel")
    window.sees_scene("menu")
    window.click("host")
    window.sees_scene("lobby", 3.0)
    window.close()
    again = screen.open("Björn", "join", ticket, "--anim", "off")
    again.sees_scene("opening")
    asked_at = time.monotonic()
    assert again.close() == 0
    assert time.monotonic() - asked_at < 2.0
