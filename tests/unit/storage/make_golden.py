"""Writes data/golden.db and data/golden.json: `python -m tests.unit.storage.make_golden`, then read the diff.

A storage with something of everything: all kinds of records, joint memberships, a snapshot with a log around it,
all notes; and beside it what a member finds in it, in words. Both stay as they are: every later version must find
the same in the same file. Write them anew only when the format itself changes, before the first release; after it,
a new format gets a new file beside the old one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from failover.copies import NOTE_MET
from failover.ids import ClusterId, Generation, LogIndex, MemberId, Term
from failover.machine import Context
from failover.net.noise import public_key
from failover.net.peers import Secrets
from failover.opening import NOTE_CLUSTER, NOTE_PORT, NOTE_TICKET
from failover.raft.effects import HardState, SnapshotMeta, Write
from failover.raft.membership import Membership
from failover.raft.messages import Entry
from failover.records import (
    ACTIONS,
    RECORDS,
    Admit,
    AdmitWitness,
    Ancestor,
    AppCommand,
    BeginEpoch,
    Caller,
    CloseInvite,
    Depart,
    Founding,
    KeyedCommand,
    Mark,
    MemberInfo,
    Moved,
    NewGeneration,
    OpenInvite,
    Raise,
    SystemAction,
    SystemCommand,
    TermEnd,
)
from failover.replica import Replica
from failover.storage.contract import Identity
from failover.storage.place import Place, pack_place
from failover.storage.sqlite import SqliteStorage
from failover.wire import WIRE, JoinAccepted

FILE = Path(__file__).parent / "data" / "golden.db"
SAYS = FILE.with_suffix(".json")

KEY = b"\x01" * 32
ME, BOB, EVE = MemberId(public_key(KEY)), MemberId(b"\x02" * 32), MemberId(b"\x03" * 32)
GENERATION = Generation(b"g" * 16)
SECRETS = (Secrets(2, b"P" * 32, b"G" * 32), Secrets(1, b"p" * 32, b"g" * 32))
INVITE, OTHER_INVITE = b"i" * 16, b"o" * 16
BOBS = MemberInfo(BOB, "Bob", ("192.0.2.2:7777", "game.example.org:7777"))
PLACE = Place(b"s" * 16, b"m" * 16, 64_768, 2**63 + 1, 262_145)


class Sayings:
    """A state machine that remembers what was said, when and by whom."""

    def __init__(self) -> None:
        self.said: list[list[str]] = []

    def apply(self, command: bytes, context: Context) -> bytes:
        """The reply is how much was said before."""
        sender = context.sender.hex()[:8] if context.sender else "host"
        self.said.append([command.decode(), sender, f"{context.time:.6f}"])
        return b"%d" % (len(self.said) - 1)

    def view(self) -> int:
        """How much."""
        return len(self.said)

    def snapshot(self) -> Iterator[bytes]:
        """As JSON, cut into small pieces."""
        packed = json.dumps(self.said).encode()
        return iter([packed[start : start + 50] for start in range(0, len(packed), 50)])

    def restore(self, chunks: Iterable[bytes]) -> None:
        """See `snapshot`."""
        self.said = json.loads(b"".join(chunks))

    def digest(self) -> bytes:
        """Of no use here."""
        return b""


def story() -> Iterator[Entry]:
    """The whole log: each kind of record and of membership at least once."""
    caller = (Caller(BOB, 1_700_000_000_000, number, 1) for number in range(1, 100))
    voters = Membership(frozenset({ME}))
    warm = Membership(frozenset({ME}), learners=frozenset({BOB}))
    joint = Membership(frozenset({ME, BOB}), outgoing=frozenset({ME}))
    both = Membership(frozenset({ME, BOB}))
    with_witness = Membership(frozenset({ME, BOB, EVE}), witnesses=frozenset({EVE}))
    leaving = Membership(
        frozenset({ME, BOB}),
        outgoing=frozenset({ME, BOB, EVE}),
        learners_next=frozenset({EVE}),
        witnesses=frozenset({EVE}),
    )

    def founding() -> bytes:
        return RECORDS.encode(
            Founding(ClusterId(b"c" * 16), Generation(b"f" * 16), MemberInfo(ME, "Ada", ()), SECRETS[1])
        )

    def of_application(text: str, time_us: int, by: Caller | None = None) -> bytes:
        return RECORDS.encode(AppCommand(time_us, by, text.encode()))

    def of_library(action: SystemAction, by: Caller | None = None) -> bytes:
        return RECORDS.encode(SystemCommand(9, by, ACTIONS.encode(action)))

    def by_key(text: str, time_us: int, by: Caller) -> bytes:
        return RECORDS.encode(KeyedCommand(time_us, by, Mark(b"key 1", b"d" * 32), text.encode()))

    before = Ancestor(Generation(b"f" * 16), LogIndex(2), (TermEnd(Term(1), LogIndex(2)),))
    told: list[tuple[int, bytes, Membership | None]] = [
        (1, founding(), voters),
        (1, b"", None),
        (1, RECORDS.encode(NewGeneration(GENERATION, ME, before)), voters),
        (1, of_library(OpenInvite(INVITE, b"S" * 32, 2, 2_000_000_000)), None),
        (1, of_library(OpenInvite(OTHER_INVITE, b"T" * 32, 1, 0)), None),
        (1, of_library(Admit(BOBS, INVITE)), warm),
        (1, b"", joint),
        (1, b"", both),
        (1, of_application("of the host", 1_000_000), None),
        (1, of_application("by Bob", 2_000_000, next(caller)), None),
        (3, b"", None),
        (3, of_library(CloseInvite(OTHER_INVITE), next(caller)), None),
        (3, of_library(AdmitWitness(MemberInfo(EVE, "Éve", ("[2001:db8::3]:9",)), INVITE)), with_witness),
        (3, of_application("zwölf" * 60, 3_000_000, next(caller)), None),
        (3, of_library(Depart(EVE, is_removal=True)), leaving),
        (3, b"", both),
        (3, of_library(BeginEpoch(SECRETS[0])), None),
        (7, b"", None),
        (7, of_library(Moved(MemberInfo(BOB, "Bob", ("192.0.2.22:7777",))), next(caller)), None),
        (7, of_application("after the snapshot", 4_000_000, next(caller)), None),
        (7, of_application("at the end", 4_000_001), None),
        (7, by_key("once", 4_000_002, next(caller)), None),
        (7, of_library(Raise(1, 1)), None),
    ]
    for index, (term, command, membership) in enumerate(told, 1):
        yield Entry(LogIndex(index), Term(term), command, membership)


def write(path: Path) -> None:
    """Make the storage as a member would."""
    entries, replica = tuple(story()), Replica(Sayings())
    storage = SqliteStorage(path, machine=lambda: None)
    storage.found(Identity(ME, KEY, ClusterId(b"c" * 16)), HardState(Term(0), None, 0.1))
    storage.begin_incarnation(1_700_000_000_123)
    storage.write((Write(1, HardState(Term(7), BOB, 0.4), None, entries),))
    for entry in entries[:17]:
        replica.apply(entry)
    meta = SnapshotMeta(LogIndex(17), Term(3), Membership(frozenset({ME, BOB})), LogIndex(16))
    storage.save_snapshot(meta, replica.snapshot(), replaces_log=False)
    storage.write((Write(2, compact_to=LogIndex(10)),))
    storage.set_note(NOTE_CLUSTER, WIRE.encode(JoinAccepted(SECRETS, GENERATION, (BOBS,), 1, 1)))
    storage.set_note(NOTE_PORT, b"7777")
    storage.set_note(NOTE_TICKET, INVITE)
    storage.set_note(NOTE_MET, BOB + (1_700_000_000_000).to_bytes(8, "big") + b"nonce..." + b"m" * 16)
    with storage._transaction():
        storage._put("place", pack_place(PLACE))
    storage.close()


def says(value: Any) -> Any:
    """A value as JSON has it, its fields by name; bytes in hex."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: says(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, frozenset):
        return [says(each) for each in sorted(value)]
    if isinstance(value, dict):
        return {says(name): says(each) for name, each in value.items()}
    return [says(each) for each in value] if isinstance(value, list | tuple) else value


def record_says(command: bytes) -> Any:
    """What stands in an entry."""
    if not command:
        return None
    record = RECORDS.decode_untrusted(command)
    found = {"kind": type(record).__name__} | says(record)
    if isinstance(record, SystemCommand):
        action = ACTIONS.decode_untrusted(record.action)
        found["action"] = {"kind": type(action).__name__} | says(action)
    return found


def picture(storage: SqliteStorage) -> dict[str, Any]:
    """Everything that a member finds in it, and the state that it comes to."""
    stored, replica = storage.load(), Replica(Sayings())
    assert stored.snapshot is not None
    replica.restore(stored.snapshot.last_index, storage.read_snapshot())
    at_snapshot = says(replica.directory), says(replica.sessions.dump()), list(replica.machine.said)  # type: ignore[attr-defined]
    for entry in stored.entries:
        if entry.index > stored.snapshot.last_index:
            replica.apply(entry)
    names = (NOTE_CLUSTER, NOTE_PORT, NOTE_TICKET, NOTE_MET)
    note = storage.get_note(NOTE_CLUSTER)
    assert note is not None
    return {
        "identity": says(storage.identity()),
        "hard_state": says(stored.hard_state),
        "snapshot": says(stored.snapshot),
        "entries": [
            {"index": e.index, "term": e.term, "record": record_says(e.command), "membership": says(e.membership)}
            for e in stored.entries
        ],
        "notes": {name: says(storage.get_note(name)) for name in names},
        "cluster": says(WIRE.decode_untrusted(note)),
        "at_snapshot": at_snapshot,
        "at_the_end": [says(replica.directory), says(replica.sessions.dump()), replica.machine.said],  # type: ignore[attr-defined]
        "time_us": replica.time_us,
    }


def text_of(found: dict[str, Any]) -> str:
    """As JSON whose lines a person can compare."""
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.unlink(missing_ok=True)
    write(FILE)
    storage = SqliteStorage(FILE, machine=lambda: None)
    SAYS.write_text(text_of(picture(storage)), encoding="utf-8")
    storage.close()
    FILE.unlink()
    write(FILE)  # as it was before anybody looked
