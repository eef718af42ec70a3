"""Networks of namespaces for tests: a switch with three members (`lan`), homes behind routers (`open_homes`)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # pytest's importlib mode leaves `sys.path` alone

from tests.lab.homes import Home, Homes, Router
from tests.lab.lan import Lan
from tests.lab.namespaces import NoLab, check_machine

OpenHomes = Callable[..., Homes]


@pytest.fixture
def lan(require) -> Iterator[Lan]:
    """Three namespaces on one bridge."""
    lan = Lan(3)
    try:
        try:
            check_machine()
            lan.open()
        except (NoLab, RuntimeError) as error:
            require(False, f"this machine gives no network namespaces: {error}")
        yield lan
    finally:
        lan.close()


@pytest.fixture
def open_homes(require) -> Iterator[OpenHomes]:
    """Return a function that builds homes around an internet; see tests/lab/homes.py. All goes with the test."""
    with ExitStack() as stack:

        def build(*homes: Home | Router) -> Homes:
            try:
                return stack.enter_context(Homes(*homes))
            except (NoLab, RuntimeError) as error:
                require(False, f"this machine gives no homes with routers: {error}")
                raise

        yield build
