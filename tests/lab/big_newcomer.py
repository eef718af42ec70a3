"""A large state on its way to a newcomer over thin lines, while play goes on.

`python -m tests.lab.big_newcomer --megabytes 50`: three members and a newcomer in homes of their own, 40 ms and
1 % loss between any two, 10 Mbit/s from and to each home, sixty commits a second.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from failover.settings import Settings
from tests.benchmarks.cluster import Cluster
from tests.lab.homes import Homes, Router
from tests.lab.links import Line, Way

PIECE_SIZE = 65_536
BITS_PER_S = 10e6
ROUND_TRIP_S, LOSS = 0.040, 0.01
COMMITS_PER_S, ENTRY_SIZE = 60.0, 100
BUFFER_S = 0.1
"""What waits in a home's router."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of it."""

    megabytes: float
    seconds: float
    """From the newcomer's first datagram to its state."""
    share_of_line: float
    """Of 10 Mbit/s, by the bytes of the state alone."""
    changes_of_term: int
    commits: int
    longest_commit_ms: float


def measure(homes: Homes, folder: Path, megabytes: float) -> Measured:
    """Four homes are needed; the fourth is the newcomer's."""
    pieces = int(megabytes * 1e6) // PIECE_SIZE
    size = pieces * PIECE_SIZE
    settings = Settings.internet().to_toml()
    settings = settings.replace("snapshot_bytes = ", f"snapshot_bytes = {size}  # ").replace(
        "kept_entries = ", "kept_entries = 0  # "
    )
    with Cluster(3, folder, settings=settings, places=homes.places()) as cluster:
        host = cluster.host
        host.ask("ballast", count=pieces, size=PIECE_SIZE)
        cluster.wait_for(lambda: host.ask("status")["snapshot"] > 0, "no snapshot was taken")
        line = Line(rate=BITS_PER_S, queue_s=BUFFER_S)
        homes.emulate(Way(delay_s=ROUND_TRIP_S / 2, loss=LOSS), up=line, down=line, seed=5)
        time.sleep(3.0)  # for promises to get used to it
        term = host.ask("status")["term"]
        play = {"count": 10**6, "size": ENTRY_SIZE, "every_s": 1 / COMMITS_PER_S}
        number = host.send("commit_latency", **play, seconds=size * 8 / BITS_PER_S * 1.2 + 5)
        cluster.ready_s = 30 + 2 * size * 8 / BITS_PER_S
        new = cluster.join()
        cluster.wait_for(lambda: new.ask("status")["keys"] >= pieces, "the state did not come")
        seconds = cluster.opened_s[new]
        took = host.wait(number, 300)["took"]
        changes = host.ask("status")["term"] - term
    share = size * 8 / BITS_PER_S / seconds
    return Measured(size / 1e6, seconds, share, changes, len(took), max(took) * 1e3)


def main() -> int:
    """Build the homes, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.big_newcomer", description=__doc__)
    parser.add_argument("--megabytes", type=float, default=50.0, help="of state; 50")
    megabytes = parser.parse_args().megabytes
    with Homes(*[Router.NONE] * 4) as homes, tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        print(json.dumps(asdict(measure(homes, Path(folder), megabytes)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
