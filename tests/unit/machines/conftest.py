"""Members in virtual time, as the tests of the API have them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# pytest's importlib mode leaves `sys.path` alone.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))

from world import Air, World, in_virtual_time


def pytest_collection_modifyitems(items):
    """`trio_mode` marks every test for real time; where a module says otherwise, its word counts."""
    for item in items:
        if any(mark.kwargs.get("run") is in_virtual_time for mark in item.iter_markers("trio")):
            item.add_marker(pytest.mark.trio(run=in_virtual_time), append=False)


@pytest.fixture
def air():
    return Air()


@pytest.fixture
async def world(nursery, air):
    return World(nursery, air)
