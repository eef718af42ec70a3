"""One member in a process of its own, for tests that kill, pause and cut off; JSON lines in and out.

It writes each accepted request to a journal before it acts on it, and stamps every event in `wake`, with the
clock that counts suspend and that all processes of a machine share.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import trio

import failover
from failover.ids import MemberId
from failover.raft.core import Core
from failover.raft.messages import Heartbeat, Message
from tests.benchmarks.parentage import die_with_parent


class Ledger:
    """Counts how often each command was applied, and remembers their order in a digest."""

    def __init__(self, poison: bool = False) -> None:
        self.counts: dict[str, int] = {}
        self.order = hashlib.sha256()
        self._poison = poison

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """The reply is how often this command was applied by now."""
        if self._poison and command == b"poison":
            raise ValueError("poisoned")
        text = command.decode()
        self.counts[text] = self.counts.get(text, 0) + 1
        self.order = hashlib.sha256(self.order.digest() + command)
        return b"%d" % self.counts[text]

    def view(self) -> int:
        """How many different commands."""
        return len(self.counts)

    def snapshot(self) -> Iterator[bytes]:
        """Counts, and the digest as a new beginning of the order."""
        return iter([json.dumps([self.counts, self.digest().hex()]).encode()])

    def restore(self, chunks: Iterable[bytes]) -> None:
        """See `snapshot`."""
        self.counts, digest = json.loads(b"".join(chunks))
        self.order = _Resumed(bytes.fromhex(digest))

    def digest(self) -> bytes:
        """Equal exactly after the same commands in the same order."""
        return self.order.digest()


class _Resumed:
    """A hash of which only the digest is known."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def digest(self) -> bytes:
        return self._digest


class Worker:
    """Carries out what the test asks."""

    clock: trio.abc.Clock | None = None
    """Of the whole process; None = the real one."""
    surroundings: failover.Surroundings | None = None
    """Of its member."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.machine: failover.StateMachine = Ledger(options.get("poison", False))
        self.member: failover.Member | None = None
        self.host: failover.Host | None = None
        """The newest one, also when its tenure is long over."""
        self.fault: str | None = None
        self.fault_called = trio.Event()
        self.events: list[dict[str, Any]] = []
        self.load = trio.CancelScope()
        self.loaded = trio.Event()
        self.heartbeats: list[float] = []
        if options.get("hearing"):
            self.hear_heartbeats()
        self.journal = Path(options["folder_"]) / f"{options['name'].replace(' ', '-')}.journal"

    async def run(self) -> None:
        """Open the member; answer questions until stdin ends or SIGTERM comes."""
        opening = failover.open_member(
            self.machine,
            storage=self.storage(),
            ticket=self.options.get("ticket"),
            found=self.options.get("found", False),
            name=self.options["name"],
            bind=self.options.get("bind", "127.0.0.1"),
            port=self.options.get("port", 0),
            serve=self.serve,
            settings=failover.Settings.from_toml(self.options.get("settings", "")),
            wake=self.hear,
            surroundings=self.surroundings,
        )
        began = time.monotonic()
        async with opening as self.member, trio.open_nursery() as nursery:
            self.hear()
            say(0, opened_s=time.monotonic() - began, id=self.member.id.hex(), port=self.member.address.port)
            if threading.current_thread() is threading.main_thread():
                nursery.start_soon(self.obey_signals, nursery.cancel_scope)
            nursery.start_soon(self.live)
            await self.listen(nursery)
            nursery.cancel_scope.cancel()

    async def live(self) -> None:
        """What it does besides, as long as it lives."""

    def storage(self) -> failover.Storage | str | None:
        """The file's name; or the open file, if this process is to die before some statement of SQL."""
        path, dies_at = self.options.get("storage"), self.options.get("dies_at")
        if path is None or dies_at is None:
            return path
        count = 0

        def about_to(statement: str) -> None:
            nonlocal count
            count += 1
            if count == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

        storage = failover.SqliteStorage(path)
        storage._connection().set_trace_callback(about_to)
        return storage

    async def obey_signals(self, scope: trio.CancelScope) -> None:
        """SIGTERM means: leave the block. SIGINT is left to Python, which raises KeyboardInterrupt."""
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                scope.cancel()

    def hear_heartbeats(self) -> None:
        """Note when each reaches the core of this process."""
        receive = Core.receive

        def noting(core: Core, sender: MemberId, message: Message, now: float) -> None:
            if isinstance(message, Heartbeat):
                self.heartbeats.append(time.monotonic())
            receive(core, sender, message, now)

        Core.receive = noting  # type: ignore[method-assign]

    def hear(self) -> None:
        """Stamp what has happened."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        for event in self.member.poll() if self.member is not None else ():
            told: dict[str, Any] = {"at": now, "kind": type(event).__name__}
            for name in event.__slots__:
                value = getattr(event, name)
                told[name] = value.hex() if isinstance(value, bytes) else repr(value)
            self.events.append(told)

    async def serve(self, host: failover.Host) -> None:
        """Propose every request, until the test wants something worse."""
        self.host = host
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.go_wrong)
            if self.options.get("alive"):
                nursery.start_soon(self.say_that_it_lives, host)
            async for request in host.requests():
                if self.fault == "hang":
                    await trio.sleep_forever()
                await request.propose()

    async def say_that_it_lives(self, host: failover.Host) -> None:
        """Call `host.alive()` as a game's own loop would, until that hangs."""
        while self.fault != "hang":
            host.alive()
            await trio.sleep(0.1)

    async def go_wrong(self) -> None:
        """Raise in the server function, when told to."""
        await self.fault_called.wait()
        if self.fault == "raise":
            self.fault, self.fault_called = None, trio.Event()
            raise RuntimeError("the server function has had enough")

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
        except failover.FailoverError as error:
            say(number, refused=type(error).__name__, text=str(error))
        except Exception as error:
            say(number, error=f"{do}: {type(error).__name__}: {error}")
        else:
            say(number, **answer)

    # --- what can be asked ---

    async def do_status(self) -> dict[str, Any]:
        """Who is who, as seen from here."""
        assert self.member is not None
        status = self.member.status()
        return {
            "id": status.member.hex(),
            "is_host": self.member.is_host,
            "host": status.host.hex() if status.host else None,
            "term": status.term,
            "applied": status.applied_index,
            "digest": status.digest.hex(),
            "survives": status.failures_survived,
            "port": self.member.address.port,
            "dropped": dict(status.dropped),
            "members": {m.member.hex(): [m.kind, m.is_connected] for m in status.members},
            "paths": {m.member.hex(): m.link.path for m in status.members if m.link is not None},
        }

    async def do_invite(self, uses: int) -> dict[str, Any]:
        """A ticket."""
        assert self.member is not None
        return {"ticket": await self.member.invite(uses=uses)}

    async def do_hand_over(self, to: str | None = None) -> dict[str, Any]:
        """Let somebody else host."""
        assert self.member is not None
        await self.member.hand_over(failover.MemberId(bytes.fromhex(to)) if to else None)
        return {}

    async def do_request(self, body: str, within_s: float = 20.0) -> dict[str, Any]:
        """One request, journalled when accepted."""
        assert self.member is not None
        reply = await self.member.request(body.encode(), within_s)
        with self.journal.open("a") as journal:
            journal.write(f"{body}\n")
        return {"reply": reply.decode(), "at": time.monotonic()}

    async def do_request_with_key(self, body: str, key: str) -> dict[str, Any]:
        """One request with a key, until it is known what became of it."""
        assert self.member is not None
        while True:
            try:
                return {"reply": (await self.member.request(body.encode(), 2.0, key=key.encode())).decode()}
            except failover.OutcomeUnknown:
                pass  # ask again: that is what a key is for

    async def do_load(self, prefix: str) -> dict[str, Any]:
        """Send one different request after the other until `unload`; returns when each was sent and answered."""
        done, unknown, number = [], 0, 0
        self.loaded = trio.Event()
        with trio.CancelScope() as self.load:
            while True:
                sent = time.monotonic()
                try:
                    answer = await self.do_request(f"{prefix} {number}")
                except (failover.OutcomeUnknown, failover.NotHost):
                    unknown += 1
                else:
                    done.append((sent, answer["at"]))
                number += 1
        self.loaded.set()
        return {"done": done, "unknown": unknown}

    async def do_unload(self) -> dict[str, Any]:
        """End the load."""
        self.load.cancel()
        await self.loaded.wait()
        return {}

    async def do_commit(self, body: str) -> dict[str, Any]:
        """Commit with the newest `Host` that this process was ever given."""
        assert self.host is not None
        return {"reply": (await self.host.commit(body.encode())).decode()}

    async def do_continue_alone(self, accept_loss: bool = False) -> dict[str, Any]:
        """Go on without a quorum."""
        assert self.member is not None
        loss = await self.member.continue_alone(accept_loss=accept_loss)
        return {"entries": loss.entries, "left_behind": [member.hex() for member in loss.left_behind]}

    async def do_rejoin(self, generation: str) -> dict[str, Any]:
        """Give the own generation up."""
        assert self.member is not None
        self.member.rejoin(failover.Generation(bytes.fromhex(generation)))
        return {}

    async def do_look(self) -> dict[str, Any]:
        """What happened up to now, and whether this member is host."""
        assert self.member is not None
        self.hear()
        return {"events": self.events, "is_host": self.member.is_host}

    async def do_heartbeats(self) -> dict[str, Any]:
        """When heartbeats of others came, if this process was told to note it."""
        return {"moments": self.heartbeats}

    async def do_counts(self) -> dict[str, Any]:
        """How often each command was applied."""
        assert isinstance(self.machine, Ledger)
        return {"counts": self.machine.counts}

    async def do_fault(self, kind: str) -> dict[str, Any]:
        """Let the server function go wrong."""
        self.fault = kind
        self.fault_called.set()
        return {}


def say(number: int, **values: Any) -> None:
    """One line to the test."""
    sys.stdout.write(json.dumps({"number": number, **values}) + "\n")
    sys.stdout.flush()


def main(kind: type[Worker] = Worker) -> int:
    """A program as players write it: one clear line for what goes wrong while opening."""
    die_with_parent()
    try:
        worker = kind(json.loads(sys.argv[1]))
        trio.run(worker.run, clock=worker.clock)
    except* failover.FailoverError as group:
        errors: BaseException = group
        while isinstance(errors, BaseExceptionGroup):
            errors = errors.exceptions[0]
        print(f"{type(errors).__name__}: {errors}", file=sys.stderr)
        sys.exit(1)
    except* KeyboardInterrupt:
        sys.exit(130)
    return 0


if __name__ == "__main__":
    sys.exit(main())
