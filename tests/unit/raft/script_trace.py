"""How what the members of a script say and do is written down: one line each, without what tuning changes.

Durations and round numbers are left out, entries stand as index/term, equal words to several members share a line,
and what is said again is shown once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from failover.ids import MemberId, Term
from failover.raft.effects import SnapshotMeta, Write
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendEntries,
    AppendResponse,
    CommitNotice,
    Entry,
    HandOver,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    PreVoteRequest,
    PreVoteResponse,
    Release,
    VoteRequest,
    VoteResponse,
)

WHO_WIDTH = 12
KIND_WIDTH = 18
ENTRIES_IN_FULL = 4
"""More entries than this in one message are given by their first and last."""


class Trace:
    """The lines that one command caused. What was shown before is left out until the script changes something."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._shown: set[tuple[str, str]] = set()
        self.shows_all = False
        """Heartbeats and repetitions, too."""

    def is_news(self, who: str, what: str) -> bool:
        """Whether this was not shown yet; it counts as shown then."""
        is_news = self.shows_all or (who, what) not in self._shown
        self._shown.add((who, what))
        return is_news

    def write(self, who: str, what: str) -> None:
        """Write a line."""
        self._lines.append(f"{who:<{WHO_WIDTH}} {what}".rstrip())

    def forget(self) -> None:
        """Something has changed: who repeats a message now may be heard, or has a new reason."""
        self._shown.clear()

    def take(self) -> list[str]:
        """Return the lines since the last call."""
        lines, self._lines = self._lines, []
        return lines


def name(member: MemberId | None) -> str:
    """A member's name in the script."""
    return "nobody" if member is None else member.decode()


def names(members: Iterable[MemberId]) -> str:
    """Several members, in order."""
    return " ".join(sorted(map(name, members))) or "nobody"


def membership(it: Membership) -> str:
    """Who is what, in words."""
    text = f"voters {names(it.voters)}"
    if it.is_joint:
        text += f", joint with {names(it.outgoing)}"
    if it.learners:
        text += f", learners {names(it.learners)}"
    if it.learners_next:
        text += f", then learners {names(it.learners_next)}"
    if it.witnesses:
        text += f", witness {names(it.witnesses)}"
    return text


def entry(it: Entry) -> str:
    """One entry: index/term and what is in it."""
    words = it.command.decode()
    if it.membership is not None:
        words = f"({membership(it.membership)})"
    return f"{it.index}/{it.term} {words or 'no-op'}"


def entries(them: Sequence[Entry]) -> str:
    """Some entries; many are given by their ends."""
    if len(them) > ENTRIES_IN_FULL:
        return f"{entry(them[0])} .. {entry(them[-1])}"
    return ", ".join(map(entry, them))


def write(it: Write, before: tuple[Term, MemberId | None]) -> str:
    """What one write makes durable; empty if it is a promise ceiling alone, which tuning changes."""
    parts = []
    if it.hard_state is not None and (it.hard_state.term, it.hard_state.voted_for) != before:
        vote = f", vote for {name(it.hard_state.voted_for)}" if it.hard_state.voted_for else ""
        parts.append(f"term {it.hard_state.term}{vote}")
    if it.truncate_from is not None:
        parts.append(f"nothing from {it.truncate_from} on")
    if it.entries:
        parts.append(entries(it.entries))
    if it.compact_to is not None:
        parts.append(f"nothing up to {it.compact_to}")
    return "; ".join(parts)


def snapshot(it: SnapshotMeta | InstallSnapshot) -> str:
    """Where a snapshot stands."""
    return f"{it.last_index}/{it.last_term} ({membership(it.membership)})"


def message(it: Message) -> str:
    """A message: its kind, and the fields that matter to a story."""
    return f"{type(it).__name__:<{KIND_WIDTH}} {_said(it)}".rstrip()


def _said(it: Message) -> str:
    match it:
        case PreVoteRequest():
            return f"term {it.term}, log ends {it.last_log_index}/{it.last_log_term}"
        case VoteRequest():
            release = f", {_release(it.release)}" if it.release else ""
            return f"term {it.term}, log ends {it.last_log_index}/{it.last_log_term}{release}"
        case PreVoteResponse() | VoteResponse():
            return _judged(it)
        case Heartbeat():
            return f"term {it.term}, commit {it.commit_index}"
        case HeartbeatResponse():
            return f"term {it.term}, {'promised' if it.promise_s else 'refused'}" + ", leaving" * it.is_leaving
        case AppendEntries():
            sent = entries(it.entries) or "nothing"
            return (
                f"term {it.term}, after {it.prev_log_index}/{it.prev_log_term}: {sent}; commit {it.commit_index}"
            )
        case AppendResponse(success=True):
            return f"term {it.term}, has {it.index}"
        case AppendResponse():
            return f"term {it.term}, refuses {it.index}, try {it.hint_index}/{it.hint_term}"
        case CommitNotice():
            return f"term {it.term}, commit {it.commit_index}"
        case InstallSnapshot():
            return f"term {it.term}, {snapshot(it)}"
        case HandOver():
            return f"term {it.term}, {_release(it.release)}"
        case _:  # kinds that the scripts know no words for: their fields, as they are
            fields = (f"{f.name} {getattr(it, f.name)!r}" for f in dataclasses.fields(it))
            return ", ".join(fields)


def _judged(it: PreVoteResponse | VoteResponse) -> str:
    if it.granted:
        return f"term {it.request_term}: yes"
    why = "no, not now" if it.retry_after_s > 0 else "no"
    return f"term {it.request_term}: {why}" + (f" (is in term {it.term})" if it.term != it.request_term else "")


def _release(it: Release) -> str:
    return f"released by {name(it.leader)} from term {it.term}"
