"""What one datagram says, as plain values that JSON can hold. Whatever is wrong with it is said, too."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any

from failover.errors import MalformedBytes
from failover.net import frames, handshake
from failover.net.addresses import Address
from failover.net.channel import DATAGRAM_SIZE_MAX, HEADER_SIZE, TAG_SIZE, TYPE_DATA, VERSION
from failover.net.cookies import TYPE_COOKIE
from failover.net.keylog import KeyRing
from failover.net.tap import TYPE_OPENED
from failover.wire import WIRE

Said = dict[str, Any]
_HANDSHAKES = {
    handshake.TYPE_INITIATION: ("INITIATION", {"sender_index": 4}),
    handshake.TYPE_RESPONSE: ("RESPONSE", {"sender_index": 4, "receiver_index": 8}),
    TYPE_COOKIE: ("COOKIE", {"receiver_index": 4}),
}


def describe_untrusted(payload: bytes, keys: KeyRing, *, is_whole: bool = True) -> Said:
    """Type and content of a datagram: of the wire, or of a capture of ours."""
    said: Said = {"type": "foreign", "size": len(payload)}
    if len(payload) < HEADER_SIZE or payload[1:4] != bytes([VERSION, 0, 0]) or len(payload) > DATAGRAM_SIZE_MAX:
        return said
    if payload[0] in _HANDSHAKES:
        name, indices = _HANDSHAKES[payload[0]]
        said["type"] = name
        return said | {field: payload[at : at + 4].hex() for field, at in indices.items()}
    if payload[0] not in (TYPE_DATA, TYPE_OPENED):
        return said
    said |= {"type": "DATA", "channel": payload[4:8].hex(), "counter": int.from_bytes(payload[8:16], "little")}
    if not is_whole:
        return said | {"frames": None, "why": "only its beginning was captured"}
    content = payload[HEADER_SIZE:] if payload[0] == TYPE_OPENED else keys.open_untrusted(payload)
    if content is None:
        return said | {"frames": None, "why": "sealed, and no key opens it"}
    said["size"] = HEADER_SIZE + len(content) + TAG_SIZE
    try:
        found, unknown = frames.parse_untrusted(content)
    except MalformedBytes as error:
        return said | {"frames": None, "why": f"malformed: {error}"}
    listed = [_frame(frame, keys) for frame in found]
    if unknown is not None:
        listed.append({"frame": f"unknown type {unknown}: the rest is not read"})
    return said | {"frames": listed}


def _frame(frame: frames.Frame, keys: KeyRing) -> Said:
    said: Said = {"frame": type(frame).__name__}
    fields: dict[str, Any] = frame._asdict()
    for name, value in fields.items():
        if isinstance(frame, frames.Message | frames.Join) and name == "body":
            said["message"] = _message(frame.body)
        elif isinstance(frame, frames.Open) and name == "header":
            said["message"] = _message(frame.header) if frame.header else None
        elif name == "datagram":  # relayed: it is sealed for somebody else, or for us
            said[name] = describe_untrusted(value, keys)
        else:
            said[name] = plain(value)
    return said


def _message(body: bytes) -> Said:
    try:
        message = WIRE.decode_untrusted(body)
    except MalformedBytes as error:
        return {"kind": "unreadable", "why": str(error), "bytes": body.hex()}
    return {"kind": type(message).__name__, "fields": plain(message)}


def plain(value: Any) -> Any:
    """Bytes in hexadecimal, messages as objects, sets in order."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, Enum):
        return value.name
    if dataclasses.is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, frozenset):
        return [plain(each) for each in sorted(value)]
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value
