"""Open invites as the application sees them: what each still does, without its secret."""

from __future__ import annotations

from dataclasses import dataclass

from failover.directory import Directory
from failover.net.tickets import invite_fingerprint


@dataclass(frozen=True, slots=True)
class Invite:
    """An open invite; `Member.close_invite` takes its id."""

    id: bytes
    """16 bytes; with them alone nobody comes in."""
    fingerprint: str
    """8 hex digits, as `failover ticket` shows them of the ticket."""
    uses: int
    """How many it still lets in."""
    expires_at: int
    """Unix seconds, by the clock of the member that hosts then; 0 = never."""


def open_invites(directory: Directory | None, unix_now: float) -> tuple[Invite, ...]:
    """Those that still let somebody in, oldest first."""
    if directory is None:
        return ()
    return tuple(
        Invite(each.invite, invite_fingerprint(each.invite), each.uses, each.expires_at)
        for each in directory.invites.values()
        if each.is_open(unix_now)
    )
