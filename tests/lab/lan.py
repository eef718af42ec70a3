"""A LAN of namespaces: members on one switch, whose plugs are pulled and who are made deaf to each other.

    lan = Lan(5)
    lan.open()
    lan.cut(0)                # the plug of the first is pulled at the switch; lan.mend(0)
    lan.make_deaf(0, {1, 2})  # the first hears neither the second nor the third, who hear it; lan.make_deaf(0, ())

It carries IPv4 alone, and loses nothing by itself. What is bad in smaller ways is for `homes` and `emulator`.
"""

from __future__ import annotations

from collections.abc import Collection

from tests.lab.namespaces import Namespaces, before_all_others, inside, ip, run

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

    def make_deaf(self, number: int, to: Collection[int]) -> None:
        """From now on the member hears all but these; a datagram that is dropped here tells its sender nothing."""
        rules = "".join(f"ip saddr {self.addresses[other]} drop\n" for other in sorted(to))
        run(*inside(self.namespaces[number]), "nft", "-f", "-", text=_DEAF.format(rules=rules))


_DEAF = """
table ip deaf
delete table ip deaf
table ip deaf {{
    chain input {{
        type filter hook input priority filter
        {rules}
    }}
}}
"""
"""In one transaction: at no moment more is heard, or less, than before or after."""
