"""A game in a file: the table at its beginning and every entry since, so that anybody can play it again.

A file is `MAGIC` and the coding of a `Replay` (see `coding`). It claims a digest of the table after every eighth
entry and after every change of phase, and a chain of hashes over everything in it, so that a change anywhere is
found and its place is known (`verify`). Whoever changes a file and computes all of it anew has made another game
that is in order by itself: only a comparison with another player's file tells the two apart.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demo_game.coding import U16, U64, Malformed, decode_untrusted, encode
from demo_game.commands import Reply
from demo_game.machine import carry_out_untrusted, digest_of
from demo_game.scrutiny import objection
from demo_game.table import Table, has_controls

MAGIC: Final = b"Hexhold replay\n"
VERSION: Final = 1
"""Of the format and of the rules: a change of either makes old files another game."""
ENTRIES_MAX: Final = 50_000
FILE_SIZE_MAX: Final = 16 * 2**20
DIGEST_EVERY: Final = 8
"""A digest costs as much as coding the whole table, about 50 us; by index, so that all members take the same."""
DIGEST_SIZE: Final = 16
LINK_SIZE: Final = 8
SEAL_SIZE: Final = 32


class BadReplay(Exception):
    """This is no replay, or none that this program can play; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One command as every member applied it."""

    index: U64
    """Its place in the log. Places between two entries are the library's own."""
    term: U64
    """Of the host that appended it."""
    time_ms: U64
    """Cluster time."""
    sender: bytes
    """The authenticated member; empty for the host's own commands."""
    order: bytes
    """As it came, also what was refused."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the file says of the table after an entry."""

    link: bytes
    """The first 8 bytes of the chain of hashes up to here."""
    digest: bytes = b""
    """Of the table, 16 bytes, where one is due; empty elsewhere."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A game, or as much of one as a member saw."""

    version: U16
    names: tuple[str, ...]
    """The seats' names at the end, in the order of moves."""
    is_cut: bool
    """The game went on, but so much (`ENTRIES_MAX`) is kept and no more."""
    start: Table
    """In the lobby just before the game; or as it was when this member came in."""
    entries: tuple[Entry, ...]
    claims: tuple[Claim, ...]
    """One for the start, and one for each entry."""
    digest: bytes
    """Of the table at the end."""
    seal: bytes
    """The end of the chain, over all of the above."""

    def save(self, path: Path) -> None:
        """Write the file. It is there whole or not at all; an older one of this name goes.

        Raises:
            OSError: it could not be written.
        """
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with part.open("xb") as out:
                out.write(MAGIC + encode(self))
                out.flush()
                os.fsync(out.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def load_untrusted(path: Path) -> Replay:
    """Read a file that anybody may have written. That it can be read proves nothing yet: see `verify`.

    Raises:
        BadReplay: there is no such file, or it is no replay of this version.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_SIZE_MAX + 1)
    except OSError as error:
        raise BadReplay(f"{path.name}: {error.strerror or error}") from error
    try:
        return decode_replay_untrusted(data)
    except BadReplay as error:
        raise BadReplay(f"{path.name}: {error}") from error


def decode_replay_untrusted(data: bytes) -> Replay:
    """Read a file's bytes; `BadReplay` for any that no `save` wrote."""
    if len(data) > FILE_SIZE_MAX:
        raise BadReplay(f"no replay is larger than {FILE_SIZE_MAX // 2**20} MiB")
    if not data.startswith(MAGIC):
        raise BadReplay("this is no replay of Hexhold")
    body = data[len(MAGIC) :]
    version = int.from_bytes(body[:2], "big")
    if version != VERSION:
        raise BadReplay(f"a replay of version {version}, and this program plays version {VERSION}")
    try:
        replay = decode_untrusted(Replay, body)
    except Malformed as error:
        raise BadReplay(f"damaged: {error}") from None
    if problem := _misfit(replay) or objection(replay.start):
        raise BadReplay(f"damaged: {problem}")
    return replay


def _misfit(replay: Replay) -> str | None:
    """Return which part has not the size it must have."""
    if not 0 < len(replay.entries) <= ENTRIES_MAX:
        return "no entries, or too many"
    if len(replay.claims) != len(replay.entries) + 1:
        return "not one claim for each entry"
    if any(len(each.link) != LINK_SIZE or len(each.digest) not in (0, DIGEST_SIZE) for each in replay.claims):
        return "a claim of another size"
    if len(replay.digest) != DIGEST_SIZE or len(replay.seal) != SEAL_SIZE:
        return "a seal of another size"
    if any(map(has_controls, replay.names)):
        return "a name that cannot be shown"
    return None


def tables(replay: Replay) -> Iterator[tuple[Entry, Table, Reply]]:
    """Play it again: yield each entry, the table after it, and its answer.

    Raises:
        BadReplay: the table at the start is one that no game leads to, and the rules cannot go on from it.
    """
    table = replay.start
    for entry in replay.entries:
        try:
            table, reply = carry_out_untrusted(table, entry.order, entry.sender or None, entry.time_ms)
        except _IMPOSSIBLE as error:
            raise BadReplay(f"entry {entry.index} cannot be played: no game leads to this table") from error
        yield entry, table, reply


# What the rules run into on a table that no game leads to, however much of it was looked at before.
_IMPOSSIBLE = (ArithmeticError, AssertionError, LookupError, ValueError, struct.error)


def digest_untrusted(table: Table) -> bytes:
    """Return the digest of a table out of a replay.

    Raises:
        BadReplay: it holds a number larger than any game leads to.
    """
    try:
        return digest_of(table)
    except struct.error as error:
        raise BadReplay("a number in the table is larger than any game leads to") from error


# --- the chain -----------------------------------------------------------------------


def is_due(entry: Entry, before: Table, after: Table) -> bool:
    """Tell whether a digest is claimed of the table after this entry."""
    return entry.index % DIGEST_EVERY == 0 or before.phase is not after.phase


def first_of_chain(start: Table) -> bytes:
    """Return the hash that the chain begins with, over the table at the start."""
    return hashlib.sha256(MAGIC + encode(start)).digest()


def next_of_chain(chain: bytes, entry: Entry, digest: bytes) -> bytes:
    """Return the hash over all before, an entry, and the table's digest if one is due."""
    return hashlib.sha256(chain + encode(entry) + digest).digest()


@dataclass(frozen=True, slots=True)
class _End:
    version: U16
    names: tuple[str, ...]
    is_cut: bool
    digest: bytes


def end_of_chain(chain: bytes, names: tuple[str, ...], digest: bytes, *, is_cut: bool) -> bytes:
    """Return the seal: the hash over the chain and what the file says besides."""
    return hashlib.sha256(chain + encode(_End(VERSION, names, is_cut, digest))).digest()


def names_of(table: Table) -> tuple[str, ...]:
    """Return the seats' names, in their order."""
    return tuple(seat.name for seat in table.seats)


def sealed(
    start: Table, entries: Sequence[Entry], claims: Sequence[Claim], chain: bytes, last: Table, *, is_cut: bool
) -> Replay:
    """Return the replay of what was kept.

    Args:
        start: the table before the first entry.
        entries: what was applied since.
        claims: one for the start, and one for each entry.
        chain: after the last entry.
        last: the table after it.
        is_cut: whether more was applied than was kept.
    """
    names, digest = names_of(last), digest_of(last)
    seal = end_of_chain(chain, names, digest, is_cut=is_cut)
    return Replay(VERSION, names, is_cut, start, tuple(entries), tuple(claims), digest, seal)
