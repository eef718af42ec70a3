"""Giving up a generation for another: what only this member had goes to a file, and it joins again, as itself.

All of it happens while the storage is opened, before anything runs: there is no moment at which a member has half
of one generation and half of another. A crash in the middle begins it again.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Annotated

from failover import levels
from failover.admission import ask_to_join
from failover.clock import Clock
from failover.directory import EPOCHS_MAX
from failover.errors import MalformedBytes, StorageFailed, Unreachable
from failover.events import Rejoined
from failover.ids import Generation, LogIndex, Term
from failover.joining import NOTE_CLUSTER
from failover.line import Line
from failover.net.bounds import MaxSize
from failover.net.codec import Codec
from failover.net.peers import Peers
from failover.net.tickets import CONTACTS_MAX, Contact
from failover.raft.effects import HardState
from failover.raft.messages import Entry
from failover.records import RECORDS, Ancestor, AppCommand, KeyedCommand, MemberInfo
from failover.storage.contract import Storage
from failover.storage.sqlite_file import sync_directory
from failover.wire import WIRE, JoinAccepted, JoinRequest

log = logging.getLogger("failover")

NOTE_REJOIN = "rejoin"
"""A coded `Rejoin`: the next opening tries it, once; empty when that is over."""
NOTE_BEEN = "been"
"""The generations that this storage has left, 16 bytes each."""
BEEN_MAX = 64
MET_MAX = 16
"""Members of the other generation that are noted."""


@dataclass(frozen=True, slots=True)
class Rejoin:
    """Which generation to rejoin, where, and what of the own log is in it."""

    generation: Generation
    left: Generation
    shared: Ancestor
    been: Annotated[tuple[Generation, ...], MaxSize(BEEN_MAX)]
    """Where this member has been; it counts there, and must not come back with an empty log."""
    contacts: Annotated[tuple[MemberInfo, ...], MaxSize(MET_MAX)]


NOTES = Codec({1: Rejoin})


def noted_rejoin(storage: Storage) -> Rejoin | None:
    """What `Generations.rejoin` noted, if it did."""
    note = storage.get_note(NOTE_REJOIN)
    if not note:
        return None
    try:
        found = NOTES.decode_untrusted(note)
    except MalformedBytes:
        return None  # the storage's checksums hold: of another version; the member resumes where it was
    assert isinstance(found, Rejoin)
    return found


async def rejoin(
    plan: Rejoin,
    storage: Storage,
    peers: Peers,
    line: Line,
    request: JoinRequest,
    known: JoinAccepted,
    clock: Clock,
) -> tuple[JoinAccepted, Rejoined] | None:
    """Ask to be let in, then give up the log. None if nobody answers, or they went elsewhere meanwhile.

    Raises:
        NotAdmitted, WrongVersion: they say no; nothing has changed, and the next opening resumes.
    """
    storage.set_note(NOTE_REJOIN, b"")  # one try for each decision: what this member does next may be worth more
    contacts = [Contact(each.member, each.parsed_addresses(), ()) for each in plan.contacts]
    contacts = [each for each in contacts if each.addresses][:CONTACTS_MAX]
    if not contacts:
        return None
    try:
        told = await ask_to_join(peers, line, contacts, None, request, clock)
    except Unreachable as error:
        log.warning("generation %s could not be rejoined (%s); resuming", plan.generation.hex()[:6], error)
        return None
    finally:
        peers.disconnect_as_guest()
    if told.generation != plan.generation:
        log.warning("generation %s was given up for another meanwhile; resuming", plan.generation.hex()[:6])
        return None
    levels.check(request.versions, told.version, told.level)
    kept, place = keep_what_only_we_had(storage, plan)
    epochs = {each.epoch: each for each in (*known.secrets, *told.secrets)}
    newest = tuple(epochs[epoch] for epoch in sorted(epochs, reverse=True)[:EPOCHS_MAX])
    told = replace(told, secrets=newest)
    ceiling_s = storage.load().hard_state.promise_ceiling_s
    notes = {NOTE_CLUSTER: WIRE.encode(told), NOTE_BEEN: b"".join(plan.been)}
    storage.begin_anew(HardState(Term(0), None, ceiling_s), notes)
    return told, Rejoined(plan.left, told.generation, kept, place)


def keep_what_only_we_had(storage: Storage, plan: Rejoin) -> tuple[int, str]:
    """Write the commands that are not in the other generation to a file beside the storage; returns (how many,
    where)."""
    stored, path = storage.load(), getattr(storage, "path", None)
    places = [(entry.index, entry.term) for entry in stored.entries]
    if stored.snapshot is not None:
        places.insert(0, (stored.snapshot.last_index, stored.snapshot.last_term))
    first = 1 + shared_index(sorted(places), plan.shared)
    lines = list(_lines(entry for entry in stored.entries if entry.index >= first))
    has_snapshot = stored.snapshot is not None and stored.snapshot.last_index >= first
    if not lines and not has_snapshot:
        return 0, ""
    if not isinstance(path, Path):
        log.warning("%d commands of this member alone are given up: this storage is no file", len(lines))
        return len(lines), ""
    beside = _free_name(path, plan.left)
    _write_whole(beside, (f"{each}\n".encode() for each in lines))
    if has_snapshot:  # the commands before it are in nothing else any more
        _write_whole(beside.with_suffix(".snapshot"), storage.read_snapshot())
    return len(lines), str(beside)


def shared_index(places: Sequence[tuple[LogIndex, Term]], shared: Ancestor) -> LogIndex:
    """Up to which of these places, in ascending order, the log is in the other generation, too, as far as that is
    certain.

    Two logs that have the same term at an index are equal up to there (Raft, 5.3).
    """
    ends = sorted((end.last_index, end.term) for end in shared.terms)
    lasts = [last for last, _ in ends]
    for index, term in reversed(places):
        if index > shared.index:
            continue
        at = bisect_left(lasts, index)
        # Before the first end that was told, too: entries of one term come from one leader (Raft, 5.3).
        if at < len(ends) and ends[at][1] == term:
            return index
        if at == 0:
            break  # how the other log was there, nobody said
    return LogIndex(0)


def _lines(entries: Iterable[Entry]) -> Iterator[str]:
    """The application's commands. The library's own say nothing that is of use elsewhere, and hold secrets."""
    for entry in entries:
        record = RECORDS.decode_untrusted(entry.command) if entry.command else None
        if isinstance(record, AppCommand | KeyedCommand):
            sender = record.caller.member.hex() if record.caller is not None else None
            command = base64.b64encode(record.body).decode()
            line = {"index": entry.index, "term": entry.term, "time": record.time_us / 1e6}
            yield json.dumps({**line, "sender": sender, "command": command})


def _free_name(path: Path, left: Generation) -> Path:
    """What was kept before stays."""
    for number in count(1):
        again = f"-{number}" if number > 1 else ""
        beside = path.with_name(f"{path.name}.left-{left.hex()[:8]}{again}.jsonl")
        if not beside.exists() and not beside.with_suffix(".snapshot").exists():
            return beside
    raise AssertionError("there is always a next number")


def _write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """All of it or nothing, for the owner's eyes."""
    unborn = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(unborn, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        unborn.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise StorageFailed(f"{path}: what only this member has could not be kept: {error.strerror}") from error
