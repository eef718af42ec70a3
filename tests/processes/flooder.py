"""A process that floods members with initiations: as a stranger, or as the holder of a leaked ticket.

`python -m tests.processes.flooder OPTIONS`, with JSON for its options; everything is computed before the first
datagram leaves, and both their number and the time are bounded. One line of JSON at the end says what was sent and
what came back.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import time
from typing import Any

from failover.ids import MemberId
from failover.net import handshake
from failover.net.tickets import Ticket
from tests.benchmarks.parentage import die_with_parent

DIFFERENT = 2_000
"""Datagrams made for each target; then they begin anew. Who answers with cookies remembers none of them."""
SECONDS_MAX, RATE_MAX = 60.0, 20_000
STEP_S = 0.001
SOURCE = "127.0.0.2"


def initiations(member: MemberId, gate: bytes) -> list[bytes]:
    """Garbage with the best mac1 that this gate gives."""
    key = handshake.mac1_key(member, gate)
    dice = random.Random(1)
    return [
        handshake.initiation(sender_index=number, noise_message=dice.randbytes(1112), key=key)
        for number in range(DIFFERENT)
    ]


def flood(options: dict[str, Any]) -> dict[str, Any]:
    """Send; returns counts and the seconds that it took."""
    rate, seconds = min(options["rate"], RATE_MAX), min(options["seconds"], SECONDS_MAX)
    ticket = options.get("ticket")
    gate = Ticket.parse(ticket).gate if ticket else os.urandom(32)
    targets = [
        (("127.0.0.1", port), initiations(MemberId(bytes.fromhex(member)), gate))
        for member, port in options["targets"].items()
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((SOURCE, 0))
        sender.setblocking(False)
        sent, answers, answered_bytes = 0, 0, 0
        longest_pause_s = 0.0
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            for number in range(sent, min(int(passed * rate), sent + rate // 10)):
                for address, made in targets:
                    sender.sendto(made[number % DIFFERENT], address)
                sent += 1
            while (size := received(sender)) is not None:
                answers, answered_bytes = answers + 1, answered_bytes + size
            ready = time.monotonic()
            time.sleep(STEP_S)
            longest_pause_s = max(longest_pause_s, time.monotonic() - ready)
        took = time.monotonic() - began
    return {
        "sent": sent,
        "answers": answers,
        "answered_bytes": answered_bytes,
        "took": took,
        "longest_pause_s": longest_pause_s,
    }


def received(sender: socket.socket) -> int | None:
    """The size of an answer, if there is one."""
    try:
        return len(sender.recv(2048))
    except BlockingIOError:
        return None


def main() -> int:
    """See the module's docstring."""
    die_with_parent()
    print(json.dumps(flood(json.loads(sys.argv[1]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
