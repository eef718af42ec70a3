"""Attacks as they are shown: one after the other, a little behind the table, which has them at once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from demo_game.rules import Battle, Position
from demo_game.table import Table

WAITING_MAX = 3
"""If more wait, the picture gives up following and shows the present."""
ROLL_PART = 0.62
"""So much of the time the dice roll; the rest shows what they came to."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the map and the dice show at a moment."""

    position: Position
    """Before the attack that is being shown."""
    battle: Battle | None
    """Being shown, or the last one."""
    running: bool
    """Whether it is being shown now."""
    rolling: bool
    part: float
    """How far it is, 0 to 1."""


class Fights:
    """The attacks that wait to be shown."""

    def __init__(self) -> None:
        self._waiting: deque[Table] = deque()
        self._current: Table | None = None
        self._began = 0.0
        self._before: Position | None = None
        self._last: Battle | None = None
        self.ended: Battle | None = None
        """One that was shown to its end since somebody looked; taken out by who plays its sound."""

    def add(self, tables: list[Table]) -> None:
        """Take tables right after attacks, oldest first."""
        self._waiting.extend(tables)

    def shown(self, table: Table, now: float, each_s: float) -> Shown | None:
        """Return what to show at a moment; None while no game is on.

        Args:
            table: the present one.
            now: seconds.
            each_s: for how long an attack is shown; 0 = not at all.
        """
        if table.position is None:
            self._waiting.clear()
            self._current = self._before = self._last = None
            return None
        if each_s <= 0 or len(self._waiting) > WAITING_MAX:
            if self._waiting or self._current:
                newest = self._waiting[-1] if self._waiting else self._current
                self.ended = newest.battle if newest is not None else None
            self._waiting.clear()
            self._current = None
        if self._current is not None and now - self._began >= each_s:
            self._end()
        if self._current is None and self._waiting:
            self._current, self._began = self._waiting.popleft(), now
        current = self._current
        if current is None or current.battle is None or current.game != table.game:
            self._current, self._before = None, table.position
            return Shown(table.position, table.battle, running=False, rolling=False, part=1.0)
        part = min(1.0, (now - self._began) / each_s)
        before = self._before if self._before is not None else table.position
        return Shown(before, current.battle, running=True, rolling=part < ROLL_PART, part=part)

    def _end(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            self._before, self.ended = current.position, current.battle
