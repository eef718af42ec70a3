"""Replay files of real players, one of whose hosts was killed; and the game's own witness."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from demo_game import records
from demo_game.commands import Attack, decode_order_untrusted
from demo_game.replay import load_untrusted
from demo_game.verify import compare, verify
from tests.guarantee import guarantee

GAME = (sys.executable, "-m", "demo_game")
PATIENCE_S = 40.0


def until(condition, what: str):
    deadline = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(0.02)
    return result


class Player:
    """A headless player that saves its games."""

    def __init__(self, folder: Path, name: str, *arguments: str, ticket: str = "") -> None:
        self.name, self.replay_file = name, folder / f"{name}.hexhold"
        self.journal, self.data = folder / f"{name}.jsonl", folder / name
        options = ["--headless", "--name", name, "--data", str(self.data), "--bind", "127.0.0.1"]
        options += [
            "--report",
            str(self.journal),
            "--save-replay",
            str(self.replay_file),
            "--pace",
            "0.05",
            "--heartbeat",
            "0.1",
        ]
        environment = os.environ | ({"FAILOVER_TICKET": ticket} if ticket else {})
        self.process = subprocess.Popen(
            [*GAME, *arguments, *options], env=environment, stderr=subprocess.PIPE, text=True
        )

    def records(self, kind: str) -> list[dict]:
        if not self.journal.exists():
            return []
        return [record for record in records.read(self.journal) if record["kind"] == kind]

    def is_host(self) -> bool:
        roles = [record["event"] for record in self.records("event")]
        return [each for each in roles if each in ("BecomeHost", "StopHost")][-1:] == ["BecomeHost"]

    def ticket(self) -> str:
        return until(lambda: self.records("ticket"), "a ticket")[0]["ticket"]

    def has_attacked(self) -> bool:
        orders = [bytes.fromhex(record["order"]) for record in self.records("answer")]
        return any(isinstance(decode_order_untrusted(order).command, Attack) for order in orders)

    def answers_since(self, moment: float) -> int:
        return sum(record["time"] > moment for record in self.records("answer"))

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def start(stack: ExitStack, *arguments, **options) -> Player:
    player = Player(*arguments, **options)
    stack.callback(player.close)
    return player


def kill_the_host(players: list[Player]) -> Player:
    """Kill whoever it is: on a busy machine it need not be the first one any more."""
    host = until(lambda: next((player for player in players if player.is_host()), None), "somebody hosts")
    host.end(signal.SIGKILL)
    return host


def test_the_files_of_a_game_whose_host_was_killed_verify_and_agree(stack, tmp_path):
    """Also that of the killed one, who comes back from its storage."""
    table = ["--players", "3", "--map", "small", "--rounds", "3"]
    ada = start(stack, tmp_path, "Ada", "host", *table)
    ticket = ada.ticket()
    players = [ada, *(start(stack, tmp_path, name, "join", ticket=ticket) for name in ("Björn", "Chloé"))]
    until(lambda: all(player.has_attacked() for player in players), "a game goes on")
    killed = kill_the_host(players)
    survivors = [player for player in players if player is not killed]
    until(lambda: any(player.is_host() for player in survivors), "another one hosts")
    again = ["host", *table] if killed is ada else ["join"]
    players[players.index(killed)] = start(stack, tmp_path, killed.name, *again, ticket=ticket)
    copies = [tmp_path / f"copy of {player.name}" for player in players]

    def is_over() -> bool:
        """All have the same game, whole, and in it another host."""
        for player, copy in zip(players, copies, strict=True):  # the next game will take the file's place
            if not player.replay_file.exists():
                return False
            copy.write_bytes(player.replay_file.read_bytes())
        replays = [load_untrusted(copy) for copy in copies]
        findings = [verify(each) for each in replays]
        guarantee(all(each.is_right for each in findings), str(findings))
        return all(each.is_over and each.host_changes for each in findings) and not any(
            compare(replays[0], other).problem for other in replays[1:]
        )

    until(is_over, "the game in which the host was killed is over, and saved")
    done = subprocess.run([*GAME, "verify", *copies], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n  verified\n") == 3 and done.stdout.count(": the same game, ") == 3
    assert len(set(re.findall("final digest +([0-9a-f]{8})", done.stdout))) == 1
    told = subprocess.run([*GAME, "replay", copies[0]], capture_output=True, text=True, timeout=30, check=True)
    assert re.search(f"{killed.name} left. [^ ]+ hosts now. Same dice.", told.stdout) and "wins: " in told.stdout

    for player in players:
        assert player.end(signal.SIGTERM) == 0
        assert verify(load_untrusted(player.replay_file)).is_right, "saved on leaving, too"


class Witness:
    """`demo-game witness`, and what it says."""

    def __init__(self, folder: Path, ticket: str = "") -> None:
        command = [*GAME, "witness", "--data", str(folder), "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(
            command,
            env=os.environ | {"FAILOVER_TICKET": ticket, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, words: str) -> None:
        until(lambda: any(words in line for line in self.lines), f"{words!r}: {self.lines}")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        self._reader.join(5)
        return status


@contextmanager
def witness(folder: Path, ticket: str = "") -> Iterator[Witness]:
    opened = Witness(folder, ticket)
    try:
        yield opened
    finally:
        opened.end(signal.SIGKILL)
        opened.process.stdout.close()


def test_two_players_with_a_witness_play_on_when_the_host_is_killed(stack, tmp_path):
    ada = start(stack, tmp_path, "Ada", "host", "--players", "2", "--map", "small")
    ticket = ada.ticket()
    bjoern = start(stack, tmp_path, "Björn", "join", ticket=ticket)
    until(lambda: ada.has_attacked() or bjoern.has_attacked(), "a game goes on")
    third = stack.enter_context(witness(tmp_path / "third", ticket))
    third.wait_for("Voting, as a witness of Ada and Björn")

    assert third.end(signal.SIGTERM) == 0
    third = stack.enter_context(witness(tmp_path / "third"))  # from its storage, without a ticket
    third.wait_for("Voting, as a witness of Ada and Björn")
    host = kill_the_host([ada, bjoern])
    killed, survivor = time.monotonic(), bjoern if host is ada else ada
    until(lambda: survivor.answers_since(killed + 0.1) > 2, "the other one plays on")
    assert third.end(signal.SIGINT) == 0
    assert len(third.lines) == 1, third.lines
    assert survivor.end(signal.SIGTERM) == 0
    assert verify(load_untrusted(survivor.replay_file)).is_right
