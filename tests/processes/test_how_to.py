"""The examples in docs/how-to that play in real time run as they stand, each in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def run_example(page: str, folder: Path, *replaced: tuple[str, str]) -> str:
    """What the page's example prints; `replaced` makes it shorter."""
    (example,) = re.findall(r"```python\n(.*?)```", (HOW_TO / page).read_text(encoding="utf-8"), re.DOTALL)
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
