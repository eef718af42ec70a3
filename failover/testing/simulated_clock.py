"""The two clocks of a simulated process: the member's, which counts suspend, and trio's, which does not.

Both run at one rate, up to 10 % fast or slow, and from an arbitrary origin; a reboot sets them anew.
"""

from __future__ import annotations

from collections.abc import Callable


class SimulatedClock:
    """See the module's docstring.

    Args:
        true_time: of the simulation.
        origin: what the member's clock shows at first.
        rate: seconds that it shows for each second of true time.
        trio_offset: by how much trio's clock is ahead of the member's.
    """

    def __init__(self, true_time: Callable[[], float], origin: float, rate: float, trio_offset: float) -> None:
        self._true_time = true_time
        self.rate = rate
        self._shown, self._since = origin, true_time()
        self._trio_offset = trio_offset
        self._jumped = 0.0

    def now(self) -> float:
        """What the member's clock shows."""
        return self._shown + (self._true_time() - self._since) * self.rate + self._jumped

    def trio_now(self) -> float:
        """What trio's clock shows."""
        return self.now() + self._trio_offset

    def true_time_at_trio(self, shown: float) -> float:
        """The true time at which trio's clock shows so much, if nothing changes; a little later than exact.

        By so little that no deadline is found not to be reached yet, because a sum was rounded.
        """
        return self._true_time() + max(0.0, shown - self.trio_now()) / self.rate + 1e-9

    def change_rate(self, rate: float) -> None:
        """Run at another rate from now on."""
        self._shown, self._since = self.now() - self._jumped, self._true_time()
        self.rate = rate

    def slept(self, seconds: float) -> None:
        """The computer was suspended for so much true time until now: trio's clock has not seen it."""
        self._trio_offset -= seconds * self.rate

    def jump_to_trio(self, shown: float) -> None:
        """Show so much at once: the process is dead, and ends in a time of its own."""
        self._jumped += max(0.0, shown - self.trio_now()) + 1e-9
