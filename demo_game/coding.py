"""Frozen dataclasses to bytes and back, strictly: for commands, replies and snapshots.

A class's annotations are its format, field after field, big-endian: `U8` to `U64`, `bool`, `bytes` and `str`
with two bytes of length, `tuple[X, ...]` with two bytes of count, `X | None` with one byte before it, enums in one
byte, dataclasses in place. A value has exactly one coding, so equal states have equal bytes and equal digests.

Reading raises `Malformed` for anything that `encode` would not have written, and nothing else.
"""

from __future__ import annotations

import struct
import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from typing import Annotated, Any, TypeVar

U8 = Annotated[int, "B"]
U16 = Annotated[int, "H"]
U32 = Annotated[int, "I"]
U64 = Annotated[int, "Q"]

T = TypeVar("T")

_Write = Callable[[Any, bytearray], None]
_Read = Callable[["_Bytes"], Any]
_Coder = tuple[_Write, _Read]

_COUNT = struct.Struct(">H")


class Malformed(ValueError):
    """These bytes are not what `encode` writes for the type asked for."""


class _Bytes:
    """Bytes with a reading place."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        taken = self.data[self.place : self.place + size]
        if len(taken) < size:
            raise Malformed("cut off")
        self.place += size
        return taken


def encode(value: object) -> bytes:
    """Return the one coding of a frozen dataclass."""
    out = bytearray()
    _coder_of(type(value))[0](value, out)
    return bytes(out)


def decode_untrusted(kind: type[T], data: bytes) -> T:
    """Read a value of this dataclass.

    Raises:
        Malformed: if `encode` could not have written these bytes.
    """
    source = _Bytes(data)
    value: T = _coder_of(kind)[1](source)
    if source.place != len(data):
        raise Malformed("too long")
    return value


def _coder_of(kind: Any) -> _Coder:
    return _coder(kind)  # through Any: mypy does not believe that classes can be hashed


@cache
def _coder(kind: Any) -> _Coder:
    """Return how a type is written and read; worked out once for each type."""
    if typing.get_origin(kind) is Annotated:
        return _number(struct.Struct(">" + kind.__metadata__[0]))
    if typing.get_origin(kind) is tuple:
        return _many(_coder(typing.get_args(kind)[0]))
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        inner, nothing = typing.get_args(kind)
        assert nothing is type(None), "the only union that has a format is X | None"
        return _optional(_coder(inner))
    if kind is bytes:
        return _write_bytes, _read_bytes
    if kind is str:
        return lambda text, out: _write_bytes(text.encode(), out), _read_text
    if kind is bool:
        return lambda flag, out: out.append(flag), lambda source: bool(_choice(source, 2))
    if issubclass(kind, IntEnum):
        return lambda member, out: out.append(member), lambda source: _member(kind, source)
    return _fields(kind)


def _number(layout: struct.Struct) -> _Coder:
    def write(number: int, out: bytearray) -> None:
        out += layout.pack(number)

    def read(source: _Bytes) -> Any:
        return layout.unpack(source.take(layout.size))[0]

    return write, read


def _many(item: _Coder) -> _Coder:
    def write(items: tuple[Any, ...], out: bytearray) -> None:
        out += _COUNT.pack(len(items))
        for each in items:
            item[0](each, out)

    def read(source: _Bytes) -> tuple[Any, ...]:
        return tuple(item[1](source) for _ in range(_COUNT.unpack(source.take(2))[0]))

    return write, read


def _optional(inner: _Coder) -> _Coder:
    def write(value: Any, out: bytearray) -> None:
        out.append(value is not None)
        if value is not None:
            inner[0](value, out)

    def read(source: _Bytes) -> Any:
        return inner[1](source) if _choice(source, 2) else None

    return write, read


def _fields(kind: type[Any]) -> _Coder:
    assert is_dataclass(kind), f"{kind} has no format"
    hints = typing.get_type_hints(kind, include_extras=True)
    layout = [(field.name, _coder(hints[field.name])) for field in fields(kind)]

    def write(value: Any, out: bytearray) -> None:
        for name, coder in layout:
            coder[0](getattr(value, name), out)

    def read(source: _Bytes) -> Any:
        return kind(*[coder[1](source) for _, coder in layout])

    return write, read


def _write_bytes(data: bytes, out: bytearray) -> None:
    out += _COUNT.pack(len(data))
    out += data


def _read_bytes(source: _Bytes) -> bytes:
    return source.take(_COUNT.unpack(source.take(2))[0])


def _read_text(source: _Bytes) -> str:
    try:
        return _read_bytes(source).decode()
    except UnicodeDecodeError:
        raise Malformed("no UTF-8") from None


def _choice(source: _Bytes, choices: int) -> int:
    chosen = source.take(1)[0]
    if chosen >= choices:
        raise Malformed("a choice out of range")
    return chosen


def _member(kind: type[IntEnum], source: _Bytes) -> IntEnum:
    try:
        return kind(source.take(1)[0])
    except ValueError:
        raise Malformed("a choice out of range") from None
