"""Real members on bad links, by hand.

    python -m tests.lab --members 4 --delay 40 --jitter 10 --loss 2 --rate 10mbit

Starts so many members, each a process in a network of its own, founds a cluster, lets everybody make requests, and
shows once a second who hosts, how long requests take, and the round trips that the members measure themselves.
Needs root on Linux (network namespaces) and the packages iproute2, nftables and conntrack. Nothing of this
machine's own network is touched. Ctrl+C ends all and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from failover.settings import Settings
from tests.benchmarks.children import ChildFailed
from tests.benchmarks.cluster import Cluster
from tests.lab.homes import Emulation, Homes, Router
from tests.lab.links import Line, Way
from tests.lab.namespaces import NoLab

CONSOLE = Console(highlight=False)
SETTINGS = {"lan": Settings, "internet": Settings.internet}
RECENT_S = 10.0
"""The table shows the requests of so many seconds."""
UNITS = {"bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9}


def main() -> int:
    """Do what the command line says; returns the exit status."""
    arguments = parse()
    show = Show()
    try:
        run_lab(arguments, show)
    except KeyboardInterrupt:
        CONSOLE.print("over")
    except NoLab as error:
        CONSOLE.print(f"no lab here: {error}")
        return 2
    except ChildFailed as error:
        CONSOLE.print(f"it did not go well: {error}", markup=False)
        return 1
    if show.news:
        CONSOLE.print(show.table())
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(show.summary(arguments), indent=2) + "\n", encoding="utf-8")
    return 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=4, help="how many play (4)")
    links = parser.add_argument_group("links", "between every two members; each direction has its own chance")
    links.add_argument(
        "--delay", type=float, default=0.0, metavar="MS", help="of the ROUND TRIP: each way takes half of it (0)"
    )
    links.add_argument(
        "--jitter",
        type=float,
        default=0.0,
        metavar="MS",
        help="EACH WAY takes 0 to so much longer, for each datagram anew; the order stays (0)",
    )
    links.add_argument("--loss", type=percent, default=0.0, metavar="PERCENT", help="lost, each way (0)")
    links.add_argument("--double", type=percent, default=0.0, metavar="PERCENT", help="arrive twice, each way (0)")
    links.add_argument(
        "--reorder", type=percent, default=0.0, metavar="PERCENT", help="are held up by 10 ms and overtaken (0)"
    )
    links.add_argument(
        "--rate",
        type=bits_per_second,
        default=0.0,
        metavar="RATE",
        help="of each member's line, up and down, like 10mbit or 512kbit; all its traffic shares it (no limit)",
    )
    links.add_argument(
        "--queue",
        type=queue,
        default={"queue_s": 0.1},
        metavar="SIZE",
        help="before each line: what would wait longer than 100ms, or make it exceed 64kB, is dropped (100ms)",
    )
    links.add_argument("--seed", type=int, default=0, help="of all that chance decides on the links (0)")
    parser.add_argument("--requests", type=float, default=10.0, metavar="N", help="of each member, a second (10)")
    parser.add_argument("--settings", choices=list(SETTINGS), default="internet", help="of the members (internet)")
    parser.add_argument("--seconds", type=float, help="end after so long (at Ctrl+C)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was seen there at the end")
    return parser.parse_args()


def percent(text: str) -> float:
    """A part of 1."""
    value = float(text.rstrip("%")) / 100
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("from 0 to 100")
    return value


def bits_per_second(text: str) -> float:
    """10mbit, 512kbit."""
    found = re.fullmatch(r"([0-9.]+)(bit|kbit|mbit|gbit)", text.lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate; write 10mbit or 512kbit")
    return float(found[1]) * UNITS[found[2]]


def queue(text: str) -> dict[str, Any]:
    """100ms, 64kB; as options of a `Line`."""
    found = re.fullmatch(r"([0-9.]+)(ms|b|kb)", text.lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no queue; write 100ms or 64kB")
    if found[2] == "ms":
        return {"queue_s": float(found[1]) / 1000}
    return {"queue_s": 3600.0, "queue_bytes": int(float(found[1]) * (1000 if found[2] == "kb" else 1))}


def run_lab(arguments: argparse.Namespace, show: Show) -> None:
    """Build it, let it run, take it down."""
    way = Way(
        delay_s=arguments.delay / 2000,
        jitter_s=arguments.jitter / 1000,
        loss=arguments.loss,
        double=arguments.double,
        straggle=arguments.reorder,
    )
    line = Line(rate=arguments.rate, **arguments.queue)
    with Homes(*[Router.NONE] * arguments.members) as homes, tempfile.TemporaryDirectory() as folder:
        emulation = homes.emulate(way, up=line, down=line, seed=arguments.seed)
        settings = SETTINGS[arguments.settings]().to_toml()
        CONSOLE.print(f"{arguments.members} members meet; this takes some seconds")
        with Cluster(
            arguments.members,
            Path(folder),
            worker="tests.lab.player",
            folder_=folder,
            settings=settings,
            places=homes.places(),
        ) as cluster:
            for child in cluster.members:
                child.send("play", rate=arguments.requests)
            show.watch(cluster, emulation, arguments.seconds)


@dataclass
class Show:
    """What has been seen up to now."""

    began: float = field(default_factory=time.monotonic)
    timed: list[tuple[float, float, bool]] = field(default_factory=list)
    """Of each accepted request: when, its milliseconds, whether the asker was host."""
    hosts: list[tuple[float, str, int]] = field(default_factory=list)
    """When this was first seen, who hosts, in which term."""
    news: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, Any] = field(default_factory=dict)

    def watch(self, cluster: Cluster, emulation: Emulation, seconds: float | None) -> None:
        """Look once a second, and show it."""
        self.began = time.monotonic()
        ends = self.began + seconds if seconds is not None else float("inf")
        with Live(console=CONSOLE, auto_refresh=False, transient=True) as live:
            while time.monotonic() < ends:
                time.sleep(min(1.0, max(0.0, ends - time.monotonic())))
                self._look(cluster, emulation)
                live.update(self.table(), refresh=True)

    def _look(self, cluster: Cluster, emulation: Emulation) -> None:
        for child in cluster.members:
            news = self.news[child.name] = child.ask("news")
            self.timed += [tuple(each) for each in news.pop("timed")]
            if news["is_host"] and (not self.hosts or self.hosts[-1][2] < news["term"]):
                self.hosts.append((time.monotonic() - self.began, child.name, news["term"]))
        self.links = emulation.report()
        self.links.pop("number", None)

    @property
    def changes(self) -> int:
        """Of host, since the beginning."""
        return max(0, len(self.hosts) - 1)

    def summary(self, arguments: argparse.Namespace) -> dict[str, Any]:
        """For `--json`."""
        return {
            "options": {name: str(value) for name, value in vars(arguments).items() if name != "json"},
            "seconds": round(time.monotonic() - self.began, 1),
            "commit_ms": spread([ms for _, ms, is_host in self.timed if is_host]),
            "request_ms": spread([ms for _, ms, is_host in self.timed if not is_host]),
            "changes_of_host": self.changes,
            "hosts": [{"after_s": round(at, 1), "member": name, "term": term} for at, name, term in self.hosts],
            "members": self.news,
            "links": self.links,
        }

    def table(self) -> Table:
        """The picture."""
        since = time.monotonic() - RECENT_S
        recent = [each for each in self.timed if each[0] > since]
        commits, requests = (spread([ms for _, ms, is_host in recent if is_host is it]) for it in (True, False))
        link = Counter({name: value for name, value in self.links.items() if isinstance(value, int)})
        late = self.links.get("late_us", {"p50": 0, "p99": 0, "max": 0})
        table = Table(
            "member",
            "is",
            "term",
            "promise, ms",
            "round trips, ms",
            "unknown",
            title=f"{time.monotonic() - self.began:.0f} s, {self.changes} changes of host",
            caption=f"requests of the last {RECENT_S:.0f} s, in ms: of the host {commits}\n"
            f"of the others {requests}\n"
            f"datagrams: {link['carried']} carried, {link['lost']} lost, {link['queue full']} at full queues;\n"
            f"given on {late['p50']} us late (p50), {late['p99']} us (p99), {late['max']} us (longest)",
            caption_justify="left",
        )
        for name, news in self.news.items():
            trips = ", ".join(f"{ms:.0f} to {other}" for other, ms in news["round_trips_ms"].items())
            table.add_row(
                name,
                "host" if news["is_host"] else news["kind"],
                str(news["term"]),
                f"{news['promise_ms']:.0f}" if news["is_host"] else "",
                trips,
                str(news["unknown"]),
            )
        return table


def spread(values: list[float]) -> dict[str, float]:
    """Some numbers that say how they lie."""
    if not values:
        return {"number": 0}
    values = sorted(values)
    picked = {"p50": len(values) // 2, "p99": len(values) * 99 // 100, "max": len(values) - 1}
    return {"number": len(values), **{name: round(values[at], 1) for name, at in picked.items()}}


if __name__ == "__main__":
    sys.exit(main())
