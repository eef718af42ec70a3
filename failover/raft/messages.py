"""What members of the core say to each other: one frozen class per kind, and the entries of the log.

Every message carries the sender's `term`. The sender itself is not in the message: the encrypted channel
on which it came says who sent it. Durations are seconds (float). Bounds and encoding are the net's work.
"""

from __future__ import annotations

from dataclasses import dataclass

from failover.ids import LogIndex, MemberId, Term
from failover.raft.membership import Membership

HINT_MAX = 255
UNKNOWN_HINT = 0
RANK_MAX = 63
"""A membership has at most 64 voters (failover/net/bounds.py)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in the log. A no-op has an empty command and no membership."""

    index: LogIndex
    term: Term
    command: bytes = b""
    """What the layer above appended; the core never looks inside."""
    membership: Membership | None = None
    """Set in entries that change who is what; in force from the moment of appending."""


@dataclass(frozen=True, slots=True)
class Release:
    """A leader's word that its tenure is over: voids the promises made to (`leader`, `term`), no others."""

    leader: MemberId
    term: Term


@dataclass(frozen=True, slots=True)
class PreVoteRequest:
    """ "Would you vote for me in `term`?" Nobody's state changes by it (Raft dissertation, 9.6)."""

    term: Term
    """The term that the sender would stand in: one above its own."""
    last_log_index: LogIndex
    last_log_term: Term


@dataclass(frozen=True, slots=True)
class VoteRequest:
    """ "Vote for me in `term`" (Raft, 5.2)."""

    term: Term
    last_log_index: LogIndex
    last_log_term: Term
    release: Release | None = None
    """Set when the leader of `release.term` handed over to the sender."""


@dataclass(frozen=True, slots=True)
class PreVoteResponse:
    """The answer to a `PreVoteRequest`; a grant is no promise to vote."""

    term: Term
    """The answering member's own term; a higher one than the asker's moves the asker forward."""
    request_term: Term
    """The term that was asked for: says which round is answered, even when `term` is lower."""
    granted: bool
    retry_after_s: float = 0.0
    """Set in a refusal because of a promise, or of a disk that hangs: ask again after this long."""


@dataclass(frozen=True, slots=True)
class VoteResponse:
    """The answer to a `VoteRequest`; fields as in `PreVoteResponse`."""

    term: Term
    request_term: Term
    granted: bool
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The leader asks for a promise (design.md, section 4: promises and lease)."""

    term: Term
    round: int
    """Names the moment of sending, for the leader alone; comes back in the answer."""
    promise_s: float
    commit_index: LogIndex
    """Never beyond what the leader knows the receiver's log to match."""
    rank: int | None = None
    """How many other voters the leader would rather see as the next host; None to who has no vote."""

    def __post_init__(self) -> None:
        assert self.rank is None or 0 <= self.rank <= RANK_MAX


@dataclass(frozen=True, slots=True)
class HeartbeatResponse:
    """The promise, as far as it was granted."""

    term: Term
    round: int
    promise_s: float
    """Granted, at most what was asked; 0 = none (a refusal, or `term` is higher)."""
    last_log_index: LogIndex
    """How far the sender's log reaches, whether it matches or not."""
    is_leaving: bool = False
    """The sender is about to close: it wants to vote no more, and to be host no more."""
    hint: int = UNKNOWN_HINT
    """How fit the sender is to host, 1 to HINT_MAX; 0 = unknown."""
    stands_last: bool = False
    """The sender's server function failed: whoever else can host shall do so."""

    def __post_init__(self) -> None:
        assert 0 <= self.hint <= HINT_MAX


@dataclass(frozen=True, slots=True)
class AppendEntries:
    """Entries that follow (`prev_log_index`, `prev_log_term`) (Raft, 5.3). Empty = a probe."""

    term: Term
    prev_log_index: LogIndex
    prev_log_term: Term
    entries: tuple[Entry, ...]
    commit_index: LogIndex

    @property
    def is_a_piece_of_a_log(self) -> bool:
        """Whether the entries follow each other, in terms that never fall, none above the sender's."""
        index, term = self.prev_log_index, self.prev_log_term
        for entry in self.entries:
            if entry.index != index + 1 or entry.term < term:
                return False
            index, term = entry.index, entry.term
        return term <= self.term


@dataclass(frozen=True, slots=True)
class AppendResponse:
    """Sent when what it speaks of is durable."""

    term: Term
    success: bool
    index: LogIndex
    """Success: the log matches the leader's up to here. Refusal: the `prev_log_index` that did not match."""
    hint_index: LogIndex = LogIndex(0)
    """Refusal: the leader may try here next. Success: how far a witness's snapshot covers its log; else 0."""
    hint_term: Term = Term(0)
    """Refusal: the term of the entry at `hint_index`, 0 if there is none."""


@dataclass(frozen=True, slots=True)
class CommitNotice:
    """The commit index moved and no entries are on their way that would say so."""

    term: Term
    commit_index: LogIndex
    """Never beyond what the leader knows the receiver's log to match."""


@dataclass(frozen=True, slots=True)
class InstallSnapshot:
    """Announces a snapshot; its bytes come with it as a transfer (Raft, 7)."""

    term: Term
    last_index: LogIndex
    last_term: Term
    membership: Membership
    """The committed membership at `last_index`."""
    membership_index: LogIndex
    size: int
    """Bytes of the snapshot, header included."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """The leader has stopped hosting and asks the receiver to stand at once (dissertation, 3.10)."""

    term: Term
    release: Release


@dataclass(frozen=True, slots=True)
class Ranked:
    """A member's place in the leader's order is its place in the list; this is what it is fit for."""

    member: MemberId
    hint: int
    """As the leader counts it: smoothed, so that noise reorders nobody."""

    def __post_init__(self) -> None:
        assert 0 <= self.hint <= HINT_MAX


@dataclass(frozen=True, slots=True)
class RankingNotice:
    """The leader's whole order, for people to look at: sent when it changes, and now and then again."""

    term: Term
    members: tuple[Ranked, ...]
    """Everybody: the voters, the fittest to host first, then the learners."""

    def __post_init__(self) -> None:
        assert len(self.members) <= 2 * (RANK_MAX + 1)


Message = (
    PreVoteRequest
    | PreVoteResponse
    | VoteRequest
    | VoteResponse
    | Heartbeat
    | HeartbeatResponse
    | AppendEntries
    | AppendResponse
    | CommitNotice
    | InstallSnapshot
    | HandOver
    | RankingNotice
)
