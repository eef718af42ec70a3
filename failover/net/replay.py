"""The replay window of RFC 6479: which of the last 2,048 counters were seen, in a ring of words."""

from __future__ import annotations

_WORD_BITS = 64
_WORDS = 33
WINDOW = (_WORDS - 1) * _WORD_BITS
"""How far behind the highest counter a datagram may arrive. One word more is kept, as it is being cleared."""
COUNTER_LIMIT = 2**64 - 2**13
"""Counters from here on are refused, so that no sum near the top can overflow in another implementation."""


class ReplayWindow:
    """Ask `is_fresh` before the tag is verified, `mark` only after: a forged counter must not move the window
    (CVE-2016-2181, netcode issue 86)."""

    __slots__ = ("_highest", "_words")

    def __init__(self) -> None:
        self._words = [0] * _WORDS
        self._highest = 0

    def is_fresh(self, counter: int) -> bool:
        """Whether `counter` is inside the window, or ahead of it, and was not marked. Changes nothing."""
        if counter > self._highest:
            return counter < COUNTER_LIMIT
        if self._highest - counter >= WINDOW:
            return False
        return not self._words[(counter >> 6) % _WORDS] >> (counter & 63) & 1

    def arrived(self) -> tuple[int, int]:
        """How many counters up to the highest were marked, and how many there are, within the newest half."""
        if not self._words[(self._highest >> 6) % _WORDS]:
            return 0, 0  # nothing was marked
        newest = self._highest >> 6
        oldest = max(0, newest - _WORDS // 2 + 1)
        marked = sum(self._words[word % _WORDS].bit_count() for word in range(oldest, newest + 1))
        return marked, self._highest + 1 - (oldest << 6)

    def mark(self, counter: int) -> None:
        """Remember a counter that `is_fresh` and whose datagram authenticated."""
        word = counter >> 6
        if counter > self._highest:
            current = self._highest >> 6
            for skipped in range(current + 1, min(word, current + _WORDS) + 1):
                self._words[skipped % _WORDS] = 0
            self._highest = counter
        self._words[word % _WORDS] |= 1 << (counter & 63)
