"""The main job in one command: players play on this machine, their host is killed again and again, play goes on.

Every player is a real process with a storage of its own; the kill is SIGKILL, which leaves it no time for
anything. This process is no player: it reads what they write down, replays it for the picture, and measures by
their records. It prints no number that was not measured in this run.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from demo_game import evidence
from demo_game.figures import Figures, Kill
from demo_game.players import Cast, Spot, Tempo, Trouble
from demo_game.stage import Stage, TextStage
from demo_game.table import Phase

SECONDS_MAX = 110.0
"""The whole show ends in two minutes, whatever happens."""
_SETTLE_S = 3.0
"""Play before a kill, so that there is something to lose."""
_MOVED_S_MAX = 20.0
_BACK_S_MAX = 30.0
_BANNER_READY_S = 0.7
"""From the first accepted request to a banner that is complete in the other players' windows."""
_OVER_S_MAX = 60.0
"""A picture of the end is worth so much waiting, and no more."""
_WATCHED = Tempo(pace_s=0.5, linger_s=2.0)
_RECORDED = Tempo(pace_s=0.4, linger_s=2.5, rounds=6)
"""A short game, so that its end is in the pictures, too."""


@dataclass(frozen=True, slots=True)
class Show:
    """What to show."""

    players: int = 4
    kills: int = 2
    size: str = "small"
    keep: bool = False
    plain: bool = False
    windows: int = 0
    """How many players have a window; 0 = it is shown as text."""
    record: Path | None = None
    """Write pictures here."""
    rounds: int | None = None
    """The last round of each game; None = as the rules have it, and fewer for pictures."""

    @property
    def tempo(self) -> Tempo:
        """How fast it is played."""
        tempo = _RECORDED if self.record is not None else _WATCHED if self.windows else Tempo()
        return tempo if self.rounds is None else replace(tempo, rounds=self.rounds)

    @property
    def settle_s(self) -> float:
        """Play before a kill: people want to read what happened at the last one."""
        return 2 * _SETTLE_S if self.windows else _SETTLE_S

    @property
    def seconds_max(self) -> float:
        """When it ends, whatever happens; windows open and close slowly, and pictures take time."""
        pictures_s = _OVER_S_MAX if self.record is not None else 0.0
        return SECONDS_MAX + pictures_s + (15.0 * self.kills if self.windows else 0.0)


StageOf = Callable[[Cast, Figures], Stage]


def run(
    show: Show,
    stage_of: StageOf | None = None,
    spots: tuple[Spot, ...] = (),
    stop: threading.Event | None = None,
    plug: threading.Event | None = None,
) -> Figures:
    """Put the show on; return what was measured, with complaints if anything went wrong.

    Args:
        show: what.
        stage_of: makes what it is shown on; it gets the figures that are being filled. None = text.
        spots: where windows are.
        stop: ends it early when it is set, by another thread.
        plug: has the host killed at once when it is set: earlier than it is due, or once more.
    """
    folder = Path(tempfile.mkdtemp(prefix="hexhold-"))
    figures = Figures()
    deadline = time.monotonic() + show.seconds_max
    cast = Cast(folder, show.players, show.size, deadline, show.tempo, spots, stop or threading.Event())
    stage: Stage = TextStage(cast, plain=show.plain) if stage_of is None else stage_of(cast, figures)
    try:
        with stage:
            _perform(show, cast, stage, figures, plug or threading.Event())
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


def _perform(show: Show, cast: Cast, stage: Stage, figures: Figures, plug: threading.Event) -> None:
    """Start everybody, kill hosts, let them come back."""
    stage.tell(f"{show.players} players take their seats.")
    cast.start(stage.show)
    if show.windows:
        cast.wait_for(lambda: _is_full(cast), _BACK_S_MAX, "not everybody took a seat", stage.show)
        stage.moment("lobby")
    cast.wait_for(cast.playing, _BACK_S_MAX, "the game did not begin", stage.show)
    number = 0
    while True:
        plug.clear()
        cast.pause(show.settle_s, stage.show, plug)
        has_time = time.monotonic() < cast.deadline - _MOVED_S_MAX - _BACK_S_MAX
        if number >= show.kills and not (plug.is_set() and has_time):
            break
        if show.windows:  # between two games there is nothing to see
            cast.wait_for(cast.playing, _BACK_S_MAX, "no other game began", stage.show)
            if number == 0:
                stage.moment("board")
        _kill(show, cast, stage, figures)
        number += 1
    if show.record is not None:
        until = time.monotonic() + _OVER_S_MAX
        cast.wait_for(lambda: _is_over(cast) or time.monotonic() > until or None, 2 * _OVER_S_MAX, "", stage.show)
        if _is_over(cast):
            stage.moment("over")
    stage.tell("Everybody leaves, the host last of all.")


def _is_full(cast: Cast) -> bool | None:
    return len(cast.table.seats) >= cast.players or None


def _is_over(cast: Cast) -> bool:
    return cast.table.phase is Phase.OVER


def _kill(show: Show, cast: Cast, stage: Stage, figures: Figures) -> None:
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
    figures.kills.append(Kill(killed, target, gap))
    stage.announce(f"{killed} left. {target} hosts now: {gap:.0f} ms. Same dice.")
    if show.windows:
        cast.pause(_BANNER_READY_S, stage.show)
        stage.moment("banner")
    since = cast.index
    cast.spawn(killed)
    caught_up = f"{killed} did not come back"
    cast.wait_for(lambda: cast.applied_index(killed) >= since or None, _BACK_S_MAX, caught_up, stage.show)
    stage.tell(f"{killed} is back, from its own storage.")


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
