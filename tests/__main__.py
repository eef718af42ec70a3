"""`python -m tests`: every check in turn, from the quickest; stops at the first that fails.

Tests that do not look at the real clock run on all processors at once. Those that do mostly wait, for a network or
for a disk: those of one member go on beside those in network namespaces, and those of real processes, which use
both processors, alone.
Arguments go to pytest: `python -m tests tests/unit -k storage`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
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
    "tests/unit/storage",
)
REAL = ("tests/lab", "tests/processes")
Command = tuple[str, ...]
CHECKS: tuple[Command, ...] = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",))
TESTS: tuple[tuple[Command, ...], ...] = (
    (("pytest", "--numprocesses=auto", "--dist=loadfile", *VIRTUAL),),
    (("pytest", *(f"--ignore={folder}" for folder in VIRTUAL + REAL)), ("pytest", "tests/lab")),
    (("pytest", "tests/processes"),),
)


def main() -> int:
    """Run the checks with the interpreter that runs this; return the exit status of the last one run."""
    tests = ((("pytest", *sys.argv[1:]),),) if len(sys.argv) > 1 else TESTS
    for commands in (*((check,) for check in CHECKS), *tests):
        status = run(commands)
        if status:
            return status
    return 0


def run(commands: tuple[Command, ...]) -> int:
    """Run these at once; the first one's output is shown as it comes, that of the others when they have ended."""
    with ExitStack() as stack:
        outputs = [None, *(stack.enter_context(tempfile.TemporaryFile()) for _ in commands[1:])]
        running = []
        for command, output in zip(commands, outputs, strict=True):
            print(f"--- {' '.join(command)}", flush=True)
            errors = None if output is None else subprocess.STDOUT
            arguments = [sys.executable, "-m", *command]
            running.append(subprocess.Popen(arguments, cwd=ROOT, stdout=output, stderr=errors))
        statuses = [process.wait() for process in running]
        for command, output in zip(commands, outputs, strict=True):
            if output is not None:
                output.seek(0)
                print(f"--- {' '.join(command)}", output.read().decode(errors="replace"), sep="\n", flush=True)
    return next((status for status in statuses if status), 0)


if __name__ == "__main__":
    sys.exit(main())
