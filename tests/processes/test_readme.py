"""The README runs: its example counts, stops, and goes on where it stopped."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_example_counts_and_goes_on_where_it_stopped(tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "counter.py"
    script.write_text(example.replace("trio.sleep(1)", "trio.sleep(0)"), encoding="utf-8")
    for first in (1, 11):
        done = subprocess.run(
            [sys.executable, str(script), str(tmp_path / "counter.db")],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [f"b'{number}'" for number in range(first, first + 10)]
