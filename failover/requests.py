"""The asking side: calls from this member to whoever is host, each carried out at most once.

A request is asked again, with the same number, until somebody knows what became of it: the host that answers, or
this member itself, when it applies the entry. Hosts may change meanwhile, any number of times.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from failover.errors import Closed, FailoverError, NotHost, OutcomeUnknown, Refused, UsageError
from failover.ids import MemberId, Term
from failover.records import COMMAND_SIZE_MAX, REQUEST_KEY_SIZE_MAX, Caller
from failover.sessions import OUTSTANDING_MAX, WINDOW
from failover.wire import Answer, Ask, KeyedAsk, Verdict

PATIENCE_FIRST_S = 0.1
PATIENCE_MAX_S = 1.0


class Undecided(FailoverError):
    """The host has not decided yet; nothing happened. For the library's own requests alone: ask again."""


@dataclass(slots=True)
class _Pending:
    number: int
    body: bytes
    is_system: bool
    key: bytes | None
    done: trio.Event = field(default_factory=trio.Event)
    asked_term: Term = Term(0)
    """The term of the host that was asked last; 0 = nobody was ever asked."""
    reply: bytes | None = None
    error: Exception | None = None

    def outcome(self) -> bytes:
        """The reply, or what its asker must be told in its place."""
        if self.error is not None:
            raise self.error
        assert self.reply is not None
        return self.reply


class Requests:
    """One process's requests. `session` tells them from those of its earlier lives."""

    def __init__(self, me: MemberId, session: int, send: Callable[[MemberId, Ask | KeyedAsk], None]) -> None:
        self._me = me
        self._session = session
        self._send = send
        self._next_number = 1
        self._pending: dict[int, _Pending] = {}
        self._host: MemberId | None = None
        self._term = Term(0)
        self._places = trio.Semaphore(OUTSTANDING_MAX)
        self._moved = trio.Event()
        """Set, and replaced, when a request has ended."""
        self._told: deque[int] = deque(maxlen=WINDOW)
        """The last ones of which a host said that they were carried out."""
        self._closed = False
        self._keys = itertools.count(1)

    def new_key(self) -> bytes:
        """A key above all that this member made before, in this run and in earlier ones; from any thread."""
        return self._session.to_bytes(8, "big") + next(self._keys).to_bytes(8, "big")

    async def request(
        self, body: bytes, *, timeout_s: float = math.inf, is_system: bool = False, key: bytes | None = None
    ) -> bytes:
        """Ask, until there is an answer; see `Member.request`."""
        if not isinstance(body, bytes) or not 1 <= len(body) <= COMMAND_SIZE_MAX:
            raise UsageError(f"a request is 1 to {COMMAND_SIZE_MAX} bytes")
        if key is not None and not (isinstance(key, bytes) and 1 <= len(key) <= REQUEST_KEY_SIZE_MAX):
            raise UsageError(f"a key is 1 to {REQUEST_KEY_SIZE_MAX} bytes")
        pending: _Pending | None = None
        with trio.move_on_after(timeout_s):
            async with self._places:
                while self._next_number >= self._answered_below() + WINDOW:
                    await self._moved.wait()  # replies are kept for so many behind one that waits long
                if self._closed:
                    raise Closed("this member is closed; nothing happened")
                pending = _Pending(self._next_number, body, is_system, key)
                self._next_number += 1
                await self._until_answered(pending)
        if pending is not None and pending.done.is_set():  # maybe at the very moment of giving up
            return pending.outcome()
        # What the library itself asks for may be asked again whatever became of it; there it makes no difference.
        if is_system or (pending is not None and pending.asked_term):
            raise OutcomeUnknown(f"no answer within {timeout_s:g} s; it may have happened, look at the state")
        if pending is None and self._host is not None:
            raise NotHost(
                f"others of this member's requests were under way all of {timeout_s:g} s; nothing happened"
            )
        raise NotHost(f"there was no host to ask within {timeout_s:g} s; nothing happened")

    async def _until_answered(self, pending: _Pending) -> None:
        self._pending[pending.number] = pending
        try:
            patience = PATIENCE_FIRST_S
            while not pending.done.is_set():
                self._ask(pending)
                with trio.move_on_after(patience):
                    await pending.done.wait()
                patience = min(2 * patience, PATIENCE_MAX_S)
        finally:
            del self._pending[pending.number]
            self._moved.set()
            self._moved = trio.Event()

    def host_is(self, host: MemberId | None, term: Term) -> None:
        """There is a (new) host: everything unanswered is asked of it at once."""
        if (host, term) == (self._host, self._term):
            return
        self._host, self._term = host, term
        for pending in list(self._pending.values()):
            self._ask(pending)

    def answered(self, answer: Answer) -> None:
        """A host answers."""
        pending = self._pending.get(answer.number)
        if pending is None or answer.session != self._session:
            return
        if answer.verdict == Verdict.APPLIED:
            self._told.append(answer.number)
            self._resolve(pending, answer.body)
        elif answer.term < pending.asked_term:
            return  # a host since asked may have carried it out: only its word counts
        elif answer.verdict == Verdict.REFUSED:
            self._resolve(pending, None, Refused(answer.body.decode("utf-8", "replace")))
        elif answer.verdict == Verdict.WAITING and pending.is_system:
            self._resolve(pending, None, Undecided("not decided yet"))
        elif answer.verdict == Verdict.MISUSED:
            self._resolve(pending, None, UsageError("this key stands for a request with another body"))
        else:
            self._resolve(
                pending, None, OutcomeUnknown("nobody knows any more whether this was done; look at the state")
            )

    def applied(self, caller: Caller, reply: bytes) -> None:
        """This member applied the entry of one of its own requests: that is the answer, whoever hosts."""
        pending = self._pending.get(caller.number)
        if caller.session == self._session and pending is not None:
            self._resolve(pending, reply)

    def unseen(self, is_new: Callable[[Caller], bool]) -> int:
        """How many were carried out by the word of a host, and not as far as the state here goes."""
        return sum(is_new(Caller(self._me, self._session, number, 0)) for number in self._told)

    def close(self) -> None:
        """No more answers will come."""
        self._closed = True
        for pending in list(self._pending.values()):
            error = OutcomeUnknown("this member was closed; the request may have happened")
            never = Closed("this member was closed before it could ask; nothing happened")
            self._resolve(pending, None, error if pending.asked_term else never)

    def _resolve(self, pending: _Pending, reply: bytes | None, error: Exception | None = None) -> None:
        if not pending.done.is_set():
            pending.reply, pending.error = reply, error
            pending.done.set()

    def _ask(self, pending: _Pending) -> None:
        if self._host is None:
            return
        pending.asked_term = self._term
        which = (self._term, self._session, pending.number, self._answered_below())
        if pending.key is None:
            self._send(self._host, Ask(*which, pending.is_system, pending.body))
        else:
            self._send(self._host, KeyedAsk(*which, pending.key, pending.body))

    def _answered_below(self) -> int:
        return next(iter(self._pending), self._next_number)  # they begin in the order of their numbers
