"""What the cluster knows of itself beside the log's memberships: names, addresses, secrets, open invites.

Replicated: it changes only by records, and is part of every snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from failover.ids import ClusterId, Generation, MemberId
from failover.records import Admit, Depart, Founding, MemberInfo, Moved, OpenInvite, SystemAction

DEPARTED_MAX = 64
"""Former members kept: who has departed never comes back under the same identity."""
INVITES_MAX = 64
"""Invites kept; one that is used up gives way to a new one, else the oldest."""

ADMITTED, DONE = b"admitted", b"done"


@dataclass(frozen=True, slots=True)
class Directory:
    """An immutable picture; every change makes a new one."""

    cluster: ClusterId
    generation: Generation
    secret_epoch: int
    psk: bytes
    gate: bytes
    members: dict[MemberId, MemberInfo]
    invites: dict[bytes, OpenInvite]
    departed: tuple[MemberId, ...] = ()
    """Whose membership has ended, the last ones, oldest first."""

    @classmethod
    def founded(cls, record: Founding) -> Directory:
        """The directory after the first record."""
        return cls(
            record.cluster,
            record.generation,
            record.secret_epoch,
            record.psk,
            record.gate,
            {record.founder.member: record.founder},
            {},
        )

    def admits(self, action: Admit, unix_now: float) -> bool:
        """Whether the invite is open: the host's judgement before it appends. An old member is simply back."""
        if action.info.member in self.members:
            return True
        invite = self.invites.get(action.invite)
        return invite is not None and invite.uses > 0 and (invite.expires_at == 0 or unix_now < invite.expires_at)

    def after(self, action: SystemAction) -> tuple[Directory, bytes]:
        """The directory after a committed action, and the reply to whoever asked for it."""
        match action:
            case OpenInvite():
                return replace(self, invites=self._with_room() | {action.invite: action}), DONE
            case Admit():
                return self._after_admitting(action)
            case Depart():
                left = {member: info for member, info in self.members.items() if member != action.member}
                departed = (*self.departed, action.member)[-DEPARTED_MAX:]
                return replace(self, members=left, departed=departed), DONE
            case Moved():
                if action.info.member not in self.members:
                    return self, DONE
                return replace(self, members=self.members | {action.info.member: action.info}), DONE

    def _with_room(self) -> dict[bytes, OpenInvite]:
        if len(self.invites) < INVITES_MAX:
            return self.invites
        used_up = (key for key, invite in self.invites.items() if invite.uses == 0)
        going = next(used_up, next(iter(self.invites)))
        return {key: invite for key, invite in self.invites.items() if key != going}

    def _after_admitting(self, action: Admit) -> tuple[Directory, bytes]:
        if action.info.member in self.members:
            return self, ADMITTED
        # The host found the invite open; the entry has changed the membership already, so there is no way back.
        members, invites = self.members | {action.info.member: action.info}, self.invites
        if (invite := invites.get(action.invite)) is not None:
            # One that is used up stays: with it, a newcomer whose answer was lost can ask again.
            invites = invites | {action.invite: replace(invite, uses=max(0, invite.uses - 1))}
        return replace(self, members=members, invites=invites), ADMITTED
