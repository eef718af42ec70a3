"""Options of the net that are for looking inside and for trying out: all off by default."""

from __future__ import annotations

from dataclasses import dataclass, field

from failover.errors import BadSettings

CAPTURE_SIZE_MAX = 64 << 20
RATE_MIN = 1_000
DELAY_MAX_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What a bad network does to the datagrams of one direction. `Faults()` does nothing."""

    loss: float = 0.0
    """Share that is lost, 0 to 1."""
    duplication: float = 0.0
    """Share that arrives twice, 0 to 1."""
    delay_s: float = 0.0
    """How long each is under way, beside what the real network takes."""
    jitter_s: float = 0.0
    """Up to so much longer, each by a draw of its own: so they overtake each other, too."""
    reordering: float = 0.0
    """Share that is held back for a further `reordering_s`, so that those behind it come first."""
    reordering_s: float = 0.020
    rate_bytes_per_s: float = 0.0
    """The line carries no more, and what it cannot carry at once waits for up to `queue_s`; 0 = no limit."""
    queue_s: float = 0.2
    """What would wait longer for the line is lost, as in a home router."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("loss", "duplication", "reordering"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadSettings(f"{name} = {getattr(self, name)} must be a share from 0 to 1")
        for name in ("delay_s", "jitter_s", "reordering_s", "queue_s"):
            if not 0 <= getattr(self, name) <= DELAY_MAX_S:
                raise BadSettings(f"{name} = {getattr(self, name)} must be 0 to {DELAY_MAX_S:g} seconds")
        if self.rate_bytes_per_s and not RATE_MIN <= self.rate_bytes_per_s <= 1e12:
            raise BadSettings(f"rate_bytes_per_s = {self.rate_bytes_per_s} must be 0 or at least {RATE_MIN}")

    @property
    def is_on(self) -> bool:
        """Whether anything happens to a datagram."""
        shares = self.loss or self.duplication or self.reordering
        return bool(shares or self.delay_s or self.jitter_s or self.rate_bytes_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSettings:
    """Faults on demand, for seeing one's game on a bad network; in each direction its own."""

    sent: Faults = field(default_factory=Faults)
    """What happens to the datagrams that this member sends."""
    received: Faults = field(default_factory=Faults)
    """What happens to those that it receives."""
    seed: int = 1
    """All draws follow from it, so a run can be had again, as far as the rest of it is the same."""

    @property
    def is_on(self) -> bool:
        """Whether anything happens to a datagram."""
        return self.sent.is_on or self.received.is_on


@dataclass(frozen=True, slots=True, kw_only=True)
class NetSettings:
    """Looking inside the net, and making it worse. Nothing here need be equal on all members."""

    key_log: str = ""
    """A file to which the keys of all channels are written, so that captures can be decrypted: whoever reads it
    reads everything. Also by the environment variable FAILOVER_KEY_LOG. Empty = none."""
    capture: str = ""
    """A pcap file to which each datagram is written, decrypted. Also by FAILOVER_CAPTURE. Empty = none."""
    capture_size_max: int = CAPTURE_SIZE_MAX
    """Bytes; the capture ends there."""
    faults: FaultSettings = field(default_factory=FaultSettings)
    """Loss, delay and the like, on demand."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 4_096 <= self.capture_size_max <= 1 << 40:
            raise BadSettings(f"capture_size_max = {self.capture_size_max} must be at least 4096 bytes")
