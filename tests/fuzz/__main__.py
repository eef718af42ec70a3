"""Runs the fuzzer over all targets in turn, or runs found inputs again. See the package's docstring."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

from tests.fuzz import running

FOUND = Path(__file__).parents[2] / "build" / "fuzz"


def main() -> int:
    """The exit status is the number of targets that found something, or of inputs that still fail."""
    arguments = parse(sys.argv[1:])
    if arguments.replay:
        return sum(not replay(path) for path in arguments.replay)
    if importlib.util.find_spec("atheris") is None:
        print("the fuzzer needs atheris, which has wheels for Linux on x86_64 and Python up to 3.13 alone")
        return 2
    targets = running.load()
    names = arguments.target or [name for name in targets if name != "planted"]
    unknown = set(names) - set(targets)
    if unknown:
        print(f"no such target: {', '.join(unknown)}; there are {', '.join(targets)}")
        return 2
    each_s = arguments.seconds / sum(targets[name].share for name in names)
    fresh, me = Path(tempfile.mkdtemp()), os.getpid()
    try:
        results = [
            running.fuzz(
                name, targets[name], each_s * targets[name].share, arguments.corpus or fresh, arguments.found
            )
            for name in names
        ]
    finally:
        if os.getpid() == me:  # the fuzzers leave by this way, too
            shutil.rmtree(fresh)
    bad = [result for result in results if not result.is_good]
    print(f"{sum(result.runs for result in results):,} inputs, {len(bad)} of {len(results)} targets failed")
    return len(bad)


def parse(words: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--target", action="append", metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--corpus", type=Path, help="a folder to begin with and to add to; else all is forgotten")
    parser.add_argument("--found", type=Path, default=FOUND, help="where inputs are put that failed")
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE", help="run such inputs again, no fuzzer")
    return parser.parse_args(words)


def replay(path: Path) -> bool:
    """Whether that input is good now; the target is the first word of the file's name."""
    from tests.fuzz.targets import PLANTED, TARGETS  # not instrumented

    logging.disable(logging.CRITICAL)
    name = path.name.partition("-")[0]
    try:
        (TARGETS | PLANTED)[name].run(path.read_bytes())
    except Exception:
        print(f"BAD  {path}\n{traceback.format_exc()}")
        return False
    print(f"good {path}")
    return True


if __name__ == "__main__":
    sys.exit(main())
