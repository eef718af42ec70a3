"""The demo game as its players start it: real processes, real datagrams, real kills."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from demo_game import records
from tests.guarantee import guarantee

GAME = (sys.executable, "-m", "demo_game")
PATIENCE_S = 20.0


class Terminal:
    """One player's process, with what it wrote down."""

    def __init__(self, folder: Path, name: str, command: str, ticket: str | None = None) -> None:
        self.journal = folder / f"{name}.jsonl"
        options = ["--headless", "--name", name, "--data", str(folder / name), "--report", str(self.journal)]
        options += ["--bind", "127.0.0.1", "--pace", "0.02", "--heartbeat", "0.01"]
        if command == "host":
            options += ["--players", "4", "--map", "small"]
        environment = os.environ | ({"FAILOVER_TICKET": ticket} if ticket else {})
        self.process = subprocess.Popen(
            [*GAME, command, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def records(self, kind: str) -> list[dict]:
        if not self.journal.exists():
            return []
        return [record for record in records.read(self.journal) if record["kind"] == kind]

    def is_host(self) -> bool:
        roles = [record["event"] for record in self.events() if record["event"] in ("BecomeHost", "StopHost")]
        return roles[-1:] == ["BecomeHost"]

    def events(self) -> list[dict]:
        return self.records("event")

    def accepted_after(self, moment: float) -> list[float]:
        return [record["time"] for record in self.records("answer") if record["time"] > moment]


def until(condition, what: str):
    deadline = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(0.02)
    return result


@pytest.fixture
def terminals(tmp_path):
    started: list[Terminal] = []

    def start(name: str, command: str, ticket: str | None = None) -> Terminal:
        terminal = Terminal(tmp_path, name, command, ticket)
        started.append(terminal)
        return terminal

    yield start
    for terminal in started:
        terminal.process.kill()
        terminal.process.communicate()


def test_play_goes_on_when_the_host_leaves_and_when_the_next_is_killed(terminals):
    ada = terminals("Ada", "host")
    ticket = until(lambda: ada.records("ticket"), "a ticket")[0]["ticket"]
    players = [ada, *(terminals(name, "join", ticket) for name in ("Björn", "Chloé", "Dmitri"))]
    until(lambda: all(len(player.records("answer")) > 20 for player in players), "all play")

    left = time.monotonic()
    ada.process.send_signal(signal.SIGINT)
    survivors = players[1:]
    until(lambda: all(player.accepted_after(left + 0.1) for player in survivors), "play goes on without Ada")
    assert ada.process.wait(PATIENCE_S) == 0
    host = until(lambda: next((player for player in survivors if player.is_host()), None), "a new host")

    killed = time.monotonic()
    host.process.send_signal(signal.SIGKILL)
    host.process.wait()
    survivors.remove(host)
    until(lambda: all(player.accepted_after(killed + 0.05) for player in survivors), "play goes on after the kill")
    for player in survivors:
        assert player.accepted_after(killed + 0.05)[0] - killed < 1.0
    digests = [
        {record["index"]: record["digest"] for record in player.records("applied") if record["digest"]}
        for player in players
    ]
    shared = set.intersection(*(set(each) for each in digests[1:] if each))
    for index in shared:
        guarantee(len({each[index] for each in digests if index in each}) == 1, "two tables of one log")


def test_the_showcase_survives_its_kills_and_says_what_they_cost(tmp_path):
    figures_file = tmp_path / "figures.json"
    command = [*GAME, "showcase", "--headless", "--players", "4", "--kills", "2", "--json", str(figures_file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(figures_file.read_text())
    assert len(figures["kills"]) == 2
    assert all(kill["from"] != kill["to"] and kill["gap_ms"] > 0 for kill in figures["kills"])
    assert figures["gap_ms"]["worst"] == max(kill["gap_ms"] for kill in figures["kills"])
    guarantee((figures["lost"], figures["doubled"], figures["digests_agree"]) == (0, 0, True), str(figures))
    assert figures["commands"] > 50


def test_a_code_read_aloud_lets_in_and_is_nowhere_to_be_seen(terminals, tmp_path):
    """croc CVE-2023-43621 and its like: a secret on the command line is read by everybody on the machine."""
    command = [*GAME, "host", "--name", "Ada", "--data", str(tmp_path / "Ada"), "--bind", "127.0.0.1"]
    command += ["--map", "small", "--players", "2", "--log", str(tmp_path / "log")]
    ada = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "2000"}
    )
    read: list[str] = []
    rest = threading.Thread(target=ada.stdout.read, daemon=True)
    try:
        while "On this network they join with:" not in "".join(read[-1:]):
            read.append(ada.stdout.readline())
            assert read[-1], "it ended"
        code = read[-1].split()[-1]
        ticket = next(line for line in read if "demo-game join" in line).split()[-1]
        rest.start()
        bob = terminals("Bob", "join", code.lower())
        until(lambda: bob.records("answer"), "Bob sits at the table")
        for process in (ada, bob.process):
            seen = Path(f"/proc/{process.pid}/cmdline").read_bytes().lower() if sys.platform == "linux" else b""
            assert code.lower().encode() not in seen and ticket[10:30].encode() not in seen
        logged = (tmp_path / "log").read_text()
        assert code not in logged and ticket[10:30] not in logged
    finally:
        ada.kill()
        ada.wait()
        if rest.ident is not None:
            rest.join()
        ada.stdin.close()
        ada.stdout.close()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["join", "failover1-abc"], 1, "ticket"),
        (["join", "hello"], 1, "ticket"),
        (["join", "K7QF-3MD!"], 1, "mistyped|letters and digits"),
        (["host", "--headless", "--porrt", "7"], 2, "No such option"),
        (["host", "--headless", "--players", "99"], 2, "players"),
        (["host", "--headless", "--bind", "not-an-address"], 1, "address"),
        (["host", "--headless", "--name", "x" * 10_000], 1, "name"),
        (["dance"], 2, "No such command"),
    ],
)
def test_bad_input_gets_a_line_that_says_what_to_do(arguments, status, says, tmp_path):
    data = ["--data", str(tmp_path / "data")] if arguments[0] != "dance" else []
    done = subprocess.run([*GAME, *arguments, *data], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1 and re.search(says, lines[0])


def test_a_port_in_use_is_named(terminals, tmp_path):
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = str(other.getsockname()[1])
        command = [
            *GAME,
            "host",
            "--headless",
            "--bind",
            "127.0.0.1",
            "--port",
            port,
            "--data",
            str(tmp_path / "d"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert port in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_storage_in_use_is_named(terminals, tmp_path):
    ada = terminals("Ada", "host")
    until(lambda: ada.records("ticket"), "a ticket")
    command = [*GAME, "host", "--headless", "--bind", "127.0.0.1", "--data", str(tmp_path / "Ada")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "another process" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_headless_host_prints_the_ticket_by_which_others_join(terminals, tmp_path):
    ada = terminals("Ada", "host")
    line = ada.process.stdout.readline()  # it is there at once, though the standard output is a pipe
    assert re.fullmatch(r"Ticket: failover1-[a-z2-7]+\n", line)
    ada.process.stdout.close()
    terminals("Björn", "join", line.removeprefix("Ticket: ").strip())
    until(lambda: [each for each in ada.events() if each.get("name") == "Björn"], "Björn joins")


def test_a_damaged_storage_is_named_and_left_alone(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "game.db").write_bytes(b"this was a game once" * 100)
    command = [*GAME, "host", "--headless", "--bind", "127.0.0.1", "--data", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "game.db" in done.stderr and len(done.stderr.splitlines()) == 1
    assert (folder / "game.db").read_bytes() == b"this was a game once" * 100


def test_an_address_that_nobody_answers_is_named(terminals):
    ada = terminals("Ada", "host")
    ticket = until(lambda: ada.records("ticket"), "a ticket")[0]["ticket"]
    ada.process.kill()
    ada.process.wait()
    command = [*GAME, "join", ticket, "--headless", "--bind", "127.0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "nobody answered" in done.stderr and len(done.stderr.splitlines()) == 1
