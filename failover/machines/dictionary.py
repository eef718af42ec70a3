"""The replicated dictionary, as trio programs hold it: a thin handle over the member whose state it is.

Reading is local and at once, by the newest picture; writing asks the host, and returns when this member's own
picture holds the change, so that who writes and then reads sees what he wrote. `latest` is for reads that must
hold everything that anybody was told.

async with failover.machines.open_dictionary(storage="board.db", found=True) as board:
    await board.set("a", 1)
    print(board["a"])
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar, cast

import trio

import failover
from failover.machines.changes import DONE, FULL, UNMET, Full, read_reply, wait_for_index, wait_until
from failover.machines.coding import DEFAULT_KEYS, DEFAULT_VALUES, Codec
from failover.machines.dictionary_machine import (
    ABSENT,
    KEYS_MAX,
    SIZE_MAX,
    Absent,
    Change,
    Command,
    DictionaryMachine,
    Picture,
    mark,
)

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

COMMAND_SIZE_MAX = 65_536


class Reads(Generic[K, V]):
    """Reading by the newest picture: from any thread, at once, without asking anybody.

    This member may be a moment behind the host. Each call looks at the newest picture; take `picture` once for
    several reads that belong together.
    """

    def __init__(self, member: failover.Member | failover.MemberThread) -> None:
        if not isinstance(member.state, Picture):
            raise failover.UsageError("the machine of this member is no DictionaryMachine")
        self._looks_at = member

    @property
    def picture(self) -> Picture[K, V]:
        """The whole dictionary as this member knows it now: a mapping that never changes."""
        return cast("Picture[K, V]", self._looks_at.state)

    def get(self, key: K, default: V | None = None) -> V | None:
        """The value of a key, or `default`."""
        return self.picture.get(key, default)

    def __getitem__(self, key: K) -> V:
        return self.picture[key]

    def __contains__(self, key: object) -> bool:
        return key in self.picture

    def __iter__(self) -> Iterator[K]:
        return iter(self.picture)

    def __len__(self) -> int:
        return len(self.picture)


class Dictionary(Reads[K, V]):
    """See the module's docstring. Any number of handles may be made of one member.

    All that writes takes `timeout`: seconds; None = `Settings.request_timeout_s`. It raises:

    - `UsageError`: no key, no value, or too large for one command; nothing happened.
    - `Full`: there is no room in the state; nothing happened.
    - `OutcomeUnknown`: no answer in time; it may have happened, once, or may happen yet.
    - `NotHost`: there was nobody to ask in all the time; nothing happened.
    - `Closed`: the member was closed or had stopped before; nothing happened.

    Cancelled, it may happen or not, at most once.
    """

    def __init__(self, member: failover.Member) -> None:
        super().__init__(member)
        self.member = member

    async def latest(self) -> Picture[K, V]:
        """The dictionary with everything that was accepted before this call (a linearizable read).

        Waits as long as there is no host. Cancelling it does nothing.
        """
        await self.member.read_barrier()
        return self.picture

    async def set(self, key: K, value: V, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  # a promise, too
        """Give a key a value, whatever it had."""
        await self._change({}, {key: value}, timeout)

    async def delete(self, key: K, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  # as above
        """Have the key not be there; no error if it was not."""
        await self._change({}, {key: ABSENT}, timeout)

    async def compare_and_set(
        self,
        key: K,
        expected: V | Absent,
        value: V | Absent,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # as above
    ) -> bool:
        """Give a key a value if it has the expected one; returns whether it did. `ABSENT` says "not there"."""
        return await self._change({key: expected}, {key: value}, timeout)

    async def transact(
        self,
        expect: Mapping[K, V | Absent],
        write: Mapping[K, V | Absent],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # as above
    ) -> bool:
        """Write all of `write` if all of `expect` holds at one moment, else nothing; returns whether it did.

        Args:
            expect: keys and the values that they must have; `ABSENT` = not there. At most 256.
            write: keys and their new values; `ABSENT` deletes. At most 256, and 65,536 bytes with the keys.
            timeout: see the class.
        """
        return await self._change(expect, write, timeout)

    async def update(
        self,
        function: Callable[[Draft[K, V]], T],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # as above
    ) -> T:
        """Read, decide and write as if nobody else did meanwhile; returns what `function` returned.

        `function` gets a `Draft` to read and write like a dict. If something that it read has changed by the time
        its writes arrive, nothing is written, and it is called again with a newer draft. So it may run several
        times, and should do nothing but that. What it raises comes out if what it had read is still so, and
        nothing is written.

        Example:
            >>> def pay(draft):
            ...     draft["ann"] -= 5
            ...     draft["bob"] += 5
            >>> await board.update(pay)  # doctest: +SKIP
        """
        while True:
            draft, failure = Draft(self.picture), None
            try:
                result = function(draft)
            except Exception as error:  # of what may be the past: this member can be a moment behind
                failure = error
            if await self._send(draft.command(with_writes=failure is None), timeout):
                if failure is not None:
                    raise failure
                return result

    def watch(self, *keys: K, since: Picture[K, V] | None = None) -> Watch[K, V]:
        """Watch for changes of these keys, or of all: `async for change in board.watch(): ...`, or `poll`.

        Args:
            keys: none = all.
            since: changes from this picture on; None = from now on.
        """
        return Watch(self, keys, since)

    async def _change(
        self, expect: Mapping[K, V | Absent], write: Mapping[K, V | Absent], timeout_s: float | None
    ) -> bool:
        picture = self.picture
        conditions = tuple((picture.encode_key(key), mark(picture.encode_value(v))) for key, v in expect.items())
        writes = tuple((picture.encode_key(key), picture.encode_value(value)) for key, value in write.items())
        return await self._send(Command(conditions, writes), timeout_s)

    async def _send(self, command: Command, timeout_s: float | None) -> bool:
        if max(len(command.conditions), len(command.writes)) > KEYS_MAX:
            raise failover.UsageError(f"a transaction reads and writes at most {KEYS_MAX} keys")
        body = command.encode()
        if len(body) > COMMAND_SIZE_MAX:
            raise failover.UsageError(f"a transaction has at most {COMMAND_SIZE_MAX} bytes, not {len(body)}")
        code, index, _ = read_reply(await self.member.request(body, timeout_s))
        if code == FULL:
            raise Full("the dictionary is full: delete something, or found the cluster with a larger size_max")
        assert code in (DONE, UNMET)
        await wait_for_index(self.member, self.picture.hub, lambda: self.picture.index, index)
        return code == DONE


class Draft(Generic[K, V]):
    """What an `update` sees: the dictionary at one moment, with its own writes. It cannot be iterated over.

    What it read, also that a key was not there, is what its writes depend on.
    """

    def __init__(self, picture: Picture[K, V]) -> None:
        self._picture = picture
        self._read: dict[bytes, bytes | None] = {}
        self._written: dict[bytes, bytes | None] = {}

    def __getitem__(self, key: K) -> V:
        value = self._look(key)
        if isinstance(value, Absent):
            raise KeyError(key)
        return value

    def get(self, key: K, default: V | None = None) -> V | None:
        """The value of a key, or `default`."""
        value = self._look(key)
        return default if isinstance(value, Absent) else value

    def __contains__(self, key: K) -> bool:
        return self._look(key) is not ABSENT

    def __setitem__(self, key: K, value: V) -> None:
        self._written[self._picture.encode_key(key)] = self._picture.encode_value(value)

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        self._written[self._picture.encode_key(key)] = None

    def _look(self, key: K) -> V | Absent:
        coded = self._picture.encode_key(key)
        if coded in self._written:
            return self._picture.decode_value(self._written[coded])
        value = self._read[coded] = self._picture.tree.get(coded)
        return self._picture.decode_value(value)

    def command(self, *, with_writes: bool) -> Command:
        """What it comes to; without writes it asks only whether what was read is still so."""
        conditions = tuple((key, mark(value)) for key, value in self._read.items())
        return Command(conditions, tuple(self._written.items()) if with_writes else ())


class Watch(Generic[K, V]):
    """What has changed since the last look: from one picture to the newest, key by key.

    Nothing is kept for a slow reader but the picture that it saw last, so nothing is dropped either: of several
    changes of one key between two looks it sees the first value and the last, and none if they are equal. That
    holds through changes of host, and where a member takes over a snapshot.
    """

    def __init__(self, reads: Reads[K, V], keys: tuple[K, ...], since: Picture[K, V] | None) -> None:
        self._reads = reads
        self._keys = {reads.picture.encode_key(key): key for key in keys}
        self._seen = reads.picture if since is None else since
        self._waiting: Iterator[Change[K, V]] = iter(())

    def poll(self) -> list[Change[K, V]]:
        """Return what has changed since the last look; never blocks. For one thread at a time."""
        found = list(self._waiting)
        self._look()
        return found + list(self._waiting)

    def __aiter__(self) -> Watch[K, V]:
        return self

    async def __anext__(self) -> Change[K, V]:
        """Wait for the next change. Cancelling it loses nothing. Raises Closed when the member ends."""
        assert isinstance(self._reads, Dictionary), "in a thread of your own, use poll"
        await trio.lowlevel.checkpoint_if_cancelled()
        while (change := next(self._waiting, None)) is None:
            await wait_until(self._reads.member, self._seen.hub, self._has_news)
            self._look()
        return change

    def _has_news(self) -> bool:
        return self._reads.picture.tree is not self._seen.tree

    def _look(self) -> None:
        before, now = self._seen, self._reads.picture
        self._seen = now
        self._waiting = self._some(before, now) if self._keys else now.changes_since(before)

    def _some(self, before: Picture[K, V], now: Picture[K, V]) -> Iterator[Change[K, V]]:
        for coded, key in sorted(self._keys.items(), key=lambda item: item[0]):
            old, new = before.tree.get(coded), now.tree.get(coded)
            if old != new:
                yield Change(key, now.decode_value(old), now.decode_value(new))


@asynccontextmanager
async def open_dictionary(
    *,
    keys: Codec[K] = DEFAULT_KEYS,
    values: Codec[V] = DEFAULT_VALUES,
    size_max: int = SIZE_MAX,
    **options: Any,
) -> AsyncIterator[Dictionary[K, V]]:
    """Open a member whose state is a dictionary: `open_member` and `Dictionary` in one step.

    Args:
        keys: codec of the keys: `TEXT` (str), `PLAIN`, `RAW` (bytes) or one of your own; at most 1,024 bytes each.
        values: codec of the values; at most 60,000 bytes each.
        size_max: bytes of all keys and values, with 100 for each key; 64 MiB unless said otherwise.
        options: as for `open_member`: storage, ticket, found, and so on; and its errors.

    The codecs and `size_max` must be equal on all members.
    """
    async with failover.open_member(DictionaryMachine(keys, values, size_max=size_max), **options) as member:
        yield Dictionary(member)
