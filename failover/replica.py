"""Applying: the application's machine, the table of answered requests and the directory, in one order.

Everything here follows from the log alone, so it is the same on every member at the same index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from failover import levels
from failover.directory import Directory
from failover.errors import ApplyFailed
from failover.ids import ClusterId, Epoch, Generation, LogIndex, MemberId, Term
from failover.keys import Fate, KeyTable
from failover.machine import Context, StateMachine
from failover.net.context import Secrets
from failover.opaque import Opaque
from failover.pieces import blamed, blaming
from failover.raft.messages import Entry
from failover.records import (
    COMMAND_SIZE_MAX,
    FEATURE_LEVEL,
    Ancestor,
    AppCommand,
    Caller,
    Depart,
    Founding,
    KeyedCommand,
    MemberInfo,
    NewGeneration,
    OpenInvite,
    SystemAction,
    SystemCommand,
    TermEnd,
    Versions,
)
from failover.sessions import Sessions
from failover.snapshot_format import chained, framed, unframed

DIGEST_SIZE_MAX = 32


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of one entry."""

    entry: Entry
    caller: Caller | None = None
    reply: bytes | None = None
    """None: not carried out, because it had been before, or its caller is gone."""
    action: SystemAction | None = None
    """The library's own action, if it was one."""


class Replica:
    """The replicated state of one member."""

    def __init__(self, machine: StateMachine, level: int = FEATURE_LEVEL) -> None:
        self.machine = machine
        self.is_witness = isinstance(machine, Opaque)
        """Whether there is no application here."""
        self.versions = levels.versions_of(machine, level)
        """What this program understands."""
        self.kinds = levels.kinds_of(level)
        self.sessions = Sessions()
        self.keys = KeyTable()
        self.directory: Directory | None = None
        self.time_us = 0
        """The newest cluster time in the log."""
        self.applied_index = LogIndex(0)
        with blaming("view", self.applied_index):
            self.view: object = machine.view()

    def apply(self, entry: Entry) -> Applied:
        """Carry out one committed entry.

        Raises:
            ApplyFailed: the machine raised; this member must stop.
            WrongVersion: from here on only newer programs understand the log; this member must stop.
        """
        self.applied_index = entry.index
        if not entry.command:
            return Applied(entry)
        record = self.kinds.record(entry.command)
        if isinstance(record, AppCommand):
            self.time_us = max(self.time_us, record.time_us)
            return self._once(entry, record.caller, lambda: self._apply_to_machine(entry, record), None)
        if isinstance(record, KeyedCommand):
            self.time_us = max(self.time_us, record.time_us)
            return self._once_by_key(entry, record)
        if isinstance(record, SystemCommand):
            self.time_us = max(self.time_us, record.time_us)
            action = self.kinds.action(record.action)
            return self._once(entry, record.caller, lambda: self._apply_action(entry.index, action), action)
        if isinstance(record, NewGeneration):
            assert self.directory is not None
            self.directory = self.directory.after_parting(record)
            return Applied(entry)
        assert isinstance(record, Founding)
        founded = Directory.founded(record)
        self._play(entry.index, self.versions.oldest, founded)
        self.directory = founded
        return Applied(entry)

    def refresh_view(self) -> None:
        """Take a new picture of the machine; called once for a batch of entries."""
        with blaming("view", self.applied_index):
            self.view = self.machine.view()

    def digest(self) -> bytes:
        """Of the machine's state."""
        with blaming("digest", self.applied_index):
            digest = self.machine.digest()
            if not isinstance(digest, bytes) or len(digest) > DIGEST_SIZE_MAX:
                raise TypeError(f"it returned {digest!r:.80}, not 4 to {DIGEST_SIZE_MAX} bytes")
            return digest

    def knows_invite(self, invite: bytes) -> bool:
        """Whether it was not closed since it was opened."""
        return self.directory is not None and invite in self.directory.invites

    def snapshot(self) -> Iterator[bytes]:
        """The whole replicated state in pieces; what is applied after this call is not in it.

        Raises:
            MachineFailed: the machine raised, here or while the pieces are taken; this member must stop.
        """
        tables = [self.time_us, self.sessions.dump(), _dump_directory(self.directory), self.keys.dump()]
        with blaming("snapshot", self.applied_index):
            pieces = blamed(iter(self.machine.snapshot()), self.applied_index)
        # A generator does nothing before its first piece is asked for; what it freezes, it must freeze now.
        return framed(tables, next(pieces, b""), pieces)

    def restore(self, index: LogIndex, chunks: Iterable[bytes]) -> None:
        """Replace the whole replicated state by a snapshot that stands at `index`.

        Raises:
            WrongVersion: only other programs understand it; nothing was changed.
            MachineFailed: the machine raised; this member must stop.
        """
        rest = iter(chunks)
        (time_us, sessions, directory, *keys), first = unframed(rest)  # versions without keys have three
        levels.check(self.versions, *_versions_in(directory))  # before anything is touched
        with blaming("restore", index):
            self.machine.restore(chained(first, rest))
        self.time_us, self.directory = time_us, _load_directory(directory)
        self.sessions.load(sessions, with_replies=not self.is_witness)
        self.keys.load(*keys or ((),))
        self.applied_index = index
        self.refresh_view()

    def _once(
        self, entry: Entry, caller: Caller | None, carry_out: Callable[[], bytes], action: SystemAction | None
    ) -> Applied:
        if caller is None:
            return Applied(entry, None, carry_out(), action)
        is_new = self._is_member(caller) and self.sessions.is_new(caller)
        # A change of membership is in force since it was appended: the directory follows it, whoever asked for it.
        if not is_new and entry.membership is None:
            return self._known(entry, caller)
        reply = carry_out()
        if is_new and self._is_member(caller):
            self.sessions.add(caller, reply)
        return Applied(entry, caller, reply, action)

    def _known(self, entry: Entry, caller: Caller) -> Applied:
        """What is not carried out, because it had been before, or its caller is gone."""
        return Applied(entry, caller, self.sessions.reply(caller) if self._is_member(caller) else None)

    def _once_by_key(self, entry: Entry, record: KeyedCommand) -> Applied:
        """Carry out what has a key, or find what came of it when an earlier run of its sender asked for it."""
        caller, mark = record.caller, record.mark
        if not self._is_member(caller) or not self.sessions.is_new(caller):
            return self._known(entry, caller)
        match self.keys.fate(caller.member, mark):
            case Fate.NEW:
                reply = self._apply_to_machine(entry, record)
                self.keys.add(caller.member, mark, reply)
            case Fate.DONE:
                reply = self.keys.reply(caller.member, mark.key)
            case _:
                return Applied(entry, caller)  # its sender asks again, and is told why
        self.sessions.add(caller, reply)
        return Applied(entry, caller, reply)

    def _is_member(self, caller: Caller) -> bool:
        """What a removed member had done is forgotten, and must not be done again."""
        assert self.directory is not None
        return caller.member in self.directory.members

    def _apply_to_machine(self, entry: Entry, record: AppCommand | KeyedCommand) -> bytes:
        assert self.directory is not None
        sender = record.caller.member if record.caller else None
        epoch = Epoch(self.directory.generation, Term(entry.term))
        context = Context(entry.index, epoch, sender, self.time_us / 1_000_000, self.directory.version)
        try:
            reply = self.machine.apply(record.body, context)
            if not isinstance(reply, bytes) or len(reply) > COMMAND_SIZE_MAX:
                raise TypeError(f"apply returned {type(reply).__name__}, not 0 to {COMMAND_SIZE_MAX} bytes")
        except Exception as error:
            raise ApplyFailed(entry.index, f"{type(error).__name__}: {error}") from error
        return reply

    def _apply_action(self, index: LogIndex, action: SystemAction) -> bytes:
        assert self.directory is not None
        directory, reply = self.directory.after(action)
        self._play(index, self.directory.version, directory)
        self.directory = directory
        if isinstance(action, Depart):
            self.sessions.forget(action.member)
            self.keys.forget(action.member)
        return reply

    def _play(self, index: LogIndex, before: int, directory: Directory) -> None:
        """Go on by the version and level of this directory, if this program knows them."""
        levels.check(self.versions, directory.version, directory.level)
        migrate = getattr(self.machine, "migrate", None)
        if migrate is None:
            return
        for version in range(before + 1, directory.version + 1):
            with blaming(f"migrate({version})", index):
                migrate(version)


def _versions_in(directory: list[Any]) -> tuple[int, int]:
    """Version and level, from the third table of a snapshot. They keep this place for ever: programs that
    understand nothing else of it must be able to say so."""
    return directory[9], directory[10]


def _dump_directory(directory: Directory | None) -> list[object]:
    assert directory is not None, "the first record founds the directory"
    members, former = map(_dump_infos, (directory.members, directory.former))
    ancestors = [
        [each.generation, each.index, [[end.term, end.last_index] for end in each.terms]]
        for each in directory.ancestors
    ]
    invites = [[i.invite, i.secret, i.uses, i.expires_at] for i in directory.invites.values()]
    secrets = [[each.epoch, each.psk, each.gate] for each in directory.secrets]
    head = [directory.cluster, directory.generation, secrets, directory.is_epoch_due]
    tail = [list(directory.departed), ancestors, former, directory.version, directory.level]
    return [*head, members, invites, *tail]


def _load_directory(values: list[Any]) -> Directory:
    cluster, generation, secrets, is_epoch_due, members, invites, departed, *rest = values
    ancestors, former, version, level = rest
    return Directory(
        ClusterId(cluster),
        Generation(generation),
        tuple(Secrets(*each) for each in secrets),
        _load_infos(members),
        {invite[0]: OpenInvite(*invite) for invite in invites},
        tuple(map(MemberId, departed)),
        is_epoch_due,
        tuple(_load_ancestor(*each) for each in ancestors),
        _load_infos(former),
        version,
        level,
    )


def _load_ancestor(generation: bytes, index: int, terms: Iterable[tuple[int, int]]) -> Ancestor:
    ends = tuple(TermEnd(Term(term), LogIndex(last)) for term, last in terms)
    return Ancestor(Generation(generation), LogIndex(index), ends)


def _dump_infos(infos: Mapping[MemberId, MemberInfo]) -> list[object]:
    return [[info.member, info.name, list(info.addresses), *_dump_versions(info)] for info in infos.values()]


def _dump_versions(info: MemberInfo) -> tuple[int, int, int]:
    return info.versions.newest, info.versions.oldest, info.versions.level


def _load_infos(rows: Iterable[Any]) -> dict[MemberId, MemberInfo]:
    infos = (
        MemberInfo(MemberId(member), name, tuple(addresses), Versions(*versions))
        for member, name, addresses, *versions in rows
    )
    return {info.member: info for info in infos}
