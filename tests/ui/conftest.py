"""One X server for all tests here, a screen of windows for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Require
from tests.ui.screen import Display, Screen, missing


@pytest.fixture(scope="session")
def display(require: Require) -> Iterator[Display]:
    """Yield an X server with a window manager."""
    require(
        not missing(), f"windows need {', '.join(missing())} (Debian's packages have these names; xwd: x11-apps)"
    )
    shown = Display()
    yield shown
    shown.close()


@pytest.fixture
def screen(display: Display, tmp_path: Path) -> Iterator[Screen]:
    """Yield what opens windows, and ends them."""
    shown = Screen(display, tmp_path)
    yield shown
    shown.close()
