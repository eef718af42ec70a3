"""The main job in one command: players play on this machine, their host is killed again and again, play goes on.

Every player is a real process with a storage of its own; the kill is SIGKILL, which leaves it no time for
anything. This process is no player: it reads what they write down, replays it for the picture, and measures by
their records. It prints no number that was not measured in this run.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from demo_game import evidence
from demo_game.players import Cast, Trouble
from demo_game.stage import Stage

SECONDS_MAX = 110.0
"""The whole show ends in two minutes, whatever happens."""
_SETTLE_S = 3.0
"""Play before a kill, so that there is something to lose."""
_MOVED_S_MAX = 20.0
_BACK_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Show:
    """What to show."""

    players: int = 4
    kills: int = 2
    size: str = "small"
    keep: bool = False
    plain: bool = False


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
    verdict: evidence.Verdict | None = None
    replayed: bool = False
    """Whether this process, which replayed all orders, came to the players' digests."""
    folder: Path | None = None
    """Where the players' folders are, if they were kept: by wish, or because something went wrong."""
    complaints: list[str] = field(default_factory=list)
    """Everything that is not as it must be; empty if all is well."""

    def json(self) -> str:
        """Return the figures as JSON."""
        gaps = sorted(kill.gap_ms for kill in self.kills)
        verdict = self.verdict
        return json.dumps(
            {
                "kills": [{"from": k.source, "to": k.target, "gap_ms": round(k.gap_ms, 1)} for k in self.kills],
                "gap_ms": {"p50": _at(gaps, 0.5), "worst": _at(gaps, 1.0)},
                "commands": verdict.commands if verdict else 0,
                "lost": verdict.lost if verdict else None,
                "doubled": verdict.doubled if verdict else None,
                "digests_agree": verdict is not None and verdict.digests_agree and self.replayed,
            },
            ensure_ascii=False,
        )


def _at(gaps: list[float], part: float) -> float | None:
    """Return the value that this part of the sorted gaps does not exceed."""
    return round(gaps[max(0, math.ceil(part * len(gaps)) - 1)], 1) if gaps else None


def run(show: Show) -> Figures:
    """Put the show on; return what was measured, with complaints if anything went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="hexhold-"))
    figures = Figures()
    cast = Cast(folder, show.players, show.size, time.monotonic() + SECONDS_MAX)
    try:
        with Stage(cast, plain=show.plain) as stage:
            _perform(show, cast, stage, figures)
    except Trouble as trouble:
        figures.complaints.append(str(trouble))
    except KeyboardInterrupt:
        figures.complaints.append("interrupted")
    finally:
        cast.end()
    _judge(cast, figures)
    if len(figures.kills) < show.kills:
        figures.complaints.append(f"only {len(figures.kills)} of {show.kills} kills were survived")
    if show.keep or figures.complaints:
        figures.folder = folder
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def _perform(show: Show, cast: Cast, stage: Stage, figures: Figures) -> None:
    """Start everybody, kill hosts, let them come back."""
    stage.tell(f"{show.players} players take their seats.")
    cast.start()
    cast.wait_for(cast.playing, _BACK_S_MAX, "the game did not begin", stage.show)
    for _ in range(show.kills):
        cast.pause(_SETTLE_S, stage.show)
        figures.kills.append(_kill(cast, stage))
    cast.pause(_SETTLE_S, stage.show)
    stage.tell("Everybody leaves, the host last of all.")


def _kill(cast: Cast, stage: Stage) -> Kill:
    """Kill the host's process, wait for the next host's first answer, and bring the killed player back."""
    killed, term = cast.wait_for(cast.host, _MOVED_S_MAX, "nobody hosts", stage.show)
    at, read = cast.kill(killed), {name: len(records) for name, records in cast.records.items()}
    stage.tell(f"{killed} hosted, and was killed.")

    def gap_ms() -> float | None:
        # Only what was written since: to read it all again and again would cost the players their processor.
        news = {name: records[read[name] :] for name, records in cast.records.items()}
        return evidence.gap_ms(news, killed, at, term)

    words = f"nobody took over from {killed}"
    gap = cast.wait_for(gap_ms, _MOVED_S_MAX, words, stage.show)
    target, _ = cast.wait_for(cast.host, _MOVED_S_MAX, words, stage.show)
    stage.banner = f"{killed} left. {target} hosts now: {gap:.0f} ms. Same dice."
    stage.tell(stage.banner)
    since = cast.index
    cast.spawn(killed)
    caught_up = f"{killed} did not come back"
    cast.wait_for(lambda: cast.applied_index(killed) >= since or None, _BACK_S_MAX, caught_up, stage.show)
    stage.tell(f"{killed} is back, from its own storage.")
    return Kill(killed, target, gap)


def _judge(cast: Cast, figures: Figures) -> None:
    """Compare everything that was written down."""
    cast.look()
    figures.verdict = verdict = evidence.judge(cast.records)
    figures.replayed = cast.replay_agrees()
    for wrong, words in (
        (verdict.commands == 0, "nothing was played"),
        (verdict.lost > 0, f"{verdict.lost} accepted requests were lost"),
        (verdict.doubled > 0, f"{verdict.doubled} requests took effect twice"),
        (not verdict.digests_agree, "the players' digests differ, or none were compared"),
        (not verdict.orders_agree, "the players applied different orders"),
        (not figures.replayed, "replaying the orders gives another digest"),
    ):
        if wrong:
            figures.complaints.append(words)
    figures.complaints += [f"{name} ended with status {code}" for name, code in cast.bad_ends()]
