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
    homes.change_address(a)              # off the Wi-Fi, on to a phone's hotspot: new home and address, same process
    homes.move(a, b.home)                # ... or on to another home's Wi-Fi
    homes.cut(a); homes.mend(a)          # the cable from a member to its router
    homes.cut(a.home); homes.mend(a.home)    # the line from the router to the internet

All homes use the network 192.168.1.0/24 and give the first member 192.168.1.10, as in real life: a private address
of another home is the address of somebody else here. Public addresses are 11.22.HOME.x. They look like any others
to the members (those kept for documentation count as private with Python), and cannot leave the namespaces.

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
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.lab import namespaces
from tests.lab.namespaces import Namespaces, inside, ip, run, set_kernel_values

LAN = "192.168.1"
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
        self._namespaces = Namespaces()
        self._interfaces = itertools.count(1)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Homes:
        namespaces.check_machine("nft", "conntrack")
        namespaces.remove_orphans()
        try:
            self.internet = self._namespaces.add("internet")
            set_kernel_values(self.internet, {"net.ipv4.ip_forward": 1})
            for home in self.homes:
                self._build(home)
                for _ in range(home.members):
                    self._move_in(home)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take all of it apart. Processes inside lose their network; end them before."""
        self._namespaces.close()

    def places(self, bind: str = "0.0.0.0") -> Iterator[dict[str, Any]]:
        """For `Cluster`: where each of its members runs, in order. They bind to all addresses, as games do."""
        return iter([{"prefix": place.prefix, "bind": bind} for place in self.members])

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
        """Put it back in."""
        namespace, link = self._cable(what)
        ip(namespace, f"{link} up")

    def move(self, place: Place, home: Home) -> None:
        """The member's machine leaves its network and joins another; its processes go on.

        The old interface is gone at once, with its addresses, as when Wi-Fi is switched off.
        """
        ip(place.namespace, f"link delete {place.interface}")
        self._plug_in(place, home)

    def change_address(self, place: Place, router: Router | None = None) -> None:
        """The member's machine moves to a new home of its own; the router is of the same kind unless one is named."""
        home = Home(place.home.router if router is None else router, members=0)
        self.homes.append(home)
        self._build(home)
        self.move(place, home)

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
        set_kernel_values(home.namespace, {"net.ipv4.ip_forward": 1})
        run(*inside(home.namespace), "nft", "-f", "-", text=_RULES.format(masquerade=home.router.value))

    def _move_in(self, home: Home) -> None:
        place = Place(self._namespaces.add(f"member{len(self.members) + 1}"), home)
        self.members.append(place)
        self._plug_in(place, home)

    def _plug_in(self, place: Place, home: Home) -> None:
        """A new interface, with an address of the home."""
        host = next(home._hosts)
        place.home, place.interface = home, f"eth{next(self._interfaces)}"
        place.address, place.address6 = f"{home.network}.{host}", f"fd77::{home.number}:{host}"
        port = f"to-{place.interface}"
        ip(
            home.namespace,
            f"link add {port} type veth peer name {place.interface} netns {place.namespace}",
            f"link set {port} master lan up",
        )
        ip(
            place.namespace,
            f"addr add {place.address}/24 dev {place.interface}",
            f"addr add {place.address6}/64 dev {place.interface} nodad",
            f"link set {place.interface} up",
            f"route add default via {home.gateway}",
        )

    def _cable(self, what: Place | Home) -> tuple[str, str]:
        if isinstance(what, Home):
            return self.internet, f"link set home{what.number}"
        return what.home.namespace, f"link set to-{what.interface}"


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
