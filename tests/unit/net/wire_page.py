"""docs/reference/wire-format.md as a program: its tables are parsed, and bytes are read by them alone.

Nothing of the library is imported here (a test looks), so what this reads, anybody can who has the page.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "wire-format.md"
_FIELD = re.compile(
    r"(?P<name>\w+) (?P<type>\w+(?:\[\w+\])?)(?: \((?P<bound>[^()]*)\))?(?: if (?P<on>\w+)(?: = (?P<value>\d+))?)?"
)
_MESSAGE_FIELD = re.compile(r"(?P<name>\w+) (?P<type>\w+\??|\[\w+\]|\{\w+\})(?: \((?P<bound>[^()]*)\))?")
_LAYOUT_FIELD = re.compile(r"(?P<offset>\d+): (?P<name>[a-z0-9 ]*?[a-z]\d?)(?: (?P<size>\d+))?")


class Wrong(Exception):
    """Bytes that the page does not allow."""


class BadPage(Exception):
    """A table that does not follow the page's own rules; the text says which row."""


@dataclass(frozen=True)
class Bound:
    """The numbers between `low` and `high`, or those of `listed`."""

    low: int = 0
    high: float = math.inf
    listed: tuple[int, ...] = ()

    def check(self, value: float, what: str) -> None:
        if not self.low <= value <= self.high or (self.listed and value not in self.listed):
            raise Wrong(f"{what} = {value}")


@dataclass(frozen=True)
class Field:
    """One field, as its row says."""

    name: str
    type: str
    bound: Bound | None = None
    on: str = ""
    """There is it only if this field is `value`, or not 0 where `value` is None."""
    value: int | None = None


@dataclass(frozen=True)
class Layout:
    """One datagram."""

    name: str
    fields: tuple[tuple[int, str, int | None], ...]
    """Offset, name, and size; None = to the end."""
    size_min: int
    size_max: int

    def split(self, datagram: bytes) -> dict[str, bytes]:
        if not self.size_min <= len(datagram) <= self.size_max:
            raise Wrong(f"{self.name} of {len(datagram)} bytes")
        return {
            name: datagram[at:] if size is None else datagram[at : at + size] for at, name, size in self.fields
        }


@dataclass
class Page:
    """What the tables say."""

    text: str
    datagrams: dict[int, Layout] = field(default_factory=dict)
    reserved_datagrams: dict[int, str] = field(default_factory=dict)
    parts: dict[str, tuple[Field, ...]] = field(default_factory=dict)
    payloads: dict[str, tuple[int, tuple[Field, ...]]] = field(default_factory=dict)
    """Of the handshake: size and fields by the name of the datagram."""
    ticket: tuple[Field, ...] = ()
    announcement: tuple[Field, ...] = ()
    frames: dict[int, tuple[str, tuple[Field, ...]]] = field(default_factory=dict)
    kinds: dict[int, tuple[str, tuple[Field, ...]]] = field(default_factory=dict)
    nested: dict[str, tuple[Field, ...]] = field(default_factory=dict)
    codes: dict[int, tuple[str, tuple[Field, ...], int]] = field(default_factory=dict)
    """Datagrams of the exchange behind a short code: name, fields, size."""

    # Bytes.

    def read_fields(self, fields: tuple[Field, ...], data: bytes, at: int = 0) -> tuple[dict[str, Any], int]:
        """The values by name, and the offset behind them."""
        found: dict[str, Any] = {}
        for each in fields:
            there = found.get(each.on, 0)
            if each.on and not (there == each.value if each.value is not None else there):
                continue
            found[each.name], at = self._read(each, data, at, found)
            if each.bound is not None:
                each.bound.check(found[each.name], each.name)
        return found, at

    def _read(self, each: Field, data: bytes, at: int, found: dict[str, Any]) -> tuple[Any, int]:
        kind, _, count_name = each.type.rstrip("]").partition("[")
        if kind == "zeros":
            if any(data[at:]):
                raise Wrong(f"{each.name} is not zero")
            return "", len(data)
        if kind in ("u8", "u16", "u32", "u64"):
            raw = _take(data, at, int(kind[1:]) // 8)
            return int.from_bytes(raw, "little"), at + len(raw)
        if kind.isdigit() or kind in ("bytes", "text", "message"):
            raw = _take(data, at, int(kind) if kind.isdigit() else found[count_name])
            value = raw.decode() if kind == "text" else raw
            return (self.read_message(raw) if raw and kind == "message" else value), at + len(raw)
        if not count_name:
            return self.read_fields(self.parts[kind], data, at)
        listed = []
        for _ in range(found[count_name]):
            value, at = self.read_fields(self.parts[kind], data, at)
            listed.append(value)
        return listed, at

    def read_all(self, fields: tuple[Field, ...], data: bytes) -> dict[str, Any]:
        """The values in bytes that hold these fields and nothing else."""
        found, at = self.read_fields(fields, data)
        if at != len(data):
            raise Wrong(f"{len(data) - at} bytes too many")
        return found

    def read_payload(self, name: str, data: bytes) -> dict[str, Any]:
        """The payload of a handshake's datagram."""
        size, fields = self.payloads[name]
        if len(data) != size:
            raise Wrong(f"payload of {len(data)} bytes")
        return self.read_all(fields, data)

    def read_frames(self, data: bytes) -> list[tuple[str, dict[str, Any]]]:
        """All frames of a plaintext but PAD: name and fields."""
        found, at = [], 0
        while at < len(data):
            if data[at] not in self.frames:
                raise Wrong(f"frame {data[at]}")
            name, fields = self.frames[data[at]]
            values, at = self.read_fields(fields, data, at + 1)
            if name != "PAD":
                found.append((name, values))
        return found

    # Messages.

    def read_message(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """Name and fields of one message."""
        array = cbor2.loads(data)
        if cbor2.dumps(array) != data:
            raise Wrong("not the one way to write this message")
        name, fields = self.kinds[array[0]]
        return name, self._values(name, fields, array[1:])

    def _values(self, name: str, fields: tuple[Field, ...], array: Any) -> dict[str, Any]:
        if type(array) is not list or len(array) != len(fields):
            raise Wrong(f"{name} has {len(fields)} fields")
        pairs = zip(fields, array, strict=True)
        return {each.name: self._value(each.type, each.bound, value, each.name) for each, value in pairs}

    def _value(self, kind: str, bound: Bound | None, value: Any, what: str) -> Any:
        if kind.endswith("?"):
            return None if value is None else self._value(kind[:-1], bound, value, what)
        if kind[0] in "[{":
            (bound or Bound(high=65_536 if kind[0] == "[" else 64)).check(len(_of(list, value, what)), what)
            if kind[0] == "{" and (sorted(value) != value or len(set(value)) != len(value)):
                raise Wrong(f"{what} is not in order")
            return [self._value(kind[1:-1], None, each, what) for each in value]
        if kind in self.nested:
            return self._values(kind, self.nested[kind], value)
        if kind == "number":
            (bound or Bound(high=2**63 - 1)).check(_of(int, value, what), what)
        elif kind == "seconds":
            Bound(high=1e308).check(_of(float, value, what), what)
        elif kind == "bool":
            _of(bool, value, what)
        elif kind in ("member", "generation", "secret"):
            size = {"member": 32, "generation": 16, "secret": 32}[kind]
            Bound(size, size).check(len(_of(bytes, value, what)), what)
        elif kind in ("bytes", "text"):
            (bound or Bound(high=1_048_576)).check(len(_of(bytes if kind == "bytes" else str, value, what)), what)
        else:
            raise BadPage(f"{what}: the page says nothing of a type {kind}")
        return value


def _of(cls: type, value: Any, what: str) -> Any:
    if type(value) is not cls:
        raise Wrong(f"{what} is no {cls.__name__}")
    return value


def _take(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise Wrong("cut off")
    return data[at : at + size]


# From the text to the tables.


def parse(text: str) -> Page:
    """The page in `text`. Raises BadPage where a table breaks the page's own rules."""
    page = Page(text)
    for heading, header, rows in _tables(text):
        match header:
            case ["part", "fields", ""]:
                page.parts = {name: _fields(cell) for name, cell, _ in rows}
            case ["type", layout, "total"] if layout.startswith("layout"):
                _read_datagrams(page, rows)
            case ["fields" | "announcement" as what, ""]:
                fields = tuple(each for cell, _ in rows for each in _fields(cell))
                _keep_fields(page, what, heading, fields)
            case ["type", "fields", ""]:
                page.frames = {
                    _numbered(cell)[0]: (_numbered(cell)[1], _fields(fields)) for cell, fields, _ in rows
                }
            case ["kind", "name", "fields"]:
                page.kinds |= {int(number): (name, _fields(cell, _MESSAGE_FIELD)) for number, name, cell in rows}
            case ["code", "fields", "total"]:
                named = [(*_numbered(cell), fields, total) for cell, fields, total in rows]
                page.codes = {number: (name, _fields(cell), int(total)) for number, name, cell, total in named}
            case ["nested", "fields"]:
                page.nested = {name: _fields(cell, _MESSAGE_FIELD) for name, cell in rows}
            case ["type", "on the wire"]:
                pass  # in prose; `Page._value` is its other form
            case _:
                raise BadPage(f"a table of a form that nobody reads: {header}")
    return page


def _keep_fields(page: Page, what: str, heading: str, fields: tuple[Field, ...]) -> None:
    payload = re.search(r"Payload of an? (\w+), ([\d,]+) bytes:$", heading)
    if what == "announcement":
        page.announcement = fields
    elif payload:
        page.payloads[payload[1]] = (int(payload[2].replace(",", "")), fields)
    else:
        page.ticket = fields


def _tables(text: str) -> list[tuple[str, list[str], list[list[str]]]]:
    """Each table: the line of text before it, its header, its rows."""
    found: list[tuple[str, list[str], list[list[str]]]] = []
    heading, is_inside = "", False
    for line in text.splitlines():
        if not line.startswith("|"):
            heading, is_inside = line or heading, False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not is_inside:
            found.append((heading, cells, []))
        elif not re.fullmatch(r"[-| ]+", line):
            found[-1][2].append(cells)
        is_inside = True
    return found


def _numbered(cell: str) -> tuple[int, str]:
    number, name = cell.split(" ", 1)
    return int(number), name


def _fields(cell: str, form: re.Pattern[str] = _FIELD) -> tuple[Field, ...]:
    found = []
    for text in re.split(r", (?![^(]*\))", cell) if cell else ():
        match = form.fullmatch(text)
        if match is None:
            raise BadPage(f"no field: {text!r} in {cell!r}")
        parts = match.groupdict()
        value = int(parts["value"]) if parts.get("value") else None
        bound = _bound(parts["bound"]) if parts["bound"] else None
        found.append(Field(parts["name"], parts["type"], bound, parts.get("on") or "", value))
    return tuple(found)


def _bound(text: str) -> Bound:
    plain = re.sub(r"(?<=\d),(?=\d)", "", text)
    span = re.fullmatch(r"(?:(\d+) )?to (\d+)", plain)
    if span:
        return Bound(int(span[1] or 0), int(span[2]))
    listed = [re.match(r"\d+\b", each) for each in plain.split(", ")]
    if not all(listed):
        raise BadPage(f"no bound: ({text})")
    numbers = tuple(int(each[0]) for each in listed if each)
    return Bound(min(numbers), max(numbers), numbers)


def _read_datagrams(page: Page, rows: list[list[str]]) -> None:
    for numbered, cell, total in rows:
        number, name = numbered.split(" ", 1)
        if cell == "reserved":
            page.reserved_datagrams[int(number)] = name
            continue
        matches = [_LAYOUT_FIELD.fullmatch(each) for each in cell.split(" · ")]
        sizes = [int(size.replace(",", "")) for size in total.split(" to ")]
        fields, at = [], 4
        for match in matches:
            if match is None or int(match["offset"]) != at:
                raise BadPage(f"{name}: fields must follow each other: {cell}")
            size = int(match["size"]) if match["size"] else None
            fields.append((at, match["name"], size))
            at += size or sizes[-1] - at
        if at != sizes[-1]:
            raise BadPage(f"{name}: its fields make {at} bytes, its total is {sizes[-1]}")
        page.datagrams[int(number)] = Layout(name, tuple(fields), sizes[0], sizes[-1])
