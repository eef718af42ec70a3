"""Puts together what `Member.status()` shows, from the parts of a member; changes none of them."""

from __future__ import annotations

from failover.ids import Epoch, MemberId
from failover.raft.membership import Membership
from failover.records import MemberInfo
from failover.running import Running
from failover.status import LinkStatus, MemberStatus, Status, link_status
from failover.watching import host_of

HEARD_S = 2.0
"""A member of which nothing came for longer does not count as connected."""


def picture_of(running: Running, epoch: Epoch | None) -> Status:
    """How all looks from this member now; `epoch` is the tenure that runs here."""
    me, core, directory, now = running.id, running.core, running.replica.directory, running.clock()
    leadership, membership = core.leadership, core.log.membership
    return Status(
        member=me,
        name=running.opened.info.name,
        generation=running.peers.generation,
        role=core.role.value,
        term=core.term,
        epoch=epoch,
        host=host_of(core),
        last_log_index=core.log.last_index,
        commit_index=core.commit_index,
        applied_index=core.applied_index,
        durable_index=core.durable_index,
        snapshot_index=core.log.snapshot_index,
        digest=running.replica.digest(),
        members=_members(running, now),
        left_behind=tuple(directory.former) if directory else (),
        failures_survived=_survivable(running, now) if leadership else None,
        next_hosts=core.fitness.next_hosts(membership, core.leader),
        promise_ms=leadership.promise_s(now) * 1_000 if leadership else 0.0,
        timeline=tuple(running.life.watch.timeline),
        dropped=running.dropped(),
        version=directory.version if directory else 0,
        level=directory.level if directory else 0,
        trouble=running.life.trouble,
        slow_snapshot_ms=running.life.snapshots.watch.slow_ms,
    )


def _survivable(running: Running, now: float) -> int | None:
    """By the membership before, too, until the others are known to have the one in force: were this leader lost
    in that moment, they would go by the old one, in which it may be needed."""
    memberships = running.core.log.possible_memberships(running.core.commit_index)
    voters = frozenset(voter for each in memberships for voter in each.all_voters)
    here = {voter for voter in voters if _is_heard(running, voter, now)}
    return min((each.survivable(here) for each in memberships), default=None)


def _members(running: Running, now: float) -> tuple[MemberStatus, ...]:
    core, directory = running.core, running.replica.directory
    hints = {**core.fitness.hints(), running.id: core.fitness.hint}
    links = {peer.member: link_status(peer, now) for peer in running.peers.status().peers}
    return tuple(
        _member(running, info, hints.get(member, 0), links.get(member), now)
        for member, info in sorted(directory.members.items() if directory else ())
    )


def _member(running: Running, info: MemberInfo, hint: int, link: LinkStatus | None, now: float) -> MemberStatus:
    member, core = info.member, running.core
    return MemberStatus(
        member=member,
        name=info.name,
        kind=_kind(member, core.log.membership),
        votes=_votes(member, core.log.membership),
        is_host=member == host_of(core),
        is_connected=_is_heard(running, member, now),
        round_trip_ms=link.round_trip_ms if link else None,
        hint=hint,
        versions=info.versions,
        link=link,
    )


def _is_heard(running: Running, member: MemberId, now: float) -> bool:
    heard = running.peers.last_heard(member)
    return member == running.id or (heard is not None and now - heard < HEARD_S)


def _votes(member: MemberId, membership: Membership | None) -> bool:
    if membership is None or member not in membership.voters:
        return False
    return not membership.is_joint or member in membership.outgoing


def _kind(member: MemberId, membership: Membership | None) -> str:
    if membership is not None and member in membership.witnesses:
        return "witness"
    return "voter" if membership is not None and member in membership.all_voters else "learner"
