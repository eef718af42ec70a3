"""What all fuzzing tests need."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Makes the targets importable: pytest's importlib mode leaves `sys.path` alone.
sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture(scope="module", autouse=True)
def nothing_is_logged() -> Iterator[None]:
    """Lies are complained of, by the thousand here; the tests after these hear complaints again."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
