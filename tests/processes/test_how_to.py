"""The examples in docs/how-to that play in real time run as they stand, each in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes.programs import Programs

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def examples(page: str) -> list[str]:
    """The blocks of code on a page."""
    return re.findall(r"```python\n(.*?)```", (HOW_TO / page).read_text(encoding="utf-8"), re.DOTALL)


def run_example(page: str, folder: Path, *replaced: tuple[str, str]) -> str:
    """What the page's example prints; `replaced` makes it shorter."""
    (example,) = examples(page)
    for before, after in replaced:
        assert before in example
        example = example.replace(before, after)
    script = folder / "example.py"
    script.write_text(example, encoding="utf-8")
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_positions_and_hits_go_on_when_the_host_ends(tmp_path):
    printed = run_example("send-positions.md", tmp_path, ("play(players, 2.0)", "play(players, 1.0)"))
    said = re.match(r"others seen by each: (\[.*\]); (\d+) hits counted, (\d+) known to who shot", printed)
    seen, counted, known = said.groups()
    assert seen == "[2, 2, 2]"
    assert int(counted) >= int(known) > 5


@pytest.mark.parametrize("crash_after_s", ["0.0", "0.001", "1.0"])
def test_a_sword_is_bought_once_whenever_the_game_crashes(tmp_path, crash_after_s):
    printed = run_example("ask-once.md", tmp_path, ("move_on_after(0.001)", f"move_on_after({crash_after_s})"))
    assert printed == "Ben has sword 1, and 1 was sold\n"


def test_new_rules_begin_when_the_last_one_has_updated(tmp_path):
    page = (HOW_TO / "change-the-rules.md").read_text(encoding="utf-8")
    [expected] = re.findall(r"It prints:\n\n```\n(.*?)```", page, re.DOTALL)
    assert run_example("change-the-rules.md", tmp_path) == expected


def test_three_programs_count_over_tcp_and_go_on_when_the_host_is_killed(tmp_path):
    for name, text in zip(("tcp.py", "play.py"), examples("bring-your-own-transport.md"), strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    programs = Programs(tmp_path / "play.py")
    try:
        programs.start()
        _, ticket = programs.wait_for(lambda number, line: line.startswith("failover1-"))
        programs.start(ticket)
        programs.start(ticket)
        host, line = programs.wait_for(lambda number, line: line.endswith("host, 1 may go"))
        programs.running[host].kill()
        before = int(line.split()[0])
        programs.wait_for(lambda number, line: number != host and "host" in line)
        for other in {0, 1, 2} - {host}:
            programs.wait_for(
                lambda number, line, other=other: number == other and int(line.split()[0]) > before + 5
            )
    finally:
        programs.close()


def run_block(page: str, number: int, folder: Path) -> list[str]:
    """What one of a page's blocks prints, line by line."""
    script = folder / f"block{number}.py"
    script.write_text(examples(page)[number], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


def test_a_dictionary_and_a_queue_do_what_their_page_says(tmp_path):
    assert run_block("use-a-ready-machine.md", 0, tmp_path) == [
        "ann reads what she wrote: 5",
        "bob's picture may be a moment behind; this one is not: {'coins': 5}",
        "the seat is bob's: True",
        "and is not ann's: False",
        "bob buys a hat and ann gets too poor",
        "all or nothing: True",
        "Change(key='coins', before=ABSENT, after=2)",
        "Change(key='hats', before=ABSENT, after=1)",
        "Change(key='last', before=ABSENT, after='bob')",
    ]
    *done, last = run_block("use-a-ready-machine.md", 1, tmp_path)
    assert sorted(line.split(" does ")[1] for line in done) == [f"{{'number': {number}}}" for number in range(6)]
    assert last == "all is done"
    assert run_block("use-a-ready-machine.md", 2, tmp_path) == [
        "7 [Change(key='score', before=ABSENT, after=7)]",
        "sweep",
        "None",
    ]


def test_what_is_not_deterministic_is_found_as_the_page_says(tmp_path):
    well, *found = run_block("test-your-failover.md", 1, tmp_path)
    assert re.match(r"101 commands, equal in two processes; 15 snapshots restored, 15 pieces, the slowest", well)
    assert found[0] == "command 1 (b'open' of member 0): the reply differs between two processes"
    assert "PYTHONHASHSEED=1: b'a coin for open beside " in found[1]
    assert found[1].split(": ")[1] != found[2].split(": ")[1]
