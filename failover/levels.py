"""Who understands what: versions of the game's rules, and levels of this library.

Both are part of the replicated state, and rise when all members know more (`Directory.due`, `Changing`). This room
judges; it raises nothing and appends nothing.
"""

from __future__ import annotations

from functools import lru_cache

from failover.directory import Directory
from failover.errors import UsageError, WrongVersion
from failover.machine import StateMachine
from failover.net.codec import Codec, UnknownKind
from failover.records import ACTIONS, RECORDS, SINCE, VERSION_MAX, SystemAction, Versions


def versions_of(machine: StateMachine, level: int) -> Versions:
    """What a member with this machine, and a library of this level, understands. Raises UsageError."""
    newest = getattr(machine, "version", 1)
    oldest = getattr(machine, "oldest_version", newest)
    if type(newest) is not int or type(oldest) is not int or not 1 <= oldest <= newest <= VERSION_MAX:
        raise UsageError(
            f"the oldest_version and the version of a machine are whole numbers from 1 to {VERSION_MAX}, "
            f"the first not above the second; not {oldest!r} and {newest!r}"
        )
    return Versions(newest, oldest, level)


def why_not(versions: Versions, version: int, level: int) -> str | None:
    """Why a program cannot take part in a cluster of this version and level, and what to do; None if it can."""
    known = f"version {versions.newest}"
    if versions.oldest < versions.newest:
        known = f"versions {versions.oldest} to {versions.newest}"
    if level > versions.level:
        return f"the cluster is at level {level} of the library, this program at {versions.level}: update the game"
    if version > versions.newest:
        return f"the cluster plays version {version} of the rules, this program knows {known}: update the game"
    if version < versions.oldest:
        return (
            f"the cluster plays version {version} of the rules, this program knows {known}: "
            "use an older program until all members have updated"
        )
    return None


def check(versions: Versions, version: int, level: int) -> None:
    """Raise WrongVersion if such a program cannot take part."""
    reason = why_not(versions, version, level)
    if reason is not None:
        raise WrongVersion(f"{reason}; the storage stays as it is")


def why_not_yet(kind: type, directory: Directory) -> str | None:
    """Why a record or action of this kind must not be appended yet; None if all members understand it.

    A member that finds a kind in the log that it does not know stops: whoever appends asks here before.
    """
    needed = SINCE[kind]
    if needed <= directory.level:
        return None
    behind = [info.name for info in directory.members.values() if info.versions.level < needed]
    who = f"; to be updated first: {', '.join(behind)}" if behind else ""
    return f"this needs level {needed} of the library, and the cluster is at {directory.level}{who}"


class Kinds:
    """The kinds of records and actions that a library of one level knows."""

    def __init__(self, level: int) -> None:
        self.records, self.actions = _up_to(RECORDS, level), _up_to(ACTIONS, level)

    def record(self, data: bytes) -> object:
        """The record in a log's entry. Raises WrongVersion for one that only newer libraries know."""
        return _known(self.records, data)

    def action(self, data: bytes) -> SystemAction:
        """The action in a `SystemCommand`. Raises WrongVersion for one that only newer libraries know."""
        action = _known(self.actions, data)
        assert isinstance(action, SystemAction)
        return action


@lru_cache
def kinds_of(level: int) -> Kinds:
    """Less than all only in tests of members with older libraries."""
    return Kinds(level)


def _up_to(codec: Codec, level: int) -> Codec:
    known = {number: kind for number, kind in codec.kinds.items() if SINCE[kind] <= level}
    return codec if len(known) == len(codec.kinds) else Codec(known)


def _known(codec: Codec, data: bytes) -> object:
    try:
        return codec.decode_untrusted(data)
    except UnknownKind as error:
        raise WrongVersion(
            f"the log holds what this program does not know ({error}): update the game; the storage stays as it is"
        ) from None
