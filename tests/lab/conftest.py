"""Networks of namespaces for tests: a switch with three members (`lan`), homes behind routers (`open_homes`)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # pytest's importlib mode leaves `sys.path` alone

from tests.lab.homes import Home, Homes, Router
from tests.lab.namespaces import Namespaces, NoLab, before_all_others, check_machine, inside, ip

OpenHomes = Callable[..., Homes]
HALVES = ("10.77.0.0/25", "10.77.0.128/25")
"""Of the network; more exact than the route to it, so that they win."""


class Lan:
    """Namespaces, each with one interface on a common bridge: 10.77.0.1, 10.77.0.2, ..."""

    def __init__(self, size: int) -> None:
        self._made = Namespaces()
        self._switch = ""
        """The bridge lives in a namespace too, so that nothing of this machine's own network is touched."""
        self.namespaces: list[str] = []
        self.addresses = [f"10.77.0.{number}" for number in range(1, size + 1)]

    def open(self) -> None:
        """Set it up."""
        self._switch = self._made.add("switch")
        ip(self._switch, "link add br0 type bridge", "link set br0 up")
        for number, address in enumerate(self.addresses):
            namespace = self._made.add(f"member{number + 1}")
            self.namespaces.append(namespace)
            ip(
                self._switch,
                f"link add port{number} type veth peer name eth0 netns {namespace}",
                f"link set port{number} master br0 up",
            )
            ip(namespace, f"addr add {address}/24 dev eth0", "link set eth0 up")

    def close(self) -> None:
        """Take it apart."""
        self._made.close()

    def inside(self, number: int) -> list[str]:
        """What to put before a command that is to run in the namespace, and whenever it can."""
        return [*inside(self.namespaces[number]), *before_all_others()]

    def cut(self, number: int) -> None:
        """Pull the plug at the switch: the member itself sees its interface go down, as with a real cable."""
        ip(self._switch, f"link set port{number} down")

    def mend(self, number: int) -> None:
        """Put it back in."""
        ip(self._switch, f"link set port{number} up")

    def lose_answers(self, number: int) -> None:
        """Let the member hear everything and be heard by nobody: the switch forgets what comes from it."""
        ip(self.namespaces[number], *(f"route add blackhole {half}" for half in HALVES))

    def heed_answers(self, number: int) -> None:
        """Undo `lose_answers`."""
        ip(self.namespaces[number], *(f"route del blackhole {half}" for half in HALVES))


@pytest.fixture
def lan(require) -> Iterator[Lan]:
    """Three namespaces on one bridge."""
    lan = Lan(3)
    try:
        try:
            check_machine()
            lan.open()
        except (NoLab, RuntimeError) as error:
            require(False, f"this machine gives no network namespaces: {error}")
        yield lan
    finally:
        lan.close()


@pytest.fixture
def open_homes(require) -> Iterator[OpenHomes]:
    """Return a function that builds homes around an internet; see tests/lab/homes.py. All goes with the test."""
    with ExitStack() as stack:

        def build(*homes: Home | Router) -> Homes:
            try:
                return stack.enter_context(Homes(*homes))
            except (NoLab, RuntimeError) as error:
                require(False, f"this machine gives no homes with routers: {error}")
                raise

        yield build
