"""A large state over thin lines: tests/lab/big_newcomer.py with a smaller one; `--megabytes 50` by hand."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.lab.big_newcomer import measure
from tests.lab.homes import Router


def test_a_large_snapshot_over_a_thin_line_drowns_no_heartbeats(open_homes):
    homes = open_homes(*[Router.NONE] * 4)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        measured = measure(homes, Path(folder), 4.0)
    assert measured.changes_of_term == 0
    assert measured.share_of_line > 0.6, "joining, which takes most of a second here, counts in"
    assert measured.longest_commit_ms < 400
