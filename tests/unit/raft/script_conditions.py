"""What a script may expect, or wait for: each condition is a sentence, and reads the world without touching it."""

from __future__ import annotations

import re
from collections.abc import Callable

import script_trace as words
from script_process import Process
from script_world import World

from failover.raft.core import Role
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries


class ScriptError(Exception):
    """The script is wrong: a word that nobody knows, a member that is not there, a command out of place."""


Condition = Callable[..., bool]
_SENTENCES: list[tuple[re.Pattern[str], Condition]] = []


def says(pattern: str) -> Callable[[Condition], Condition]:
    """Make a function the meaning of the sentences of this form."""

    def remember(function: Condition) -> Condition:
        _SENTENCES.append((re.compile(pattern), function))
        return function

    return remember


def condition(sentence: str) -> Callable[[World], bool]:
    """Return what looks whether `sentence` holds. "not" in front turns it round."""
    if sentence.startswith("not "):
        opposite = condition(sentence.removeprefix("not "))
        return lambda world: not opposite(world)
    for pattern, function in _SENTENCES:
        if (match := pattern.fullmatch(sentence)) is not None:
            given = match.groupdict()
            return lambda world: function(world, **given)
    raise ScriptError(f"nobody knows what {sentence!r} means")


def member(world: World, name: str) -> Process:
    """The process of that name."""
    if name not in world.processes:
        raise ScriptError(f"there is no member {name!r}")
    return world.processes[name]


def live(world: World, name: str) -> Process:
    """The process of that name, which must not have crashed."""
    if not member(world, name).is_up:
        raise ScriptError(f"{name!r} is down")
    return world.processes[name]


def everyone(world: World, who: str) -> list[Process]:
    """Some members by name, or all that are up."""
    if who == "everywhere":
        return [p for p in world.processes.values() if p.is_up]
    return [live(world, name) for name in who.removeprefix("on ").split()]


def in_force(world: World) -> Membership:
    """The membership as the newest leader has it, or else who holds the longest log."""
    up = [p for p in world.processes.values() if p.is_up and p.core.log.membership]
    best = max(up, key=lambda p: (p.core.role is Role.LEADER, p.core.term, p.core.log.last_index))
    assert best.core.log.membership is not None
    return best.core.log.membership


@says(r"nobody hosts")
def nobody_hosts(world: World) -> bool:
    return not world.hosts


@says(r"somebody hosts")
def somebody_hosts(world: World) -> bool:
    return len(world.hosts) == 1


@says(r"nobody leads")
def nobody_leads(world: World) -> bool:
    return not world.leaders


@says(r"(?P<a>\w+) leads( term (?P<term>\d+))?")
def leads(world: World, a: str, term: str | None) -> bool:
    core = live(world, a).core
    return core.role is Role.LEADER and term in (None, str(core.term))


@says(r"(?P<a>\w+) hosts( in term (?P<term>\d+))?")
def hosts(world: World, a: str, term: str | None) -> bool:
    return [p.name for p in world.hosts] == [a] and term in (None, str(live(world, a).core.tenure))


@says(r"tenures (?P<which>.+)")
def tenures(world: World, which: str) -> bool:
    """All tenures that there were, in their order: `a2 b3` for a's in term 2 and b's in term 3."""
    return [f"{name}{term}" for name, term in world.tenures] == which.split()


@says(r"(?P<a>\w+) follows (?P<b>\w+)")
def follows(world: World, a: str, b: str) -> bool:
    core = live(world, a).core
    return core.role is Role.FOLLOWER and words.name(core.leader) == b


@says(r"(?P<a>\w+) is a (?P<role>follower|pre-candidate|candidate|leader)")
def is_a(world: World, a: str, role: str) -> bool:
    return live(world, a).core.role.value == role


@says(r"(?P<a>\w+) is in term (?P<term>\d+)")
def is_in_term(world: World, a: str, term: str) -> bool:
    return live(world, a).core.term == int(term)


@says(r"no term above (?P<term>\d+)")
def no_term_above(world: World, term: str) -> bool:
    return all(p.core.term <= int(term) for p in world.processes.values())


@says(r"(?P<a>\w+) voted for (?P<b>\w+)")
def voted_for(world: World, a: str, b: str) -> bool:
    return words.name(live(world, a).core.voted_for) == b


@says(r"(?P<what>\S+) is committed (?P<who>everywhere|on [\w ]+)")
def is_committed_on(world: World, what: str, who: str) -> bool:
    return what in world.history and all(
        what in world.history[: p.core.applied_index] for p in everyone(world, who)
    )


@says(r"(?P<what>\S+) is committed")
def is_committed(world: World, what: str) -> bool:
    return what in world.history


@says(r"(?P<what>\S+) is in the log of (?P<a>\w+)")
def is_in_log(world: World, what: str, a: str) -> bool:
    log = live(world, a).core.log
    return any(e.command.decode() == what for e in log.between(log.base_index, log.last_index))


@says(r"(?P<what>\S+) is on the disk of (?P<a>\w+)")
def is_on_disk(world: World, what: str, a: str) -> bool:
    return any(e.command.decode() == what for e in member(world, a).disk.entries.values())


@says(r"(?P<what>\S+) is nowhere")
def is_nowhere(world: World, what: str) -> bool:
    return not any(is_in_log(world, what, p.name) for p in world.processes.values() if p.is_up)


@says(r"logs equal( on (?P<who>[\w ]+))?")
def logs_equal(world: World, who: str | None) -> bool:
    """Equal ends and equal terms, and applied to the same index; what is compacted is equal if what follows is."""
    logs = [p.core.log for p in everyone(world, f"on {who}" if who else "everywhere")]
    base = max(log.base_index for log in logs)
    if len({log.last_index for log in logs}) > 1 or base > min(log.last_index for log in logs):
        return False
    return len({tuple(e.term for e in log.between(base, log.last_index)) for log in logs}) == 1


@says(r"the log of (?P<a>\w+) is (?P<terms>[\d ]+)")
def log_is(world: World, a: str, terms: str) -> bool:
    """The terms of what it holds in memory, the oldest first."""
    log = live(world, a).core.log
    return [e.term for e in log.between(log.base_index, log.last_index)] == [int(t) for t in terms.split()]


@says(r"the log of (?P<a>\w+) ends at (?P<index>\d+)")
def log_ends_at(world: World, a: str, index: str) -> bool:
    return live(world, a).core.log.last_index == int(index)


@says(r"the log of (?P<a>\w+) begins after (?P<index>\d+)")
def log_begins_after(world: World, a: str, index: str) -> bool:
    return live(world, a).core.log.base_index == int(index)


@says(r"(?P<a>\w+) has applied (?P<index>\d+)")
def has_applied(world: World, a: str, index: str) -> bool:
    return live(world, a).core.applied_index == int(index)


@says(r"(?P<a>\w+) has durable (?P<index>\d+)")
def has_durable(world: World, a: str, index: str) -> bool:
    return live(world, a).core.durable_index == int(index)


@says(r"(?P<a>\w+) has a snapshot of (?P<index>\d+)")
def has_snapshot(world: World, a: str, index: str) -> bool:
    return member(world, a).disk.snapshot is not None and live(world, a).core.log.snapshot_index == int(index)


@says(r"voters (?P<who>[\w ]+)")
def voters(world: World, who: str) -> bool:
    return not in_force(world).is_joint and words.names(in_force(world).voters) == who


@says(r"learners (?P<who>[\w ]+)")
def learners(world: World, who: str) -> bool:
    return words.names(in_force(world).learners) == who


@says(r"the membership is joint")
def is_joint(world: World) -> bool:
    return in_force(world).is_joint


@says(r"(?P<a>\w+) replicates to (?P<b>\w+) by (?P<how>probe|replicate|snapshot)")
def replicates_by(world: World, a: str, b: str, how: str) -> bool:
    leadership = live(world, a).core.leadership
    return leadership is not None and any(
        words.name(m) == b and p.sending.value == how for m, p in leadership.replication.progress.items()
    )


@says(r"(?P<a>\w+) knows that (?P<b>\w+) has (?P<index>\d+)")
def knows_match(world: World, a: str, b: str, index: str) -> bool:
    leadership = live(world, a).core.leadership
    return leadership is not None and leadership.replication.match_index(member(world, b).me) == int(index)


@says(r"no (?P<kind>[A-Z]\w+)( from (?P<a>\w+))?( to (?P<b>\w+))?")
def none_sent(world: World, kind: str, a: str | None, b: str | None) -> bool:
    """Since the last `mark`, or ever, nobody said such a thing."""
    return not any(x.kind == kind and a in (None, x.sender) and b in (None, x.to) for x in world.sent)


@says(r"at most (?P<most>\d+) (?P<kind>[A-Z]\w+)( from (?P<a>\w+))?( to (?P<b>\w+))?")
def at_most_sent(world: World, most: str, kind: str, a: str | None, b: str | None) -> bool:
    """Since the last `mark`, or ever."""
    said = [x for x in world.sent if x.kind == kind and a in (None, x.sender) and b in (None, x.to)]
    return len(said) <= int(most)


@says(r"(?P<a>\w+) takes itself for a (?P<what>voter|learner|stranger)")
def takes_itself_for(world: World, a: str, what: str) -> bool:
    """By the membership that its own log shows."""
    process = live(world, a)
    it = process.core.log.membership
    is_voter = it is not None and process.me in it.all_voters
    is_learner = it is not None and process.me in it.learners
    return what == ("voter" if is_voter else "learner" if is_learner else "stranger")


@says(r"the read (is answered as of (?P<index>\d+)|is refused)")
def read_gave(world: World, index: str | None) -> bool:
    """The last one that was asked for."""
    return world.last_read == (int(index) if index else None)


@says(r"no entries to (?P<b>\w+)")
def no_entries_sent(world: World, b: str) -> bool:
    """Since the last `mark`, or ever, it was sent empty appends at most."""
    appends = [x.message for x in world.sent if x.to == member(world, b).name]
    return not any(isinstance(append, AppendEntries) and append.entries for append in appends)
