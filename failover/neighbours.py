"""Who the others are: tells the net who may talk to us, notes it for the next start, and writes tickets."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NoReturn

import trio

from failover.departures import Addresses, Departures
from failover.directory import EPOCHS_MAX, Directory
from failover.driver import Driver
from failover.ids import Generation, MemberId
from failover.interrupts import unbroken
from failover.joining import NOTE_CLUSTER
from failover.levels import Kinds
from failover.naming import NameBook
from failover.net.addresses import ADDRESSES_MAX
from failover.net.names import Name
from failover.net.peers import Secrets
from failover.net.tickets import ADDRESSES_PER_CONTACT_MAX, Contact, Ticket
from failover.opening import Opened
from failover.raft.messages import Entry
from failover.records import (
    Admit,
    Ancestor,
    BeginEpoch,
    Depart,
    Founding,
    MemberInfo,
    NewGeneration,
    OpenInvite,
    SystemCommand,
    is_of_application,
)
from failover.replica import Replica
from failover.wire import WIRE, AskIntroduction, Farewell, JoinAccepted

log = logging.getLogger("failover")

ASK_WHO_S = 0.5
"""A member that hears no leader asks the others so often."""
NOBODY_S = 10.0
"""After so long without a word of anybody a member says in the log what may be the matter."""


@unbroken
class Neighbours:
    """Keeps the net and the note in step with the directory and the membership in force."""

    def __init__(
        self,
        opened: Opened,
        driver: Driver,
        replica: Replica,
        set_note: Callable[[str, bytes], None],
        stored: Iterable[Entry],
        names: NameBook,
    ) -> None:
        self._id = opened.identity.member
        self._opened = opened
        self._driver = driver
        self._replica = replica
        self._set_note = set_note
        self._logged = Said.by(stored, replica.kinds)
        """By the stored log, applied or not. The note may know less: it follows what is applied, and a crash may
        come before it is written."""
        self._directory_seen: Directory | None = None
        self._secrets_seen: tuple[Secrets, ...] = ()
        self._members_seen: dict[MemberId, Addresses] = {}
        self._departures = Departures(driver.clock)
        founded = [each for each, founder in self._logged.founders.items() if founder == self._id]
        self.begun = founded[-1] if founded and founded[-1] != opened.known.generation else None
        """The generation that was begun here, if a crash came before it was noted."""
        if self.begun is not None:
            driver.peers.set_generation(self.begun)
        log = driver.core.log
        self._stored = log.last_index, log.last_term
        """Up to this entry the directory goes through old times, when it is applied again."""
        self._was_behind = False
        self.names = names
        self.heard_at: Callable[[MemberId], Addresses] = lambda member: ()
        """Where the LAN says that a member is."""
        self._introduced: dict[MemberId, MemberInfo] = {}
        """Members that others told of, while no leader was heard: one of them may be the host."""

    def sync(self) -> None:
        """Tell the net who may talk to us, and note it for the next start."""
        directory = self._replica.directory
        is_replaying = directory is None or self._id not in directory.members
        is_behind = self._was_behind = self._is_behind()
        infos = {} if directory is None else dict(directory.members)
        if is_behind:
            # Who departed in the meantime is none again, though the directory is not so far yet.
            infos = {member: info for member, info in infos.items() if member not in self._logged.departed}
        if is_replaying:
            # A newcomer goes through old directories, in which the present host may not be: were it forgotten
            # here, the rest of the log would never come.
            infos |= {info.member: info for info in self._opened.known.members}
        infos = self._introduced_to(infos.keys()) | infos
        members = {member: self._hints(info) for member, info in infos.items()}
        if is_behind:
            for noted in self._opened.known.members:  # the note is newer than the directory of a snapshot
                members[noted.member] = (*noted.parsed_addresses(), *members.get(noted.member, ()))[:ADDRESSES_MAX]
        for member in self._in_the_log():
            info = self._logged.infos.get(member)
            members.setdefault(member, info.parsed_addresses() if info is not None else ())
        members.pop(self._id, None)
        newly = self._departures.follow(directory, self._members_seen, members) if directory is not None else ()
        self._members_seen = members
        departed = self._departures.answered
        self._driver.departed = frozenset(departed)
        former = directory.former if directory is not None else {}
        self._driver.peers.set_members(members, departed, {m: self._hints(info) for m, info in former.items()})
        for member in newly:
            if self._driver.core.leadership is not None:
                self.say_farewell(member)
        self._sync_secrets(directory)
        if directory is None or is_replaying or is_behind or directory is self._directory_seen:
            return  # invites of old times may be closed by now, and the note knows better
        self._directory_seen = directory
        self._driver.peers.set_invites({invite.invite: invite.secret for invite in directory.invites.values()})
        if directory.generation != self._driver.peers.generation:
            return  # of old times, too
        known = JoinAccepted(
            self._secrets_seen,
            directory.generation,
            tuple(info for info in directory.members.values() if info.member != self._id),
            directory.version,
            directory.level,
        )
        note = partial(self._set_note, NOTE_CLUSTER, WIRE.encode(known))
        self._driver.writer.run(note, lambda _: None)

    def _sync_secrets(self, directory: Directory | None) -> None:
        """Have the net use the newest secrets that are known from anywhere.

        A directory that is applied again goes through old times: were its secrets the only ones, those who are
        ahead by more than the epochs that stay good would not be heard any more, and the rest would never come.
        """
        known = {each.epoch: each for each in (self._logged.secrets if self._was_behind else ())}
        known |= {each.epoch: each for each in self._opened.known.secrets}
        known |= {each.epoch: each for each in (directory.secrets if directory is not None else ())}
        newest = tuple(known[epoch] for epoch in sorted(known, reverse=True)[:EPOCHS_MAX])
        if newest != self._secrets_seen:
            self._secrets_seen = newest
            self._driver.peers.set_secrets(newest)

    def _hints(self, info: MemberInfo) -> Addresses:
        """Where a member may be: what the LAN says is newer than what the log says."""
        named = self.names.addresses_of(info.parsed_names())
        newest_first = (*self.heard_at(info.member), *named, *info.parsed_addresses())
        return tuple(dict.fromkeys(newest_first))[:ADDRESSES_MAX]

    def names_of_missing(self) -> dict[MemberId, tuple[Name, ...]]:
        """The names of machines of members that are not heard."""
        directory = self._replica.directory
        infos = {info.member: info for info in self._opened.known.members}
        infos |= {} if directory is None else dict(directory.members)
        missing = (info for info in infos.values() if not self._driver.peers.is_connected(info.member))
        return {info.member: info.parsed_names() for info in missing if info.member != self._id}

    def _is_behind(self) -> bool:
        """Whether the log that was stored at the start is not applied yet; a leader may have replaced its end."""
        index, term = self._stored
        return self._replica.applied_index < index and self._driver.core.log.term_at(index) == term

    @property
    def parents(self) -> dict[Generation, Ancestor]:
        """Where the generations came from that began in the stored log."""
        return self._logged.parents

    def info(self, member: MemberId) -> MemberInfo:
        """What is known of it here, with the address at which it is reached at this moment as the first."""
        directory, address = self._replica.directory, self._driver.peers.address_of(member)
        known = {info.member: info for info in self._opened.known.members} | self._logged.infos
        known |= {**directory.former, **directory.members} if directory is not None else {}
        info = known.get(member, MemberInfo(member, "", ()))
        first = (str(address),) if address is not None else ()
        return replace(info, addresses=tuple(dict.fromkeys((*first, *info.addresses)))[:ADDRESSES_MAX])

    @property
    def members(self) -> list[MemberId]:
        """Everybody whom the net takes for a member, by id."""
        return sorted(self._members_seen)

    def _in_the_log(self) -> frozenset[MemberId]:
        """The members by the membership in force, and by the one before until the change is known to be committed.

        Until then votes may be needed of those who go: nobody may tell them that they are members no more.
        """
        core = self._driver.core
        memberships = core.log.possible_memberships(core.commit_index)
        return frozenset(member for each in memberships for member in each.members)

    def say_farewell(self, member: MemberId) -> None:
        """Tell a former member so, over a channel that is there: what waits for one may come too late."""
        if self._driver.peers.is_connected(member):
            self._driver.send(member, Farewell(self._driver.core.commit_index))

    def introduced(self, members: tuple[MemberInfo, ...]) -> None:
        """Somebody says who the members are. A leader knows better, if one is heard."""
        if self._driver.core.leader is not None:
            return
        self._introduced = {info.member: info for info in members if info.member != self._id}
        self.sync()
        for member in self._introduced:
            self._driver.peers.connect(member, self._driver.clock())

    async def ask_who_is_there(self) -> NoReturn:
        """While no leader is heard, ask those who are: the host may have joined while this member was away."""
        warns_at = self._driver.clock() + NOBODY_S
        while True:
            await trio.sleep(ASK_WHO_S)
            if warns_at != math.inf and self._driver.clock() >= warns_at:
                warns_at = math.inf
                self._warn_if_nobody_answers()
            if self._departures.answered or self._was_behind:
                self.sync()  # their time, or that of the stored log, may be over
            core, peers = self._driver.core, self._driver.peers
            if core.leader is None:
                for member in self.members:
                    if peers.is_connected(member):
                        self._driver.send(member, AskIntroduction(core.applied_index))

    def _warn_if_nobody_answers(self) -> None:
        """Those whose secrets are too old are not answered, and cannot be told why."""
        if self.members and all(self._driver.peers.last_heard(member) is None for member in self.members):
            log.info(
                "no other member has answered since the start; if they are playing, this one was away while more "
                "than %d members went: open its storage with a new ticket",
                EPOCHS_MAX - 1,
            )

    def _introduced_to(self, known: Collection[MemberId]) -> dict[MemberId, MemberInfo]:
        if self._driver.core.leader in known:
            self._introduced.clear()  # the log tells the rest
        return dict(self._introduced)

    def ticket(self, invite: OpenInvite, me: MemberInfo) -> Ticket:
        """The ticket for an open invite: this member first, then others who may be up when it is used."""
        directory = self._replica.directory
        assert directory is not None
        others = [
            contact_of(info)
            for info in directory.members.values()
            if info.member != self._id and (info.parsed_addresses() or info.parsed_names())
        ]
        return Ticket(
            cluster=directory.cluster,
            contacts=(contact_of(me), *others[:3]),
            gate=directory.secrets[0].gate,
            invite_id=invite.invite,
            invite_secret=invite.secret,
            expires_at=invite.expires_at,
        )


def contact_of(info: MemberInfo) -> Contact:
    """What a ticket says of a member: its names first, they outlive addresses."""
    names = info.parsed_names()
    return Contact(info.member, info.parsed_addresses()[: ADDRESSES_PER_CONTACT_MAX - len(names)], names)


@dataclass(slots=True)
class Said:
    """What entries say of members and secrets."""

    infos: dict[MemberId, MemberInfo] = field(default_factory=dict)
    """Of members, in the entries by which they came in."""
    departed: set[MemberId] = field(default_factory=set)
    secrets: list[Secrets] = field(default_factory=list)
    parents: dict[Generation, Ancestor] = field(default_factory=dict)
    """Of the generations that began in them, the last one last."""
    founders: dict[Generation, MemberId] = field(default_factory=dict)
    """Who went on alone in each."""

    @classmethod
    def by(cls, entries: Iterable[Entry], kinds: Kinds) -> Said:
        """Read them all. Raises WrongVersion for what only newer programs know."""
        said = cls()
        told = (entry.command for entry in entries if entry.command and not is_of_application(entry.command))
        for record in map(kinds.record, told):
            if isinstance(record, Founding):
                said.infos[record.founder.member] = record.founder
                said.secrets.append(record.secrets)
            elif isinstance(record, NewGeneration):
                said.parents[record.generation] = record.parent
                said.founders[record.generation] = record.founder
            elif isinstance(record, SystemCommand):
                said._take(kinds.action(record.action))
        return said

    def _take(self, action: object) -> None:
        match action:
            case Admit():
                self.infos[action.info.member] = action.info
            case Depart():
                self.departed.add(action.member)
            case BeginEpoch():
                self.secrets.append(action.secrets)
