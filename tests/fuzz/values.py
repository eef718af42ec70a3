"""Values of any kind of message, by its type hints: one of each for seeds, all of them for hypothesis."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, NewType

from hypothesis import reject
from hypothesis import strategies as st

from failover.ids import ClusterId, Generation, MemberId, SecretKey
from failover.net.bounds import BYTES_SIZE_MAX, FROZENSET_ITEMS_MAX, INT_MAX, TUPLE_ITEMS_MAX, MaxSize, Range
from failover.net.codec import Codec
from failover.net.compiler import fields_of
from failover.raft.membership import Membership
from failover.raft.messages import HINT_MAX, RANK_MAX

SIZES = {MemberId: 32, ClusterId: 16, Generation: 16, SecretKey: 32}
ITEMS_MAX = 4
"""In one generated collection or text: what matters is that there are none, one and some."""
BY_NAME = {"hint": st.integers(0, HINT_MAX), "rank": st.none() | st.integers(0, RANK_MAX)}
"""Fields whose bounds the class itself keeps."""
ids = st.binary(min_size=32, max_size=32).map(MemberId)


@st.composite
def memberships(draw: Any) -> Membership:
    """Only those that can be."""
    drawn = sorted(draw(st.sets(ids, min_size=1, max_size=6)))
    voters = frozenset(drawn[: draw(st.integers(1, len(drawn)))])
    rest = frozenset(drawn) - voters
    outgoing = frozenset(each for each in rest if each[0] % 2)
    nexts = frozenset(each for each in outgoing if each[1] % 2)
    witnesses = frozenset(sorted(voters)[1:])
    return Membership(voters, outgoing, rest - outgoing, nexts, witnesses)


def of_class(cls: type) -> st.SearchStrategy[Any]:
    """All values of a message class."""
    if cls is Membership:
        return memberships()
    hints = typing.get_type_hints(cls, include_extras=True)
    return _built(
        cls, st.tuples(*(BY_NAME[name] if name in BY_NAME else of_hint(hints[name]) for name in fields_of(cls)))
    )


@st.composite
def _built(draw: Any, cls: type, fields: Any) -> Any:
    """What the class itself refuses is drawn again."""
    try:
        return cls(*draw(fields))
    except (AssertionError, ValueError):
        return reject()


def of_hint(hint: Any, marks: tuple[object, ...] = ()) -> st.SearchStrategy[Any]:
    """All values that a field with this hint may have."""
    if typing.get_origin(hint) is typing.Annotated:
        inner, *more = typing.get_args(hint)
        return of_hint(inner, (*marks, *more))
    if hint in SIZES:
        return st.binary(min_size=SIZES[hint], max_size=SIZES[hint])
    if isinstance(hint, NewType):
        return of_hint(hint.__supertype__, marks)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (other,) = (each for each in arguments if each is not type(None))
        return st.none() | of_hint(other, marks)
    if origin in (tuple, frozenset):
        return _collection(origin, arguments, marks)
    return _scalar(hint, marks)


def _collection(origin: type, arguments: tuple[Any, ...], marks: tuple[object, ...]) -> st.SearchStrategy[Any]:
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(of_hint, arguments))
    most = TUPLE_ITEMS_MAX if origin is tuple else FROZENSET_ITEMS_MAX
    most = min(ITEMS_MAX, _size_max(marks, most))
    items = of_hint(arguments[0])
    return st.lists(items, max_size=most).map(tuple) if origin is tuple else st.frozensets(items, max_size=most)


def _scalar(hint: Any, marks: tuple[object, ...]) -> st.SearchStrategy[Any]:
    span = next((mark for mark in marks if isinstance(mark, Range)), None)
    if hint is bool:
        return st.booleans()
    if hint is int:
        return st.integers(int(span.low), int(span.high)) if span else st.integers(0, INT_MAX)
    if hint is float:
        return st.floats(
            span.low if span else 0, span.high if span else None, allow_nan=False, allow_infinity=False
        )
    size = min(40, _size_max(marks, BYTES_SIZE_MAX))
    if hint is bytes:
        return st.binary(max_size=size)
    if hint is str:
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=size)
    if isinstance(hint, type):
        return of_class(hint)
    raise TypeError(f"no values of {hint!r} are known")


def _size_max(marks: tuple[object, ...], otherwise: int) -> int:
    return next((mark.size for mark in marks if isinstance(mark, MaxSize)), otherwise)


def messages_of(which: Codec) -> st.SearchStrategy[Any]:
    """All messages of a codec, each kind as often as the others."""
    return st.sampled_from(sorted(which.kinds)).flatmap(lambda kind: of_class(which.kinds[kind]))


def one_of_each(which: Codec) -> Iterator[Any]:
    """A plain value of each kind, always the same."""
    for kind in sorted(which.kinds):
        yield _plain(which.kinds[kind])


def _plain(hint: Any, marks: tuple[object, ...] = ()) -> Any:
    if typing.get_origin(hint) is typing.Annotated:
        inner, *more = typing.get_args(hint)
        return _plain(inner, (*marks, *more))
    if hint in SIZES:
        return b"m" * SIZES[hint]
    if isinstance(hint, NewType):
        return _plain(hint.__supertype__, marks)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _plain(next(each for each in arguments if each is not type(None)), marks)
    if origin in (tuple, frozenset):
        return origin([_plain(each) for each in arguments if each is not Ellipsis])
    span = next((mark for mark in marks if isinstance(mark, Range)), None)
    plain = {bool: True, int: int(span.low) if span else 1, float: 0.5, bytes: b"bytes", str: "text"}
    if hint in plain:
        return plain[hint]
    if hint is Membership:
        return Membership(frozenset([MemberId(b"m" * 32), MemberId(b"o" * 32)]))
    hints = typing.get_type_hints(hint, include_extras=True)
    return hint(*(_plain(hints[name]) for name in fields_of(hint)))
