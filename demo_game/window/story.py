"""What this machine saw of changes of host: the banner, the milliseconds, the seals. No clock of its own."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import failover
from demo_game import luck
from demo_game.table import Line, LineKind, Phase, Table

BANNER_S = 6.0
SILENT_FROM_S = 0.15
"""A host silent for so long is worth a banner; most changes are over before."""
MOVES_MAX = 8


@dataclass(frozen=True, slots=True)
class Banner:
    """The line across the top."""

    tone: str
    """`silent` (amber), `moved` (green) or `alone` (red)."""
    words: str
    actions: tuple[tuple[str, str], ...] = ()
    """Buttons: what the scene is told, and the words on them."""


@dataclass(frozen=True, slots=True)
class Move:
    """One change of host, as measured on this machine."""

    at: float
    source: str
    target: str
    reason: str
    silence_ms: float
    election_ms: float
    first_commit_ms: float | None
    """From the first entry of the new host to its first command applied here; None until then."""
    seal_before: bytes
    """Of the next attack's dice, as they were last seen before the change."""
    seal_after: bytes
    """Of the same draw, as the new host has it. Empty where no game runs, or until the first command."""
    game: int
    """In which of the table's games it was."""

    @property
    def gap_ms(self) -> float:
        """From the old host's last heartbeat to the first entry of the new one."""
        return self.silence_ms + self.election_ms

    @property
    def seals(self) -> tuple[bytes, bytes]:
        """Before and after."""
        return self.seal_before, self.seal_after

    @property
    def same_dice(self) -> bool:
        """Whether the next attack has the dice that it had before."""
        return bool(self.seal_before) and self.seal_before == self.seal_after


class Story:
    """Hears the events of the member, looks at its tables, and tells what to show."""

    def __init__(self) -> None:
        self.moves: deque[Move] = deque(maxlen=MOVES_MAX)
        self.quorum: failover.QuorumLost | None = None
        self.note = ""
        """Of the game itself, such as a member that has another state; shown until something better comes."""
        self._silent_since: float | None = None
        self._shown_until = 0.0
        self._waits = False
        """Whether a change was heard of, and its first command is still to come."""
        self._waits_alone = False
        """Whether somebody decided to wait: the red banner then offers it no more."""
        self._gaps: dict[tuple[int, str], float] = {}
        self._last = Table()
        self._names: dict[bytes, str] = {}
        self._heard = b""
        """The host that was heard of last."""
        self._draw = (0, 0)
        """The turn and the attack that `seal_before` is about."""

    def know(self, names: dict[bytes, str]) -> None:
        """Take the machines' names: those of who only watches are not in the table."""
        self._names = names

    def name_of(self, member: bytes, table: Table) -> str:
        """Return what to call a machine: its seat's name, or else its own."""
        name = table.name_of(member)
        return self._names.get(member, name) if name == member.hex()[:8] else name

    def heard(self, event: failover.Event, table: Table, now: float) -> None:
        """Take an event of the member."""
        match event:
            case failover.HostChanged():
                self._silent_since = None
                if event.reason != "founded":
                    self._changed(event, table, now)
                self._heard = event.host
            case failover.QuorumLost():
                self.quorum, self._waits_alone = event, False
            case failover.QuorumRegained():
                self.quorum = None
            case failover.StateDiverged():
                self.note = f"{self.name_of(event.member, table)} has another state since entry {event.index}."
            case _:
                pass

    def _changed(self, event: failover.HostChanged, table: Table, now: float) -> None:
        self.quorum = None
        # Two changes may follow each other before the first of the two said anything at the table.
        old = self._heard or self._last.host
        source = self.name_of(old, self._last) if old else "the host"
        move = Move(
            at=now,
            source=source,
            target=self.name_of(event.host, table),
            reason=event.reason,
            silence_ms=event.silence_ms,
            election_ms=event.election_ms,
            first_commit_ms=None,
            seal_before=self._last.seal,
            seal_after=b"",
            game=self._last.game,
        )
        if self._last.position is not None:
            # An attack that was on its way may be carried out by the new host: its dice are those sealed before.
            self._draw = self._last.position.turn, self._last.position.attacks
        self.moves.append(move)
        self._waits, self._shown_until = True, now + BANNER_S

    def seen(self, table: Table, now: float) -> None:
        """Take the table that is shown now."""
        if self._waits and table.hosts > self._last.hosts:
            self._waits = False
            move = replace(
                self.moves[-1],
                target=self.name_of(table.host, table),
                first_commit_ms=(now - self.moves[-1].at) * 1_000,
                seal_after=_sealed(table, self._draw),
            )
            self.moves[-1] = move
            for line in reversed(table.lines):
                if line.kind is LineKind.HOST:
                    self._gaps[line.time_ms, line.text] = move.gap_ms
                    break
        self._last = table

    def host_is(self, known: bool, now: float) -> None:
        """Take whether there is a host, as far as the member knows."""
        if known:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = now

    def wait(self) -> None:
        """Somebody decided to wait for the others."""
        self._waits_alone = True

    def banner(self, now: float, table: Table) -> Banner | None:
        """Return the line across the top; None most of the time."""
        if self.quorum is not None:
            reach = f"{self.quorum.reachable} of {self.quorum.voters} reachable"
            alone = ("alone", "Continue alone (C)")
            if self._waits_alone:
                return Banner("alone", f"{reach}: waiting for the others.", (alone,))
            return Banner("alone", f"{reach}: play waits.", (("wait", "Wait (W)"), alone))
        if self._silent_since is not None and now - self._silent_since >= SILENT_FROM_S:
            paused = ", clock paused" if table.phase is Phase.PLAY else ""
            return Banner("silent", f"Host silent for {now - self._silent_since:.1f} s{paused}")
        if now < self._shown_until and self.moves:
            return Banner("moved", self.words_of(self.moves[-1], table))
        return Banner("alone", self.note) if self.note else None

    def words_of(self, move: Move, table: Table) -> str:
        """Return one change of host in words."""
        dice = " Same dice." if move.same_dice and table.phase is Phase.PLAY else ""
        if move.source == move.target:
            return f"{move.target} hosts again: {move.gap_ms:.0f} ms.{dice}"
        verb = "handed over" if move.reason == "handed over" else "left"
        return f"{move.source} {verb}. {move.target} hosts now: {move.gap_ms:.0f} ms.{dice}"

    def told(self, line: Line) -> str:
        """Return a line of the chat's story, with the milliseconds where this machine measured them."""
        gap = self._gaps.get((line.time_ms, line.text))
        text = line.text
        for member, name in self._names.items():
            text = text.replace(member.hex()[:8], name)
        return text if gap is None else f"{text} {gap:.0f} ms"

    @property
    def moves_in_sight(self) -> bool:
        """Whether a change of host waits for its first command."""
        return self._waits


def _sealed(table: Table, draw: tuple[int, int]) -> bytes:
    """Return the seal of a draw, from what this table has it made of."""
    return luck.seal(table.position.seed, *draw) if table.position is not None else b""
