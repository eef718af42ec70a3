"""What the cluster knows of itself beside the log's memberships: names, addresses, secrets, open invites.

Replicated: it changes only by records, and is part of every snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from failover.ids import ClusterId, Generation, MemberId
from failover.records import Admit, Depart, Founding, MemberInfo, Moved, OpenInvite, SystemAction

INVITES_MAX = 64
"""Open invites; the oldest gives way to a new one."""

ADMITTED, REFUSED_INVITE, DONE = b"admitted", b"the invite is used up, expired or unknown", b"done"


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
        return invite is not None and (invite.expires_at == 0 or unix_now < invite.expires_at)

    def after(self, action: SystemAction) -> tuple[Directory, bytes]:
        """The directory after a committed action, and the reply to whoever asked for it."""
        match action:
            case OpenInvite():
                kept = dict(list(self.invites.items())[-(INVITES_MAX - 1) :])
                return replace(self, invites=kept | {action.invite: action}), DONE
            case Admit():
                return self._after_admitting(action)
            case Depart():
                left = {member: info for member, info in self.members.items() if member != action.member}
                return replace(self, members=left), DONE
            case Moved():
                if action.info.member not in self.members:
                    return self, DONE
                return replace(self, members=self.members | {action.info.member: action.info}), DONE

    def _after_admitting(self, action: Admit) -> tuple[Directory, bytes]:
        if action.info.member in self.members:
            return self, ADMITTED
        invite = self.invites.get(action.invite)
        if invite is None:
            return self, REFUSED_INVITE
        invites = {key: value for key, value in self.invites.items() if key != action.invite}
        if invite.uses > 1:
            invites[action.invite] = replace(invite, uses=invite.uses - 1)
        members = self.members | {action.info.member: action.info}
        return replace(self, members=members, invites=invites), ADMITTED
