"""What all tests may ask for."""

from __future__ import annotations

import os
from collections.abc import Callable

import hypothesis
import pytest

# How long one example took says how busy the machine is, and nothing of what is tested.
hypothesis.settings.register_profile("failover", deadline=None)
hypothesis.settings.load_profile("failover")

Require = Callable[[bool, str], None]


@pytest.fixture(scope="session")
def require() -> Require:
    """Return a function that skips the test, with a reason, where the machine cannot run it.

    With CI=true such a skip is a failure: there the machine is ours, and a test that never runs proves nothing.
    """

    def check(condition: bool, reason: str) -> None:
        if condition:
            return
        if os.environ.get("CI") == "true":
            pytest.fail(f"cannot run here, and CI must run everything: {reason}")
        pytest.skip(reason)

    return check
