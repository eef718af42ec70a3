"""Storages that are copies or old backups: what is noted to find those of others, and that our own is one.

What was stored since the backup is forgotten in it: votes, promises, entries that count as accepted. So it must
not run, and nothing here tries to repair it. A peer finds it out, as soon as they meet, by the runs that the peer
has met before (`net.runs`); here these are kept over restarts. Each is noted when it is met, and before anything
that came from it is stored; a crash in the few milliseconds until then forgets it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from struct import Struct

from failover.errors import StorageCopied, StorageCorrupt
from failover.ids import MEMBER_ID_SIZE, MemberId
from failover.net.runs import SEAL_SIZE, Run, Runs
from failover.writer import Writer

NOTE_COPIED = "copied"
"""There is one if the storage was found out: the incarnation of the run that it does not know of, as ASCII."""
NOTE_MET = "met"
"""The newest runs of the others."""

_ROW = Struct(f">{MEMBER_ID_SIZE}sQ{SEAL_SIZE}s")

GetNote = Callable[[str], bytes | None]
SetNote = Callable[[str, bytes], None]


def refuse_copy(get_note: GetNote) -> None:
    """Raise StorageCopied if this storage was found out before."""
    if get_note(NOTE_COPIED) is not None:
        raise found_out()


def found_out() -> StorageCopied:
    """The error for who opened it."""
    return StorageCopied(
        "this storage is a copy or an old backup: another member has met a later run of it; "
        "move the file away and join anew with a ticket"
    )


def mark_copy(set_note: SetNote, later: Run) -> None:
    """Have every later opening refused at once."""
    set_note(NOTE_COPIED, b"%d" % later.incarnation)


def read_met(note: bytes | None) -> dict[MemberId, Run]:
    """The runs that were noted. Raises StorageCorrupt."""
    if note is None:
        return {}
    if len(note) % _ROW.size:
        raise StorageCorrupt("the storage's note of other members' runs is damaged; nothing was changed")
    return {MemberId(member): Run(incarnation, seal) for member, incarnation, seal in _ROW.iter_unpack(note)}


class RunNotes:
    """Writes down which runs were met, and that this storage was found out."""

    def __init__(
        self, runs: Runs, writer: Writer, set_note: SetNote, stop: Callable[[StorageCopied], None]
    ) -> None:
        """Begin; `stop` is called when the storage was found out."""
        self._runs, self._writer, self._set_note, self._stop = runs, writer, set_note, stop
        self._is_writing = self._is_news = False
        runs.on_met, runs.on_later = self._note_met, self._found_out

    def _note_met(self) -> None:
        """One note at a time waits for the disk, however many runs are met meanwhile."""
        self._is_news = True
        if self._is_writing:
            return
        self._is_news, self._is_writing = False, True
        note = b"".join(_ROW.pack(member, run.incarnation, run.seal) for member, run in self._runs.met.items())
        self._writer.run(partial(self._set_note, NOTE_MET, note), self._noted)

    def _noted(self, _: object) -> None:
        self._is_writing = False
        if self._is_news:
            self._note_met()

    def _found_out(self) -> None:
        assert self._runs.later is not None
        self._writer.run(partial(mark_copy, self._set_note, self._runs.later), lambda _: None)
        self._stop(found_out())
