"""Going on without a quorum, because a person said so: the one way out of Raft's rules.

A member that is cut off from too many others cannot know what they accept. So what it does alone is another line
of history, a generation of its own: the core appends a membership in which this member is all there is, in a term
of its own, and from there on Raft's rules hold again, in the new generation. That nothing of the old one is heard
any more is the business of the layers around the core; here nobody could tell the messages apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.ids import LogIndex, Term
from failover.raft.membership import Membership
from failover.raft.messages import Entry

if TYPE_CHECKING:
    from failover.raft.core import Core


def why_not_alone(core: Core, now: float) -> str:
    """Why this member cannot go on alone now, in words; empty if it can."""
    core.tick(now)
    membership = core.log.membership
    if membership is None or core.following.installing is not None:
        return "its state has not come yet"
    if core.me not in membership.voters | membership.learners | membership.learners_next:
        return "its membership is ending"
    if core.is_witness:
        return "a witness has no application"
    if core.leadership is not None or core.leader is not None:
        return "there is a host"
    if not core.standing.quorum_is_lost or core.promise.bars_until() > now:
        return "a quorum may be there: wait for QuorumLost"
    return ""


def last_terms(core: Core, most: int) -> tuple[tuple[Term, LogIndex], ...]:
    """The newest terms in the log, each with its last index; newest first."""
    index, term = core.log.last_index, core.log.last_term
    found = [(term, index)]
    while len(found) < most and index > core.log.base_index and term > 0:
        index, term = core.log.back_up(index, Term(term - 1))
        found.append((term, index))
    return tuple(found)


def begin_generation(core: Core, command: bytes, now: float) -> Entry:
    """Append the entry that makes this member the only one, and everything in the log its own.

    What is not committed in the old generation stays: it may have been accepted there, and nobody can be asked.
    The member then stands, wins alone, and commits everything with the first entry of its term (Raft, 5.4.2).
    """
    assert not why_not_alone(core, now)
    core.following.commit_heard = LogIndex(0)  # of the old generation; what is lost of it was accepted as lost
    core.become_follower(Term(core.term + 1), None, now)  # durable with the entry: no term of others has it
    only_me = Membership(voters=frozenset({core.me}))
    entry = Entry(LogIndex(core.log.last_index + 1), core.term, command, only_me)
    core.append(entry)
    return entry
