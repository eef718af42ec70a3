"""Bad links between the homes of a lab: one process in the namespace between them, which all datagrams pass.

Why a TUN device, and no UDP proxy: members keep their real addresses and need no change, routers with their NAT
stay on the way, ICMP and everything else passes too, and a member that moves just comes from elsewhere. It needs
root on Linux, as the homes do. The kernel hands over each packet that comes from a home, and takes back what is
due; `links.py` says when. Started by `Homes.emulate`; questions come as JSON lines, see
tests/benchmarks/children.py.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import select
import struct
import sys
import time
from contextlib import suppress
from typing import Any

from tests.benchmarks.parentage import die_with_parent
from tests.lab.links import Line, Links, Way

DEVICE = "weather"
_TUNSETIFF = 0x4004_54CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_PR_SET_TIMERSLACK = 29
PACKET_SIZE_MAX = 65_535
DRAINED_MAX = 64
"""Packets taken in a row before the clock is looked at again."""
LATENESSES_MAX = 1_000_000


class Emulator:
    """The process."""

    def __init__(self, seed: int) -> None:
        self.links = Links(seed)
        self.lateness_us: list[int] = []
        """Of each packet: how long after its due time it was given back to the kernel."""
        self._tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self._tun, _TUNSETIFF, struct.pack("16sH", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
        self._held = b""

    def run(self) -> None:
        """Carry packets until stdin ends."""
        stdin, links = sys.stdin.fileno(), self.links
        while True:
            deadline = links.deadline
            wait_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select(
                [self._tun, stdin], [], [], wait_s
            )  # exact to microseconds, unlike poll
            if self._tun in readable:
                self._take_in()
            now = time.monotonic()
            for due, data in links.due(now):
                with suppress(BlockingIOError, OSError):  # nobody there: lost, as on any network
                    os.write(self._tun, data)
                self.lateness_us.append(int((time.monotonic() - due) * 1e6))
            if len(self.lateness_us) > LATENESSES_MAX:
                del self.lateness_us[: LATENESSES_MAX // 2]
            if stdin in readable and not self._answer(os.read(stdin, 65_536)):
                return

    def _take_in(self) -> None:
        for _ in range(DRAINED_MAX):
            try:
                data = os.read(self._tun, PACKET_SIZE_MAX)
            except BlockingIOError:
                return
            homes = homes_of(data)
            if homes is not None:
                self.links.enter(*homes, data, time.monotonic())

    def _answer(self, data: bytes) -> bool:
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            question = json.loads(line)
            number, do = question.pop("number"), question.pop("do")
            answer = getattr(self, f"do_{do}")(**question)
            print(json.dumps({"number": number, **answer}), flush=True)
        return bool(data)

    def do_set(
        self, what: str, values: dict[str, Any], sender: int | None = None, receiver: int | None = None
    ) -> dict[str, Any]:
        """Change a way, or a line up or down; without homes: of all that have none of their own."""
        links = self.links
        if what == "way":
            if sender is None or receiver is None:
                links.way = Way(**values)
            else:
                links.ways[sender, receiver] = Way(**values)
        else:
            line = Line(**values)
            if sender is None:
                setattr(links, what, line)
            else:
                (links.ups if what == "up" else links.downs)[sender] = line
        return {}

    def do_report(self) -> dict[str, Any]:
        """What was done up to now, and how late."""
        late = sorted(self.lateness_us) or [0]
        return {
            **self.links.counters,
            "cpu_s": time.process_time(),
            "late_us": {"p50": late[len(late) // 2], "p99": late[len(late) * 99 // 100], "max": late[-1]},
        }


def homes_of(packet: bytes) -> tuple[int, int] | None:
    """The sender's and the receiver's home, by the addresses 11.22.HOME.x; None for what is not between homes."""
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[12:14] != b"\x0b\x16" or packet[16:18] != b"\x0b\x16":
        return None
    return packet[14], packet[18]


def main() -> None:
    """Be punctual: before all others if the kernel allows it, and without pauses for collecting garbage."""
    import ctypes

    die_with_parent()
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    emulator = Emulator(json.loads(sys.argv[1])["seed"])
    gc.disable()
    print(json.dumps({"number": 0}), flush=True)
    emulator.run()


if __name__ == "__main__":
    main()
