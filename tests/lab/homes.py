"""An internet of namespaces with homes around it, each behind its router: for hole punching, relays, moves.

    def test_something(open_homes, tmp_path):
        homes = open_homes(Router.CONE, Router.CONE, Router.NONE)      # one member in each
        homes = open_homes(Home(Router.CONE, members=2), Router.RANDOM)  # two behind the first router
        a, b, c = homes.members                                          # in the order of the homes
        a.prefix        # what to put before a command: `ip netns exec ...`
        a.address       # its own (private) address; `a.address6` the one for IPv6, reachable in its home alone
        a.home.public   # the router's address, as the others see a; of a member without a router its own
        homes.udp_socket(a, port=7777)                                   # a bare socket in its namespace
        Cluster(3, tmp_path, worker="tests.processes.worker", folder_=str(tmp_path), places=homes.places())

    homes.drop_mappings(a.home)          # the router forgets who talked to whom, as after a restart
    homes.set_mapping_lifetimes(a.home, unanswered_s=5, answered_s=10)
    homes.change_address(a)              # off the Wi-Fi, on to a phone's hotspot: a new home, a new address
    homes.move(a, b.home)                # ... or on to another home's Wi-Fi
    homes.cut(a); homes.mend(a)          # the cable from a member to its router
    homes.cut(a.home); homes.mend(a.home)    # the line from the router to the internet

All homes use the network 192.168.1.0/24 and give the first member 192.168.1.10, as in real life: a private address
of another home is the address of somebody else here. Public addresses are 11.22.HOME.x. They look like any others
to the members (those kept for documentation count as private with Python), and cannot leave the namespaces.

    links = homes.emulate(Way(delay_s=0.020, loss=0.02), up=Line(rate=10e6))    # all ways and lines
    links.set_way(a.home, b.home, Way(loss=1.0))    # from a's home to b's, this direction alone
    links.report()                                  # what was carried, lost, doubled, and how punctually

Routers, as nftables builds them (and as a test with bare sockets shows):
- `CONE`: Linux's masquerade. The source port is kept where it is free, so that a member is seen under one public
  port by everybody, and what arrives there passes only from addresses and ports that the member has written to.
  The "port-restricted cone" of most homes.
- `RANDOM`: `masquerade fully-random`: another public port for each address written to. Holes cannot be punched
  between two of these.
- `NONE`: no router, public addresses.
Whatever comes to a router unasked is dropped. (If it answered instead, the kernel would remember the stranger's
datagram and give an answer's source another port: the hole would be missed by who knocked first.)
"""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from tests.benchmarks.children import Child
from tests.lab import namespaces
from tests.lab.emulator import DEVICE
from tests.lab.links import Line, Way
from tests.lab.namespaces import Namespaces, inside, ip, run, set_kernel_values

LAN = "192.168.1"
PLUGGED_IN_S = 5.0
FIRST_HOST = 10
"""The last number of the address of a home's first member."""


class Router(Enum):
    """See the module's docstring."""

    CONE = "masquerade"
    RANDOM = "masquerade fully-random"
    NONE = ""


@dataclass(eq=False)
class Home:
    """A router and who lives behind it."""

    router: Router
    members: int = 1
    """How many it begins with."""
    number: int = 0
    namespace: str = ""
    """Of the router; without one, of the switch that is in its place."""
    _hosts: Iterator[int] = field(default_factory=lambda: itertools.count(FIRST_HOST), repr=False)

    @property
    def network(self) -> str:
        """The first three numbers of its members' addresses."""
        return f"11.22.{self.number}" if self.router is Router.NONE else LAN

    @property
    def gateway(self) -> str:
        """Where its members send what is for others."""
        return f"11.22.{self.number}.254" if self.router is Router.NONE else f"{LAN}.1"

    @property
    def public(self) -> str:
        """The router's address on the internet; without one, that of the first member."""
        return f"11.22.{self.number}.{FIRST_HOST if self.router is Router.NONE else 1}"


@dataclass(eq=False)
class Place:
    """Where a member is: a namespace with one interface."""

    namespace: str
    home: Home
    interface: str = ""
    address: str = ""
    address6: str = ""

    @property
    def prefix(self) -> list[str]:
        """What to put before a command that is to run there."""
        return inside(self.namespace)


class Homes:
    """See the module's docstring. Open it in a `with` block, or through the fixture `open_homes`."""

    def __init__(self, *homes: Home | Router) -> None:
        self.homes = [home if isinstance(home, Home) else Home(home) for home in homes]
        self.members: list[Place] = []
        self.internet = ""
        """The namespace between the homes."""
        self._emulation: Emulation | None = None
        self._namespaces = Namespaces()
        self._interfaces = itertools.count(1)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Homes:
        namespaces.check_machine("nft", "conntrack")
        namespaces.remove_orphans()
        try:
            self.internet = self._namespaces.add("internet")
            set_kernel_values(self.internet, _FORWARDING)
            for home in self.homes:
                self._build(home)
                for _ in range(home.members):
                    place = Place(self._namespaces.add(f"member{len(self.members) + 1}"), home)
                    self._plug_in(place, home)
                    self.members.append(place)
            for each in (*self.homes, *self.members):
                _wait_until_plugged_in(each)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take all of it apart. Processes inside lose their network; end them before."""
        if self._emulation is not None:
            self._emulation.close()
        self._namespaces.close()

    def places(self, bind: str = "::") -> Iterator[dict[str, Any]]:
        """For `Cluster`: where each of its members runs, in order. They bind to all addresses, as games do.

        They go before whatever else this machine does, so that what is measured is the links and the members.
        """
        first = namespaces.before_all_others()
        return iter([{"prefix": [*place.prefix, *first], "bind": bind} for place in self.members])

    def udp_socket(
        self, place: Place, port: int = 0, *, address: str = "0.0.0.0", timeout_s: float = 0.3
    ) -> socket.socket:
        """A bare socket in the member's namespace."""
        return namespaces.udp_socket(place.namespace, address, port, timeout_s)

    # What happens to networks in the middle of a game.

    def drop_mappings(self, home: Home) -> None:
        """The router forgets all its mappings, as when it is restarted."""
        assert home.router is not Router.NONE, "there is no router"
        run(*inside(home.namespace), "conntrack", "-F")

    def mappings(self, home: Home) -> list[str]:
        """What the router remembers of UDP, a line each, in the words of `conntrack -L`."""
        return run(*inside(home.namespace), "conntrack", "-L", "-p", "udp").splitlines()

    def set_mapping_lifetimes(self, home: Home, *, unanswered_s: int = 30, answered_s: int = 120) -> None:
        """How long the router remembers a mapping that is not used; whole seconds."""
        values = {"udp_timeout": unanswered_s, "udp_timeout_stream": answered_s}
        set_kernel_values(
            home.namespace, {f"net.netfilter.nf_conntrack_{name}": value for name, value in values.items()}
        )

    def cut(self, what: Place | Home) -> None:
        """Pull a member's cable out of its router, or a router's out of the wall."""
        namespace, link = self._cable(what)
        ip(namespace, f"{link} down")

    def mend(self, what: Place | Home) -> None:
        """Put it back in; returns when it carries again, which takes the kernel up to a second."""
        namespace, link = self._cable(what)
        ip(namespace, f"{link} up")
        _wait_until_plugged_in(what)

    def move(self, place: Place, home: Home) -> None:
        """The member's machine leaves its network and joins another; its processes go on.

        The old interface is gone at once, with its addresses, as when Wi-Fi is switched off.
        """
        old = place.interface
        self._plug_in(place, home, f"link delete {old}")

    def change_address(self, place: Place, router: Router | None = None) -> None:
        """The member's machine moves to a new home of its own; a router of the same kind unless one is named."""
        home = Home(place.home.router if router is None else router, members=0)
        self.homes.append(home)
        self._build(home)
        self.move(place, home)

    # Bad links.

    def emulate(self, way: Way, *, up: Line | None = None, down: Line | None = None, seed: int = 0) -> Emulation:
        """Let all that goes from home to home pass an emulator of bad links (tests/lab/emulator.py), once.

        Args:
            way: between every two homes, in each direction: a round trip is twice its delay.
            up: the line from each home; None = no limit.
            down: the line to each home; None = no limit.
            seed: of the chance in it.
        """
        assert self._emulation is None, "one is enough"
        emulation = self._emulation = Emulation(inside(self.internet), seed)
        ip(
            self.internet,
            f"link set {DEVICE} up mtu 1500 txqueuelen 10000",
            f"route add default dev {DEVICE} table 77",
        )
        emulation.set_way(None, None, way)
        emulation.set_line("up", None, up or Line())
        emulation.set_line("down", None, down or Line())
        # What comes from a home goes to the emulator, what comes from there to its home.
        ip(self.internet, f"rule add iif {DEVICE} lookup main priority 10", "rule add lookup 77 priority 11")
        return emulation

    # How it is built.

    def _build(self, home: Home) -> None:
        """Router or switch, the bridge of its LAN, and the line to the internet."""
        home.number = next(self._numbers)
        home.namespace = self._namespaces.add(f"home{home.number}")
        gateway = f"11.22.{home.number}.254"
        ip(
            home.namespace,
            "link add lan type bridge",
            "link set lan up",
            f"link add wan type veth peer name home{home.number} netns {self.internet}",
            "link set wan up",
        )
        ip(self.internet, f"addr add {gateway}/24 dev home{home.number}", f"link set home{home.number} up")
        if home.router is Router.NONE:
            ip(home.namespace, "link set wan master lan")
            return
        ip(
            home.namespace,
            f"addr add {home.public}/24 dev wan",
            f"addr add {LAN}.1/24 dev lan",
            f"addr add fd77::{home.number}:1/64 dev lan nodad",
            f"route add default via {gateway}",
        )
        set_kernel_values(home.namespace, _FORWARDING)
        run(*inside(home.namespace), "nft", "-f", "-", text=_RULES.format(masquerade=home.router.value))

    def _plug_in(self, place: Place, home: Home, leaving: str | None = None) -> None:
        """A new interface, with an address of the home; what ends the old one comes when the new one is ready."""
        host = next(home._hosts)
        place.home, place.interface = home, f"eth{next(self._interfaces)}"
        place.address, place.address6 = f"{home.network}.{host}", f"fd77::{home.number}:{host}"
        port = f"to-{place.interface}"
        ip(
            home.namespace,
            f"link add {port} type veth peer name {place.interface} netns {place.namespace}",
            f"link set {port} master lan up",
        )
        ip(place.namespace, f"link set {place.interface} up")
        if leaving is not None:
            _wait_until_plugged_in(place)
        ip(
            place.namespace,
            *([leaving] if leaving else []),
            f"addr add {place.address}/24 dev {place.interface}",
            f"addr add {place.address6}/64 dev {place.interface} nodad",
            f"route add default via {home.gateway}",
        )

    def _cable(self, what: Place | Home) -> tuple[str, str]:
        if isinstance(what, Home):
            return self.internet, f"link set home{what.number}"
        return what.home.namespace, f"link set to-{what.interface}"


def _wait_until_plugged_in(what: Place | Home) -> None:
    """A switch uses a new cable when the kernel gets round to it."""
    home, port = (what, "wan") if isinstance(what, Home) else (what.home, f"to-{what.interface}")
    if isinstance(what, Home) and home.router is not Router.NONE:
        return  # the router's own interface, and not its switch's
    until = time.monotonic() + PLUGGED_IN_S
    while "state disabled" in run("bridge", "-n", home.namespace, "link", "show", "dev", port):
        if time.monotonic() > until:
            raise RuntimeError(f"the cable {port} of home {home.number} stays dead")
        time.sleep(0.01)


class Emulation:
    """The emulator of bad links, from outside."""

    def __init__(self, prefix: list[str], seed: int) -> None:
        self._child = Child("tests.lab.emulator", {"name": "the emulator", "seed": seed}, prefix)
        self._child.wait(0, 10)

    def set_way(self, sender: Home | None, receiver: Home | None, way: Way) -> None:
        """From now on, from one home to another; without them, between all that have no way of their own."""
        numbers = {"sender": sender.number, "receiver": receiver.number} if sender and receiver else {}
        self._child.ask("set", what="way", values=asdict(way), **numbers)

    def set_line(self, direction: str, home: Home | None, line: Line) -> None:
        """The line of a home, "up" or "down"; without a home, of all that have none of their own."""
        self._child.ask("set", what=direction, values=asdict(line), sender=home.number if home else None)

    def report(self) -> dict[str, Any]:
        """How many datagrams had which fate, and how many microseconds late they left, p50, p99 and most."""
        return self._child.ask("report")

    def close(self) -> None:
        """End it."""
        self._child.kill()


_FORWARDING: dict[str, object] = {
    "net.ipv4.ip_forward": 1,
    "net.ipv4.conf.all.rp_filter": 0,  # the emulator gives back what came from elsewhere
    "net.ipv4.conf.default.rp_filter": 0,
}
_RULES = """
table ip router {{
    chain nat {{
        type nat hook postrouting priority srcnat
        oifname wan {masquerade}
    }}
    chain forward {{
        type filter hook forward priority filter
        iifname wan ct state != {{ established, related }} drop
    }}
    chain input {{
        type filter hook input priority filter
        iifname wan ct state != {{ established, related }} drop
    }}
}}
"""
