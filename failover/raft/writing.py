"""What is to be stored, what is being stored, what is durable.

Writes complete in their order, some time after they were handed out; meanwhile the log may have moved on. A
truncation lowers what the writes under way can make durable, so that a late completion never makes the entries
that replaced the old ones look durable (the ABA race of etcd's asynchronous storage writes).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from failover.ids import LogIndex
from failover.raft.effects import HardState, Write
from failover.raft.messages import Entry


@dataclass(slots=True)
class _Pending:
    number: int
    last_index: LogIndex
    """The last entry that is durable with this write; lowered by later truncations."""
    since: float
    has_hard_state: bool
    has_vote: bool


class Writing:
    """Collects one `Write` per round and knows how far the disk has come."""

    def __init__(self, durable_index: LogIndex) -> None:
        self.durable_index = durable_index
        self._number = 0
        self._pending: deque[_Pending] = deque()
        self._hard_state_changed = self._vote_changed = False
        self._hard_states_pending = self._votes_pending = 0
        self._entries: list[Entry] = []
        self._truncate_from: LogIndex | None = None
        self._compact_to: LogIndex | None = None

    @property
    def has_news(self) -> bool:
        """Whether `next_write` has something to hand out."""
        return bool(self._hard_state_changed or self._entries or self._truncate_from or self._compact_to)

    @property
    def hard_state_is_durable(self) -> bool:
        """Whether term, vote and ceiling are on disk as they are in memory."""
        return not self._hard_state_changed and not self._hard_states_pending

    @property
    def vote_is_durable(self) -> bool:
        """Whether term and vote are, even if a higher ceiling is still being written."""
        return not self._vote_changed and not self._votes_pending

    def hangs(self, now: float, patience_s: float) -> bool:
        """Whether the oldest write has been under way for longer than `patience_s`."""
        return bool(self._pending) and now - self._pending[0].since > patience_s

    def hard_state_changed(self) -> None:
        """Have term, vote and ceiling stored with this round."""
        self._hard_state_changed = self._vote_changed = True

    def ceiling_changed(self) -> None:
        """The same, but term and vote are as they were."""
        self._hard_state_changed = True

    def append(self, entry: Entry) -> None:
        """Have an entry stored with this round."""
        self._entries.append(entry)

    def truncate_from(self, index: LogIndex) -> None:
        """Have the entries from `index` on dropped, wherever they are by now."""
        while self._entries and self._entries[-1].index >= index:
            self._entries.pop()
        self._truncate_from = min(self._truncate_from or index, index)
        last = LogIndex(index - 1)
        self.durable_index = min(self.durable_index, last)
        for write in self._pending:
            write.last_index = min(write.last_index, last)

    def compact_to(self, index: LogIndex) -> None:
        """Have the entries up to `index` deleted; a durable snapshot covers them."""
        self._compact_to = index

    def next_write(self, hard_state: Callable[[], HardState], now: float) -> Write | None:
        """Hand out what has come together since the last call, if anything."""
        if not self.has_news:
            return None
        self._number += 1
        write = Write(
            number=self._number,
            hard_state=hard_state() if self._hard_state_changed else None,
            truncate_from=self._truncate_from,
            entries=tuple(self._entries),
            compact_to=self._compact_to,
        )
        last = self._entries[-1].index if self._entries else LogIndex(0)
        self._pending.append(_Pending(self._number, last, now, self._hard_state_changed, self._vote_changed))
        self._hard_states_pending += self._hard_state_changed
        self._votes_pending += self._vote_changed
        self._hard_state_changed = self._vote_changed = False
        self._entries.clear()
        self._truncate_from = self._compact_to = None
        return write

    def stored(self, number: int) -> None:
        """Write `number` is durable, and with it every earlier one."""
        while self._pending and self._pending[0].number <= number:
            done = self._pending.popleft()
            self._hard_states_pending -= done.has_hard_state
            self._votes_pending -= done.has_vote
            self.durable_index = max(self.durable_index, done.last_index)
