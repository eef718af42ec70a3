"""Who asks which games are open on this LAN: calls, and collects what givers with a title say. Sans-IO.

All of it is anybody's word. An answer must repeat the nonce of the question, so whoever did not hear the question
cannot answer it; whoever did may say what he likes, in the form of a title and a code, and in bounded numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from failover.errors import MalformedBytes
from failover.net.addresses import Address
from failover.net.code_exchange import (
    INFINITE,
    LIST,
    LISTED,
    NONCE_SIZE,
    Entropy,
    datagram,
    split_listing_untrusted,
    split_untrusted,
)
from failover.net.titles import clean

CALLS_AT = (0.0, 0.2, 0.5)
"""When it calls, in parts of its time: datagrams to everybody are lost more often than others."""
ANSWERS_MAX = 32


@dataclass(frozen=True, slots=True, order=True)
class ListedGame:
    """A game on this LAN that says of itself that it is open. Nothing of it is proved before somebody joins."""

    title: str
    """1 to 96 bytes of UTF-8, without control and invisible characters; of whoever answered."""
    code: str
    """The short code, for `open_member(ticket=...)`."""
    address: str
    """Who answered, "192.168.1.7:50123": tells games of the same title apart, and is of no other use."""


class Lister:
    """The side of who asks.

    Args:
        within_s: how long to ask and to wait, in seconds.
        entropy: draws random bytes.
        call: sends a datagram to everybody on the LAN.
        now: when it begins.
    """

    def __init__(self, *, within_s: float, entropy: Entropy, call: Callable[[bytes], None], now: float) -> None:
        self.counters: Counter[str] = Counter()
        """What was dropped, by reason."""
        self.over_at = now + within_s
        """When `games` is final."""
        self._call = call
        self._nonce = entropy(NONCE_SIZE)
        self._calls = [now + part * within_s for part in CALLS_AT]
        self._heard: dict[Address, ListedGame] = {}

    def __repr__(self) -> str:
        return f"Lister(answers={len(self._heard)})"

    @property
    def games(self) -> tuple[ListedGame, ...]:
        """What was heard until now, by title and code. A machine with two addresses answers twice: that is one."""
        found: dict[tuple[str, str], ListedGame] = {}
        for game in sorted(self._heard.values()):
            found.setdefault((game.title, game.code), game)
        return tuple(found.values())

    @property
    def deadline(self) -> float:
        """When `tick` is due."""
        return min(self._calls[0] if self._calls else INFINITE, self.over_at)

    def tick(self, now: float) -> None:
        """Call, if it is time."""
        if self._calls and now >= self._calls[0]:
            self._calls = [at for at in self._calls if at > now]
            self._call(datagram(LIST, self._nonce, b""))

    def datagram_received(self, data: bytes, source: Address, now: float) -> None:
        """A datagram of anybody. Whatever is wrong with it is counted, and not answered; nothing here is."""
        try:
            if now >= self.over_at:
                raise MalformedBytes("listed: too late")
            kind, nonce, body = split_untrusted(data)
            if kind != LISTED or nonce != self._nonce:
                raise MalformedBytes("listed: not asked for")
            code, title = split_listing_untrusted(body)
            shown = clean(title)
            if not shown:
                raise MalformedBytes("listed: no title")
            if source not in self._heard and len(self._heard) >= ANSWERS_MAX:
                raise MalformedBytes("listed: too many")
            self._heard[source] = ListedGame(shown, code, str(source))  # the newest counts: it may be a new title
        except MalformedBytes as error:
            self.counters[f"code: {error}"] += 1
