"""The four roles of a member, by name; what a role knows lives in an object that dies with it."""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    """Raft's roles. A learner is a FOLLOWER that never stands."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"
