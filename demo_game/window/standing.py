"""How the member stands: its status, asked for now and then, and whether the others have the same table."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import failover
from demo_game.agreement import TELL_S, Agreement
from demo_game.window.story import Story
from demo_game.window.words import outlook

STATUS_S = 0.25
"""How often the member is asked; four times as often while nobody hosts."""


class Standing:
    """What one window knows of its member and the others."""

    def __init__(self) -> None:
        self.status: failover.Status | None = None
        """None before the first."""
        self.agreement = Agreement()
        self._asked: Future[failover.Status] | None = None
        self._asked_at = self._told_at = -1e9
        self._outlook: object = None

    def forget(self) -> None:
        """The member is another one from now on."""
        self._asked = None

    def poll(
        self, member: failover.MemberThread, story: Story, now: float, watched: Callable[[Future[Any]], Any]
    ) -> bool:
        """Take in what came, ask again if it is time; return whether anything looks different."""
        if self._asked is not None and self._asked.done():
            if self._asked.exception() is None:
                self.status = self._asked.result()
                story.host_is(self.status.host is not None, now)
                story.know({each.member: each.name for each in self.status.members})
            self._asked = None
        is_urgent = self.status is not None and self.status.host is None
        if self._asked is None and now - self._asked_at >= (STATUS_S / 4 if is_urgent else STATUS_S):
            self._asked_at = now
            self._asked = member.status()
            watched(self._asked)
        telling = self.agreement.telling()
        if telling is not None and now - self._told_at >= TELL_S:
            self._told_at = now
            member.send_unreliable(telling, "all")
        before = self._outlook
        if self.status is not None:
            self._outlook = outlook(self.status), self.agreement.shown(now)
        return before != self._outlook
