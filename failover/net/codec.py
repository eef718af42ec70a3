"""Messages to bytes and back: CBOR behind one strict wrapper.

A message is the array `[kind, field...]`, the fields in the order of the class. What CBOR offers beyond that is
refused: tags, maps, indefinite lengths, trailing bytes, floats that are not finite. Attacks on other decoders
came through exactly these (CVE-2025-68131: shared references; CVE-2026-26209: depth; colliding keys of maps).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import cbor2

from failover.errors import MalformedBytes
from failover.net import compiler
from failover.net.bounds import DEPTH_MAX
from failover.raft import messages

CORE_KINDS: dict[int, type] = {
    1: messages.PreVoteRequest,
    2: messages.PreVoteResponse,
    3: messages.VoteRequest,
    4: messages.VoteResponse,
    5: messages.Heartbeat,
    6: messages.HeartbeatResponse,
    7: messages.AppendEntries,
    8: messages.AppendResponse,
    9: messages.CommitNotice,
    10: messages.InstallSnapshot,
    11: messages.HandOver,
    12: messages.RankingNotice,
}
"""The core's messages have kinds 1 to 63; the layers above add theirs from 64 on. A number is never used again."""

KIND_MAX = 65_535


class UnknownKind(MalformedBytes):
    """A message as it should be, of a kind that this version does not know."""


def _refuse(*_: object) -> NoReturn:
    raise ValueError("tags and maps are not part of the format")


# Every tag that cbor2 acts upon by itself; all others reach `tag_hook`.
_KNOWN_TAGS = (*range(6), 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_REFUSED_TAGS: dict[int, Callable[..., Any]] = dict.fromkeys(_KNOWN_TAGS, _refuse)


def load_untrusted(data: bytes) -> Any:
    """One CBOR item that fills `data` exactly, made of whole numbers, floats, bytes, text, lists, bools and None.

    Raises MalformedBytes for everything else, but for CBOR's other simple values ("undefined" among them): those
    are left to the decoders of messages, none of which takes one, since it would cost as much again to look here.
    """
    stream = io.BytesIO(data)
    try:
        value = cbor2.load(
            stream,
            tag_hook=_refuse,
            object_hook=_refuse,
            semantic_decoders=_REFUSED_TAGS,
            read_size=len(data) or 1,
            max_depth=DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        )
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise MalformedBytes(f"not our CBOR: {error}") from None
    if stream.tell() != len(data):  # cbor2 itself ignores what follows
        raise MalformedBytes("bytes after the message")
    return value


class Codec:
    """Encodes and decodes the frozen dataclasses of one set of kinds.

    Every class is compiled once, from its type hints (`failover.net.compiler` says which are understood).
    """

    __slots__ = ("_decoders", "_encoders", "kinds")

    def __init__(self, kinds: Mapping[int, type]) -> None:
        self.kinds: Mapping[int, type] = dict(kinds)
        if len(set(kinds.values())) != len(kinds):
            raise ValueError("one class, one kind")
        if not all(0 < kind <= KIND_MAX for kind in kinds):
            raise ValueError(f"kinds are 1 to {KIND_MAX}")
        compiled = compiler.Compiler()
        self._encoders = {cls: compiled.encoder(cls, kind) for kind, cls in kinds.items()}
        self._decoders = {kind: compiled.decoder(cls, tagged=True) for kind, cls in kinds.items()}

    def encode(self, value: object) -> bytes:
        """The bytes of `value`. Trusts its fields: bounds are the reader's work. KeyError: it has no kind."""
        return cbor2.dumps(self._encoders[type(value)](value))

    def decode_untrusted(self, data: bytes) -> object:
        """The message in `data`, of a known kind, every field of its type and within its bounds.

        Raises MalformedBytes for anything else (UnknownKind where no class has the kind), also where the class
        itself refuses the values.
        """
        array = load_untrusted(data)
        if type(array) is not list or not array or type(array[0]) is not int:
            raise MalformedBytes("a message is an array that begins with its kind")
        decode = self._decoders.get(array[0])
        if decode is None:
            raise UnknownKind(f"kind {array[0]}")
        try:
            return decode(array)
        except (AssertionError, ValueError) as error:
            raise MalformedBytes(f"kind {array[0]}: {error}") from None

    def knows(self, value: object) -> bool:
        """Whether `value` can be encoded here."""
        return type(value) in self._encoders
