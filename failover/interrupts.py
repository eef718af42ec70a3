"""Ctrl+C ends the block around a member. It is never raised in the middle of what the library does.

Python raises KeyboardInterrupt wherever the main thread happens to be, so also between an entry's place in the log
and its way to the disk. trio puts it off, until its main task waits for something, where the code is marked; what
is called from marked code is, too. So it is enough to mark what games call, and what runs as a task of its own.
"""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

import trio

_T = TypeVar("_T")


def unbroken(marked: _T) -> _T:
    """Mark a function, or all methods and properties of a class. Costs nothing when they are called."""
    members = list(vars(marked).values()) if inspect.isclass(marked) else [marked]
    for member in members:
        for function in _functions_of(member):
            trio.lowlevel.enable_ki_protection(inspect.unwrap(function))
    return marked


def _functions_of(member: Any) -> list[Any]:
    """The functions behind a method, a property, a class method; none behind anything else."""
    if isinstance(member, property):
        return [each for each in (member.fget, member.fset) if each is not None]
    if isinstance(member, staticmethod | classmethod):
        member = member.__func__
    return [member] if inspect.isfunction(member) else []
