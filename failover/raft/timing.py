"""The core's numbers: durations in seconds, sizes in bytes. Checked at birth; `Settings` gives presets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from failover.errors import BadSettings
from failover.raft.messages import HINT_MAX

LEASE_FRACTION = 0.81
"""A lease is this part of the promise that backs it.

The promise is granted after the heartbeat was sent at s, and ends no earlier than s + P / 1.1 of true time when
the promising clock runs 10 % fast; the lease ends no later than s + L / 0.9 when the leader's runs 10 % slow.
P / 1.1 > L / 0.9 needs L < 0.818 P.
"""

_A_MOMENT_S: Final = 0.001
_BOUNDS: Final = {
    **dict.fromkeys(("heartbeat_s", "promise_s", "promise_ceiling_first_s", "margin_s"), (_A_MOMENT_S, math.inf)),
    **dict.fromkeys(("repeat_min_s", "write_stall_s", "hand_over_s", "voter_grace_s"), (_A_MOMENT_S, math.inf)),
    **dict.fromkeys(("stagger_s", "notice_s", "swap_dwell_s", "fitter_dwell_s", "fitter_rest_s"), (0, math.inf)),
    **dict.fromkeys(("batch_bytes", "window_messages", "window_bytes", "uncommitted_bytes"), (1, math.inf)),
    **dict.fromkeys(("snapshot_entries", "snapshot_bytes"), (1, math.inf)),
    **dict.fromkeys(("kept_entries", "kept_bytes"), (0, math.inf)),
    "swap_margin": (1, HINT_MAX),
    "fitter_margin": (0, HINT_MAX),
}
"""The least and the most that each may be by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Defaults suit a LAN. `Settings.internet()` has the others."""

    heartbeat_s: float = 0.030
    """How often a leader asks for new promises."""
    promise_s: float = 0.075
    """The shortest promise asked for; it follows the measured delays up to `promise_max_s`."""
    promise_max_s: float = 1.0
    """No promise is ever longer. A constant of the cluster."""
    promise_ceiling_first_s: float = 0.100
    """A new member's durable ceiling; doubled, durably, before a promise first exceeds it."""
    margin_s: float = 0.010
    """The host is stopped this long before its lease ends."""
    stagger_s: float = 0.012
    """Between the candidacies of members of neighbouring rank."""
    repeat_min_s: float = 0.005
    """The shortest wait before something unanswered is sent again."""
    notice_s: float = 0.002
    """How long a moved commit index may wait for entries that carry it along."""
    write_stall_s: float = 0.250
    """A member whose disk has been writing for longer does not stand, and hands over if it leads."""
    hand_over_s: float = 1.0
    """How long a hand-over may wait for its target to catch up before it is given up."""
    batch_bytes: int = 64 * 1024
    """The most command bytes in one `AppendEntries` (one entry may exceed it)."""
    window_messages: int = 64
    """The most `AppendEntries` under way to one follower."""
    window_bytes: int = 128 * 1024
    """The most command bytes under way to one follower."""
    uncommitted_bytes: int = 16 * 1024 * 1024
    """Proposals beyond this much uncommitted are refused."""
    snapshot_entries: int = 20_000
    """A snapshot is due after this many applied entries."""
    snapshot_bytes: int = 8 * 1024 * 1024
    """... or after this many applied command bytes."""
    kept_entries: int = 5_000
    """So many entries stay behind a snapshot, so that a short absence needs none ..."""
    kept_bytes: int = 64 * 1024 * 1024
    """... but no more than these bytes, in memory and on disk. A follower that takes a snapshot needs what was
    appended meanwhile: with a few snapshots' worth it would never catch up under load."""
    voter_grace_s: float = 2.0
    """A voter that is silent for longer gives its vote to a warm member, where that is of use."""
    swap_margin: int = 48
    """A warm member whose hint is higher than a voter's by so much takes its place ..."""
    swap_dwell_s: float = 30.0
    """... once that has been so for so long."""
    fitter_margin: int = 0
    """A healthy host hands over to a voter whose hint is higher by so much; 0 = never ..."""
    fitter_dwell_s: float = 10.0
    """... once that has been so for so long ..."""
    fitter_rest_s: float = 60.0
    """... and no sooner than so long after it became host, or last tried."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name, (least, most) in _BOUNDS.items():
            if not least <= (value := getattr(self, name)) <= most:
                limit = "" if most == math.inf else f" and at most {most}"
                raise BadSettings(f"{name} = {value} must be at least {least}{limit}")
        usable_s = self.promise_s * LEASE_FRACTION - self.margin_s
        if not self.heartbeat_s < usable_s:
            raise BadSettings(
                f"heartbeat_s = {self.heartbeat_s} must be below {usable_s:.4f}, which is what "
                f"promise_s = {self.promise_s} and margin_s = {self.margin_s} leave of the lease that it renews"
            )
        for name, bound in (
            ("promise_s", "promise_max_s"),
            ("promise_ceiling_first_s", "promise_max_s"),
            ("kept_entries", "snapshot_entries"),
        ):
            value, most = getattr(self, name), getattr(self, bound)
            if not value <= most:
                raise BadSettings(f"{name} = {value} must be at most {bound} = {most}")
