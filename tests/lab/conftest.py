"""A small network of namespaces joined by a bridge, taken apart again whatever happens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # pytest's importlib mode leaves `sys.path` alone


def run(*command: str) -> None:
    """Run it; complain with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


class Lan:
    """Namespaces, each with one interface on a common bridge: 10.77.0.1, 10.77.0.2, ..."""

    def __init__(self, size: int) -> None:
        tag = f"{os.getpid() % 100_000:05}"
        self._switch = f"fosw{tag}"
        """The bridge lives in a namespace too, so that nothing of this machine's own network is touched."""
        self.namespaces = [f"fo{tag}n{number}" for number in range(1, size + 1)]
        self.addresses = [f"10.77.0.{number}" for number in range(1, size + 1)]

    def open(self) -> None:
        """Set it up."""
        run("ip", "netns", "add", self._switch)
        run("ip", "-n", self._switch, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self._switch, "link", "set", "br0", "up")
        for namespace, address in zip(self.namespaces, self.addresses, strict=True):
            port = self._port(namespace)
            run("ip", "netns", "add", namespace)
            run("ip", "-n", self._switch, "link", "add", port, "type", "veth", "peer", "eth0", "netns", namespace)
            run("ip", "-n", self._switch, "link", "set", port, "master", "br0", "up")
            run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", namespace, "link", "set", "eth0", "up")
            run("ip", "-n", namespace, "link", "set", "lo", "up")

    def close(self) -> None:
        """Take it apart; what is not there is not missed."""
        for namespace in (*self.namespaces, self._switch):
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, timeout=10, check=False)

    def inside(self, number: int) -> list[str]:
        """What to put before a command that is to run in the namespace."""
        return ["ip", "netns", "exec", self.namespaces[number]]

    def cut(self, number: int) -> None:
        """Pull the plug at the switch: the member itself sees its interface go down, as with a real cable."""
        run("ip", "-n", self._switch, "link", "set", self._port(self.namespaces[number]), "down")

    def mend(self, number: int) -> None:
        """Put it back in."""
        run("ip", "-n", self._switch, "link", "set", self._port(self.namespaces[number]), "up")

    def lose_answers(self, number: int) -> None:
        """Let the member hear everything and be heard by nobody: the switch forgets what comes from it."""
        run("ip", "-n", self.namespaces[number], "route", "add", "blackhole", "10.77.0.0/25")
        run("ip", "-n", self.namespaces[number], "route", "add", "blackhole", "10.77.0.128/25")

    def heed_answers(self, number: int) -> None:
        """Undo `lose_answers`."""
        run("ip", "-n", self.namespaces[number], "route", "del", "blackhole", "10.77.0.0/25")
        run("ip", "-n", self.namespaces[number], "route", "del", "blackhole", "10.77.0.128/25")

    def _port(self, namespace: str) -> str:
        return f"p{namespace[2:]}"


@pytest.fixture
def lan(require) -> Iterator[Lan]:
    """Three namespaces on one bridge."""
    require(sys.platform == "linux" and os.geteuid() == 0, "network namespaces need root on Linux")
    require(shutil.which("ip") is not None, "the Debian package iproute2 is missing")
    lan = Lan(3)
    try:
        try:
            lan.open()
        except RuntimeError as error:
            require(False, f"this machine gives no network namespaces: {error}")
        yield lan
    finally:
        lan.close()
