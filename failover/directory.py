"""What the cluster knows of itself beside the log's memberships: names, addresses, secrets, open invites.

Replicated: it changes only by records, and is part of every snapshot.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from failover.ids import ClusterId, Generation, MemberId
from failover.net.context import Secrets
from failover.records import (
    FEATURE_LEVEL,
    Admit,
    Ancestor,
    BeginEpoch,
    CloseInvite,
    Depart,
    Founding,
    MemberInfo,
    Moved,
    NewGeneration,
    OpenInvite,
    Raise,
    SystemAction,
)

DEPARTED_MAX = 64
"""Former members kept: who has departed never comes back under the same identity."""
INVITES_MAX = 64
"""Invites kept; one that is used up gives way to a new one, else the oldest."""

ANCESTORS_MAX = 8
"""Generations that this one came from, the newest ones."""
FORMER_MAX = 16
"""Members left behind that may still come along."""

EPOCHS_MAX = 4
"""Secret epochs that are still good for members: who sleeps through fewer departures gets back."""

ADMITTED, DONE = b"admitted", b"done"

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Directory:
    """An immutable picture; every change makes a new one."""

    cluster: ClusterId
    generation: Generation
    secrets: tuple[Secrets, ...]
    """Of the last epochs, newest first."""
    members: dict[MemberId, MemberInfo]
    invites: dict[bytes, OpenInvite]
    departed: tuple[MemberId, ...] = ()
    """Whose membership has ended, the last ones, oldest first."""
    is_epoch_due: bool = False
    """Somebody has departed who knows the newest secrets, and no new ones are here yet."""
    ancestors: tuple[Ancestor, ...] = ()
    """The generations that this one came from, newest first."""
    former: Mapping[MemberId, MemberInfo] = field(default_factory=dict)
    """Members of those that did not come along; each may ask to be one again."""
    version: int = 1
    """Of the game's rules, that is played."""
    level: int = FEATURE_LEVEL
    """Of the library: what a higher one brings stands in no entry."""

    @classmethod
    def founded(cls, record: Founding) -> Directory:
        """The directory after the first record."""
        founder, versions = {record.founder.member: record.founder.shown()}, record.founder.versions
        return cls(
            record.cluster,
            record.generation,
            (record.secrets,),
            founder,
            {},
            version=versions.newest,
            level=versions.level,
        )

    def admits(self, action: Admit, unix_now: float) -> bool:
        """Whether the invite is open: the host's judgement before it appends. An old member is simply back."""
        if action.info.member in self.members or action.info.member in self.former:
            return True
        invite = self.invites.get(action.invite)
        return invite is not None and invite.is_open(unix_now)

    def name_of(self, member: MemberId) -> str:
        """What a member is called; empty for who is none."""
        info = self.members.get(member)
        return info.name if info is not None else ""

    def after(self, action: SystemAction) -> tuple[Directory, bytes]:
        """The directory after a committed action, and the reply to whoever asked for it."""
        match action:
            case OpenInvite():
                if action.invite in self.invites:  # else one that was used up would be open again
                    return self, DONE
                return replace(self, invites=self._with_room() | {action.invite: action}), DONE
            case CloseInvite():
                return replace(self, invites=_without(self.invites, action.invite)), DONE
            case Admit():
                return self._after_admitting(action)
            case Depart():
                return self._after_departing(action), DONE
            case BeginEpoch():
                return self._after_beginning(action.secrets), DONE
            case Moved():
                if action.info.member not in self.members:
                    return self, DONE
                return replace(self, members=self.members | {action.info.member: action.info.shown()}), DONE

            case Raise():
                # Whoever was opened with an older program since the host appended this does not know it any more.
                known = self.known_to_all()
                version = max(self.version, min(action.version, known.version))
                return replace(self, version=version, level=max(self.level, min(action.level, known.level))), DONE

    def known_to_all(self) -> Raise:
        """What all members say that they know, those that are away too; never less than what is played."""
        versions = [info.versions for info in self.members.values()]
        version = min((each.newest for each in versions), default=self.version)
        if any(each.oldest > version for each in versions):
            version = self.version
        level = min((each.level for each in versions), default=self.level)
        return Raise(max(self.version, version), max(self.level, level))

    def after_parting(self, record: NewGeneration) -> Directory:
        """One member went on alone; all others stay behind in the generation that was."""
        stayed = {member: info for member, info in self.members.items() if member != record.founder}
        former = {**_without(self.former, record.founder), **stayed}
        return replace(
            self,
            generation=record.generation,
            members={record.founder: self.members[record.founder]},
            ancestors=(record.parent, *self.ancestors)[:ANCESTORS_MAX],
            former=dict(list(former.items())[-FORMER_MAX:]),
        )

    def _after_departing(self, action: Depart) -> Directory:
        """Whoever goes keeps what it knew: new secrets are due, and a removal leaves it no way in."""
        return replace(
            self,
            members=_without(self.members, action.member),
            departed=(*self.departed, action.member)[-DEPARTED_MAX:],
            invites={} if action.is_removal else self.invites,
            is_epoch_due=True,
        )

    def _after_beginning(self, secrets: Secrets) -> Directory:
        """Two hosts in a row may both have drawn secrets for the same departure: the first ones count."""
        if not self.is_epoch_due or secrets.epoch != self.secrets[0].epoch + 1:
            return self
        return replace(self, secrets=(secrets, *self.secrets)[:EPOCHS_MAX], is_epoch_due=False)

    def _with_room(self) -> dict[bytes, OpenInvite]:
        if len(self.invites) < INVITES_MAX:
            return self.invites
        used_up = (key for key, invite in self.invites.items() if invite.uses == 0)
        going = next(used_up, next(iter(self.invites)))
        return _without(self.invites, going)

    def _after_admitting(self, action: Admit) -> tuple[Directory, bytes]:
        if action.info.member in self.members:
            return self, ADMITTED
        # The host found the invite open; the entry has changed the membership already, so there is no way back.
        members, invites = self.members | {action.info.member: action.info.shown()}, self.invites
        former = _without(self.former, action.info.member)
        if (invite := invites.get(action.invite)) is not None:
            # One that is used up stays: with it, a newcomer whose answer was lost can ask again.
            invites = invites | {action.invite: replace(invite, uses=max(0, invite.uses - 1))}
        return replace(self, members=members, invites=invites, former=former), ADMITTED


def _without(table: Mapping[_K, _V], gone: _K) -> dict[_K, _V]:
    return {key: value for key, value in table.items() if key != gone}
