"""Turns the type hints of a message class into two small functions, once per class: to plain lists and back.

The functions are generated as source text, as `dataclasses` itself does: a message of ten entries has fifty
fields, and a call per field would cost more than the encryption. Only names that we choose and numbers enter the
text; field names come from our own classes, never from the wire.

Understood: int, bool, float, bytes, str, NewTypes of them, `X | None`, `tuple[X, ...]`, `tuple[X, Y]`,
`frozenset[X]`, dataclasses and NamedTuples, and `Annotated[..., MaxSize(n)]` or `Annotated[..., Range(a, b)]`.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, NewType, cast

from failover import ids
from failover.errors import MalformedBytes
from failover.net.bounds import BYTES_SIZE_MAX, FROZENSET_ITEMS_MAX, INT_MAX, TUPLE_ITEMS_MAX, MaxSize, Range

_EXACT_SIZES: dict[object, int] = {
    ids.MemberId: ids.MEMBER_ID_SIZE,
    ids.ClusterId: ids.CLUSTER_ID_SIZE,
    ids.Generation: ids.GENERATION_SIZE,
    ids.SecretKey: ids.SECRET_KEY_SIZE,
}
_FLOAT_MAX = sys.float_info.max


@dataclasses.dataclass(frozen=True, slots=True)
class _Shape:
    """A hint taken apart: what it is, what it holds, how large it may be."""

    kind: str
    inner: tuple[_Shape, ...] = ()
    cls: type | None = None
    low: float = 0
    high: float = 0


def _scalar(hint: object, marks: tuple[object, ...]) -> _Shape | None:
    size = next((mark.size for mark in marks if isinstance(mark, MaxSize)), BYTES_SIZE_MAX)
    span = next((mark for mark in marks if isinstance(mark, Range)), None)
    if hint is bool:
        return _Shape("bool")
    if hint is int:
        return _Shape("int", low=int(span.low) if span else 0, high=int(span.high) if span else INT_MAX)
    if hint is float:
        return _Shape("float", low=float(span.low) if span else 0.0, high=float(span.high) if span else _FLOAT_MAX)
    if hint is bytes:
        return _Shape("bytes", low=0, high=size)
    if hint is str:
        return _Shape("str", low=0, high=size)
    return None


def _collection(hint: object, marks: tuple[object, ...]) -> _Shape | None:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    size = next((mark.size for mark in marks if isinstance(mark, MaxSize)), None)
    if origin is frozenset:
        return _Shape("frozenset", (_shape(arguments[0]),), high=size or FROZENSET_ITEMS_MAX)
    if origin is tuple and arguments[-1] is Ellipsis:
        return _Shape("tuple", (_shape(arguments[0]),), high=size or TUPLE_ITEMS_MAX)
    if origin is tuple:
        return _Shape("fixed", tuple(_shape(argument) for argument in arguments))
    return None


def _shape(hint: Any, marks: tuple[object, ...] = ()) -> _Shape:
    if typing.get_origin(hint) is Annotated:
        inner, *more = typing.get_args(hint)
        return _shape(inner, (*marks, *more))
    if hint in _EXACT_SIZES:
        return _Shape("bytes", low=_EXACT_SIZES[hint], high=_EXACT_SIZES[hint])
    if isinstance(hint, NewType):
        return _shape(hint.__supertype__, marks)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        others = [each for each in typing.get_args(hint) if each is not type(None)]
        if len(others) == 1:
            return _Shape("optional", (_shape(others[0], marks),))
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or hasattr(hint, "_fields")):
        return _Shape("object", cls=hint)
    found = _scalar(hint, marks) or _collection(hint, marks)
    if found is None:
        raise TypeError(f"a message cannot hold {hint!r}")
    return found


def fields_of(cls: type) -> dict[str, _Shape]:
    """Name and shape of each field of a dataclass or NamedTuple, in order."""
    if dataclasses.is_dataclass(cls):
        names = [field.name for field in dataclasses.fields(cls)]
    else:
        names = list(cast(Any, cls)._fields)
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: _shape(hints[name]) for name in names}


class Compiler:
    """Generates functions, and remembers those of nested classes."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"Malformed": MalformedBytes}
        self._decoders: dict[type, str] = {}
        self._counter = 0

    def encoder(self, cls: type, kind: int) -> Callable[[Any], list[Any]]:
        """A function from a `cls` to the list that CBOR carries."""
        items = [str(kind)]
        items += [self._encoding(shape, f"v.{name}") for name, shape in fields_of(cls).items()]
        return self._define("encode", f"def encode(v):\n return [{', '.join(items)}]\n")

    def decoder(self, cls: type, *, tagged: bool = False) -> Callable[[list[Any]], Any]:
        """A function from the list (whose first item is the kind, if `tagged`) to a `cls`, or MalformedBytes."""
        fields = fields_of(cls)
        variables = [f"f{number}" for number in range(len(fields))]
        skipped = 1 if tagged else 0
        lines = [
            "def decode(v):",
            f" if type(v) is not list or len(v) != {len(fields) + skipped}: raise Malformed('{cls.__name__}')",
        ]
        targets = ["_"] * skipped + variables
        if targets:
            lines.append(f" {', '.join(targets)}, = v")
        for variable, (name, shape) in zip(variables, fields.items(), strict=True):
            lines += self._checks(shape, variable, f"{cls.__name__}.{name}", 1)
        lines.append(f" return {self._constant(cls)}({', '.join(variables)})")
        return self._define("decode", "\n".join(lines))

    def _define(self, name: str, source: str) -> Callable[[Any], Any]:
        namespace = self._names
        exec(compile(source, f"<failover codec {name}>", "exec"), namespace)  # noqa: S102  # our own text, see above
        return cast(Callable[[Any], Any], namespace.pop(name))

    def _constant(self, value: object) -> str:
        self._counter += 1
        name = f"c{self._counter}"
        self._names[name] = value
        return name

    def _encoding(self, shape: _Shape, source: str) -> str:
        """An expression for what CBOR shall carry in place of the expression `source`."""
        if shape.kind == "optional":
            inner = self._encoding(shape.inner[0], source)
            return source if inner == source else f"(None if {source} is None else {inner})"
        if shape.kind == "object":
            assert shape.cls is not None
            items = (self._encoding(each, f"{source}.{name}") for name, each in fields_of(shape.cls).items())
            return f"[{', '.join(items)}]"
        if shape.kind in ("tuple", "frozenset"):
            self._counter += 1
            item = f"x{self._counter}"
            inner = self._encoding(shape.inner[0], item)
            listed = source if inner == item else f"[{inner} for {item} in {source}]"
            return f"sorted({listed})" if shape.kind == "frozenset" else listed
        if shape.kind == "fixed":
            return f"[{', '.join(self._encoding(s, f'{source}[{i}]') for i, s in enumerate(shape.inner))}]"
        return source

    def _checks(self, shape: _Shape, name: str, what: str, depth: int) -> list[str]:
        """Statements that leave the decoded value in the variable `name`, or raise."""
        pad, fail = " " * depth, f"raise Malformed('{what}')"
        match shape.kind:
            case "bool":
                return [f"{pad}if type({name}) is not bool: {fail}"]
            case "int":
                return [f"{pad}if type({name}) is not int or not {shape.low} <= {name} <= {shape.high}: {fail}"]
            case "float":
                return [
                    f"{pad}if type({name}) is int and {name} <= {INT_MAX}: {name} = float({name})",
                    f"{pad}if type({name}) is not float or not {shape.low!r} <= {name} <= {shape.high!r}: {fail}",
                ]
            case "bytes" | "str":
                size = f"not {shape.low} <= len({name}) <= {shape.high}"
                return [f"{pad}if type({name}) is not {shape.kind} or {size}: {fail}"]
            case "optional":
                inner = self._checks(shape.inner[0], name, what, depth + 1)
                return [f"{pad}if {name} is not None:", *inner]
            case "object":
                assert shape.cls is not None
                return [f"{pad}{name} = {self._nested(shape.cls)}({name})"]
            case _:
                return self._check_items(shape, name, what, depth)

    def _check_items(self, shape: _Shape, name: str, what: str, depth: int) -> list[str]:
        pad, fail = " " * depth, f"raise Malformed('{what}')"
        if shape.kind == "fixed":
            parts = [f"{name}_{number}" for number in range(len(shape.inner))]
            lines = [f"{pad}if type({name}) is not list or len({name}) != {len(parts)}: {fail}"]
            lines.append(f"{pad}{', '.join(parts)}, = {name}")
            for part, inner in zip(parts, shape.inner, strict=True):
                lines += self._checks(inner, part, what, depth)
            return [*lines, f"{pad}{name} = ({', '.join(parts)},)"]
        item, result = f"{name}i", f"{name}r"
        lines = [
            f"{pad}if type({name}) is not list or len({name}) > {int(shape.high)}: {fail}",
            f"{pad}{result} = []",
            f"{pad}for {item} in {name}:",
            *self._checks(shape.inner[0], item, what, depth + 1),
            f"{pad} {result}.append({item})",
        ]
        if shape.kind == "tuple":
            return [*lines, f"{pad}{name} = tuple({result})"]
        lines.append(f"{pad}{name} = frozenset({result})")
        return [*lines, f"{pad}if len({name}) != len({result}): {fail}"]

    def _nested(self, cls: type) -> str:
        if cls not in self._decoders:
            self._decoders[cls] = self._constant(self.decoder(cls))
        return self._decoders[cls]
