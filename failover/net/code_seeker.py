"""Who typed a short code: calls, and asks everybody who answers, with one guess each. Sans-IO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from spake2 import SPAKE2_A

from failover.errors import MalformedBytes
from failover.net.addresses import Address
from failover.net.code_exchange import (
    ANSWER,
    CONFIRM,
    HERE,
    IDS,
    INFINITE,
    NONCE_SIZE,
    OPEN,
    SEEK,
    TICKET,
    Entropy,
    Transmit,
    confirmation,
    datagram,
    finish_untrusted,
    open_untrusted,
    split_untrusted,
)

SEEK_S = 12.0
"""A seeker gives up after this long: somebody else's guess or two may be judged before its own."""
CALLS_S = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 7.0)
"""When a seeker calls: datagrams to everybody are lost more often than others, on radio above all."""
AGAIN_S = 0.3
TRIALS_MAX = 8


@dataclass(slots=True)
class _Trial:
    """One giver's, at the seeker."""

    nonce: bytes
    side: SPAKE2_A
    question: bytes
    """What is said until it is answered: OPEN, then CONFIRM."""
    again_at: float
    key: bytes | None = None


class Seeker:
    """The side of who typed a code. `ticket` is there as soon as a giver with the same code has answered.

    Args:
        code: in its one form.
        entropy: draws random bytes.
        transmit: sends a datagram.
        call: sends a datagram to everybody on the LAN.
        now: when it begins.
    """

    def __init__(
        self, *, code: str, entropy: Entropy, transmit: Transmit, call: Callable[[bytes], None], now: float
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.ticket: str | None = None
        self._code = code.encode()
        self._entropy = entropy
        self._transmit = transmit
        self._call = call
        self._began = now
        self._nonce = entropy(NONCE_SIZE)
        self._calls = [now + after for after in CALLS_S]
        self._trials: dict[Address, _Trial] = {}

    def __repr__(self) -> str:
        return f"Seeker(has_ticket={self.ticket is not None})"

    @property
    def met(self) -> int:
        """How many said that they have a code open."""
        return len(self._trials)

    @property
    def over_at(self) -> float:
        """When to give up."""
        return self._began + SEEK_S

    @property
    def deadline(self) -> float:
        """When `tick` is due."""
        again = min((trial.again_at for trial in self._trials.values()), default=INFINITE)
        return min(again, self._calls[0] if self._calls else INFINITE, self.over_at)

    def tick(self, now: float) -> None:
        """Call, and say again what was not answered."""
        if self._calls and now >= self._calls[0]:
            self._calls = [at for at in self._calls if at > now]
            self._call(datagram(SEEK, self._nonce, b""))
        for giver, trial in self._trials.items():
            if now >= trial.again_at:
                trial.again_at = now + AGAIN_S
                self._transmit(trial.question, giver)

    def datagram_received(self, data: bytes, source: Address, now: float) -> None:
        """A datagram of anybody. Whatever is wrong with it is counted, and not answered."""
        try:
            kind, nonce, body = split_untrusted(data)
            trial = self._trials.get(source)
            if kind == HERE and nonce == self._nonce:
                if trial is None:  # else it heard two calls
                    self._here(body, source, now)
            elif trial is None or nonce != trial.nonce:
                raise MalformedBytes("not for this seeker")
            elif kind == ANSWER and trial.key is None:
                self._answered(trial, body, source, now)
            elif kind == TICKET and trial.key is not None:
                self.ticket = open_untrusted(trial.key, nonce, body)
            else:
                raise MalformedBytes("out of turn")
        except MalformedBytes as error:
            self.counters[f"code: {error}"] += 1

    def _here(self, cookie: bytes, source: Address, now: float) -> None:
        if len(self._trials) >= TRIALS_MAX:
            raise MalformedBytes("too many givers")
        side, nonce = SPAKE2_A(self._code, entropy_f=self._entropy, **IDS), self._entropy(NONCE_SIZE)
        question = datagram(OPEN, nonce, cookie + side.start()[1:])
        self._trials[source] = _Trial(nonce, side, question, now + AGAIN_S)
        self._transmit(question, source)

    def _answered(self, trial: _Trial, element: bytes, source: Address, now: float) -> None:
        trial.key = finish_untrusted(trial.side, b"B", element)
        trial.question = datagram(CONFIRM, trial.nonce, confirmation(trial.key, trial.nonce))
        trial.again_at = now + AGAIN_S
        self._transmit(trial.question, source)
