"""What a benchmark is given: the sizes of the run, a folder on the disk to be measured, and a voice."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks import floor, rival
from tests.benchmarks.measures import percentile, summary

ENTRY_SIZE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything."""

    latencies: int = 3_000
    disk_latencies: int = 1_000
    commits: int = 100_000
    disk_commits: int = 60_000
    kills: int = 30
    hand_overs: int = 30
    idle_s: float = 15.0
    paced_s: float = 15.0
    grown_commits: int = 300_000
    stored_entries: int = 1_000_000
    rival_latencies: int = 50
    rival_commits: int = 20_000
    rival_kills: int = 5

    @classmethod
    def quick(cls) -> Sizes:
        """Only to see that everything runs; the numbers mean little."""
        return cls(
            latencies=200,
            disk_latencies=100,
            commits=5_000,
            disk_commits=5_000,
            kills=2,
            hand_overs=2,
            idle_s=2.0,
            paced_s=2.0,
            grown_commits=20_000,
            stored_entries=20_000,
            rival_latencies=5,
            rival_commits=2_000,
            rival_kills=1,
        )


@dataclass(slots=True)
class Floors:
    """Of the bare machine, in microseconds."""

    round_trip_us: dict[str, float]
    round_trips_per_s: float
    sync_us: dict[str, float]
    syncs_together_us: dict[str, float]
    """While three processes do it at once, as three members on one disk do."""


@dataclass(slots=True)
class Bench:
    """One run."""

    sizes: Sizes
    folder: Path
    say: Callable[[str], None]
    with_rival: bool = True
    _floors: Floors | None = None
    _rival: dict[str, float] | None = field(default=None)

    @contextmanager
    def storages(self, storage: str) -> Iterator[Path | None]:
        """A fresh folder for the files of a cluster; None for memory."""
        if storage == "memory":
            yield None
        else:
            with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as folder:
                yield Path(folder)

    @property
    def floors(self) -> Floors:
        """Measured once a run, when first asked for."""
        if self._floors is None:
            self.say("floor: bare encrypted UDP, and syncs of the disk")
            trips = floor.round_trips(self.sizes.latencies)
            syncs = floor.syncs(self.folder, self.sizes.disk_latencies // 2, 1)
            together = floor.syncs(self.folder, self.sizes.disk_latencies // 4, 3)
            self._floors = Floors(
                summary(trips["took"], 1e6), trips["per_s"], summary(syncs, 1e6), summary(together, 1e6)
            )
        return self._floors

    def rival(self, figure: str) -> dict[str, float]:
        """PySyncObj's figure: `latency_us`, `per_s` or `gap_ms`; empty where it is not installed."""
        if not (self.with_rival and rival.is_installed()):
            return {}
        if self._rival is None:
            self.say("PySyncObj")
            sizes = self.sizes
            found: dict[str, Any] = rival.measure(sizes.rival_latencies, sizes.rival_commits, sizes.rival_kills)
            self._rival = {
                "latency_us": percentile(found["took"], 0.5) * 1e6,
                "latency_p99_us": percentile(found["took"], 0.99) * 1e6,
                "per_s": found["per_s"],
                "gap_ms": percentile(found["gaps"], 0.5) * 1e3,
                "gap_worst_ms": max(found["gaps"]) * 1e3,
            }
        return {"PySyncObj": self._rival[figure]}
