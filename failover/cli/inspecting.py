"""`failover inspect FILE`: what a storage holds, for a person."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from failover.copies import read_met
from failover.errors import FailoverError
from failover.ids import MemberId, short
from failover.raft.membership import Membership
from failover.storage.inspection import Inspection, inspect_storage
from failover.wire import WIRE, JoinAccepted

_PLACES = {
    "here": "where it was opened last",
    "copied": "a copy of another file of this machine: it refuses to run",
    "elsewhere": "moved or copied from another machine or file system since it was opened last",
    "unknown": "not noted yet",
}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def inspect(file: Path) -> None:
    """Show what the storage FILE holds. Changes nothing; the game must not be running."""
    try:
        found = inspect_storage(file)
        rows = _rows(found)
    except FailoverError as error:
        raise click.ClickException(str(error)) from error
    table = Table(title=Text(file.name), show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value))  # Text: brackets in a value are no markup
    Console().print(table)


def _rows(found: Inspection) -> list[tuple[str, str]]:
    rows = [
        ("member", found.member.hex() if found.member else "nobody yet: never founded or joined"),
        ("cluster", found.cluster.hex() if found.cluster else "none"),
        ("incarnation", str(found.incarnation)),
        ("term", str(found.hard_state.term)),
        ("voted for", _one(found.hard_state.voted_for, found.member) if found.hard_state.voted_for else "nobody"),
        ("longest promise", f"{found.hard_state.promise_ceiling_s * 1000:.0f} ms"),
    ]
    if found.snapshot:
        where = f"up to index {found.snapshot.last_index} of term {found.snapshot.last_term}"
        rows.append(("snapshot", f"{where}, {found.snapshot_size:,} bytes"))
    else:
        rows.append(("snapshot", "none"))
    if found.first <= found.last:
        count = found.last - found.first + 1
        rows.append(("entries", f"{found.first} to {found.last}: {count:,}, {found.entries_size:,} bytes"))
    else:
        rows.append(("entries", "none"))
    if found.membership:
        rows += _membership_rows(found.membership, found.member)
    return [
        *rows,
        *_note_rows(found.notes),
        ("place", _PLACES[found.place]),
        ("file", f"{found.file_size:,} bytes"),
    ]


def _note_rows(notes: dict[str, bytes]) -> list[tuple[str, str]]:
    """What is no secret of the notes; of those that nobody here knows, the size."""
    rows = []
    for name, note in notes.items():
        match name:
            case "cluster":
                known = WIRE.decode_untrusted(note)
                assert isinstance(known, JoinAccepted)
                rows += [
                    ("knows", f"{short(info.member)} {info.name} at {', '.join(info.addresses) or 'no address'}")
                    for info in (each.shown() for each in known.members)
                ]
                rows.append(("secrets", "of epochs " + ", ".join(str(each.epoch) for each in known.secrets)))
            case "met":
                rows += [
                    ("met", f"{short(met)} in its run {run.incarnation}") for met, run in read_met(note).items()
                ]
            case "port":
                rows.append(("port", note.decode("ascii", "replace")))
            case "ticket":
                rows.append(("last invite", note.hex()[:8]))
            case "copied":
                rows.append(("found out", f"a copy or an old backup: others met its run {note.decode('ascii')}"))
            case _:
                rows.append((f"note {name}", f"{len(note):,} bytes"))
    return rows


def _membership_rows(membership: Membership, own: MemberId | None) -> list[tuple[str, str]]:
    sets = [
        ("voters", membership.voters),
        ("outgoing voters", membership.outgoing),
        ("learners", membership.learners),
        ("witnesses", membership.witnesses),
    ]
    return [(name, ", ".join(_one(each, own) for each in sorted(members))) for name, members in sets if members]


def _one(member: MemberId, own: MemberId | None) -> str:
    return f"{short(member)} (this one)" if member == own else short(member)
