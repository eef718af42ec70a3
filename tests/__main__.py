"""`python -m tests`: every check in turn, from the quickest; stops at the first that fails.

Arguments go to pytest: `python -m tests tests/unit -k storage`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("pytest",),
)


def main() -> int:
    """Run the checks with the interpreter that runs this; return the exit status of the last one run."""
    for tool, *arguments in CHECKS:
        extra = sys.argv[1:] if tool == "pytest" else []
        command = [sys.executable, "-m", tool, *arguments, *extra]
        print(f"--- {tool} {' '.join(arguments + extra)}", flush=True)
        done = subprocess.run(command, cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
