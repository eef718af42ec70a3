"""Makes `tests` importable, and gives clusters of real processes that end with the test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # pytest's importlib mode leaves `sys.path` alone

from tests.benchmarks.cluster import Cluster

WORKER = "tests.processes.worker"
OpenCluster = Callable[..., Cluster]


@pytest.fixture
def open_cluster(tmp_path: Path) -> Iterator[OpenCluster]:
    """Return a function that starts members on SQLite; all of them are killed when the test ends."""
    with ExitStack() as stack:

        def start(size: int, **options: Any) -> Cluster:
            return stack.enter_context(Cluster(size, tmp_path, worker=WORKER, folder_=str(tmp_path), **options))

        yield start
