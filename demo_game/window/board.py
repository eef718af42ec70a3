"""The board: the map, the clock, the dice, and what a player does with them."""

from __future__ import annotations

import math
import time

from demo_game import rules
from demo_game.commands import Accepted, Attack, Back, EndTurn, Reply
from demo_game.land import SEA
from demo_game.palette import AMBER, SEATS, TEXT
from demo_game.rules import Position
from demo_game.table import MISSED_MAX, LineKind, Phase, Standing, Table
from demo_game.window import hexes, shapes, words
from demo_game.window.aim import Aim, targets
from demo_game.window.dice import strip
from demo_game.window.fields import Field
from demo_game.window.fights import Fights, Shown
from demo_game.window.hexes import Chart
from demo_game.window.land_view import Sight, draw_land
from demo_game.window.look import Look
from demo_game.window.over import Over
from demo_game.window.overlays import Alone, Network, Pause, Rules
from demo_game.window.page import Box, Page
from demo_game.window.scene import Around, Scene
from demo_game.window.shapes import ink
from demo_game.window.side import WIDTH, Side
from demo_game.window.strip import banner

LAST_SECONDS_MS = 6_000
PULSE_S = 0.9
WAIT_SHOWN_S = 0.12
BLOCK_S = 2.0
"""With `--dev`, the key B blocks the window's thread for so long: the host must not lose its role by that."""
_PRESSES = {"escape": "pause", "t": "chat", "n": "who is next", "f1": "rules", "f2": "network"}
"""Keys that press something."""
CLOCK_STEP_S = 0.25
"""How often the clock bar is drawn anew while nothing else happens."""


class Board(Scene):
    """A game that is being played or watched."""

    name = "board"

    def __init__(self, around: Around) -> None:
        super().__init__()
        self._around = around
        self._side = Side(around)
        self._fights = Fights()
        self._aim = Aim()
        self.chart: Chart | None = None
        """Where the land lies, once it was drawn."""
        self._shows_cursor = False
        self._clock_at = 0.0
        self._turn_seen = -1
        self._lines_seen: object = None
        self._over_shown = False
        self._tables: tuple[Table | None, int] = (None, -1)
        self._goes_on: tuple[int, int, int] | None = None
        """A capture of this player: turn, step and territory."""
        self.fields = {"chat": Field(length_max=200)}

    @property
    def chosen(self) -> int:
        """The territory to attack from; `SEA` if none is chosen."""
        return self._aim.chosen

    @property
    def cursor(self) -> int:
        """Where the keyboard is; `SEA` before it was used."""
        return self._aim.cursor

    # --- what is shown ---

    def page(self, look: Look) -> Page:
        """Return what is to be seen."""
        page = Page(look)
        link = self._around.link
        table = link.table if link is not None else None
        if link is None or table is None or table.position is None:
            return page
        settings = self._around.saved.settings
        shown = self._fights.shown(table, look.now, settings.animation_s)
        assert shown is not None
        side = Box(look.width - WIDTH - 16, 16, WIDTH, look.height - 32)
        land = Box(20, 84, side.x - 40, look.height - 84 - 104)
        self.chart = hexes.chart(shown.position.land, land)
        mine = self._may_move()
        self._aim.tidy(table.position, mine)
        # Most answers come at once: a wait is worth showing only when it is felt.
        pending = link.pending if link.pending_s >= WAIT_SHOWN_S else None
        if link.pending is not None:
            page.again(WAIT_SHOWN_S)
        waits = (pending.source, pending.target) if isinstance(pending, Attack) else None
        if shown.running:
            page.again(0.0)
        elif waits is not None:
            page.again(0.0 if not settings.low_motion else 0.1)
        pulse = 1.0 if settings.low_motion else 0.5 + 0.5 * math.cos(math.tau * look.now / PULSE_S)
        sight = Sight(table, shown, mine and not shown.running, self._aim, waits, pulse, self._shows_cursor)
        draw_land(page, self.chart, sight)
        self._clock(page, Box(24, 18, side.x - 48, 8), table)
        foot = Box(24, look.height - 88, side.x - 48, 68)
        strip(
            page,
            Box(foot.x, foot.y, foot.width - 216, foot.height),
            table,
            shown,
            waits=waits is not None,
            rolls=not settings.low_motion,
        )
        self._end_button(page, Box(foot.right - 204, foot.y, 204, foot.height), shown)
        self._side.draw(page, side, shown.position, self.fields["chat"])
        banner(page, self._around, Box(290, 34, side.x - 314, 46))
        return page

    def _clock(self, page: Page, bar: Box, table: Table) -> None:
        """Add whose turn it is, and how much of it is left."""
        link = self._around.link
        seat = table.on_turn
        if link is None or seat is None:
            page.write("Game over", bar.x, bar.y + 28, 19.0, TEXT, room=170, bold=True)
            return
        mine = seat.member == link.me and seat.is_person
        limit_ms = table.limit_ms
        left_ms = max(0, limit_ms - link.used_ms(page.look.now)) if limit_ms else 0
        urgent = mine and limit_ms is not None and left_ms <= LAST_SECONDS_MS
        colour = SEATS[seat.colour]
        if limit_ms:
            page.draw(shapes.rounded(bar.x, bar.y, bar.width, bar.height, 4, ink((38, 45, 62))), 1)
            wide = max(8.0, round(bar.width * left_ms / limit_ms))
            page.draw(shapes.rounded(bar.x, bar.y, wide, bar.height, 4, ink(AMBER if urgent else colour)), 2)
        time_left = f" · {words.clock_words(left_ms + 999)}" if limit_ms else ""
        whose = "Your turn" if mine else page.fitted(seat.name, 19.0, 170, bold=True)
        page.write(whose + time_left, bar.x, bar.y + 30, 19.0, AMBER if urgent else TEXT, room=250, bold=True)

    def _end_button(self, page: Page, box: Box, shown: Shown) -> None:
        link = self._around.link
        assert link is not None
        table, position = link.table, shown.position
        if table.phase is Phase.OVER:
            page.button("results", box, "Results", "Enter", kind="main")
            return
        mine = self._may_move()
        income = rules.income(position, position.seat)
        under = f"+{income} dice · Space" if mine else ""
        said = "End turn" if mine else ("Watching" if link.place < 0 else "Not your turn")
        kind = "main" if mine else "quiet"
        page.button("end turn", box, said, under, kind=kind, enabled=mine, size=20.0 if mine else 17.0)

    def _may_move(self) -> bool:
        """Tell whether the player at this window is on turn, and plays for himself."""
        link = self._around.link
        if link is None:
            return False
        seat = link.table.on_turn
        place = link.place
        return (
            seat is not None
            and place >= 0
            and link.table.seats[place] is seat
            and seat.standing is Standing.PLAYING
        )

    # --- what is done ---

    def act(self, name: str) -> None:
        """A target was pressed."""
        around, link = self._around, self._around.link
        if link is None:
            return
        match name:
            case "end turn":
                self._end_turn()
            case "results":
                around.over(Over(around))
            case "pause":
                around.over(Pause(around))
            case "wait":
                link.story.wait()
            case "alone":
                around.over(Alone(around))
            case "chat":
                around.focus = "chat"
            case "rules":
                around.over(Rules(around))
            case "network":
                around.over(Network(around))
            case _:
                self._side.act(name, self.fields["chat"])

    def pointed_at(self, x: float, y: float) -> bool:
        """The pointer moved over the map."""
        before = self._aim.pointed
        over_panel = bool(self._around.hover)
        self._aim.pointed = SEA if self.chart is None or over_panel else self.chart.territory_at(x, y)
        if self._aim.pointed != before:
            self._shows_cursor = False
        return self._aim.pointed != before

    def pressed_at(self, x: float, y: float) -> None:
        """The map was pressed."""
        territory = self.chart.territory_at(x, y) if self.chart is not None else SEA
        if territory == SEA:
            self._aim.chosen = SEA
        else:
            self._press(territory)

    def _press(self, territory: int) -> None:
        link = self._around.link
        if link is None or link.table.position is None:
            return
        self._wake_seat()
        if not self._may_move():
            self._around.toast(self._why_not())
            self._around.sound("refused")
            return
        if link.pending is not None:
            self._around.toast("Your last move still waits for its answer.")
            return
        meant = self._aim.press(link.table.position, territory)
        if isinstance(meant, str):
            if meant:
                self._around.toast(meant)
            self._around.sound("refused" if meant else "choose")
            return
        table = link.table
        attack = Attack(table.turn, table.step, meant.source, meant.target)
        link.ask(attack, lambda reply: self._attacked(attack, reply))

    def _attacked(self, attack: Attack, reply: Reply) -> None:
        """Go on from the captured territory, if it can attack."""
        link = self._around.link
        if link is None or not isinstance(reply, Accepted) or reply.battle is None:
            return
        self._aim.chosen = SEA
        self._goes_on = (attack.turn, attack.step, attack.target) if reply.battle.captured else None

    def _go_on_from(self, table: Table) -> None:
        """Choose the territory just captured; the answer may have come before the entry was applied here."""
        if self._goes_on is None or table.position is None:
            return
        turn, step, target = self._goes_on
        if (table.turn, table.step) != (turn, step):
            self._goes_on = None
            if table.turn == turn and self._may_move() and targets(table.position, target):
                self._aim.chosen = target
                if self._shows_cursor:
                    self._aim.cursor = target

    def _why_not(self) -> str:
        link = self._around.link
        assert link is not None
        if link.table.phase is Phase.OVER:
            return "The game is over."
        if link.place < 0:
            return "You are watching this game."
        seat = link.table.on_turn
        if seat is link.table.seats[link.place]:
            return "A bot plays your seat to the end."
        return f"It is {seat.name}'s turn." if seat is not None else "No game is running."

    def _wake_seat(self) -> None:
        """Any input takes the seat back from the bot that plays for who slept."""
        link = self._around.link
        if link is not None and link.place >= 0 and link.table.seats[link.place].missed >= MISSED_MAX:
            link.ask(Back(b""), quiet=True)

    def _end_turn(self) -> None:
        link = self._around.link
        if link is None:
            return
        self._wake_seat()
        if not self._may_move():
            self._around.toast(self._why_not())
        elif link.pending is not None:
            self._around.toast("Your last move still waits for its answer.")
        else:
            link.ask(EndTurn(link.table.turn, link.table.step))
            self._aim.chosen = SEA

    def enter(self, name: str) -> None:
        """Enter was pressed in a line."""
        self._side.act(f"send {name}", self.fields["chat"])

    def key(self, key: str) -> bool:
        """Take a key."""
        match key:
            case "space":
                self._end_turn()
            case "enter":
                self._press_cursor()
            case "left" | "right" | "up" | "down" | "tab" | "shift tab":
                self._move_cursor(key)
            case "escape" if self._aim.chosen != SEA:
                self._aim.chosen = SEA
            case "b" if self._around.dev:
                time.sleep(BLOCK_S)  # as dragging a window does on Windows
            case _ if key in _PRESSES:
                self.act(_PRESSES[key])
            case "w" | "c" if self._has_no_quorum():
                self.act("wait" if key == "w" else "alone")
            case _:
                return False
        return True

    def _has_no_quorum(self) -> bool:
        link = self._around.link
        return link is not None and link.story.quorum is not None

    def _press_cursor(self) -> None:
        link = self._around.link
        if link is not None and link.table.phase is Phase.OVER:
            self._around.over(Over(self._around))
        elif self._aim.cursor != SEA:
            self._press(self._aim.cursor)

    def _move_cursor(self, key: str) -> None:
        position = self._position()
        if position is None or self.chart is None:
            return
        self._shows_cursor, self._aim.pointed = True, SEA
        if key.endswith("tab"):
            self._aim.tab(position, self.chart, -1 if key.startswith("shift") else 1)
        else:
            self._aim.step(position, self.chart, key)

    def _position(self) -> Position | None:
        link = self._around.link
        return link.table.position if link is not None else None

    # --- what happened meanwhile ---

    def step(self, now: float) -> bool:
        """Take in what happened; play its sounds; go on to the end or the lobby."""
        around, link = self._around, self._around.link
        if link is None:
            return False
        if link.error or link.table.phase in (Phase.LOBBY, Phase.REVEAL):
            return self._go_on()
        self._fights.add(link.battles())
        self._go_on_from(link.table)
        self._sounds(link.table)
        typing = self._around.focus in self.fields
        if link.table.phase is Phase.OVER and not self._over_shown and not typing:
            self._over_shown = True
            around.over(Over(around))
            around.sound("over")
            return True
        table, place = link.table, link.place
        changed = self._tables[0] is not table or self._tables[1] != place
        self._tables = (table, place)
        away = any(seat.away_ms for seat in table.seats)
        if now - self._clock_at >= CLOCK_STEP_S and (table.limit_ms is not None or away):
            self._clock_at, changed = now, True
        return changed

    def _go_on(self) -> bool:
        from demo_game.window.lobby import leave_broken, scene_for  # noqa: PLC0415 - they show each other

        link = self._around.link
        if link is not None and link.error:
            leave_broken(self._around)
            return True
        if link is not None and link.is_open and link.is_known:
            self._around.go(scene_for(self._around))
            return True
        return False  # being opened again: the old picture stays

    def _sounds(self, table: Table) -> None:
        ended, self._fights.ended = self._fights.ended, None
        if ended is not None:
            self._around.sound("won" if ended.captured else "lost")
        if table.turn != self._turn_seen:
            self._turn_seen = table.turn
            if self._may_move():
                self._around.sound("turn")
                self._aim.chosen = SEA
        last = table.lines[-1] if table.lines else None
        if last is not self._lines_seen:
            self._lines_seen = last
            if last is not None and last.kind is not LineKind.STORY:
                self._around.sound("moved" if last.kind is LineKind.HOST else "chat")
