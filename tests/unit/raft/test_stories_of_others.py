"""Bugs of others that need several members, told with no chance in them (docs/explanation/bugs-of-others.md)."""

from __future__ import annotations

from itertools import combinations

import pytest
from cluster import Cluster
from harness import FAR, THREE, A, B, Bench, C, D, E, entry, log_of

from failover.ids import MemberId
from failover.raft.membership import Membership

FIVE = (A, B, C, D, E)
JOINT = Membership(frozenset((A, D, E)), outgoing=THREE.voters)
"""On the way from A, B and C to A, D and E."""


def begin(host: Bench, voters, learners=()) -> None:
    assert host.core.change_membership(voters, learners, b"", host.now) is not None
    host.round()


def settled(names: tuple[MemberId, ...], learners: frozenset[MemberId] = frozenset()) -> Cluster:
    """A cluster with a host, in which everybody holds everything."""
    membership = Membership(frozenset(names) - learners, learners=learners)
    table = Cluster(*(Bench(name, log=log_of(1, membership=membership)) for name in names))
    table.with_host()
    table.run(0.2)
    return table


def test_the_new_voters_elect_though_they_do_not_know_that_the_change_is_over():
    """Symptom: a live majority, yet no leader can ever be elected (etcd-io/etcd#12359): they asked the old ones.

    Of five voters three shall stay. The change is over, and the leader alone knows it, when it dies; the two that
    are out are switched off, as they may be. Of the old five only two live, of the new three they are a majority.
    """
    table = settled(FIVE)
    host = table.with_host()
    one, two, *out = sorted(table.benches.keys() - {host.core.me})
    begin(host, (host.core.me, one, two))
    log = host.core.log
    table.until(lambda: len(log.membership.voters) == 3 and host.core.commit_index >= log.membership_index)
    assert not log.membership.is_joint
    assert all(table[name].core.commit_index < log.membership_index for name in (one, two)), "they do not know"
    for name in (host.core.me, *out):
        table.crash(name)
    new = table.with_host()
    table.until(lambda: new.core.commit_index == new.core.log.last_index)
    assert new.propose("on") is not None


def test_long_logs_of_old_terms_and_short_ones_of_high_terms_find_a_leader_in_a_joint_membership():
    """Symptom: leaderless for ever with pre-vote, as refusals carried no term (databendlabs/openraft#1796).

    A is dead. B and D hold the change and know term 1; C and E do not, and are in term 6.
    """
    long = [*log_of(1), entry(2, 1, membership=JOINT), entry(3, 1)]
    table = Cluster(
        *(Bench(name, log=long, term=1, now=FAR) for name in (B, D)),
        *(Bench(name, log=log_of(1), term=6, now=FAR) for name in (C, E)),
    )
    assert table.with_host().core.term > 6
    table.until(lambda: all(table[name].core.log.membership == JOINT.leaving() for name in (D, E)))
    table.until(lambda: table.host is not None and table.host.propose("on") is not None)


SIDES = [frozenset(side) for size in (1, 2) for side in combinations(FIVE, size)]
MOMENTS_S = (0.0, 0.0015, 0.0025, 0.0035)
"""Nothing has arrived, the joint membership has, the answers have, the new one has."""


@pytest.mark.parametrize("moment_s", MOMENTS_S)
def test_a_partition_in_the_middle_of_a_change_loses_nothing_and_makes_no_second_host(moment_s):
    """Symptoms: lost updates, two leaders (RedisLabs/redisraft#17, #28, #44): change, partition and crash.

    Every way to part five members, at every step of a change; then the host of before crashes, and all is healed.
    """
    for side in SIDES:
        table = settled(FIVE, learners=frozenset((D, E)))
        table.until(lambda table=table: table.host.core.log.membership.voters == frozenset(FIVE))
        table.until(lambda table=table: table.host.core.commit_index == table.host.core.log.last_index)
        host = table.with_host()
        staying = sorted(table.benches.keys() - {host.core.me})[:2]
        begin(host, (host.core.me, *staying), table.benches.keys() - {host.core.me, *staying})
        table.run(moment_s)
        table.isolate(*side)
        for n in range(60):
            if table.host is not None:  # which looks whether there is a second one
                table.host.propose(f"{n}")
            table.run(0.01)
        table.crash(host.core.me)
        table.run(0.3)
        accepted = max((bench.applied for bench in table.benches.values()), key=len)
        table.cut.clear()
        table.restart(host.core.me)
        last = table.with_host()
        table.until(lambda last=last: last.core.applied_index == last.core.log.last_index)
        assert last.applied[: len(accepted)] == accepted
