"""Watching a replay: the board, a bar to go to any move, and what was proved about the file."""

from __future__ import annotations

from demo_game import rules
from demo_game.palette import AMBER, GREEN, QUIET, RAISED, RED, ROW, SEATS, TEXT
from demo_game.replay import Replay, tables
from demo_game.table import LineKind, Table
from demo_game.verify import verify
from demo_game.window import hexes, shapes
from demo_game.window.aim import Aim
from demo_game.window.dice import strip
from demo_game.window.fights import Shown
from demo_game.window.land_view import Sight, draw_land
from demo_game.window.look import Look
from demo_game.window.overlays import Rules
from demo_game.window.page import Box, Page
from demo_game.window.scene import Around, Scene
from demo_game.window.shapes import ink, mixed
from demo_game.window.side import WIDTH

STEP_S = {"slow": 1.2, "fast": 0.5, "off": 0.15}
"""Between two moves, by the player's speed of animations."""


class Playback(Scene):
    """One replay."""

    name = "replay"

    def __init__(self, around: Around, replay: Replay) -> None:
        super().__init__()
        self._around = around
        self._finding = verify(replay)
        self._tables = _moments(replay)
        self._at = 0
        self._plays = True
        self._moved_at = around.now()

    @property
    def _table(self) -> Table:
        return self._tables[self._at]

    def page(self, look: Look) -> Page:
        """Return what is to be seen."""
        page = Page(look)
        table = self._table
        side = Box(look.width - WIDTH - 16, 16, WIDTH, look.height - 32)
        if table.position is not None:
            land = Box(20, 40, side.x - 40, look.height - 40 - 150)
            chart = hexes.chart(table.position.land, land)
            shown = Shown(table.position, table.battle, running=False, rolling=False, part=1.0)
            sight = Sight(table, shown, False, Aim(), None, 1.0, False)
            draw_land(page, chart, sight)
            foot = Box(24, look.height - 142, side.x - 48, 60)
            strip(page, foot, table, shown, waits=False, rolls=False)
        self._controls(page, Box(24, look.height - 68, side.x - 48, 48))
        self._panel(page, side)
        return page

    def _controls(self, page: Page, box: Box) -> None:
        names = (
            ("first", "«"),
            ("back", "‹"),
            ("play", "Pause" if self._plays else "Play"),
            ("on", "›"),
            ("last", "»"),
        )
        x = box.x
        for name, words in names:
            width = 96.0 if name == "play" else 52.0
            kind = "main" if name == "play" else "quiet"
            page.button(name, Box(x, box.y, width, box.height), words, kind=kind)
            x += width + 8
        bar = Box(x + 8, box.y, box.right - x - 8, box.height)
        y = bar.middle[1]
        page.target("bar", bar, in_tabs=False)
        page.draw(shapes.rounded(bar.x, y - 4, bar.width, 8, 4, ink(RAISED)), 1)
        done = bar.width * self._at / max(1, len(self._tables) - 1)
        page.draw(shapes.rounded(bar.x, y - 4, max(8.0, done), 8, 4, ink(GREEN)), 2)
        page.draw(shapes.disc(bar.x + done, y, 9, ink(TEXT)), 3)
        self._bar = bar

    def _panel(self, page: Page, box: Box) -> None:
        page.card(box)
        inner = box.inset(18)
        table, position = self._table, self._table.position
        page.write("Replay", inner.x, inner.y + 14, 22.0, room=130, bold=True)
        page.button("menu", Box(inner.right - 68, inner.y - 2, 68, 32), "Menu", size=14.0)
        where = (
            f"round {position.round} · move {self._at} of {len(self._tables) - 1}"
            if position
            else "before the game"
        )
        page.write(where, inner.x, inner.y + 46, 14.0, QUIET, room=inner.width)
        proof, colour = ("verified", GREEN) if self._finding.is_right else ("NOT as it was played", RED)
        page.write(proof, inner.x, inner.y + 70, 15.0, colour, room=inner.width, bold=True)
        y = inner.y + 92
        if position is not None:
            for place, seat in enumerate(table.seats):
                row = Box(inner.x, y + 40 * place, inner.width, 35)
                turn = table.on_turn is seat
                page.panel(row, mixed(ROW, SEATS[seat.colour], 26) if turn else ROW, radius=8.0)
                page.badge(seat.colour, Box(row.x + 5, row.y + 5, 25, 25), SEATS[seat.colour])
                page.write(seat.name, row.x + 40, row.middle[1], 15.0, room=row.width - 130, bold=turn, layer=2)
                land, income = position.owners.count(place), rules.income(position, place)
                page.write(
                    f"{land}  +{income}", row.right - 10, row.middle[1], 15.0, room=80, anchor="right", layer=2
                )
            y += 40 * len(table.seats)
        y += 12
        for line in table.lines[-int((inner.bottom - y) // 40) :] if inner.bottom - y > 40 else ():
            colour = AMBER if line.kind is LineKind.HOST else QUIET
            for part in page.wrapped(line.text, 13.5, inner.width)[:2]:
                page.write(part, inner.x, y + 9, 13.5, colour, room=inner.width + 1)
                y += 18

    # --- what is done ---

    def act(self, name: str) -> None:
        """A target was pressed."""
        from demo_game.window.menu import Menu  # noqa: PLC0415 - they show each other

        match name:
            case "first":
                self._go(0)
            case "last":
                self._go(len(self._tables) - 1)
            case "back" | "on":
                self._plays = False
                self._go(self._at + (1 if name == "on" else -1))
            case "play":
                self._plays = not self._plays
                if self._plays and self._at == len(self._tables) - 1:
                    self._go(0)
            case "menu":
                self._around.go(Menu(self._around))

    def pressed_on(self, name: str, x: float) -> None:
        """Go to the place on the bar that was pressed."""
        if name == "bar":
            part = (x - self._bar.x) / self._bar.width
            self._go(round(part * (len(self._tables) - 1)))

    def _go(self, place: int) -> None:
        self._at = max(0, min(len(self._tables) - 1, place))
        self._moved_at = self._around.now()

    def key(self, key: str) -> bool:
        """Take a key."""
        match key:
            case "space":
                self.act("play")
            case "left" | "right":
                self.act("back" if key == "left" else "on")
            case "home" | "end":
                self.act("first" if key == "home" else "last")
            case "escape":
                self.act("menu")
            case "f1":
                self._around.over(Rules(self._around))
            case _:
                return False
        return True

    def step(self, now: float) -> bool:
        """Go on to the next move when it is time."""
        pause_s = STEP_S[self._around.saved.settings.animation]
        if self._plays and now - self._moved_at >= pause_s:
            if self._at < len(self._tables) - 1:
                self._go(self._at + 1)
            else:
                self._plays = False
            return True
        return False


def _moments(replay: Replay) -> list[Table]:
    """Return the tables worth stopping at: the first, each after a move, and the last."""
    shown = [replay.start]
    last = replay.start
    for _, table, _ in tables(replay):
        if table.position is not last.position or table.phase is not last.phase:
            shown.append(table)
        last = table
    if shown[-1] is not last:
        shown.append(last)
    return shown
