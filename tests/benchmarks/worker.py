"""One member in a process of its own; `python -m tests.benchmarks.worker OPTIONS`, JSON lines in and out.

It measures on itself what only it can see: how long its own commits and requests took. All moments are seconds
on CLOCK_MONOTONIC, which the processes of one machine share.
"""

from __future__ import annotations

import cProfile
import io
import json
import math
import os
import pstats
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import trio

import failover
from failover.net.addresses import Address
from tests.benchmarks.machine import Store, command
from tests.benchmarks.parentage import die_with_parent

CHUNK = 128
"""Proposals between two looks at the network."""


class CountingTransport(failover.UdpTransport):
    """Counts the UDP payload that leaves."""

    sent = 0

    def send(self, data: bytes, address: Address) -> None:
        """See `Transport.send`."""
        self.sent += len(data)
        super().send(data, address)


class Worker:
    """Carries out what the benchmark asks."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.machine = Store()
        self.transport = CountingTransport("127.0.0.1") if options.get("counting") else None
        self.member: failover.Member
        self.tenure: tuple[failover.Host, trio.Nursery] | None = None
        self.replies: list[tuple[float, float]] = []
        """Of each request while watching: when it was sent, when its reply came."""
        self.watching = trio.CancelScope()
        self.profile = cProfile.Profile()
        self.heard: list[tuple[float, failover.Event]] = []

    async def run(self) -> None:
        """Open the member, answer questions until stdin ends."""
        settings = failover.Settings.from_toml(self.options.get("settings", ""))
        opening = failover.open_member(
            self.machine,
            storage=self.options.get("storage"),
            ticket=self.options.get("ticket"),
            found=self.options.get("found", False),
            name=self.options.get("name", "member"),
            bind=self.options.get("bind", "127.0.0.1"),
            serve=self.serve,
            settings=settings,
            transport=self.transport,
        )
        began = time.monotonic()
        async with opening as self.member, trio.open_nursery() as nursery:
            say(0, opened_s=time.monotonic() - began, id=self.member.id.hex())
            nursery.start_soon(self.hear)
            await self.listen(nursery)
            nursery.cancel_scope.cancel()

    async def serve(self, host: failover.Host) -> None:
        """The server function: proposes requests, and runs the benchmark's jobs of this tenure."""
        async with trio.open_nursery() as nursery:
            self.tenure = (host, nursery)
            try:
                async for request in host.requests():
                    await request.propose()
            finally:
                self.tenure = None

    async def hear(self) -> None:
        """Tell what happens on stderr, which is shown if this worker fails."""
        async for event in self.member.events():
            moment = time.monotonic()
            self.heard.append((moment, event))
            print(f"{moment:.4f} {event}", file=sys.stderr, flush=True)

    async def listen(self, nursery: trio.Nursery) -> None:
        """Each line is carried out in a task of its own."""
        held = b""
        async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stream:
            async for data in stream:
                *lines, held = (held + data).split(b"\n")
                for line in lines:
                    nursery.start_soon(self.carry_out, json.loads(line))

    async def carry_out(self, question: dict[str, Any]) -> None:
        """Do what the line says; errors are answers too."""
        number, do = question.pop("number"), question.pop("do")
        try:
            answer = await getattr(self, f"do_{do}")(**question)
        except Exception as error:
            say(number, error=f"{do}: {type(error).__name__}: {error}")
        else:
            say(number, **answer)

    async def in_tenure(self, job: Callable[[failover.Host], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Run a job inside the server function and return what it returns."""
        if self.tenure is None:
            raise failover.NotHost("this worker is not host")
        host, nursery = self.tenure
        done, answer = trio.Event(), {"problem": "the tenure ended"}

        async def run() -> None:
            nonlocal answer
            try:
                answer = await job(host)
            except failover.FailoverError as error:
                answer = {"problem": str(error)}
            finally:
                done.set()

        nursery.start_soon(run)
        await done.wait()
        if "problem" in answer:
            raise RuntimeError(f"{answer['problem']}; heard last: {self.heard[-3:]}")
        return answer

    # --- what can be asked ---

    async def do_status(self) -> dict[str, Any]:
        """Who is who, as seen from here."""
        status = self.member.status()
        return {
            "id": status.member.hex(),
            "is_host": self.member.is_host,
            "term": status.term,
            "host": status.host.hex() if status.host else None,
            "applied": status.applied_index,
            "snapshot": status.snapshot_index,
            "count": self.machine.count,
            "keys": len(self.machine.data),
            "dropped": dict(status.dropped),
            "survives": status.failures_survived,
            "members": {m.member.hex(): [m.kind, m.is_connected] for m in status.members},
        }

    async def do_invite(self, uses: int) -> dict[str, Any]:
        """A ticket."""
        return {"ticket": await self.member.invite(uses=uses)}

    async def do_remove(self, member: str) -> dict[str, Any]:
        """End a membership."""
        await self.member.remove(failover.MemberId(bytes.fromhex(member)))
        return {}

    async def do_hand_over(self, to: str | None = None) -> dict[str, Any]:
        """Let somebody else host."""
        moment = time.monotonic()
        await self.member.hand_over(failover.MemberId(bytes.fromhex(to)) if to else None)
        return {"moment": moment}

    async def do_usage(self) -> dict[str, Any]:
        """CPU seconds, bytes sent and resident memory of this process up to now."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "moment": time.monotonic(),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "sent": self.transport.sent if self.transport else 0,
            "memory": psutil.Process().memory_info().rss,
        }

    async def do_commit_latency(
        self, count: int, size: int, every_s: float = 0.0, seconds: float = math.inf
    ) -> dict[str, Any]:
        """Commits one at a time from the server function; with `every_s` at a steady pace; for so long at most."""

        async def job(host: failover.Host) -> dict[str, Any]:
            moments, took, next_at = [], [], time.monotonic()
            until = next_at + seconds
            for number in range(count):
                if time.monotonic() > until:
                    break
                if every_s:
                    next_at += every_s
                    await trio.sleep(max(0.0, next_at - time.monotonic()))
                began = time.monotonic()
                await host.commit(command(number, size))
                moments.append(began)
                took.append(time.monotonic() - began)
            return {"took": took, "moments": moments}

        return await self.in_tenure(job)

    async def do_throughput(self, count: int, size: int, window: int) -> dict[str, Any]:
        """Many proposals in flight; the time until the last one is applied here."""

        async def job(host: failover.Host) -> dict[str, Any]:
            machine, first = self.machine, self.machine.count
            commands = [command(number, size) for number in range(100)]
            began, sent = time.monotonic(), 0
            while machine.count - first < count:
                room = min(window - (sent - (machine.count - first)), count - sent, CHUNK)
                for number in range(sent, sent + room):
                    host.propose(commands[number % 100])
                sent += room
                if room > 0:
                    await trio.lowlevel.checkpoint()
                else:
                    await machine.moved.wait()
            return {"seconds": time.monotonic() - began}

        return await self.in_tenure(job)

    async def do_ballast(self, count: int, size: int) -> dict[str, Any]:
        """Large values that stay in the state."""

        async def job(host: failover.Host) -> dict[str, Any]:
            for number in range(count):
                await host.commit((b"ballast %d=" % number).ljust(size, b"y"))
            return {}

        return await self.in_tenure(job)

    async def do_request_latency(self, count: int, size: int) -> dict[str, Any]:
        """Requests one at a time from this member."""
        took = []
        for number in range(count):
            began = time.monotonic()
            await self.member.request(command(number, size))
            took.append(time.monotonic() - began)
        return {"took": took}

    async def do_watch(self, size: int, most_s: float) -> dict[str, Any]:
        """Keep one request going until `watched` is asked."""
        self.replies.clear()
        number = 0
        with trio.move_on_after(most_s) as self.watching:
            while True:
                began = time.monotonic()
                await self.member.request(command(number, size))
                self.replies.append((began, time.monotonic()))
                number += 1
        return {}

    async def do_watched(self, since: float) -> dict[str, Any]:
        """The requests whose replies came since then; the watch goes on."""
        found = [reply for reply in self.replies if reply[1] > since]
        self.replies = found
        return {"replies": found}

    async def do_taken_over(self, since: float) -> dict[str, Any]:
        """When this member stood, won and became host since then; empty if it did not."""
        heard = [(at, event) for at, event in self.heard if at > since]
        won = next(((at, event) for at, event in heard if isinstance(event, failover.HostChanged)), None)
        hosts = next((at for at, event in heard if isinstance(event, failover.BecomeHost)), None)
        if won is None or hosts is None:
            return {}
        return {"stood": won[0] - won[1].election_ms / 1_000, "won": won[0], "hosts": hosts}

    async def do_unwatch(self) -> dict[str, Any]:
        """End the watch."""
        self.watching.cancel()
        return {}

    async def do_profile(self, on: bool, lines: int = 25, order: str = "tottime") -> dict[str, Any]:
        """Begin or end a profile of this process."""
        if on:
            self.profile = cProfile.Profile()
            self.profile.enable()
            return {}
        self.profile.disable()
        text = io.StringIO()
        pstats.Stats(self.profile, stream=text).strip_dirs().sort_stats(order).print_stats(lines)
        return {"text": text.getvalue()}

    async def do_positions(self, per_s: int, for_s: float) -> dict[str, Any]:
        """A game's frames: tell the host where this player is, draw what it says; on the host, tell all."""
        positions: dict[bytes, bytes] = {}
        heard, ends_at, next_at = 0, time.monotonic() + for_s, time.monotonic()
        while next_at < ends_at:
            self.member.send_unreliable(bytes(24))
            if self.tenure is not None and (host := self.tenure[0]).is_running():
                positions.update((item.sender, item.body) for item in host.poll_unreliable())
                host.send_unreliable(b"".join(positions.values()) or b"nobody")
            heard += len(self.member.poll_unreliable())
            next_at += 1 / per_s
            await trio.sleep(max(0.0, next_at - time.monotonic()))
        return {"heard": heard}

    async def do_sleep(self, seconds: float) -> dict[str, Any]:
        """Do nothing."""
        await trio.sleep(seconds)
        return {}


def say(number: int, **values: Any) -> None:
    """One line to the benchmark."""
    sys.stdout.write(json.dumps({"number": number, **values}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    die_with_parent()
    trio.run(Worker(json.loads(sys.argv[1])).run)
