"""What must hold on every machine, however it stands still: nothing lost, nothing doubled, never two hosts."""

from __future__ import annotations

from failover.testing import Violation


def guarantee(holds: bool, what: str) -> None:
    """Fail a test by a `Violation`, which `tests.real_time` never excuses, unless this holds."""
    if not holds:
        raise Violation(what)
