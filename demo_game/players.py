"""The player processes of the showcase: started, killed, brought back, ended; and what they write down, read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, TypeVar

from demo_game import records
from demo_game.commands import decode_order_untrusted
from demo_game.evidence import Record, applied
from demo_game.machine import carry_out, digest_of
from demo_game.table import Phase, Table
from demo_game.terminal import Machine

NAMES = ("Ada", "Björn", "Chloé", "Dmitri", "Eve", "Farid", "Grace", "Hana")
T = TypeVar("T")


class Trouble(Exception):
    """The show cannot go on; says why."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a player's window is, for all its lives."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Tempo:
    """How fast they play: as fast as they can, or for people to look at."""

    pace_s: float = 0.05
    linger_s: float = 0.0
    """Before a game begins, and after it."""
    rounds: int = 30


@dataclass(slots=True)
class _Process:
    """A player, in this life or the next."""

    name: str
    arguments: list[str]
    report: Path
    errors: Path
    running: subprocess.Popen[bytes] | None = None
    killed: bool = False
    lines: TextIO | None = None
    rest: str = ""
    """The beginning of a line that is still being written."""
    applied_index: int = 0
    """The last entry that this life of it applied."""


@dataclass(slots=True)
class Cast:
    """All players."""

    folder: Path
    players: int
    size: str
    deadline: float
    """When the whole show must be over, on `time.monotonic`."""
    tempo: Tempo = field(default_factory=Tempo)
    spots: tuple[Spot, ...] = ()
    """Windows for the first players; the others have none."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set by whoever wants the show to end early."""
    looked_at: float = 0.0
    """When the last look at the players' files began."""
    records: dict[str, list[Record]] = field(default_factory=dict)
    """What each player wrote down so far."""
    table: Table = field(default_factory=Table)
    """Replayed from that."""
    index: int = 0
    """The last entry replayed."""
    time_ms: int = 0
    _term: int = 0
    _digests: dict[int, dict[str, str]] = field(default_factory=dict)
    """For each entry that players took a digest at: whose digest is what."""
    _processes: dict[str, _Process] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    """A member's id to its player's name."""

    def start(self, show: Callable[[], None] = lambda: None) -> None:
        """Start the founder, and with its ticket the others."""
        options = ["--players", str(self.players), "--map", self.size, "--turn", "10"]
        self._cast(NAMES[0], ["host", *options, "--rounds", str(self.tempo.rounds)])
        founder = self.records[NAMES[0]]
        ticket = self.wait_for(
            lambda: next((r["ticket"] for r in founder if r["kind"] == "ticket"), None),
            20.0,
            "no table was opened",
            show,
        )
        for name in NAMES[1 : self.players]:
            self._cast(name, ["join", "-"], ticket)
            if self.spots:  # windows are heavy to open: all at once, they would cost the host its role
                words = f"{name} did not open its window"
                self.wait_for(lambda name=name: self.applied_index(name) or None, 30.0, words, show)  # type: ignore[misc]

    def _cast(self, name: str, arguments: list[str], ticket: str = "") -> None:
        data = self.folder / name
        data.mkdir()
        if ticket:
            (data / "ticket").write_text(ticket, encoding="utf-8")
            arguments = [arguments[0], f"@{data / 'ticket'}"]
        tempo = ["--pace", str(self.tempo.pace_s), "--linger", str(self.tempo.linger_s)]
        pace = [*tempo, "--heartbeat", "0.05", "--bind", "127.0.0.1", *self._looks(name)]
        files = ["--data", str(data), "--report", str(data / "report"), "--log", str(data / "log")]
        whole = [sys.executable, "-m", "demo_game", *arguments, "--name", name, *pace, *files]
        self._processes[name] = _Process(name, whole, data / "report", data / "errors")
        self.records[name] = []
        self.spawn(name)

    def _looks(self, name: str) -> list[str]:
        """Return how a player is seen: in a window of its own, or not at all."""
        if not self.has_window(name):
            return ["--headless"]
        spot = self.spots[NAMES.index(name)]
        where = ["--size", f"{spot.width}x{spot.height}", "--place", f"{spot.x},{spot.y}"]
        return ["--auto", "--no-sound", "--anim", "fast", *where, "--shots", str(self.shots(name))]

    def has_window(self, name: str) -> bool:
        """Tell whether a player plays in a window."""
        return NAMES.index(name) < len(self.spots)

    def shots(self, name: str) -> Path:
        """Return the folder in which a player's window is asked for pictures."""
        return self.folder / name / "shots"

    def spawn(self, name: str) -> None:
        """Start a player's process, or start it again on its storage."""
        process = self._processes[name]
        process.killed, process.applied_index = False, 0
        with process.errors.open("ab") as errors:
            process.running = subprocess.Popen(  # noqa: S603 - our own program
                process.arguments, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=_environment()
            )

    def kill(self, name: str) -> float:
        """Kill a player's process at once; return when."""
        process = self._processes[name]
        assert process.running is not None
        at = time.monotonic()
        process.running.kill()
        process.running.wait()
        process.killed = True
        return at

    def end(self) -> None:
        """Ask everybody to leave; kill who does not within 10 s."""
        alive = [p.running for p in self._processes.values() if p.running and p.running.poll() is None]
        for running in alive:
            running.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10.0
        for running in alive:
            try:
                running.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()

    def bad_ends(self) -> list[tuple[str, str]]:
        """Return who did not end well, except for those we killed, with status and last words."""
        ends = []
        for process in self._processes.values():
            code = process.running.poll() if process.running else None
            if not process.killed and code != 0:
                words = process.errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                ends.append((process.name, f"{code} ({words[-1] if words else 'without a word'})"))
        return ends

    # --- following -----------------------------------------------------------------------

    def look(self) -> None:
        """Read what was written since the last look, and replay it."""
        self.looked_at = time.monotonic()
        for process in self._processes.values():
            if process.lines is None and process.report.exists():
                process.lines = process.report.open(encoding="utf-8", errors="replace")
            if process.lines is not None:
                *whole, process.rest = (process.rest + process.lines.read()).split("\n")
                for record in records.parsed(whole):
                    self._note(process, record)

    def _note(self, process: _Process, record: dict[str, Any]) -> None:
        self.records[process.name].append(record)
        if record["kind"] == "player":
            self._names[record["member"]] = process.name
        elif record["kind"] == "applied":
            process.applied_index = record["index"]
            if record["digest"]:
                self._digests.setdefault(record["index"], {})[process.name] = record["digest"]
            self._replay(record)

    def _replay(self, record: Record) -> None:
        """Apply an entry that is new to us. Each player's records are in order and whole, so ours are too."""
        entry = applied(record)
        if entry.index <= self.index:
            return
        order = decode_order_untrusted(bytes.fromhex(entry.order))
        sender = bytes.fromhex(entry.sender) or None
        self.index, self._term, self.time_ms = entry.index, entry.term, int(entry.at * 1_000)
        self.table, _ = carry_out(self.table, order, sender, self.time_ms)

    def replay_agrees(self) -> bool:
        """Replay everything from the beginning, and compare with the players' digests."""
        entries = {
            r["index"]: applied(r) for name in self.records for r in self.records[name] if r["kind"] == "applied"
        }
        table, compared = Table(), 0
        for index in sorted(entries):
            entry = entries[index]
            order, sender = decode_order_untrusted(bytes.fromhex(entry.order)), bytes.fromhex(entry.sender) or None
            table, _ = carry_out(table, order, sender, int(entry.at * 1_000))
            if index in self._digests:
                compared += 1
                if {digest_of(table).hex()} != set(self._digests[index].values()):
                    return False
        return compared > 0

    def host(self) -> tuple[str, int] | None:
        """Return the living player that hosts, and its term; None while nobody does."""
        name = self._names.get(self.table.host.hex())
        return (name, self._term) if name and not self._processes[name].killed else None

    def machines(self) -> tuple[Machine, ...]:
        """Return the processes as rows of the network panel."""
        hosting = self.host()
        roles = [(p.name, "gone" if p.killed else "player") for p in self._processes.values()]
        return tuple(Machine(n, "host" if hosting and hosting[0] == n else role) for n, role in roles)

    def digest(self) -> str:
        """Return the newest digest that all living players took, and how many of them agree on it."""
        living = [p.name for p in self._processes.values() if not p.killed]
        for index in sorted(self._digests)[-20:][::-1]:
            taken = [self._digests[index].get(name) for name in living]
            if None not in taken and taken:
                first = str(taken[0])
                return f"{first[:8]} on {taken.count(first)} of {len(living)}"
        return ""

    def playing(self) -> bool | None:
        """Tell whether a game runs."""
        return self.table.phase is Phase.PLAY or None

    def applied_index(self, name: str) -> int:
        """Return how far this life of a player's process has come."""
        return self._processes[name].applied_index

    # --- waiting -------------------------------------------------------------------------

    def wait_for(
        self, seen: Callable[[], T | None], at_most_s: float, or_else: str, show: Callable[[], None] = lambda: None
    ) -> T:
        """Look until there is something to see; `Trouble` with these words if it takes too long."""
        deadline = min(self.deadline, time.monotonic() + at_most_s)
        while True:
            self.look()
            show()
            if (value := seen()) is not None:
                return value
            if self.stop.is_set():
                raise Trouble("ended early")
            for name, code in self._died():
                raise Trouble(f"{name} ended with status {code}")
            if time.monotonic() > deadline:
                raise Trouble(or_else)
            time.sleep(0.05)

    def pause(self, seconds: float, show: Callable[[], None], plug: threading.Event | None = None) -> None:
        """Let them play, for so long or until the plug is to be pulled."""
        until = time.monotonic() + seconds
        words = "the time is over"

        def is_over() -> bool | None:
            return time.monotonic() >= until or (plug is not None and plug.is_set()) or None

        self.wait_for(is_over, seconds + 1.0, words, show)

    def _died(self) -> list[tuple[str, str]]:
        dead = {
            p.name for p in self._processes.values() if p.running and not p.killed and p.running.poll() is not None
        }
        return [(name, words) for name, words in self.bad_ends() if name in dead]


def _environment() -> dict[str, str]:
    """Return the environment of players: ours, with the folder that this package was found in."""
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
