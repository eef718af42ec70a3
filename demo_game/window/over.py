"""The end of a game: who won, how it went, whose dice were lucky, and whether everybody saw the same."""

from __future__ import annotations

import time
from pathlib import Path

from demo_game import rules
from demo_game.commands import Rematch
from demo_game.palette import AMBER, GREEN, QUIET, RAISED, SEATS
from demo_game.table import Phase, Table
from demo_game.window import glyphs, shapes, words
from demo_game.window.look import Look
from demo_game.window.overlays import Card
from demo_game.window.page import Box, Page
from demo_game.window.scene import Around
from demo_game.window.shapes import ink

PATIENCE_S = 1.5


class Over(Card):
    """A card above the board."""

    name = "over"
    size = (1040.0, 620.0)

    def __init__(self, around: Around) -> None:
        super().__init__(around)
        self.first_focus = "rematch"
        self._saved_as = ""
        self._since = around.now()

    @property
    def _table(self) -> Table | None:
        return self.around.link.table if self.around.link is not None else None

    def page(self, look: Look) -> Page:
        """Return what is to be seen."""
        table = self._table
        outcome = table.position.outcome if table is not None and table.position is not None else None
        winner = table.seats[outcome.winner].name if table is not None and outcome is not None else "Nobody"
        self.heading = f"{winner} wins"
        return super().page(look)

    def fill(self, page: Page, box: Box) -> None:
        """Add what is on the card."""
        table, link = self._table, self.around.link
        if table is None or link is None or table.position is None or table.position.outcome is None:
            return
        why = "nobody else is left" if table.position.outcome.reason == "conquest" else "the last round is over"
        page.write(f"{why}, after {table.position.round} rounds", box.x, box.y + 2, 16.0, QUIET, room=400, layer=2)
        self._chart(page, Box(box.x, box.y + 34, 560, 330), table)
        self._ranks(page, Box(box.x + 596, box.y + 28, box.width - 596, 340), table)
        y = box.y + 392
        agreed = link.agreement.shown(page.look.now)
        proof = f"Log verified on {agreed[1]} of {agreed[2]} machines: state {agreed[0]}." if agreed[0] else ""
        page.write(proof, box.x, y, 15.0, GREEN if agreed[1] == agreed[2] else AMBER, room=560, layer=2)
        moves = [move for move in link.story.moves if move.seal_before and move.game == table.game]
        gaps = ", ".join(f"{move.gap_ms:.0f} ms" for move in moves)
        said = f"Seen from here, the host moved {len(moves)} times: {gaps}." if moves else "The host never moved."
        if len(moves) == 1:
            said = f"Seen from here, the host moved once: {gaps}."
        page.write(said, box.x, y + 26, 15.0, QUIET, room=box.width - 10, layer=2)
        foot = box.bottom - 56
        page.button(
            "rematch",
            Box(box.x, foot, 230, 56),
            "Rematch",
            "back to the lobby",
            kind="main",
            enabled=link.place >= 0,
        )
        page.button("save", Box(box.x + 244, foot, 230, 56), "Save the replay", self._saved_as)
        page.button("board", Box(box.x + 488, foot, 230, 56), "Look at the board", "Esc")
        page.button("menu", Box(box.right - 230, foot, 230, 56), "Leave the table")

    def _chart(self, page: Page, box: Box, table: Table) -> None:
        """Add the territories of each seat, round by round."""
        page.write("Territories", box.x, box.y + 6, 14.0, QUIET, room=200, layer=2)
        plot = Box(box.x + 30, box.y + 24, box.width - 40, box.height - 52)
        most = max(max(row) for row in table.history) if table.history else 1
        top = max(5, -(-most // 5) * 5)
        for line in range(0, top + 1, 5 if top <= 20 else 10):
            y = plot.bottom - plot.height * line / top
            page.draw(shapes.rectangle(plot.x, y, plot.width, 1, ink(RAISED)), 2)
            page.write(str(line), plot.x - 8, y, 12.5, QUIET, room=24, anchor="right", layer=2)
        rounds = max(1, len(table.history) - 1)
        for place, seat in enumerate(table.seats):
            points = tuple(
                (plot.x + plot.width * number / rounds, plot.bottom - plot.height * row[place] / top)
                for number, row in enumerate(table.history)
                if place < len(row)
            )
            if len(points) > 1:
                page.draw(shapes.stroke(points, 3.0, ink(SEATS[seat.colour]), closed=False), 3 + place)
            if points:
                page.draw(glyphs.glyph(seat.colour, *points[-1], 13.0, ink(SEATS[seat.colour])), 12)
        page.write("start", plot.x, plot.bottom + 16, 12.5, QUIET, room=60, layer=2)
        page.write(f"round {rounds}", plot.right, plot.bottom + 16, 12.5, QUIET, room=90, anchor="right", layer=2)

    def _ranks(self, page: Page, box: Box, table: Table) -> None:
        """Add the seats from first to last, with their luck."""
        assert table.position is not None
        page.write("land", box.right - 116, box.y + 12, 13.0, QUIET, room=60, anchor="right", layer=2)
        page.write("dice thrown", box.right, box.y + 12, 13.0, QUIET, room=100, anchor="right", layer=2)
        for number, place in enumerate(rules.ranking(table.position)):
            seat = table.seats[place]
            y = box.y + 44 + 40 * number
            page.badge(seat.colour, Box(box.x, y - 14, 28, 28), SEATS[seat.colour])
            land = table.position.owners.count(place)
            page.write(seat.name, box.x + 40, y, 16.0, room=box.width - 204, bold=number == 0, layer=2)
            page.write(str(land), box.right - 116, y, 16.0, room=40, bold=True, anchor="right", layer=2)
            page.write(words.luck_words(seat), box.right, y, 14.0, QUIET, room=106, anchor="right", layer=2)

    def act(self, name: str) -> None:
        """A target was pressed."""
        from demo_game.window.menu import Menu  # noqa: PLC0415 - they show each other

        around, link = self.around, self.around.link
        if link is None:
            return
        match name:
            case "rematch":
                link.ask(Rematch())
            case "save":
                self._save()
            case "menu":
                around.close_table(for_good=True)
                around.go(Menu(around))
            case _:
                around.back()

    def key(self, key: str) -> bool:
        """Take a key. The card comes up under people's fingers: what they meant for the board does nothing."""
        return key in ("enter", "space") and self.around.now() - self._since < PATIENCE_S

    def _save(self) -> None:
        link = self.around.link
        assert link is not None
        path = replays_folder() / time.strftime("%Y%m%d-%H%M%S.hexhold")
        replay = link.kept.replay()
        if replay is None:
            self.around.toast("This machine has nothing of that game to save.")
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replay.save(path)
        except (OSError, ValueError) as error:
            self.around.toast(f"Not saved: {error}")
        else:
            self._saved_as = path.name
            self.around.toast(f"Saved as {path}")

    def step(self, now: float) -> bool:
        """Go when somebody else asked for a rematch."""
        del now
        table = self._table
        if table is not None and table.phase is not Phase.OVER and self in self.around.overlays:
            self.around.back()
            return True
        return False


def replays_folder() -> Path:
    """Return where replays are saved: beside what else the game keeps."""
    from demo_game.window.saved import home  # noqa: PLC0415

    return home() / "replays"
