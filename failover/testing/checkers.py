"""Oracles for simulations: they see what happened, never which faults were injected.

Each checker raises `Violation` at the first step that breaks its rule.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable

from failover.ids import LogIndex, MemberId, Term
from failover.raft.membership import Membership
from failover.raft.messages import Entry, Message, VoteResponse


class Violation(AssertionError):
    """A guarantee was broken."""


class TwoHosts(Violation):
    """Two tenures ran at one instant."""


class NoProgress(Violation):
    """Nothing wrong happened, but what should have happened did not."""


def quorum_of(membership: Membership, agreeing: Collection[MemberId]) -> bool:
    """Whether `agreeing` is more than half of the voters and, while joint, of the outgoing ones.

    The core knows that too; an oracle that asked the code under test would believe it.
    """
    for half in (membership.voters, membership.outgoing):
        if half and 2 * len([member for member in half if member in agreeing]) <= len(half):
            return False
    return True


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
                raise TwoHosts(f"{member!r} hosts at {now:.6f} while {other!r} may until {ends:.6f}")
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
                raise TwoHosts(f"{member!r} and {other!r} hold leases at {now:.6f}")
        self._running[member] = lease_ends

    def ends(self, member: MemberId) -> None:
        """The server function has ended, or its process died. From `StopHost` to then it runs, by its lease."""
        self._running.pop(member, None)


class WitnessesNeverHost:
    """A witness has no application: no tenure ever begins on it, whatever it leads."""

    def __init__(self) -> None:
        self.witnesses: set[MemberId] = set()
        """Whoever was made one; it stays one."""

    def begins(self, member: MemberId, term: Term) -> None:
        """A tenure begins."""
        if member in self.witnesses:
            raise Violation(f"the witness {member!r} hosts term {term}")


class OneLeaderPerTerm:
    """Election safety (Raft, figure 3)."""

    def __init__(self) -> None:
        self._leaders: dict[Term, MemberId] = {}

    def leads(self, member: MemberId, term: Term) -> None:
        """`member` is leader of `term`."""
        known = self._leaders.setdefault(term, member)
        if known != member:
            raise Violation(f"{member!r} and {known!r} both lead term {term}")


class OneVotePerTerm:
    """A member gives one vote in a term, whatever it forgets in a crash (Raft, 5.2).

    A candidate's vote for itself is given when it is counted: who asks, and crashes before that vote is durable,
    has not given it.
    """

    def __init__(self) -> None:
        self._votes: dict[tuple[MemberId, Term], MemberId] = {}

    def says(self, sender: MemberId, to: MemberId, message: Message) -> None:
        """`sender` puts a message on the network."""
        if isinstance(message, VoteResponse) and message.granted:
            self._gives(sender, message.request_term, to)

    def leads(self, member: MemberId, term: Term) -> None:
        """`member` won `term`, with its own vote among the others."""
        self._gives(member, term, member)

    def is_elected(self, member: MemberId, term: Term, membership: Membership) -> None:
        """`member` won `term` under this membership: more than half must have said that they vote for it."""
        voters = {voter for (voter, at), candidate in self._votes.items() if at == term and candidate == member}
        if not quorum_of(membership, voters):
            raise Violation(f"{member!r} leads term {term} with the votes of {sorted(voters)}, of {membership}")

    def _gives(self, voter: MemberId, term: Term, candidate: MemberId) -> None:
        known = self._votes.setdefault((voter, term), candidate)
        if known != candidate:
            raise Violation(f"{voter!r} votes for {candidate!r} and {known!r} in term {term}")


class OneHistory:
    """State-machine safety and leader completeness (Raft, figure 3): committed stays committed, everywhere."""

    def __init__(self) -> None:
        self.committed: list[tuple[Term, bytes, Membership | None]] = []
        self.membership: Membership | None = None
        """The newest committed one."""
        self._led = Term(0)
        """The highest term that anybody led so far."""
        self._committed_by: list[Term] = []
        """The term in which an entry was committed, or a higher one."""

    def applies(self, member: MemberId, entries: Iterable[Entry]) -> None:
        """`member` applies these entries."""
        for entry in entries:
            position, value = entry.index - 1, (entry.term, entry.command, entry.membership)
            if position < len(self.committed):
                if self.committed[position] != value:
                    raise Violation(f"{member!r} applies {value} at {entry.index}, not {self.committed[position]}")
            elif position == len(self.committed):
                self.committed.append(value)
                self._committed_by.append(self._led)
                self.membership = entry.membership or self.membership
            else:
                raise Violation(f"{member!r} applies {entry.index} before {len(self.committed) + 1}")

    def leads(self, member: MemberId, term: Term, last_index: LogIndex, entries: Iterable[Entry]) -> None:
        """A new leader holds these entries (the tail of its log): nothing of earlier terms may be missing.

        A member that was paused as a candidate may win on waking, in a term that is long over. It need not hold
        what only a later term committed, even if it was appended in an earlier one.
        """
        needed = min(
            bisect.bisect_left(self.committed, term, key=lambda committed: committed[0]),
            bisect.bisect_left(self._committed_by, term),
        )
        self._led = max(self._led, term)
        if last_index < needed:
            raise Violation(f"leader {member!r} of term {term} ends at {last_index}, committed is {needed}")
        for entry in entries:
            if entry.index <= needed and self.committed[entry.index - 1][0] != entry.term:
                raise Violation(f"leader {member!r} has another entry at {entry.index}")

    def hosts(self, member: MemberId, term: Term, applied_index: LogIndex) -> None:
        """`member` begins to host: it has applied everything that earlier hosts accepted."""
        if applied_index < len(self.committed) and self.committed[applied_index][0] < term:
            raise Violation(
                f"{member!r} hosts term {term} at {applied_index}, {len(self.committed)} are committed"
            )


class OnlyForwards:
    """Term, commit index and applied index of one life of a member never fall (Raft, figure 2)."""

    def __init__(self) -> None:
        self._seen: dict[tuple[MemberId, int], tuple[int, int, int]] = {}

    def shows(self, member: MemberId, life: int, term: Term, commit: LogIndex, applied: LogIndex) -> None:
        """`member` shows these numbers now."""
        key, now = (member, life), (term, commit, applied)
        before = self._seen.get(key)
        if before == now:
            return
        if before is not None and any(new < old for new, old in zip(now, before, strict=True)):
            raise Violation(f"{member!r} went from (term, commit, applied) {before} back to {now}")
        self._seen[key] = now


class HeldByQuorum:
    """What a leader counts as committed is on the disks of a quorum at that moment."""

    def __init__(self) -> None:
        self._checked = LogIndex(0)

    def is_news(self, index: LogIndex) -> bool:
        """Whether `index` is beyond all that was looked at before."""
        return index > self._checked

    def commits(
        self, member: MemberId, index: LogIndex, memberships: Iterable[Membership], holders: Iterable[MemberId]
    ) -> None:
        """`member` leads, under one of these, and commits up to `index`, which the disks of `holders` hold."""
        holding = frozenset(holders)
        if not any(quorum_of(membership, holding) for membership in memberships):
            raise Violation(f"{member!r} commits {index}, durable only on {sorted(holding)}")
        self._checked = max(self._checked, index)
