"""Runs the fuzzer over all targets in turn, or runs found inputs again. See the package's docstring."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import logging
import re
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
FOUND = ROOT / "build" / "fuzz"
GRACE_S = 60
"""A process that is not over so long after its time hangs."""


@dataclass(frozen=True)
class Result:
    """What came of one target."""

    name: str
    runs: int
    is_good: bool
    said: str


def main() -> int:
    """The exit status is the number of targets that found something."""
    arguments = parse(sys.argv[1:])
    if arguments.replay:
        return sum(not replay(path) for path in arguments.replay)
    if importlib.util.find_spec("atheris") is None:
        print("the fuzzer needs atheris, which has wheels for Linux on x86_64 and Python up to 3.13 alone")
        return 2
    names = arguments.target or list(TARGETS)
    with tempfile.TemporaryDirectory() as fresh:
        corpus = arguments.corpus or Path(fresh)
        results = [fuzz(name, arguments.seconds / len(names), corpus, arguments.found) for name in names]
    bad = [result for result in results if not result.is_good]
    print(f"{sum(result.runs for result in results):,} inputs, {len(bad)} of {len(results)} targets failed")
    return len(bad)


def parse(words: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="only this one; may be repeated")
    parser.add_argument("--corpus", type=Path, help="a folder to begin with and to add to; else all is forgotten")
    parser.add_argument("--found", type=Path, default=FOUND, help="where inputs are put that failed")
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE", help="run such inputs again, no fuzzer")
    return parser.parse_args(words)


def fuzz(name: str, seconds: float, corpus: Path, found: Path) -> Result:
    """One target in a process of its own; what it found is printed with what runs it again."""
    folder = corpus / name
    plant(name, folder)
    found.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    command = [sys.executable, "-m", "tests.fuzz.running", name, str(seconds), str(folder), str(found)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace",
                              timeout=seconds + GRACE_S, check=False)  # fmt: skip
        said, is_good = done.stdout + done.stderr, done.returncode == 0
    except subprocess.TimeoutExpired as hung:
        said, is_good = str(hung), False
    counted = re.search(r"number_of_executed_units: (\d+)", said)
    runs = int(counted[1]) if counted else 0
    print(f"{'good' if is_good else 'BAD ':4} {name:14} {runs:>9,} inputs", flush=True)
    if not is_good:
        print(said[-4_000:])
    for path in sorted(set(found.iterdir()) - before):
        print(f"again: python -m tests.fuzz --replay {path}", flush=True)
    return Result(name, runs, is_good, said)


def plant(name: str, folder: Path) -> None:
    """Write the seeds into the corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds():
        (folder / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


def replay(path: Path) -> bool:
    """Whether that input is good now; the target is the first word of the file's name."""
    logging.disable(logging.CRITICAL)
    name = path.name.partition("-")[0]
    try:
        TARGETS[name].run(path.read_bytes())
    except Exception:
        print(f"BAD  {path}\n{traceback.format_exc()}")
        return False
    print(f"good {path}")
    return True


if __name__ == "__main__":
    sys.exit(main())
