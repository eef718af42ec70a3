"""How single values become bytes in a storage, and strictly back again.

Everything stored has a checksum, so that a flipped bit is found when it is read and not when two members
differ. Functions named `..._untrusted` read bytes that a failing disk may have changed; they raise
`MalformedBytes` and nothing else.
"""

from __future__ import annotations

import math
import struct
from zlib import crc32

from failover.errors import MalformedBytes
from failover.ids import CLUSTER_ID_SIZE, MEMBER_ID_SIZE, ClusterId, LogIndex, MemberId, Term
from failover.raft.effects import HardState, SnapshotMeta
from failover.raft.membership import Membership
from failover.storage.contract import Identity

INTEGER_MAX = 2**63 - 1
"""The largest integer that SQLite holds."""

_COUNTS = struct.Struct(">4H")
_HARD_STATE = struct.Struct(">Qd")
_SNAPSHOT = struct.Struct(">5Q")
_CHECKSUM = struct.Struct(">I")
_NUMBER = struct.Struct(">Q")
_PRIVATE_KEY_SIZE = 32


INDEX_FACTOR = 2654435761
"""Odd, so that multiplying loses none of the lower 32 bits."""


def term_mark(term: int) -> int:
    """Return what `term` adds to the start value of its entries' checksums; the upper half is folded in."""
    return (term ^ term >> 32) * 40503


def entry_checksum(index: int, term: int, command: bytes, membership: bytes | None) -> int:
    """Return a checksum over one entry.

    The start value mixes in place and term, so that a row which is whole but stands in the wrong place does
    not pass.
    """
    checksum = crc32(command, (index * INDEX_FACTOR + term_mark(term)) & 0xFFFFFFFF)
    return checksum if membership is None else crc32(membership, checksum)


def seal(record: bytes, name: str) -> bytes:
    """Return `record` with a checksum that also covers the name under which it is kept."""
    return record + _CHECKSUM.pack(crc32(record, crc32(name.encode())))


def unseal_untrusted(sealed: object, name: str) -> bytes:
    """Return what `seal` was given."""
    if not isinstance(sealed, bytes) or len(sealed) < _CHECKSUM.size:
        raise MalformedBytes(f"{name}: too short, or no bytes at all")
    record, checksum = sealed[: -_CHECKSUM.size], sealed[-_CHECKSUM.size :]
    if seal(record, name) != record + checksum:
        raise MalformedBytes(f"{name}: wrong checksum")
    return record


def pack_membership(membership: Membership) -> bytes:
    """Four counts of 16 bits, then the ids of each set in ascending order; what is left are the witnesses."""
    sets = (membership.voters, membership.outgoing, membership.learners, membership.learners_next)
    ids = b"".join(member for members in (*sets, membership.witnesses) for member in sorted(members))
    assert len(ids) == MEMBER_ID_SIZE * (sum(map(len, sets)) + len(membership.witnesses)), "an id has 32 bytes"
    return _COUNTS.pack(*map(len, sets)) + ids


def unpack_membership_untrusted(data: bytes) -> Membership:
    """Return the membership, and accept exactly the bytes that `pack_membership` writes for it."""
    if len(data) < _COUNTS.size:
        raise MalformedBytes("membership: too short")
    counts = _COUNTS.unpack_from(data)
    witness_count, odd = divmod(len(data) - _COUNTS.size - MEMBER_ID_SIZE * sum(counts), MEMBER_ID_SIZE)
    if odd or witness_count < 0:
        raise MalformedBytes("membership: the length does not fit the counts")
    sets: list[frozenset[MemberId]] = []
    start = _COUNTS.size
    for count in (*counts, witness_count):
        end = start + count * MEMBER_ID_SIZE
        sets.append(
            frozenset(MemberId(data[at : at + MEMBER_ID_SIZE]) for at in range(start, end, MEMBER_ID_SIZE))
        )
        start = end
    try:
        membership = Membership(*sets)
    except AssertionError as error:
        raise MalformedBytes("membership: impossible") from error
    if pack_membership(membership) != data:
        raise MalformedBytes("membership: ids twice or out of order")
    return membership


def pack_hard_state(state: HardState) -> bytes:
    """Term, promise ceiling, and the id voted for or nothing."""
    return _HARD_STATE.pack(state.term, state.promise_ceiling_s) + (state.voted_for or b"")


def unpack_hard_state_untrusted(data: bytes) -> HardState:
    """Return the hard state."""
    if len(data) not in (_HARD_STATE.size, _HARD_STATE.size + MEMBER_ID_SIZE):
        raise MalformedBytes("hard state: wrong length")
    term, ceiling = _HARD_STATE.unpack_from(data)
    if term > INTEGER_MAX or not (math.isfinite(ceiling) and ceiling >= 0):
        raise MalformedBytes("hard state: a number out of its range")
    voted_for = data[_HARD_STATE.size :]
    return HardState(Term(term), MemberId(voted_for) if voted_for else None, ceiling)


def pack_snapshot(meta: SnapshotMeta, first_chunk: int, chunk_count: int) -> bytes:
    """Where the snapshot stands in the log, and which chunks are its own."""
    numbers = (meta.last_index, meta.last_term, meta.membership_index, first_chunk, chunk_count)
    return _SNAPSHOT.pack(*numbers) + pack_membership(meta.membership)


def unpack_snapshot_untrusted(data: bytes) -> tuple[SnapshotMeta, int, int]:
    """Return (meta, first chunk, number of chunks)."""
    if len(data) < _SNAPSHOT.size:
        raise MalformedBytes("snapshot: too short")
    numbers = _SNAPSHOT.unpack_from(data)
    last_index, last_term, membership_index, first_chunk, chunk_count = numbers
    if max(numbers) > INTEGER_MAX or membership_index > last_index:
        raise MalformedBytes("snapshot: a number out of its range")
    membership = unpack_membership_untrusted(data[_SNAPSHOT.size :])
    meta = SnapshotMeta(LogIndex(last_index), Term(last_term), membership, LogIndex(membership_index))
    return meta, first_chunk, chunk_count


def pack_identity(identity: Identity) -> bytes:
    """Public key, private key, cluster."""
    packed = identity.member + identity.private_key + identity.cluster
    assert len(identity.member) == MEMBER_ID_SIZE and len(identity.cluster) == CLUSTER_ID_SIZE
    assert len(identity.private_key) == _PRIVATE_KEY_SIZE
    return packed


def unpack_identity_untrusted(data: bytes) -> Identity:
    """Return the identity."""
    if len(data) != MEMBER_ID_SIZE + _PRIVATE_KEY_SIZE + CLUSTER_ID_SIZE:
        raise MalformedBytes("identity: wrong length")
    key_end = MEMBER_ID_SIZE + _PRIVATE_KEY_SIZE
    return Identity(MemberId(data[:MEMBER_ID_SIZE]), data[MEMBER_ID_SIZE:key_end], ClusterId(data[key_end:]))


def pack_number(number: int) -> bytes:
    """A counter in 8 bytes."""
    return _NUMBER.pack(number)


def unpack_number_untrusted(data: bytes) -> int:
    """Return the counter."""
    if len(data) != _NUMBER.size:
        raise MalformedBytes("counter: wrong length")
    number: int = _NUMBER.unpack(data)[0]
    return number
