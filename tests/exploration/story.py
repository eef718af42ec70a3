"""A way through states, told: what happened, when, and how every member stands after it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from failover.ids import MemberId
from tests.exploration.abstractions import abstracted
from tests.exploration.cluster import Cluster, Parts
from tests.exploration.member import NOW, Do, Member, Receive
from tests.exploration.model import EXACT, TICK_S
from tests.exploration.search import Found

WORDS = {
    "tick": "is called at its deadline",
    "write": "finishes its oldest write",
    "unwind": "says that its server function has unwound",
    "crash": "crashes, and starts again from its disk",
    "propose": "appends a command",
    "resign": "resigns",
}


def tell(cluster: Cluster, found: Found) -> Iterator[str]:
    """Yield the lines of the story of what is broken."""
    parts, ticks = cluster.apart(found.first), 0
    yield f"At first (times in ticks of true time, {1000 * TICK_S:.0f} ms each):"
    yield from _members(cluster, parts, None)
    for number, (place, action) in enumerate(found.way, 1):
        with abstracted():
            result = cluster.after(parts, place, action)
        assert result is not None
        before, parts = parts, result[0]
        ticks += place < 0
        yield f"{number}. at {ticks}: {_happening(cluster, place, action)}"
        yield from _members(cluster, parts, before)
    yield f"Broken: {found.broken}."


def _happening(cluster: Cluster, place: int, number: int) -> str:
    action = cluster.actions[number]
    if place < 0:
        return "time has moved on by one tick"
    name = cluster.names[place].decode()
    if isinstance(action, Receive):
        return f"{name} gets from {action.sender.decode()}: {' and '.join(map(_short, action.messages))}"
    return f"{name} {_doing(action)}"


def _doing(action: Do) -> str:
    match action.what, action.arguments:
        case "hand over", (bytes() as to,):
            return f"begins to hand over to {to.decode()}"
        case "change", (frozenset() as voters, frozenset() as learners):
            return f"changes the voters to {_names(voters)}, the learners to {_names(learners)}"
        case "ask", (float() as value,):
            return f"asks for {'long' if value else 'short'} promises from now on"
    return WORDS[action.what]


def _names(members: frozenset[MemberId]) -> str:
    return "{" + ", ".join(name.decode() for name in sorted(members)) + "}"


def _short(message: object) -> str:
    text = repr(message)
    kind, _, fields = text.partition("(")
    left_out = ("hint_", "is_leaving=False", "release=None", "retry_after_s=0.0")
    kept = [field for field in fields[:-1].split(", ") if not field.startswith(left_out)]
    return f"{kind}({', '.join(kept)})"


def _members(cluster: Cluster, parts: Parts, before: Parts | None) -> Iterator[str]:
    for place in range(len(cluster.names)):
        if before is None or before[2 * place] != parts[2 * place]:
            yield f"      {_standing(cluster.member(parts[2 * place]))}"


def _standing(member: Member) -> str:
    core, rate = member.core, member.tick_s / TICK_S
    said = [
        f"{member.me.decode()} ({_clock(rate)}): {core.role.value} of term {core.term}",
        f"log {_terms([entry.term for entry in core.log.between(core.log.base_index, core.log.last_index)])}",
        f"commit {core.commit_index}",
    ]
    if core.voted_for is not None:
        said.append(f"voted for {core.voted_for.decode()}")
    if core.tenure is not None:
        said.append("hosts")
    if member.function_until > NOW:
        said.append(f"may act for {_ticks(member.function_until, member)}")
    said += [
        f"promised {holder.leader.decode()} (term {holder.term}) for {_ticks(until, member)}"
        for holder, until in member.promised.items()
        if until > NOW
    ]
    if member.pending:
        said.append(f"{len(member.pending)} writes under way")
    return ", ".join(said)


def _clock(rate: float) -> str:
    return "exact clock" if rate == EXACT else f"clock 10 % {'fast' if rate > EXACT else 'slow'}"


def _terms(terms: list[int]) -> str:
    return "of terms " + " ".join(map(str, terms)) if terms else "empty"


def _ticks(until: float, member: Member) -> str:
    return "ever" if until == math.inf else f"{until / member.tick_s:.2f} ticks"
