"""Majorities: the arithmetic, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from failover.ids import MemberId


def majority(size: int) -> int:
    """How many of `size` voters are a majority: any two majorities share a voter."""
    return size // 2 + 1


def is_majority(voters: Collection[MemberId], agreeing: Collection[MemberId]) -> bool:
    """Whether those `voters` that are in `agreeing` are a majority of them. Nobody is no majority."""
    return sum(voter in agreeing for voter in voters) >= majority(len(voters))


def survivable(voters: Collection[MemberId], here: Collection[MemberId]) -> int:
    """How many more failures a majority of `voters` survives, if those that are `here` are all that there are."""
    return sum(voter in here for voter in voters) - majority(len(voters))


def majority_value(values: Iterable[float]) -> float:
    """The largest value that a majority has reached (equals or exceeds).

    Used for indexes (committed up to here) and for times (the lease lasts until then).
    Works on exactly one value for each voter, so the order of `values` means nothing.
    """
    descending = sorted(values, reverse=True)
    return descending[majority(len(descending)) - 1]
