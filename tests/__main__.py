"""`python -m tests`: every check in turn, from the quickest; stops at the first that fails.

Tests that do not look at the real clock run on all processors at once, then those that do, one by one; of these,
who fails while the machine stood still may try again (tests/real_time.py).
Arguments go to pytest: `python -m tests tests/unit -k storage`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VIRTUAL = (
    "tests/simulation",
    "tests/exploration",
    "tests/fuzz",
    "tests/unit/raft",
    "tests/unit/testing",
    "tests/unit/demo_game",
    "tests/unit/net",
    "tests/unit/api",
    "tests/unit/storage",
)
CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",))
EXCUSES = ("-p", "tests.real_time", "--reruns=4", "--reruns-delay=5", "--only-rerun=MachineStoodStill")
TESTS = (
    ("pytest", "--numprocesses=auto", "--dist=loadfile", *VIRTUAL),
    ("pytest", "--durations=25", *EXCUSES, *(f"--ignore={folder}" for folder in VIRTUAL)),
)


def main() -> int:
    """Run the checks with the interpreter that runs this; return the exit status of the last one run."""
    tests = (("pytest", *sys.argv[1:]),) if len(sys.argv) > 1 else TESTS
    for tool, *arguments in (*CHECKS, *tests):
        print(f"--- {tool} {' '.join(arguments)}", flush=True)
        done = subprocess.run([sys.executable, "-m", tool, *arguments], cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
