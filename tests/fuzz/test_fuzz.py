"""All targets: their seeds and what was once found, everywhere; a minute of the fuzzer itself, where it runs."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import DATA, TARGETS

ROOT = Path(__file__).parents[2]
SECONDS = 60
HAS_FUZZER = importlib.util.find_spec("atheris") is not None
COULD_HAVE_IT = sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info < (3, 14)


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_is_good(name):
    for seed in TARGETS[name].seeds():
        TARGETS[name].run(seed)
        TARGETS[name].run(seed[: len(seed) // 2])
        TARGETS[name].run(seed + seed)


@pytest.mark.parametrize("path", sorted(DATA.iterdir()), ids=lambda path: path.name)
def test_what_was_found_once_is_good_now(path):
    TARGETS[path.name.partition("-")[0]].run(path.read_bytes())


@pytest.mark.timeout(SECONDS * 4)
def test_a_minute_of_the_fuzzer_finds_nothing(tmp_path, require):
    if not HAS_FUZZER and not COULD_HAVE_IT:
        pytest.skip("atheris has wheels for Linux on x86_64 and Python up to 3.13 alone")
    require(HAS_FUZZER, "atheris is not installed")
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(SECONDS), "--found", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("good ") == len(TARGETS)


def test_the_fuzzer_finds_a_planted_bug(tmp_path, require):
    """A reader that trusts one rare byte, in a target of its own: no fuzzer that looks at nothing passes this."""
    if not HAS_FUZZER and not COULD_HAVE_IT:
        pytest.skip("atheris has wheels for Linux on x86_64 and Python up to 3.13 alone")
    require(HAS_FUZZER, "atheris is not installed")
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        "--target",
        "planted",
        "--seconds",
        "30",
        "--found",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert list(tmp_path.glob("planted-crash-*")), done.stderr
