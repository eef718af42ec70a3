"""The replicated dictionary for programs with their own loop: reads at once, writes as futures, changes by `poll`.

with failover.machines.start_dictionary(storage="board.db", found=True) as board:
    board.set("a", 1).result(10)
    print(board["a"])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

import failover
from failover.machines.coding import DEFAULT_KEYS, DEFAULT_VALUES, Codec
from failover.machines.dictionary import Dictionary, Draft, Reads, Watch
from failover.machines.dictionary_machine import SIZE_MAX, Absent, DictionaryMachine, Picture

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class DictionaryThread(Reads[K, V]):
    """The same as `Dictionary`, over a `MemberThread`. Nothing blocks: what asks the host returns a future.

    `board.set("a", 1).result(10)` waits for it. Errors are those of `Dictionary`; they come out of the future.
    Cancelling a future does not call the change back.
    """

    def __init__(self, member: failover.MemberThread) -> None:
        super().__init__(member)
        self.member = member

    def latest(self) -> Future[Picture[K, V]]:
        """`Dictionary.latest`."""
        return self.member.run(lambda member: Dictionary[K, V](member).latest())

    def set(self, key: K, value: V, *, timeout: float | None = None) -> Future[None]:
        """`Dictionary.set`."""
        return self.member.run(lambda member: Dictionary[K, V](member).set(key, value, timeout=timeout))

    def delete(self, key: K, *, timeout: float | None = None) -> Future[None]:
        """`Dictionary.delete`."""
        return self.member.run(lambda member: Dictionary[K, V](member).delete(key, timeout=timeout))

    def compare_and_set(
        self, key: K, expected: V | Absent, value: V | Absent, *, timeout: float | None = None
    ) -> Future[bool]:
        """`Dictionary.compare_and_set`."""
        return self.member.run(
            lambda member: Dictionary[K, V](member).compare_and_set(key, expected, value, timeout=timeout)
        )

    def transact(
        self, expect: Mapping[K, V | Absent], write: Mapping[K, V | Absent], *, timeout: float | None = None
    ) -> Future[bool]:
        """`Dictionary.transact`."""
        return self.member.run(lambda member: Dictionary[K, V](member).transact(expect, write, timeout=timeout))

    def update(self, function: Callable[[Draft[K, V]], T], *, timeout: float | None = None) -> Future[T]:
        """`Dictionary.update`; `function` runs in the member's thread."""
        return self.member.run(lambda member: Dictionary[K, V](member).update(function, timeout=timeout))

    def watch(self, *keys: K, since: Picture[K, V] | None = None) -> Watch[K, V]:
        """Watch these keys, or all, by `Watch.poll`; see `Dictionary.watch`."""
        return Watch(self, keys, since)

    @contextmanager
    def calling(self, wake: Callable[[], None]) -> Iterator[None]:
        """For the length of a block, have `wake` called from the member's thread when the state may have changed.

        It must return at once: it posts something to the program's own loop, which then looks or polls.
        """
        with self.picture.hub.listening(wake):
            yield


@contextmanager
def start_dictionary(
    *,
    keys: Codec[K] = DEFAULT_KEYS,
    values: Codec[V] = DEFAULT_VALUES,
    size_max: int = SIZE_MAX,
    **options: Any,
) -> Iterator[DictionaryThread[K, V]]:
    """Open a member whose state is a dictionary in a thread of its own; see `open_dictionary`, `start_member`."""
    with failover.start_member(DictionaryMachine(keys, values, size_max=size_max), **options) as member:
        yield DictionaryThread(member)
