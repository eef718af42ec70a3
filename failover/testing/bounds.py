"""The tables of a member that must stay bounded whatever happens, and their bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.changing import CHANGES_MAX
from failover.driver import HELD_MAX
from failover.host import WAITING_MAX
from failover.inbox import EVENTS_MAX
from failover.keys import KEPT_BYTES_MAX
from failover.life import DIGESTS_KEPT
from failover.net.channels import CHANNELS_MAX, PROVISIONAL_MAX
from failover.net.peer import INBOX_MAX
from failover.raft.lease import ROUNDS_KEPT
from failover.sessions import OUTSTANDING_MAX, WINDOW
from failover.testing.checkers import Violation

if TYPE_CHECKING:
    from failover.running import Running

GUESTS_MAX = 64
SLACK = 8


def tables(running: Running) -> dict[str, tuple[int, int]]:
    """The size of each table now, and what it may be at most."""
    core, life, driver = running.core, running.life, running.driver
    timing, hosting, context = core.timing, life.hosting, running.peers._context
    directory = running.replica.directory
    members = max(len(directory.members) if directory else 0, len(running.peers._members)) + 1
    found = {
        "messages that wait for the disk": (len(driver._held), HELD_MAX),
        "requests of this member": (len(running.requests._pending), OUTSTANDING_MAX),
        "early requests": (len(hosting._early), WAITING_MAX),
        "requests under way": (len(hosting._under_way), WAITING_MAX + CHANGES_MAX),
        "refusals": (sum(map(len, hosting._refused.values())), WINDOW * members),
        "bytes of keys": (running.replica.keys.size, KEPT_BYTES_MAX),
        "changes of membership": (len(hosting.changing._changes), CHANGES_MAX),
        "events": (len(running.events._events), EVENTS_MAX + SLACK),
        "digests": (len(life._digests), DIGESTS_KEPT),
        "digests of others": (len(life._reported), DIGESTS_KEPT),
        "inbox": (len(context.inbox), INBOX_MAX + SLACK),
        "channels": (
            len(context.channels),
            (CHANNELS_MAX + PROVISIONAL_MAX) * (members + GUESTS_MAX),
        ),
        "attempts": (len(context.attempts), SLACK * (members + GUESTS_MAX)),
        "sessions": (len(running.replica.sessions._sessions), members),
        "rounds of heartbeats": (
            len(core.leadership.lease._sent) if core.leadership else 0,
            ROUNDS_KEPT,
        ),
        "promises": (len(core.promise._until), 2 * members + SLACK),
    }
    for session in running.replica.sessions._sessions.values():
        found[f"replies of session {session.session}"] = (len(session.replies), WINDOW + 1)
    applied_ahead = core.log.last_index - core.applied_index
    found["applied entries in memory"] = (
        core.log.last_index - core.log.base_index - applied_ahead,
        # A snapshot in progress lets the log grow meanwhile; one that a full disk refuses, too.
        4 * (timing.snapshot_entries + timing.kept_entries) + WAITING_MAX,
    )
    return found


def check_bounds(running: Running) -> None:
    """Raise `Violation` if a table has outgrown its bound."""
    for name, (size, limit) in tables(running).items():
        if size > limit:
            raise Violation(f"{size} {name}, at most {limit} are allowed")
