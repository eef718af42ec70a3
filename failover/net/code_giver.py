"""The member that gave a short code: answers who calls, judges guesses, hands the ticket out. Sans-IO.

If it is listed, it tells the code to whoever asks, with a title.
"""

from __future__ import annotations

import hmac
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2s

from spake2 import SPAKE2_B

from failover.errors import MalformedBytes
from failover.net.addresses import Address, pack
from failover.net.bucket import Bucket
from failover.net.code_exchange import (
    ANSWER,
    CONFIRM,
    COOKIE_SIZE,
    HERE,
    IDS,
    INFINITE,
    LIST,
    LISTED,
    OPEN,
    SEEK,
    TICKET,
    Entropy,
    Transmit,
    confirmation,
    datagram,
    finish_untrusted,
    listing,
    seal,
    split_untrusted,
)

TRY_EVERY_S = 5.0
"""One wrong guess in so many seconds: 120 in ten minutes, of 2^40."""
EXCHANGES_MAX = 8
EXCHANGES_PER_SOURCE_MAX = 2
EXCHANGE_S = 20.0
"""An exchange is forgotten after this long."""
SOURCES_MAX = 64
HERE_RATE, HERE_BURST = 50.0, 50.0
LISTED_RATE, LISTED_BURST = 50.0, 50.0
"""Apart from the others: menus that ask and ask keep out nobody who has a code."""
OPEN_RATE, OPEN_BURST = 4.0, 8.0
"""Each costs the giver about 3 ms of curve arithmetic."""
COOKIE_S = 10.0


@dataclass(slots=True)
class _Exchange:
    """One seeker's, at the giver."""

    source: Address
    side: SPAKE2_B
    opened_with: bytes
    answer: bytes
    began: float
    confirmation: bytes | None = None
    """Waits to be judged."""
    sealed: bytes | None = None
    """It was right: this goes out again for each copy of the CONFIRM."""


class Giver:
    """A member's side, for one code. Its owner drops it when `is_over`.

    Args:
        code: in its one form.
        ticket: what a seeker with the code gets.
        uses: so many get it.
        valid_until: on the clock of `now`.
        entropy: draws random bytes.
        transmit: sends a datagram.
        title: what whoever asks is told with the code, clean, at most 96 bytes of UTF-8; "" = nobody is told.
    """

    def __init__(
        self,
        *,
        code: str,
        ticket: str,
        uses: int,
        valid_until: float,
        entropy: Entropy,
        transmit: Transmit,
        title: str = "",
    ) -> None:
        self.counters: Counter[str] = Counter()
        """What was dropped, by reason."""
        self.uses = uses
        """How many may still get the ticket."""
        self.valid_until = valid_until
        self.title = title
        """May be changed while the code is open."""
        self._code = code.encode()
        self._ticket = ticket
        self._entropy = entropy
        self._transmit = transmit
        self._cookie_key = entropy(32)
        self._exchanges: dict[bytes, _Exchange] = {}
        self._failures: Counter[str] = Counter()
        """Guesses that were wrong, or never made, by source."""
        self._heres: Bucket | None = None
        self._opens: Bucket | None = None
        self._lists: Bucket | None = None
        self._judges_at = -INFINITE

    def __repr__(self) -> str:
        return f"Giver(uses={self.uses})"

    # --- in ---

    def datagram_received(self, data: bytes, source: Address, now: float) -> None:
        """A datagram of anybody. Whatever is wrong with it is counted, and not answered."""
        self._forget_old(now)
        try:
            kind, nonce, body = split_untrusted(data)
        except MalformedBytes as error:
            self._drop(str(error))
            return
        if kind == SEEK:
            self._seek(nonce, source, now)
        elif kind == OPEN:
            self._open(nonce, body, source, now)
        elif kind == CONFIRM:
            self._confirm(nonce, body, source, now)
        elif kind == LIST:
            self._list(nonce, source, now)
        else:
            self._drop("not for a giver")

    def _seek(self, nonce: bytes, source: Address, now: float) -> None:
        self._heres = self._heres or Bucket(HERE_RATE, HERE_BURST, now)
        if not self._is_open(now):
            self._drop("code is used up")
        elif not self._heres.take(now):
            self._drop("seek: too many")
        else:
            self._transmit(datagram(HERE, nonce, self._cookie(source, now)), source)

    def _list(self, nonce: bytes, source: Address, now: float) -> None:
        self._lists = self._lists or Bucket(LISTED_RATE, LISTED_BURST, now)
        if not self.title:
            self._drop("list: not listed")
        elif not self._is_open(now):
            self._drop("code is used up")
        elif not self._lists.take(now):
            self._drop("list: too many")
        else:
            self._transmit(datagram(LISTED, nonce, listing(self._code.decode(), self.title)), source)

    def _open(self, nonce: bytes, body: bytes, source: Address, now: float) -> None:
        cookie, element = body[:COOKIE_SIZE], body[COOKIE_SIZE:]
        fits = [hmac.compare_digest(cookie, self._cookie(source, now - ago)) for ago in (0.0, COOKIE_S)]
        exchange = self._exchanges.get(nonce)
        if not any(fits):
            self._drop("open: wrong cookie")
        elif exchange is not None:
            if exchange.source == source and exchange.opened_with == element:
                self._transmit(exchange.answer, source)
            else:
                self._drop("open: nonce is taken")
        elif not self._is_open(now):
            self._drop("code is used up")
        elif self._has_room(source, now):
            side = SPAKE2_B(self._code, entropy_f=self._entropy, **IDS)
            answer = datagram(ANSWER, nonce, side.start()[1:])
            self._exchanges[nonce] = _Exchange(source, side, element, answer, now)
            self._transmit(answer, source)

    def _has_room(self, source: Address, now: float) -> bool:
        under_way = [each.source.ip for each in self._exchanges.values() if each.sealed is None]
        self._opens = self._opens or Bucket(OPEN_RATE, OPEN_BURST, now)
        if len(under_way) >= EXCHANGES_MAX or under_way.count(source.ip) >= EXCHANGES_PER_SOURCE_MAX:
            self._drop("open: too many exchanges")
            return False
        if not self._opens.take(now):
            self._drop("open: too many")
            return False
        return True

    def _confirm(self, nonce: bytes, mac: bytes, source: Address, now: float) -> None:
        exchange = self._exchanges.get(nonce)
        if exchange is None or exchange.source != source:
            self._drop("confirm: unknown exchange")
        elif exchange.sealed is not None:
            self._transmit(exchange.sealed, source)
        elif exchange.confirmation is not None:
            self._drop("confirm: waits already")
        else:
            exchange.confirmation = mac
            self.tick(now)

    # --- the judgement ---

    def tick(self, now: float) -> None:
        """Judge the next guess, if its time has come."""
        self._forget_old(now)
        if now < self._judges_at or not self._is_open(now):
            return
        # Who was wrong before waits behind who was not: one that guesses and guesses keeps nobody else out.
        waiting = [
            (self._failures[each.source.ip], each.began, nonce)
            for nonce, each in self._exchanges.items()
            if each.confirmation is not None and each.sealed is None
        ]
        for _, _, nonce in sorted(waiting):
            if not self._judge(nonce):
                self._judges_at = now + TRY_EVERY_S
                return
            if not self.uses:
                return

    def _judge(self, nonce: bytes) -> bool:
        """Whether it was right; then its ticket is on its way."""
        exchange = self._exchanges[nonce]
        assert exchange.confirmation is not None
        try:
            key = finish_untrusted(exchange.side, b"A", exchange.opened_with)
            is_right = hmac.compare_digest(confirmation(key, nonce), exchange.confirmation)
        except MalformedBytes:
            is_right = False
        if not is_right:
            del self._exchanges[nonce]
            self._fail(exchange)
            self._drop("confirm: wrong code")
            return False
        self.uses -= 1
        exchange.sealed = datagram(TICKET, nonce, seal(key, nonce, self._ticket))
        self._transmit(exchange.sealed, exchange.source)
        return True

    def _fail(self, exchange: _Exchange) -> None:
        self._failures[exchange.source.ip] += 1
        if len(self._failures) > SOURCES_MAX:
            del self._failures[min(self._failures, key=lambda ip: self._failures[ip])]

    @property
    def deadline(self) -> float:
        """When `tick` is due."""
        waits = any(each.confirmation is not None and each.sealed is None for each in self._exchanges.values())
        return min(self._judges_at if waits and self.uses else INFINITE, self.over_at)

    @property
    def over_at(self) -> float:
        """When nobody can want anything of it any more."""
        sealed = (each.began + EXCHANGE_S for each in self._exchanges.values() if each.sealed is not None)
        last = max(sealed, default=-INFINITE)
        return max(last, self.valid_until if self.uses else -INFINITE)

    def is_over(self, now: float) -> bool:
        """Whether the code is used up or too old, and every copy of the ticket that was owed is sent."""
        return now >= self.over_at

    def _is_open(self, now: float) -> bool:
        return self.uses > 0 and now < self.valid_until

    def _forget_old(self, now: float) -> None:
        for nonce, exchange in list(self._exchanges.items()):
            if now >= exchange.began + EXCHANGE_S:
                del self._exchanges[nonce]
                if exchange.sealed is None:
                    self._fail(exchange)

    def _cookie(self, source: Address, now: float) -> bytes:
        """Proves that who sends it hears what is sent to `source`."""
        slot = int(now // COOKIE_S).to_bytes(8, "little", signed=True)
        return blake2s(slot + pack(source), key=self._cookie_key, digest_size=COOKIE_SIZE).digest()

    def _drop(self, reason: str) -> None:
        self.counters[f"code: {reason}"] += 1
