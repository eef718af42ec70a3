"""failover keeps a game alive when the player who hosts it leaves.

General layout, from the front door inwards:

- `member` is the parlour: `open_member` and everything that a game calls; `threads` offers the same to programs
  with their own loop. `machine` says what a game brings, `host` what its server function holds, `events` what it
  hears, `status` what it can look at, `settings` what it can choose, `errors` what can go wrong.
- `opening` founds, joins or resumes; `running` puts the parts of a member together, runs them and ends them.
- `interrupts` keeps Ctrl+C out of the middle of things.
- `surroundings` is what a member takes from the world outside: time and chance; a simulation gives its own.
- `life` is one member between opening and closing. It ties together `hosting` (runs the server function and
  takes in requests; `changing` decides on members, invites and secrets, `confirming` asks the application about
  joiners), `requests` (the asking side), `admission` (newcomers), `replica` (applies the log: the
  machine, `sessions` and `keys` for exactly-once, the `directory`), `levels` (who understands what),
  `neighbours` (who the others are), `snapshotting` (with `snapshot_format` and `pieces`), `watching`, and the
  unreliable `lane`. `codes` turns what was read aloud into a ticket, and asks which games are listed on the LAN;
  `finding` looks on the LAN for members that moved.
- `witness` opens a member without an application, whose machine is `opaque`.
- `driver` is the hall: the pump. It feeds the core and carries out what the core decides.
- `raft/` is the study: the pure core. It decides, and does nothing else.
- `net/` is the gate: encrypted UDP. `storage/` is the cellar: what survives a restart.
- `machines/` is the pantry: a replicated dictionary and a message queue, ready for use.
- `testing/` is the workshop: simulated networks, disks and clocks. `cli/` is the command line.

The way of a move is told in docs/explanation/architecture.md.
"""

from __future__ import annotations

from failover.codes import listed_games, ticket_by_code
from failover.confirming import fingerprint
from failover.errors import (
    ApplyFailed,
    BadAddress,
    BadSettings,
    BadTicket,
    Closed,
    FailoverError,
    LossNotAccepted,
    MachineFailed,
    MalformedBytes,
    NotAdmitted,
    NotHost,
    OutcomeUnknown,
    PortInUse,
    Refused,
    StorageCopied,
    StorageCorrupt,
    StorageFailed,
    StorageInUse,
    StorageMissing,
    Superseded,
    Unreachable,
    UsageError,
    WrongVersion,
)
from failover.events import (
    BecomeHost,
    Event,
    EventsDropped,
    GenerationBegan,
    GenerationMet,
    HostChanged,
    JoinRequested,
    MemberJoined,
    MemberLeft,
    QuorumLost,
    QuorumRegained,
    Rejoined,
    StateDiverged,
    StopHost,
    Stopped,
    VersionRaised,
)
from failover.generations import Loss
from failover.host import Host, Request
from failover.hosting import ServeHung, ServeReturned
from failover.ids import ClusterId, Epoch, Generation, LogIndex, MemberId, Term
from failover.invites import Invite
from failover.lane import Unreliable
from failover.machine import Context, StateMachine
from failover.member import Member, open_member
from failover.net.addresses import Address
from failover.net.code_lister import ListedGame
from failover.net.custom import NamedTransport
from failover.net.endpoint import Transport, UdpTransport
from failover.net.settings import Faults, FaultSettings, NetSettings
from failover.raft.timing import Timing
from failover.settings import Settings
from failover.status import LinkStatus, MemberStatus, Status
from failover.storage.contract import Storage
from failover.storage.memory import MemoryStorage
from failover.storage.sqlite import SqliteStorage
from failover.surroundings import Surroundings
from failover.threads import MemberThread, start_member
from failover.witness import Witness, open_witness

__all__ = [
    "Address",
    "ApplyFailed",
    "BadAddress",
    "BadSettings",
    "BadTicket",
    "BecomeHost",
    "Closed",
    "ClusterId",
    "Context",
    "Epoch",
    "Event",
    "EventsDropped",
    "FailoverError",
    "FaultSettings",
    "Faults",
    "Generation",
    "GenerationBegan",
    "GenerationMet",
    "Host",
    "HostChanged",
    "Invite",
    "JoinRequested",
    "LinkStatus",
    "ListedGame",
    "LogIndex",
    "Loss",
    "LossNotAccepted",
    "MachineFailed",
    "MalformedBytes",
    "Member",
    "MemberId",
    "MemberJoined",
    "MemberLeft",
    "MemberStatus",
    "MemberThread",
    "MemoryStorage",
    "NamedTransport",
    "NetSettings",
    "NotAdmitted",
    "NotHost",
    "OutcomeUnknown",
    "PortInUse",
    "QuorumLost",
    "QuorumRegained",
    "Refused",
    "Rejoined",
    "Request",
    "ServeHung",
    "ServeReturned",
    "Settings",
    "SqliteStorage",
    "StateDiverged",
    "StateMachine",
    "Status",
    "StopHost",
    "Stopped",
    "Storage",
    "StorageCopied",
    "StorageCorrupt",
    "StorageFailed",
    "StorageInUse",
    "StorageMissing",
    "Superseded",
    "Surroundings",
    "Term",
    "Timing",
    "Transport",
    "UdpTransport",
    "Unreachable",
    "Unreliable",
    "UsageError",
    "VersionRaised",
    "Witness",
    "WrongVersion",
    "fingerprint",
    "listed_games",
    "open_member",
    "open_witness",
    "start_member",
    "ticket_by_code",
]
