"""The floors: what this machine gives without any of our code, measured in the same run.

A quorum round trip over UDP, sealed with the cipher that we use, as bare as Python can: a leader and two
followers, non-blocking sockets under trio. What it costs to be woken for as many datagrams as an idle host is. And
one `fdatasync` of the disk that holds the storages.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import trio
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tests.benchmarks.children import Child
from tests.benchmarks.parentage import die_with_parent

MODULE = "tests.benchmarks.floor"
CIPHER = ChaCha20Poly1305(b"k" * 32)
IN_FLIGHT = 64
ENTRY_SIZE, ANSWER_SIZE = 100, 20
PAGE = b"p" * 4096


def seal(number: int, data: bytes) -> bytes:
    """A counter in the clear, and the sealed data, as on our data channel."""
    nonce = number.to_bytes(12, "little")
    return nonce + CIPHER.encrypt(nonce, data, None)


def unseal(datagram: bytes) -> bytes:
    """Raises if it was changed."""
    return CIPHER.decrypt(datagram[:12], datagram[12:], None)


def open_socket() -> socket.socket:
    """On any free port."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    opened.bind(("127.0.0.1", 0))
    return opened


async def follow(own: socket.socket) -> None:
    """Answer every datagram."""
    number, answer = 0, bytes(ANSWER_SIZE)
    while True:
        await trio.lowlevel.wait_readable(own)
        while True:
            try:
                datagram, address = own.recvfrom(2048)
            except BlockingIOError:
                break
            unseal(datagram)
            number += 1
            own.sendto(seal(number, answer), address)


async def lead(addresses: list[tuple[str, int]], count: int) -> dict[str, Any]:
    """One at a time, until the first of two answers; then many at once, until both."""
    own, data, took = open_socket(), os.urandom(ENTRY_SIZE), []

    async def take() -> None:
        while True:
            try:
                unseal(own.recvfrom(2048)[0])
            except BlockingIOError:
                await trio.lowlevel.wait_readable(own)
            else:
                return

    for number in range(count):
        began = time.monotonic()
        for address in addresses:
            own.sendto(seal(number, data), address)
        await take()
        took.append(time.monotonic() - began)
        await take()
    began, sent, answers = time.monotonic(), 0, 0
    while answers < 2 * count:
        while sent < count and 2 * sent - answers < 2 * IN_FLIGHT:
            for address in addresses:
                own.sendto(seal(sent, data), address)
            sent += 1
        await take()
        answers += 1
    return {"took": took, "per_s": count / (time.monotonic() - began)}


async def beat(addresses: list[tuple[str, int]], every_s: float, for_s: float) -> dict[str, Any]:
    """Send everybody one datagram at a steady pace and take in the answers; says what that cost."""
    own, number = open_socket(), 0

    async def take() -> None:
        while True:
            await trio.lowlevel.wait_readable(own)
            try:
                while True:
                    unseal(own.recvfrom(2048)[0])
            except BlockingIOError:
                pass

    before, began = resource.getrusage(resource.RUSAGE_SELF), trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        for moment in range(1, int(for_s / every_s)):
            await trio.sleep_until(began + moment * every_s)
            for address in addresses:
                own.sendto(seal(number, bytes(ANSWER_SIZE)), address)
                number += 1
        nursery.cancel_scope.cancel()
    after, took_s = resource.getrusage(resource.RUSAGE_SELF), trio.current_time() - began
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_percent": cpu_s / took_s * 100}


def sync_times(folder: str, count: int) -> dict[str, Any]:
    """How long appending a page and `fdatasync` take."""
    path, took = Path(folder) / f"sync-{os.getpid()}", []
    with path.open("wb", buffering=0) as file:
        for _ in range(count):
            began = time.monotonic()
            file.write(PAGE)
            os.fdatasync(file.fileno())
            took.append(time.monotonic() - began)
    path.unlink()
    return {"took": took}


def round_trips(count: int) -> dict[str, Any]:
    """Measure the quorum round trip; `took` in seconds, and `per_s`."""
    with _leader_of(2) as (leader, ports):
        return leader.ask("lead", 60, ports=ports, count=count)


def beats(followers: int, every_s: float, for_s: float) -> float:
    """Measure what `beat` costs its process, in percent of a core."""
    with _leader_of(followers) as (leader, ports):
        found = leader.ask("beat", for_s + 60, ports=ports, every_s=every_s, for_s=for_s)
        return float(found["cpu_percent"])


@contextmanager
def _leader_of(followers: int) -> Iterator[tuple[Child, list[int]]]:
    """The process that leads, and the ports of those that answer."""
    with ExitStack() as stack:
        names = [f"floor follower {number}" for number in range(1, followers + 1)]
        answering = [stack.enter_context(Child(MODULE, {"role": "follower", "name": name})) for name in names]
        leader = stack.enter_context(Child(MODULE, {"role": "leader", "name": "floor leader"}))
        ports = [each.wait(0, 10)["port"] for each in answering]
        leader.wait(0, 10)
        yield leader, ports


def syncs(folder: Path, count: int, processes: int) -> list[float]:
    """How long syncs take while so many processes do the same."""
    children = [Child(MODULE, {"role": "disk", "name": "disk"}) for _ in range(processes)]
    try:
        for child in children:
            child.wait(0, 10)
        numbers = [child.send("sync", folder=str(folder), count=count) for child in children]
        return [took for c, number in zip(children, numbers, strict=True) for took in c.wait(number)["took"]]
    finally:
        for child in children:
            child.__exit__(None, None, None)


def main() -> None:
    """A child of `round_trips`, `beats` or `syncs`."""
    die_with_parent()
    if json.loads(sys.argv[1])["role"] == "follower":
        own = open_socket()
        print(json.dumps({"number": 0, "port": own.getsockname()[1]}), flush=True)
        trio.run(follow, own)
    print(json.dumps({"number": 0}), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        addresses = [("127.0.0.1", port) for port in question.get("ports", ())]
        if question["do"] == "lead":
            answer = trio.run(lead, addresses, question["count"])
        elif question["do"] == "beat":
            answer = trio.run(beat, addresses, question["every_s"], question["for_s"])
        else:
            answer = sync_times(question["folder"], question["count"])
        print(json.dumps({"number": question["number"], **answer}), flush=True)


if __name__ == "__main__":
    main()
