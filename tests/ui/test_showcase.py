"""The showcase in windows: its story in pictures, its figures, its end."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ui.screen import ROOT, Display, until

PNG = b"\x89PNG\r\n\x1a\n"


def start(display: Display, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    home = {"XDG_DATA_HOME": str(folder / "home"), "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "demo_game", "showcase", *arguments],
        cwd=folder,
        env={**display.environment(), **home},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def players_in(folder: Path) -> list[int]:
    """Return the processes that have this folder in their arguments."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in each.read_bytes():
                found.append(int(each.parent.name))
        except OSError:
            continue  # it ended meanwhile
    return found


def size_of(picture: Path) -> tuple[int, int]:
    head = picture.read_bytes()[:24]
    assert head[:8] == PNG and head[12:16] == b"IHDR"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def windows(display: Display) -> list[str]:
    return [line for line in display.run("wmctrl", "-l").splitlines() if "Hexhold" in line]


def test_a_kill_in_windows_its_figures_and_its_pictures(display: Display, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    options = ("--players", "3", "--windows", "2", "--kills", "1", "--rounds", "1")
    show = start(display, tmp_path, *options, "--record", str(pictures))
    out, errors = show.communicate(timeout=150)
    assert show.returncode == 0, errors
    figures = json.loads(out)
    assert len(figures["kills"]) == 1 and figures["kills"][0]["gap_ms"] > 0
    assert (figures["lost"], figures["doubled"], figures["digests_agree"]) == (0, 0, True)
    assert {path.name for path in pictures.iterdir()} >= {"lobby.png", "board.png", "banner.png", "director.png"}
    for picture in pictures.iterdir():
        width, height = size_of(picture)
        assert picture.suffix == ".png" and (width, height) == (1280, 720)
    assert not players_in(tmp_path) and not windows(display)
    assert not (tmp_path / "home").exists(), "players that are programs leave a person's settings alone"


def test_the_plug_is_pulled_by_whoever_watches(display: Display, tmp_path: Path) -> None:
    show = start(display, tmp_path, "--players", "3", "--windows", "1", "--kills", "0")
    director = until(
        lambda: [w.split()[0] for w in windows(display) if "showcase" in w] or None, "no window", 40.0
    )
    first = until(lambda: set(each) if len(each := players_in(tmp_path)) >= 3 else None, "three players", 40.0)

    def pressed() -> bool | None:
        # Only while a game is on does it count: so it is pressed until somebody is gone.
        display.run("wmctrl", "-i", "-a", director[0])
        display.run("xdotool", "key", "p")
        time.sleep(0.7)
        return not first <= set(players_in(tmp_path)) or None

    until(pressed, "nobody was killed", 60.0)
    out, errors = show.communicate(timeout=90)
    figures = json.loads(out)
    assert show.returncode == 0, errors
    assert figures["kills"] and figures["kills"][0]["gap_ms"] > 0
    assert (figures["lost"], figures["doubled"], figures["digests_agree"]) == (0, 0, True)


@pytest.mark.parametrize("number", [signal.SIGINT, None], ids=["interrupted", "closed"])
def test_ended_in_the_middle_it_leaves_nothing_behind(
    display: Display, tmp_path: Path, number: signal.Signals | None
) -> None:
    show = start(display, tmp_path, "--players", "3", "--windows", "1")
    until(lambda: len(windows(display)) == 2 or None, "two windows", 40.0)
    assert players_in(tmp_path)
    if number is not None:
        os.kill(show.pid, number)
    else:
        director = next(line.split()[0] for line in windows(display) if "showcase" in line)
        display.run("wmctrl", "-i", "-c", director)
    out, errors = show.communicate(timeout=40)
    assert show.returncode == 1 and "ended early" in errors and "Traceback" not in errors
    assert json.loads(out)["kills"] == []
    assert not players_in(tmp_path) and not windows(display)


def test_a_display_that_cannot_be_used_is_named_in_one_line(display: Display, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo_game", "showcase", "--record", str(tmp_path / "pictures")]
    environment = {**display.environment(), "DISPLAY": ":4095", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "no window can be opened" in done.stderr and not list(tmp_path.iterdir())
