"""The two programs of docs/how-to/add-to-your-game.md, copied out of the page and played as at three terminals."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.guarantee import guarantee

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-to-your-game.md"
PLAYERS = ("ada", "ben", "cyn")
STREET = re.compile(r"[a-z*.]{24}((?:  \S+ \d+)+)(  \(host\))?")
HOSTS = re.compile(r"(\S+) hosts: (\d+) ms of silence \+ (\d+) ms of election")
STEP = re.compile(r"step (\d+)")
REFUSED = re.compile(r"no: (somebody is there|\d\.\d s to wait)")
GREETING = "type a or d, and Enter"
WARNING = re.compile(r"WARNING: (?P<reachable>\d) of \d in reach")
TICKET = re.compile(r"(?:ticket: )?(failover1-[a-z2-7]+)")
PATIENCE_S = 20.0


def programs() -> list[str]:
    """The blocks of code on the page: on trio, then with a loop of its own."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[:2]


class Terminal:
    """One program, what is typed into it, and every line that it prints, with the time."""

    def __init__(self, script: Path, *arguments: str) -> None:
        command = [sys.executable, "-u", "-W", "error", str(script), *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        self.lines: list[tuple[float, str]] = []
        self.answers: list[str] = []
        self.typed = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append((time.monotonic(), line.rstrip("\n")))
                if STEP.fullmatch(line.strip()) or REFUSED.fullmatch(line.strip()):
                    self.answers.append(line.strip())

    def type(self, text: str) -> None:
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def press(self, key: str) -> None:
        """Type a key of the game, which is answered by one line."""
        self.type(key)
        self.typed += 1

    def wait_for(self, what: str, found: Callable[[], object]) -> object:
        until = time.monotonic() + PATIENCE_S
        while not (value := found()):
            assert time.monotonic() < until, f"no {what}; it printed:\n{self.printed()}"
            time.sleep(0.01)
        return value

    def wait_for_line(self, pattern: re.Pattern[str], since: int = 0) -> re.Match[str]:
        return self.wait_for(
            pattern.pattern, lambda: next(filter(None, map(pattern.fullmatch, self._texts()[since:])), None)
        )

    def wait_for_answers(self) -> None:
        self.wait_for("answer", lambda: len(self.answers) == self.typed)

    def steps(self) -> list[int]:
        """The numbers of the steps that this terminal was told were made."""
        return [int(match[1]) for match in map(STEP.fullmatch, self.answers) if match]

    def street(self) -> tuple[dict[str, int], bool]:
        """Who made how many steps, and whether this one hosts, as printed last."""
        streets = [match for match in map(STREET.fullmatch, self._texts()) if match]
        if not streets:
            return {}, False
        counts = dict(each.split(" ") for each in streets[-1][1].strip().split("  "))
        return {name: int(count) for name, count in counts.items()}, streets[-1][2] is not None

    def monster(self) -> list[tuple[float, int]]:
        """When it was seen to have made how many steps: each number once."""
        seen: dict[int, float] = {}
        for at, text in list(self.lines):
            if match := STREET.fullmatch(text):
                seen.setdefault(int(re.search(r"  \* (\d+)", match[1])[1]), at)
        return [(at, count) for count, at in seen.items()]

    def strange(self) -> list[str]:
        """Lines that the page does not tell of, such as a traceback."""
        told = (STREET, HOSTS, STEP, REFUSED, WARNING, TICKET)
        return [
            text for text in self._texts() if text != GREETING and not any(each.fullmatch(text) for each in told)
        ]

    def printed(self) -> str:
        return "\n".join(self._texts())

    def _texts(self) -> list[str]:
        return [text for _, text in list(self.lines)]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        with suppress(BrokenPipeError):  # what it did not read any more
            self.process.stdin.close()

    def end(self) -> int:
        """The end of the input: the program closes its member and ends."""
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)


class Table:
    """The terminals of one game, by the names of their players."""

    def __init__(self, script: Path, dice: random.Random) -> None:
        self.script, self.dice = script, dice
        self.playing: dict[str, Terminal] = {}
        self.started: list[Terminal] = []

    def start(self, name: str, *arguments: str) -> Terminal:
        terminal = self.playing[name] = Terminal(self.script, str(self.script.with_name(f"{name}.db")), *arguments)
        self.started.append(terminal)
        return terminal

    def kill(self, name: str) -> Terminal:
        """Kill a player's program; each of them has just pressed a key, of which nobody knows what became."""
        for terminal in self.playing.values():
            terminal.press(self.dice.choice("ad"))
        killed = self.playing.pop(name)
        killed.kill()
        return killed

    def play(self, steps: int) -> None:
        """Each presses keys, one player after the other, until it has made so many more steps."""
        wanted = {terminal: len(terminal.steps()) + steps for terminal in self.playing.values()}
        until = time.monotonic() + 2 * PATIENCE_S
        while any(len(terminal.steps()) < count for terminal, count in wanted.items()):
            assert time.monotonic() < until, "\n\n".join(terminal.printed() for terminal in wanted)
            for terminal in wanted:
                terminal.press(self.dice.choice("ad"))
                terminal.wait_for_answers()

    def host(self) -> str:
        """Who prints that it hosts; it must be one."""

        def hosts() -> list[str]:
            return [name for name, terminal in self.playing.items() if terminal.street()[1]]

        first, *_ = self.playing.values()
        first.wait_for("single host", lambda: len(hosts()) == 1)
        return hosts()[0]

    def wait_until_all_know(self, counts: dict[str, int]) -> None:
        for terminal in self.playing.values():
            terminal.wait_for(
                f"street with {counts}", lambda seen=terminal: counts.items() <= seen.street()[0].items()
            )

    def wait_for_monster(self, steps: int) -> None:
        """It walks on before everybody's eyes, and no faster than once a second, as one host has it walk."""
        begun = {terminal: terminal.monster()[-1][1] for terminal in self.playing.values()}
        for terminal, before in begun.items():
            terminal.wait_for(
                "walking monster", lambda seen=terminal, till=before + steps: seen.monster()[-1][1] >= till
            )
            (first_at, first), *_, (last_at, last) = [each for each in terminal.monster() if each[1] >= before]
            assert last_at - first_at > 0.8 * (last - first) - 1

    def close(self) -> None:
        for terminal in self.started:
            terminal.kill()


@pytest.fixture(params=[0, 1], ids=["trio", "loop"])
def table(request, tmp_path):
    script = tmp_path / "tag.py"
    script.write_text(programs()[request.param], encoding="utf-8")
    table = Table(script, random.Random(request.param))
    yield table
    table.close()


def test_three_terminals_play_on_when_the_host_is_killed_and_it_plays_on_when_it_is_back(table):
    ticket = table.start("ada").wait_for_line(TICKET)[1]
    table.start("ben", ticket)
    table.start("cyn", "-").type(ticket)
    table.wait_until_all_know(dict.fromkeys(PLAYERS, 0))
    table.play(4)
    table.wait_for_monster(3)  # long enough for all to vote

    host = table.host()
    seen = {name: len(terminal.lines) for name, terminal in table.playing.items()}
    killed_at = time.monotonic()
    killed = table.kill(host)
    for name, terminal in table.playing.items():
        following, silence_ms, election_ms = terminal.wait_for_line(HOSTS, seen[name]).groups()
        assert following in table.playing
        assert 0 < int(silence_ms) + int(election_ms) < 5_000
        terminal.wait_for_answers()
    table.play(3)
    assert time.monotonic() - killed_at < PATIENCE_S
    table.wait_for_monster(4)
    assert table.host() != host

    again = table.start(host)
    again.wait_for("street with all", lambda: again.street()[0].keys() == {"*", *PLAYERS})
    table.play(3)
    made = {name: terminal.steps() for name, terminal in table.playing.items()}
    before, after = killed.steps(), made[host]
    guarantee(after[0] - len(before) in (1, 2), "what was under way when it died was done once, or not at all")
    made[host] = [*before, *range(len(before) + 1, after[0]), *after]
    for numbers in made.values():
        guarantee(numbers == [*range(1, len(numbers) + 1)], "no step is lost, and none is made twice")
    table.wait_until_all_know({name: len(numbers) for name, numbers in made.items()})
    assert [terminal.strange() for terminal in table.started] == [[]] * 4


def test_who_is_left_alone_is_warned_and_can_end_in_good_order(table):
    ticket = table.start("ada").wait_for_line(TICKET)[1]
    table.start("ben", ticket)
    table.start("cyn", ticket)
    table.wait_until_all_know(dict.fromkeys(PLAYERS, 0))
    table.wait_for_monster(3)
    ben, cyn = table.playing["ben"], table.playing["cyn"]
    table.playing["ada"].kill()
    ben.kill()
    assert cyn.wait_for_line(WARNING)["reachable"] == "1"
    assert cyn.end() == 0
    assert cyn.strange() == []


def test_both_programs_have_at_most_60_lines_of_at_most_115_columns():
    assert [len(each.splitlines()) <= 60 for each in programs()] == [True, True]
    assert max(len(line) for each in programs() for line in each.splitlines()) <= 115


def test_the_game_is_the_same_in_both_programs():
    first, second = (
        re.search(r"CELLS, MONSTER = .*?rolled here, never in apply\n", each, re.DOTALL)[0] for each in programs()
    )
    assert first == second
