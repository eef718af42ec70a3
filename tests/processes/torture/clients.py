"""Clients: each asks for one thing after the other, by one way after the other, and notes what it hears.

What a client does follows from its dice. It refuses to guess: what it did not hear is unknown.
"""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import trio

import failover
from tests.processes.torture.clocks import true_ns
from tests.processes.torture.notes import Notes
from tests.processes.torture.registers import View

KEYS = 5
KEYS_CHANGE_NS = 20_000_000_000
"""A handful of keys, and new ones after a while: what is never answered burdens the judge of that while alone."""
REST_MAX_S = 0.15
TIMEOUT_S = (0.3, 1.0, 4.0)

Way = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Has something done, and returns `out` and `place`; raises what the library raises."""


class Client:
    """Asks, and notes a call before, and a return after it."""

    def __init__(self, name: str, notes: Notes, dice: random.Random) -> None:
        self._name, self._notes, self._dice = name, notes, dice
        self._number = 0
        self._seen: dict[str, str | None] = {}
        """The newest value of a key that it knows of."""
        self._newest = ""
        """The key that it knows something of since last."""

    async def play(self, change: Way, look: Way, until: Callable[[], bool]) -> None:
        """Ask until told otherwise: changes and reads by the log, and reads by `look`."""
        while not until():
            await trio.sleep(self._dice.random() * REST_MAX_S)
            asked = self.draw()
            is_look = asked["op"] == "r" and self._dice.random() < 0.7
            await self.ask(asked, "local" if is_look else "log", look if is_look else change)

    def draw(self) -> dict[str, Any]:
        """What to ask for next."""
        key = f"{true_ns() // KEYS_CHANGE_NS}.{self._dice.randrange(KEYS)}"
        mine = f"{self._name}.{self._number}"
        match self._dice.choice(["r", "r", "w", "cas"]):
            case "r":
                return {"op": "r", "key": key}
            case "w":
                return {"op": "w", "key": key, "arg": mine}
        # Mostly of what it saw last, so that some succeed.
        key = self._newest if self._newest and self._dice.random() < 0.8 else key
        return {"op": "cas", "key": key, "arg": self._seen.get(key), "arg2": mine}

    async def ask(self, asked: dict[str, Any], via: str, way: Way) -> bool:
        """Ask once; returns whether it was done for certain. Cancelled, the history has a call without return."""
        me = {"client": self._name, "number": self._number}
        self._number += 1
        self._notes.add(**me, **asked, via=via, call=true_ns())
        try:
            heard = await way(me | asked)
        except (failover.NotHost, failover.Refused, failover.Closed) as error:
            self._notes.add(**me, ok=False, ret=true_ns())
            if isinstance(error, failover.Closed):
                raise  # nobody closes members here: it has stopped, and its process shall say so
            return False
        except failover.OutcomeUnknown:
            self._notes.add(**me, ok=False, unknown=True, ret=true_ns())
            return False
        self._notes.add(**me, ok=True, out=heard["out"], place=heard["place"], ret=true_ns())
        self._remember(asked, heard["out"])
        return True

    def _remember(self, asked: dict[str, Any], out: str | bool | None) -> None:
        self._newest = asked["key"]
        if asked["op"] == "cas":
            self._seen[asked["key"]] = asked["arg2"] if out else None
        else:
            self._seen[asked["key"]] = asked.get("arg", out)

    def timeout_s(self) -> float:
        """How patient it is this time."""
        return self._dice.choice(TIMEOUT_S)


def changes_of(member: failover.Member, client: Client) -> Way:
    """By requests to whoever hosts."""

    async def change(asked: dict[str, Any]) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(await member.request(json.dumps(asked).encode(), client.timeout_s()))
        if "refused" in heard:
            raise failover.Refused(heard["refused"])
        return heard

    return change


def looks_of(member: failover.Member, client: Client) -> Way:
    """At the state here, when it has all that was accepted before."""

    async def look(asked: dict[str, Any]) -> dict[str, Any]:
        with trio.move_on_after(client.timeout_s()):
            await member.read_barrier()
            return seen(member.state, asked)
        raise failover.OutcomeUnknown("no answer in time")

    return look


def commits_of(host: failover.Host) -> Way:
    """By the host itself, without asking anybody."""

    async def change(asked: dict[str, Any]) -> dict[str, Any]:
        command = json.dumps(asked | {"term": host.epoch.term}).encode()
        heard: dict[str, Any] = json.loads(await host.commit(command))
        if "refused" in heard:
            raise failover.Refused(heard["refused"])
        return heard

    return change


def lease_looks_of(host: failover.Host) -> Way:
    """At the state that the host may read at once, by its lease."""

    async def look(asked: dict[str, Any]) -> dict[str, Any]:
        return seen(host.state, asked)

    return look


def seen(state: object, asked: dict[str, Any]) -> dict[str, Any]:
    """What a picture of the state says; it stands behind all that is in it, and before all that is not."""
    assert isinstance(state, View)
    return {"out": state.values.get(asked["key"]), "place": state.index + 0.5}
