"""What the core decides, for the driver to carry out: one value per round.

The fields stand in the order in which they are carried out. The driver decides nothing: it stops and starts
the host, writes, sends and applies as told, and reports what is done (`Core.stored`, `applied`, `host_stopped`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from failover.ids import LogIndex, MemberId, Term
from failover.raft.membership import Membership
from failover.raft.messages import Entry, Message


class StopReason(Enum):
    """Why a tenure ended."""

    LEASE_LOST = "lease lost"
    """Too few voters answered in time; another member may host soon."""
    HIGHER_TERM = "higher term"
    """Another member is ahead; this one follows."""
    HANDED_OVER = "handed over"
    """On request, on closing, or because the server function failed."""
    CLOSED = "closed"
    """This member was closed while it could not hand over."""


@dataclass(frozen=True, slots=True)
class HardState:
    """What must survive a restart besides the log (Raft, figure 2, and the promise ceiling)."""

    term: Term = Term(0)
    voted_for: MemberId | None = None
    promise_ceiling_s: float = 0.0
    """No promise longer than this was ever made; a restarted member waits this long before it helps anybody."""


@dataclass(frozen=True, slots=True)
class SnapshotMeta:
    """Where a snapshot stands in the log."""

    last_index: LogIndex
    last_term: Term
    membership: Membership
    """The membership in force at `last_index`; it is committed."""
    membership_index: LogIndex


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """What became of a question for an index to read at."""

    number: int
    """As `Core.read` returned it."""
    index: LogIndex | None
    """Whoever has applied this may read; None: this member cannot say (any more), ask the present leader."""


@dataclass(frozen=True, slots=True)
class Write:
    """One transaction of the storage. Either all of it survives a crash or none of it.

    The order within: drop entries from `truncate_from` on, then append `entries`, then `compact_to`.
    """

    number: int
    """Goes back with `Core.stored`. Numbers rise by one; completions are reported in their order."""
    hard_state: HardState | None = None
    truncate_from: LogIndex | None = None
    entries: tuple[Entry, ...] = ()
    """Consecutive; they follow directly on what is stored (after truncation)."""
    compact_to: LogIndex | None = None
    """Entries up to here may be deleted; the stored snapshot covers them."""


class Effects(NamedTuple):
    """Everything to do before the next input is waited for. Empty fields mean: nothing of this kind.

    Made several times for every message, and so a tuple: a frozen dataclass takes four times as long to make.
    """

    stop_host: StopReason | None = None
    """First of all, at once: the tenure is over. The server function's scope is cancelled, then `host_stopped`."""
    messages_now: tuple[tuple[MemberId, Message], ...] = ()
    """May leave before `write` is durable (the leader's appends and heartbeats: dissertation, 10.2.1)."""
    write: Write | None = None
    """To be made durable; `Core.stored(write.number)` afterwards."""
    messages_after_store: tuple[tuple[MemberId, Message], ...] = ()
    """Must not leave before `write`, and every earlier write, is durable (votes and answers)."""
    apply: tuple[Entry, ...] = ()
    """Committed, in order, once each; `Core.applied` afterwards."""
    install_snapshot: SnapshotMeta | None = None
    """The snapshot just received under this meta is to be stored and restored; `Core.snapshot_installed`."""
    keep_snapshot: SnapshotMeta | None = None
    """The snapshot just received under this meta is to be stored as it is: a witness has no state to restore, and
    its log goes on behind it; `Core.snapshot_stored` afterwards."""
    send_snapshot: tuple[MemberId, ...] = ()
    """These members need the stored snapshot; `Core.transfer_ended` afterwards."""
    take_snapshot: bool = False
    """The log has grown: take a snapshot at the applied index; `Core.snapshot_stored` afterwards."""
    become_host: Term | None = None
    """The tenure of this term begins: start the server function."""
    reads: tuple[ReadAnswer, ...] = ()
    """Questions for an index to read at, answered or refused."""
    deadline: float = float("inf")
    """Call `Core.tick` when the clock reaches this, unless another input comes first."""


@dataclass(slots=True)
class Outbox:
    """What came together since the last round; the fields are those of `Effects`."""

    stop_host: StopReason | None = None
    messages_now: list[tuple[MemberId, Message]] = field(default_factory=list)
    messages_after_store: list[tuple[MemberId, Message]] = field(default_factory=list)
    install_snapshot: SnapshotMeta | None = None
    keep_snapshot: SnapshotMeta | None = None
    send_snapshot: list[MemberId] = field(default_factory=list)
    reads: list[ReadAnswer] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(
            self.stop_host
            or self.messages_now
            or self.messages_after_store
            or self.install_snapshot
            or self.keep_snapshot
            or self.send_snapshot
            or self.reads
        )

    def take(
        self,
        write: Write | None,
        apply: tuple[Entry, ...],
        take_snapshot: bool,
        become_host: Term | None,
        deadline: float,
    ) -> Effects:
        """All of it, with what the end of a round adds; begins the next round."""
        effects = Effects(  # in the order of the fields: naming them takes longer than all the rest
            self.stop_host,
            tuple(self.messages_now),
            write,
            tuple(self.messages_after_store),
            apply,
            self.install_snapshot,
            self.keep_snapshot,
            tuple(self.send_snapshot),
            take_snapshot,
            become_host,
            tuple(self.reads),
            deadline,
        )
        self.stop_host = self.install_snapshot = self.keep_snapshot = None
        self.messages_now.clear()
        self.messages_after_store.clear()
        self.send_snapshot.clear()
        self.reads.clear()
        return effects
