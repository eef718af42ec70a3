"""What a showcase measured: at its end, and what is known of it while it runs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from demo_game import evidence
from demo_game.commands import Accepted, Back, decode_order_untrusted, decode_reply_untrusted
from demo_game.evidence import Record, Verdict

JUDGED_EVERY_S = 2.0
"""All records are read for a verdict, by a process that shares its processors with the players."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One killed host."""

    source: str
    target: str
    gap_ms: float


@dataclass(slots=True)
class Figures:
    """What was measured."""

    kills: list[Kill] = field(default_factory=list)
    verdict: Verdict | None = None
    replayed: bool = False
    """Whether this process, which replayed all orders, came to the players' digests."""
    folder: Path | None = None
    """Where the players' folders are, if they were kept: by wish, or because something went wrong."""
    complaints: list[str] = field(default_factory=list)
    """Everything that is not as it must be; empty if all is well."""

    def json(self) -> str:
        """Return the figures as JSON."""
        verdict = self.verdict
        return json.dumps(
            {
                "kills": [{"from": k.source, "to": k.target, "gap_ms": round(k.gap_ms, 1)} for k in self.kills],
                "gap_ms": {"p50": gap_at(self.kills, 0.5), "worst": gap_at(self.kills, 1.0)},
                "commands": verdict.commands if verdict else 0,
                "lost": verdict.lost if verdict else None,
                "doubled": verdict.doubled if verdict else None,
                "digests_agree": verdict is not None and verdict.digests_agree and self.replayed,
            },
            ensure_ascii=False,
        )


def gap_at(kills: Sequence[Kill], part: float) -> float | None:
    """Return the milliseconds that this part (0 to 1) of the kills does not exceed; None without kills."""
    gaps = sorted(kill.gap_ms for kill in kills)
    return round(gaps[max(0, math.ceil(part * len(gaps)) - 1)], 1) if gaps else None


class Running:
    """What the records say so far: each is read once for the count, and all now and then for a verdict."""

    def __init__(self) -> None:
        self.moves = 0
        """Accepted requests, as players were told; those that only measure whether somebody answers are none."""
        self.verdict: Verdict | None = None
        self._read: Counter[str] = Counter()
        self._judged_at = -math.inf

    def look(self, records: Mapping[str, list[Record]], looked_at: float) -> None:
        """Take in what is new.

        Args:
            records: of all players, by name.
            looked_at: when reading them began, on the clock of the records.
        """
        for name, of_player in records.items():
            self.moves += sum(_is_move(record) for record in of_player[self._read[name] :])
            self._read[name] = len(of_player)
        if looked_at - self._judged_at >= JUDGED_EVERY_S:
            self._judged_at = looked_at
            self.verdict = evidence.judge(settled(records, looked_at))


def settled(records: Mapping[str, list[Record]], looked_at: float) -> dict[str, list[Record]]:
    """Return the records without the answers that came after the reading of them began.

    The files are read one after the other, so such an answer may be there before the entry that it is about: it is
    in a file that was read earlier. It would look lost.
    """
    return {
        name: [record for record in of_player if record["kind"] != "answer" or record["time"] <= looked_at]
        for name, of_player in records.items()
    }


def _is_move(record: Record) -> bool:
    if record["kind"] != "answer":
        return False
    if isinstance(decode_order_untrusted(bytes.fromhex(record["order"])).command, Back):
        return False
    return isinstance(decode_reply_untrusted(bytes.fromhex(record["reply"])), Accepted)
