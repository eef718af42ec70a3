"""Asking the application whether somebody may join: one question per joiner, on the member that would admit it.

A question is open for as long as the joiner goes on asking and this member hosts; the next host asks anew. There
is an event when it begins, and a list of the open ones, so that a reader who missed events sees who waits.
Answers are calls, `Member.admit` and `Member.refuse`, and not what a coroutine of the application returns: windows
with a loop of their own ask a player and say so from there, and what nobody answers leaves nothing running.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2s

from failover.clock import Clock
from failover.events import Event, JoinRequested
from failover.ids import MemberId
from failover.records import MemberInfo
from failover.settings import Settings

QUESTIONS_MAX = 16
"""Joiners that are asked about, or were just now; more wait for their turn."""
GIVEN_UP_S = 5.0
"""A joiner asks four times a second: one that was silent for so long has gone."""
REMEMBERED_S = 30.0
"""A refusal stands for so long: the joiner hears it, and may then try again."""
REASON_SIZE_MAX = 160
_FINGERPRINT_SIZE = 10


def fingerprint(member: MemberId) -> str:
    """A member's key in 16 letters and digits, for two people to compare by voice.

    They are 80 bits of a hash of the key: nobody can make a key that has the fingerprint of another.
    """
    digest = blake2s(b"failover member" + member, digest_size=_FINGERPRINT_SIZE).digest()
    letters = base64.b32encode(digest).decode()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


class Verdict(Enum):
    """What became of a question."""

    OPEN = "open"
    YES = "yes"
    NO = "no"


@dataclass(slots=True)
class _Question:
    event: JoinRequested
    asked_at: float
    heard_at: float
    verdict: Verdict = Verdict.OPEN
    answered_at: float = 0.0
    reason: str = ""

    def answer(self, verdict: Verdict, now: float, reason: str = "") -> None:
        """The first answer counts."""
        if self.verdict is Verdict.OPEN:
            self.verdict, self.answered_at, self.reason = verdict, now, reason


class Confirming:
    """One member's questions; `clear` forgets those of a tenure that is over."""

    def __init__(self, settings: Settings, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._emit = emit
        self._questions: dict[MemberId, _Question] = {}

    def clear(self) -> None:
        """This member hosts no more."""
        self._questions.clear()

    def judge(self, info: MemberInfo, *, is_witness: bool = False) -> tuple[Verdict, str]:
        """Whether the joiner, which asks now, may come in; and the reason if it may not."""
        if not self._settings.confirm_identity:
            return Verdict.YES, ""
        now = self._clock()
        self._forget(now)
        question = self._questions.get(info.member)
        if question is None:
            if len(self._questions) < QUESTIONS_MAX:
                name, key = info.shown().name, fingerprint(info.member)
                event = JoinRequested(info.member, name, key, is_witness)
                self._questions[info.member] = _Question(event, now, now)
                self._emit(event)
            return Verdict.OPEN, ""
        question.heard_at = now
        if now - question.asked_at > self._settings.confirm_within_s:
            seconds = f"{self._settings.confirm_within_s:g}"
            question.answer(Verdict.NO, now, f"nobody confirmed it within {seconds} s; try again")
        return question.verdict, question.reason

    def answer(self, member: MemberId, *, is_yes: bool, reason: str = "") -> None:
        """The application has decided; nothing happens if that one does not wait any more."""
        question = self._questions.get(member)
        if question is not None:
            verdict = Verdict.YES if is_yes else Verdict.NO
            question.answer(verdict, self._clock(), (reason or "the host said no")[:REASON_SIZE_MAX])

    @property
    def waiting(self) -> tuple[JoinRequested, ...]:
        """Who waits for an answer now, who asked first comes first."""
        now = self._clock()
        return tuple(
            q.event for q in self._questions.values() if q.verdict is Verdict.OPEN and not _has_gone(q, now)
        )

    def _forget(self, now: float) -> None:
        for member, question in list(self._questions.items()):
            is_fresh = question.verdict is Verdict.NO and now - question.answered_at <= REMEMBERED_S
            is_over = question.verdict is Verdict.NO or _has_gone(question, now)
            if is_over and not is_fresh:
                del self._questions[member]


def _has_gone(question: _Question, now: float) -> bool:
    return now - question.heard_at > GIVEN_UP_S
