"""Targets under atheris, each in a process of its own, forked from one that has read all modules.

What reads and what keeps state is instrumented, so that an input that reaches a new branch is kept and varied.
libFuzzer ends the process that it runs in, at the end of its time or with the first input that fails.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

INSTRUMENTED = [
    "failover.net", "failover.wire", "failover.records", "failover.settings", "failover.storage.records",
    "failover.raft", "failover.cli", "tests.fuzz.parsers", "tests.fuzz.planted",
]  # fmt: skip
INPUT_S_MAX = 20
"""An input that takes longer is a failure: no datagram may cost so much. Many run at once on a small machine."""
MEMORY_MB_MAX = 1_500
GRACE_S = 60
"""A process that is not over so long after its time hangs."""


@dataclass(frozen=True)
class Result:
    """What came of one target."""

    name: str
    runs: int
    is_good: bool


def load() -> dict[str, Any]:
    """All targets, instrumented; they must not have been imported before."""
    import atheris  # only where it is wanted: there are no wheels for all systems

    assert "failover.net" not in sys.modules, "what is imported already is not instrumented"
    sys.stderr.flush()
    shown = os.dup(2)
    with open(os.devnull, "wb") as nothing:  # atheris tells of each module
        os.dup2(nothing.fileno(), 2)
        try:
            with atheris.instrument_imports(include=INSTRUMENTED):
                from tests.fuzz.targets import PLANTED, TARGETS
        finally:
            os.dup2(shown, 2)
            os.close(shown)
    return TARGETS | PLANTED


def fuzz(name: str, target: Any, seconds: float, corpus: Path, found: Path) -> Result:
    """One target for so long; what it found is printed with what runs it again."""
    folder = corpus / name
    plant(target, folder)
    found.mkdir(parents=True, exist_ok=True)
    before, said_in = set(found.iterdir()), folder.with_suffix(".said")
    process = os.fork()
    if process == 0:
        _become_fuzzer(name, target, seconds, folder, found, said_in)
    is_good = _wait_for(process, seconds + GRACE_S) == 0
    said = said_in.read_text(encoding="utf-8", errors="replace")
    counted = re.search(r"number_of_executed_units: (\d+)", said)
    runs = int(counted[1]) if counted else 0
    print(f"{'good' if is_good else 'BAD ':4} {name:14} {runs:>9,} inputs", flush=True)
    if not is_good:
        print(said[-4_000:])
    for path in sorted(set(found.iterdir()) - before):
        print(f"again: python -m tests.fuzz --replay {path}", flush=True)
    return Result(name, runs, is_good)


def plant(target: Any, folder: Path) -> None:
    """Write the seeds into the corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (folder / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


def _become_fuzzer(name: str, target: Any, seconds: float, corpus: Path, found: Path, said_in: Path) -> NoReturn:
    """In the new process: leaves it with SystemExit."""
    with open(said_in, "wb") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    import atheris

    logging.disable(logging.CRITICAL)
    options = [
        f"-max_total_time={max(1, round(seconds))}", f"-max_len={target.size_max}", "-len_control=20",
        f"-timeout={INPUT_S_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}", f"-artifact_prefix={found}/{name}-",
        "-verbosity=0", "-print_final_stats=1", str(corpus),
    ]  # fmt: skip
    atheris.Setup(["tests.fuzz", *options], target.run)
    atheris.Fuzz()
    sys.exit(0)  # not `os._exit`: libFuzzer saves what it found as the process ends


def _wait_for(process: int, seconds: float) -> int:
    """Its exit status; it is ended where it hangs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return -1
