"""Oracles for simulations: they see what happened, never which faults were injected.

Each checker raises `Violation` at the first step that breaks its rule.
"""

from __future__ import annotations

from collections.abc import Iterable

from failover.ids import LogIndex, MemberId, Term
from failover.raft.messages import Entry


class Violation(AssertionError):
    """A guarantee was broken."""


class OneHost:
    """At any instant of true time at most one tenure runs, and a term has at most one."""

    def __init__(self) -> None:
        self._running: dict[MemberId, float] = {}
        """Who hosts, and the true time at which its lease ends by its own clock, at the latest."""
        self._terms: set[Term] = set()
        self.tenures = 0

    def begins(self, member: MemberId, term: Term, now: float, lease_ends: float) -> None:
        """A tenure begins at true time `now`."""
        for other, ends in self._running.items():
            if other != member and ends > now:
                raise Violation(f"{member!r} hosts at {now:.6f} while {other!r} may until {ends:.6f}")
        if term in self._terms:
            raise Violation(f"a second tenure in term {term}")
        self._terms.add(term)
        self._running[member] = lease_ends
        self.tenures += 1

    def lease_moved(self, member: MemberId, now: float, lease_ends: float) -> None:
        """The lease of a running tenure was renewed (or cut)."""
        if member not in self._running:
            return
        if lease_ends > self._running[member] < now:
            raise Violation(f"{member!r} renewed a lease that had ended at {self._running[member]:.6f}")
        for other, ends in self._running.items():
            if other != member and ends > now and lease_ends > now:
                raise Violation(f"{member!r} and {other!r} hold leases at {now:.6f}")
        self._running[member] = lease_ends

    def ends(self, member: MemberId) -> None:
        """The tenure was stopped, or its process died."""
        self._running.pop(member, None)


class OneLeaderPerTerm:
    """Election safety (Raft, figure 3)."""

    def __init__(self) -> None:
        self._leaders: dict[Term, MemberId] = {}

    def leads(self, member: MemberId, term: Term) -> None:
        """`member` is leader of `term`."""
        known = self._leaders.setdefault(term, member)
        if known != member:
            raise Violation(f"{member!r} and {known!r} both lead term {term}")


class OneHistory:
    """State-machine safety and leader completeness (Raft, figure 3): committed stays committed, everywhere."""

    def __init__(self) -> None:
        self.committed: list[tuple[Term, bytes]] = []

    def applies(self, member: MemberId, entries: Iterable[Entry]) -> None:
        """`member` applies these entries."""
        for entry in entries:
            position, value = entry.index - 1, (entry.term, entry.command)
            if position < len(self.committed):
                if self.committed[position] != value:
                    raise Violation(f"{member!r} applies {value} at {entry.index}, not {self.committed[position]}")
            elif position == len(self.committed):
                self.committed.append(value)
            else:
                raise Violation(f"{member!r} applies {entry.index} before {len(self.committed) + 1}")

    def leads(self, member: MemberId, last_index: LogIndex, entries: Iterable[Entry]) -> None:
        """A new leader holds these entries (the tail of its log): nothing committed may be missing."""
        if last_index < len(self.committed):
            raise Violation(f"leader {member!r} ends at {last_index}, committed is {len(self.committed)}")
        for entry in entries:
            if entry.index <= len(self.committed) and self.committed[entry.index - 1][0] != entry.term:
                raise Violation(f"leader {member!r} has another entry at {entry.index}")
