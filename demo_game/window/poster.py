"""The director's page: what happens in the showcase, and the figures so far, in large letters."""

from __future__ import annotations

from dataclasses import dataclass

from demo_game.figures import Kill, gap_at
from demo_game.palette import AMBER, GREEN, QUIET, RAISED, RED, ROW, TEXT, Colour
from demo_game.window import glyphs, shapes
from demo_game.window.look import Look
from demo_game.window.page import Box, Page
from demo_game.window.shapes import ink
from demo_game.window.words import clock_words

KILLS_SHOWN = 6
STORY_SHOWN = 5
_GAP = 16.0


@dataclass(frozen=True, slots=True)
class Actor:
    """One player's process."""

    name: str
    role: str
    """`host`, `player` or `gone`."""
    has_window: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """What is to be seen at one moment. Everything in it was measured in this run."""

    kills: tuple[Kill, ...] = ()
    kills_due: int = 0
    moves: int = 0
    lost: int | None = None
    """None: not yet known."""
    doubled: int | None = None
    agreed: tuple[str, int, int] | None = None
    """The newest digest that all living players took, how many of them have it, and how many they are."""
    actors: tuple[Actor, ...] = ()
    story: tuple[tuple[int, str], ...] = ()
    """Milliseconds since the beginning, and what happened then."""
    banner: str = ""
    now_ms: int = 0
    round: int = 0
    is_over: bool = False
    complaints: tuple[str, ...] = ()


def poster(shown: Shown, look: Look) -> Page:
    """Return the page."""
    page = Page(look)
    whole = Box(20, 18, look.width - 40, look.height - 36)
    _heading(page, Box(whole.x, whole.y, whole.width, 62), shown)
    y = whole.y + 74
    third = (whole.width - 2 * _GAP) / 3
    for number, (value, label, under, colour) in enumerate(_large(shown)):
        box = Box(whole.x + number * (third + _GAP), y, third, 150)
        _figure(page, box, value, label, under, colour, 64.0)
    y += 150 + _GAP
    fourth = (whole.width - 3 * _GAP) / 4
    for number, (value, label, under, colour) in enumerate(_small(shown)):
        box = Box(whole.x + number * (fourth + _GAP), y, fourth, 112)
        _figure(page, box, value, label, under, colour, 40.0)
    y += 112 + _GAP
    foot = Box(whole.x, whole.bottom - 50, whole.width, 50)
    left = Box(whole.x, y, whole.width * 0.44, foot.y - _GAP - y)
    middle = Box(left.right + _GAP, y, whole.width * 0.19, left.height)
    _changes(page, left, shown)
    _actors(page, middle, shown)
    _story(page, Box(middle.right + _GAP, y, whole.right - middle.right - _GAP, left.height), shown)
    if not shown.is_over and not shown.complaints and shown.round:
        button = Box(foot.right - 250, foot.y, 250, foot.height)
        page.button("plug", button, "Pull the plug now", "P", kind="danger")
        foot = Box(foot.x, foot.y, foot.width - 250 - _GAP, foot.height)
    _foot(page, foot, shown)
    return page


def _heading(page: Page, box: Box, shown: Shown) -> None:
    page.write("HEXHOLD", box.x + 2, box.y + 22, 34.0, room=220, bold=True)
    words = "Every player is a process of its own. The host is killed without a warning; play goes on."
    page.write(words, box.x + 236, box.y + 14, 17.0, QUIET, room=box.width - 236 - 130)
    game = f"round {shown.round}" if shown.round else "before the game"
    count = f"{len(shown.actors)} players on this machine, {game}"
    page.write(count, box.x + 236, box.y + 40, 17.0, QUIET, room=box.width - 236 - 130)
    page.write(clock_words(shown.now_ms), box.right - 2, box.y + 22, 30.0, room=120, bold=True, anchor="right")


Figure = tuple[str, str, str, Colour]
"""The value, what it is, a smaller line below, and the value's colour."""


def _large(shown: Shown) -> tuple[Figure, ...]:
    count, median, worst = len(shown.kills), gap_at(shown.kills, 0.5), gap_at(shown.kills, 1.0)
    under = "from the kill to the next accepted request"
    return (
        (str(count), "hosts killed, and survived", f"of {shown.kills_due} in this show", AMBER),
        (_ms(median), "median gap", under, TEXT if median is None else GREEN),
        (_ms(worst), "longest gap", under, TEXT if worst is None else GREEN),
    )


def _small(shown: Shown) -> tuple[Figure, ...]:
    agreed = shown.agreed
    same = agreed is not None and agreed[1] == agreed[2]
    return (
        (f"{shown.moves:,}", "moves accepted", "as the players were told", TEXT),
        (_count(shown.lost), "lost", "accepted, and gone", _zero(shown.lost)),
        (_count(shown.doubled), "doubled", "done more than once", _zero(shown.doubled)),
        (
            f"{agreed[1]} of {agreed[2]}" if agreed else "–",
            "have the same state",
            f"digest {agreed[0]}" if agreed else "compared every 8 entries",
            TEXT if agreed is None else GREEN if same else RED,
        ),
    )


def _ms(gap: float | None) -> str:
    return "–" if gap is None else f"{gap:.0f} ms"


def _count(count: int | None) -> str:
    return "–" if count is None else str(count)


def _zero(count: int | None) -> Colour:
    """Return the colour of something of which there must be none."""
    return TEXT if count is None else RED if count else GREEN


def _figure(page: Page, box: Box, value: str, label: str, under: str, colour: Colour, size: float) -> None:
    page.card(box)
    x, room = box.x + 20, box.width - 36
    page.write(value, x, box.y + 18 + size * 0.42, size, colour, room=room, bold=True)
    page.write(label, x, box.bottom - 42, 18.0, room=room)
    page.write(under, x, box.bottom - 20, 14.0, QUIET, room=room)


def _changes(page: Page, box: Box, shown: Shown) -> None:
    """List the last changes of host, with bars as long as their gaps."""
    page.card(box)
    page.write("CHANGES OF HOST", box.x + 18, box.y + 22, 14.0, QUIET, room=box.width - 36, bold=True)
    worst = max((kill.gap_ms for kill in shown.kills), default=1.0)
    y = box.y + 40
    for kill in shown.kills[-KILLS_SHOWN:]:
        if y + 32 > box.bottom:
            break
        middle = y + 15
        page.write(kill.source, box.x + 18, middle, 18.0, room=92)
        page.draw(glyphs.chevron(box.x + 122, middle, 13.0, ink(AMBER), left=False), 2)
        page.write(kill.target, box.x + 138, middle, 18.0, room=92)
        x = box.x + 240
        wide = box.right - 118 - x
        page.draw(shapes.rounded(x, middle - 6, wide, 12, 6, ink(RAISED)), 1)
        page.draw(shapes.rounded(x, middle - 6, max(12.0, wide * kill.gap_ms / worst), 12, 6, ink(GREEN)), 2)
        page.write(_ms(kill.gap_ms), box.right - 18, middle, 18.0, room=94, bold=True, anchor="right")
        y += 32
    if not shown.kills:
        page.write("none yet", box.x + 18, y + 15, 18.0, QUIET, room=box.width - 36)


def _actors(page: Page, box: Box, shown: Shown) -> None:
    """List the processes: who hosts, who was killed."""
    page.card(box)
    page.write("PLAYERS", box.x + 18, box.y + 22, 14.0, QUIET, room=box.width - 36, bold=True)
    step = min(32.0, (box.height - 46) / max(1, len(shown.actors)))
    for number, actor in enumerate(shown.actors):
        y = box.y + 40 + step * (number + 0.5)
        colour = {"host": AMBER, "gone": RED}.get(actor.role, GREEN)
        if actor.role == "host":
            page.draw(glyphs.crown(box.x + 26, y - 1, 17.0, ink(AMBER)), 2)
        else:
            page.draw(shapes.disc(box.x + 26, y, 5.0, ink(colour)), 2)
        tail = {"host": "host", "gone": "killed"}.get(actor.role, "" if actor.has_window else "no window")
        size = min(18.0, step - 4)
        page.write(actor.name, box.x + 44, y, size, room=box.width - 140)
        page.write(
            tail, box.right - 16, y, 14.0, colour if actor.role != "player" else QUIET, room=78, anchor="right"
        )


def _story(page: Page, box: Box, shown: Shown) -> None:
    """Tell the last of what happened."""
    page.card(box)
    page.write("WHAT HAPPENED", box.x + 18, box.y + 22, 14.0, QUIET, room=box.width - 36, bold=True)
    rows: list[tuple[str, str]] = []
    for at_ms, words in shown.story[-STORY_SHOWN:]:
        first, *more = page.wrapped(words, 15.0, box.width - 86)
        rows += [(clock_words(at_ms), first), *(("", line) for line in more)]
    fit = int((box.height - 46) // 22)
    y = box.y + 40
    for when, words in rows[-fit:]:
        page.write(when, box.x + 18, y + 11, 14.0, QUIET, room=44)
        page.write(words, box.x + 66, y + 11, 15.0, room=box.width - 84)
        y += 22


def _foot(page: Page, box: Box, shown: Shown) -> None:
    """Say what matters now: the last change of host, or how it ended."""
    words, ground = shown.banner, (26, 104, 70)
    if shown.complaints:
        words, ground = "; ".join(shown.complaints), (130, 40, 36)
    elif shown.is_over:
        count = len(shown.kills)
        killed = "one host killed" if count == 1 else f"{count} hosts killed"
        words = f"The end: {killed}, nothing lost, nothing doubled, one state."
    if words:
        page.panel(box, ground)
        page.write(words, *box.middle, 20.0, room=box.width - 40, bold=True, anchor="center", layer=2)
    else:
        page.panel(box, ROW)
        page.write(
            "Esc or closing this window ends the show.",
            *box.middle,
            16.0,
            QUIET,
            room=box.width - 40,
            anchor="center",
            layer=2,
        )
