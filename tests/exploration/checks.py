"""What must hold in every state, whatever happened: the guarantees, as oracles that know no faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from failover.ids import MemberId, Term
from failover.raft.membership import Membership
from failover.raft.messages import Entry
from tests.exploration.member import NOW, Member

if TYPE_CHECKING:
    from tests.exploration.cluster import Cluster, Parts


class History(NamedTuple):
    """What has happened, as far as the guarantees speak of it."""

    leaders: tuple[tuple[Term, int], ...]
    """Who led which term."""
    hosted: tuple[Term, ...]
    """The terms that had a tenure."""
    committed: tuple[tuple[Entry, Term], ...]
    """Every entry that a leader counted as committed, and in which term it did."""
    budget: tuple[int, ...]
    """What may still happen, for each kind of rationed action."""
    ticks: int

    def spent(self, kind: int) -> History:
        """One less of this kind."""
        left = tuple(count - (place == kind) for place, count in enumerate(self.budget))
        return self._replace(budget=left)


@dataclass(frozen=True, slots=True)
class Seen:
    """One member's state, as the checks and the choice of actions see it."""

    term: Term
    durable_term: Term
    leads: Term | None
    is_host: bool
    """As far as it knows; it may be past the end of its lease."""
    is_acting: bool
    """Whether its server function may act at this instant: it has not unwound, and the lease has not ended."""
    log: tuple[Entry, ...]
    disk: tuple[Entry, ...]
    commit_index: int
    rounds: int
    membership: Membership | None
    own: tuple[str, ...]
    """What it can do by itself."""

    @classmethod
    def of(cls, member: Member) -> Seen:
        """Look at a member."""
        core = member.core
        own = []
        if core._deadline <= NOW:
            own.append("tick")
        if member.pending:
            own.append("write")
        if not core.host_is_stopped and core.tenure is None:
            own.append("unwind")
        return cls(
            term=core.term,
            durable_term=member.hard_state.term,
            leads=core.term if core.leadership is not None else None,
            is_host=core.tenure is not None,
            is_acting=member.function_until > NOW,
            log=tuple(core.log.between(core.log.base_index, core.log.last_index)),
            disk=member.entries,
            commit_index=core.commit_index,
            rounds=core.leadership.lease.round if core.leadership is not None else 0,
            membership=core.log.membership,
            own=tuple(own),
        )


def check(
    cluster: Cluster, parts: Parts, place: int, was: Seen, began: Term | None, history: History
) -> tuple[History, str | None]:
    """Look at the state after `place` acted; returns the history from now on, and what is broken."""
    now = cluster.seen[parts[2 * place]]
    if now is was:
        return history, None
    everybody = [cluster.seen[parts[2 * other]] for other in range(len(cluster.names))]
    name = [one.decode() for one in cluster.names]
    broken: str | None = None
    if now.is_acting:
        others = [name[other] for other, seen in enumerate(everybody) if seen.is_acting and other != place]
        if others:
            broken = f"{name[place]} and {others[0]} host at the same instant"
    if now.log != was.log:
        broken = broken or _logs_match(everybody, place, name)
    if now.leads is not None and now.leads != was.leads:
        history, failed = _leads(history, now, place, name)
        broken = broken or failed
    if now.commit_index > was.commit_index or (now.log != was.log and now.commit_index > 1):
        history, failed = _commits(history, everybody, place, cluster)
        broken = broken or failed
    if began is not None:
        broken = broken or _begins(history, now, began, cluster.names[place])
        history = history._replace(hosted=tuple(sorted({*history.hosted, began})))
    return history, broken


def _logs_match(everybody: list[Seen], place: int, name: list[str]) -> str | None:
    """Log matching (Raft, figure 3): the same index and term, the same entries up to there."""
    mine = everybody[place].log
    for other, seen in enumerate(everybody):
        if seen.log is mine:
            continue
        for index in range(min(len(mine), len(seen.log)) - 1, -1, -1):
            if mine[index].term == seen.log[index].term:
                if mine[: index + 1] != seen.log[: index + 1]:
                    return f"the logs of {name[place]} and {name[other]} agree at {index + 1}, not before"
                break
    return None


def _leads(history: History, now: Seen, place: int, name: list[str]) -> tuple[History, str | None]:
    """Election safety and leader completeness (Raft, figure 3)."""
    assert now.leads is not None
    known = dict(history.leaders)
    if now.leads in known and known[now.leads] != place:
        return history, f"{name[known[now.leads]]} and {name[place]} both lead term {now.leads}"
    if now.leads in known:
        return history, f"{name[place]} leads term {now.leads} a second time"
    for entry, term in history.committed:
        if term < now.leads and (len(now.log) < entry.index or now.log[entry.index - 1] != entry):
            return (
                history,
                f"{name[place]} leads term {now.leads} without entry {entry.index}, which was committed",
            )
    return history._replace(leaders=tuple(sorted([*history.leaders, (now.leads, place)]))), None


def _commits(history: History, everybody: list[Seen], place: int, cluster: Cluster) -> tuple[History, str | None]:
    """Committed stays committed, everywhere the same, and is on the disks of a quorum from the first."""
    now, name = everybody[place], cluster.names[place].decode()
    known = history.committed
    for entry, (agreed, _) in zip(now.log[: now.commit_index], known, strict=False):
        if entry != agreed:
            return history, f"{name} takes another entry {entry.index} for committed than others did"
    if now.commit_index <= len(known):
        return history, None
    newest = now.log[now.commit_index - 1]
    holders = {
        member
        for member, seen in zip(cluster.names, everybody, strict=True)
        if len(seen.disk) >= newest.index and seen.disk[newest.index - 1] == newest
    }
    memberships = [entry.membership for entry in now.log if entry.membership is not None]
    # A change that was appended in the same step is in force since then only.
    if not any(membership.has_quorum(holders) for membership in memberships[-2:]):
        return history, f"{name} commits entry {newest.index}, which only {len(holders)} disks hold"
    news = tuple((entry, now.term) for entry in now.log[len(known) : now.commit_index])
    return history._replace(committed=known + news), None


def _begins(history: History, now: Seen, term: Term, me: MemberId) -> str | None:
    """A term has at most one tenure; it begins where an application is, with all that earlier hosts accepted."""
    name = me.decode()
    if now.membership is not None and me in now.membership.witnesses:
        return f"{name} hosts, and is a witness"
    if term in history.hosted:
        return f"term {term} has a second tenure"
    if any(entry.index > now.commit_index for entry, committed in history.committed if committed < term):
        return f"{name} hosts without having applied all that was committed"
    return None
