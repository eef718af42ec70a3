"""The menu, and the page that is shown while a table is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from demo_game.land import SIZES
from demo_game.palette import AMBER, QUIET, RED, ROW, SEATS, TEXT
from demo_game.table import NAME_LENGTH_MAX
from demo_game.window import glyphs, shapes
from demo_game.window.fields import Field
from demo_game.window.look import Look
from demo_game.window.overlays import Rules, SettingsCard
from demo_game.window.page import Box, Page
from demo_game.window.scene import Around, Scene
from demo_game.window.shapes import ink

if TYPE_CHECKING:
    import failover

TICKET_LENGTH_MAX = 2_000
GAMES_SHOWN = 4
ERROR_LINES = 2


def title(page: Page, x: float, y: float) -> None:
    """Write the game's name."""
    page.write("HEXHOLD", x, y, 58.0, room=420, bold=True)
    page.write("a hex dice war that outlives its host", x + 3, y + 46, 18.0, QUIET, room=460)


def signs(page: Page, x: float, y: float) -> None:
    """Draw the eight signs of the seats, as an ornament."""
    for colour, shade in enumerate(SEATS):
        page.draw(glyphs.glyph(colour, x + 44 * colour, y, 24.0, ink(shade, 190)))


class Menu(Scene):
    """Where the game begins."""

    name = "menu"

    def __init__(self, around: Around, error: str = "") -> None:
        super().__init__()
        self._around, self._error = around, error
        self._games = around.saved.games()
        self.fields = {
            "name": Field(around.saved.settings.name, NAME_LENGTH_MAX),
            "ticket": Field("", TICKET_LENGTH_MAX),
            "replay file": Field("", 1_000),
        }
        self.fields["name"].end()
        self._asks_file = False
        self._seen: object = None
        self._listed: tuple[failover.ListedGame, ...] = ()

    def page(self, look: Look) -> Page:
        """Return what is to be seen."""
        page = Page(look)
        left = (look.width - 1120) / 2
        top = (look.height - 720) / 2
        title(page, left, top + 82)
        signs(page, left + 790, top + 104)
        self._play(page, Box(left, top + 168, 540, 432))
        self._join(page, Box(left + 580, top + 168, 540, 432))
        self._foot(page, left, top + 626)
        if self._error:
            lines = page.wrapped(self._error, 15.0, look.width - 120)[:ERROR_LINES]
            for number, line in enumerate(lines):
                y = top + 700 + 20 * (number - len(lines) / 2 + 0.5)
                page.write(line, look.width / 2, y, 15.0, RED, room=look.width - 100, anchor="center")
        return page

    def _play(self, page: Page, box: Box) -> None:
        page.card(box)
        inner = box.inset(30, 26)
        page.write("Your name", inner.x, inner.y + 4, 15.0, QUIET, room=200)
        placeholder = "as others shall see it"
        page.field("name", Box(inner.x, inner.y + 20, inner.width, 44), self.fields["name"], placeholder)
        page.button(
            "host", Box(inner.x, inner.y + 78, inner.width, 56), "Host a game", "others join you", kind="main"
        )
        settings = self._around.saved.settings
        y = inner.y + 150
        page.button("solo", Box(inner.x, y, inner.width, 54), "Play alone", "against bots on this machine")
        rows = (
            ("bots", "Bots", str(settings.bots)),
            ("skill", "They play", {1: "easy", 2: "medium", 3: "hard"}[settings.skill]),
            ("map", "Map", f"{SIZES[settings.map].name} ({SIZES[settings.map].territories})"),
        )
        for number, (name, label, value) in enumerate(rows):
            page.choice(name, Box(inner.x, y + 66 + 36 * number, inner.width, 30), label, value)
        if self._games:
            game = self._games[0]
            words = f"Rejoin ({game.words})"
            page.button("rejoin", Box(inner.x, inner.bottom - 42, inner.width, 42), words)

    def _join(self, page: Page, box: Box) -> None:
        page.card(box)
        inner = box.inset(30, 26)
        page.write("Join a game", inner.x, inner.y + 8, 22.0, room=300, bold=True)
        page.write("Short code or ticket", inner.x, inner.y + 44, 15.0, QUIET, room=inner.width)
        field = Box(inner.x, inner.y + 60, inner.width - 120, 44)
        page.field("ticket", field, self.fields["ticket"], "K7QF-3MDA or failover1-…")
        enabled = bool(self.fields["ticket"].text.strip())
        page.button("join", Box(inner.right - 108, field.y, 108, 44), "Join", kind="main", enabled=enabled)
        y = inner.y + 134
        page.write("Open on this network", inner.x, y, 15.0, QUIET, room=inner.width)
        # What is pressed is what was drawn: the list may change in between.
        games = self._listed = self._around.browser.games
        for number, game in enumerate(games[:GAMES_SHOWN]):
            row = Box(inner.x, y + 18 + 50 * number, inner.width, 44)
            lit = page.target(f"game {number}", row)
            page.panel(row, shapes.mixed(ROW, TEXT, 12) if lit else ROW, radius=8.0)
            page.write(game.title, row.x + 16, row.middle[1], 17.0, room=row.width - 130, layer=2)
            address = game.address.rsplit(":", 1)[0]
            page.write(address, row.right - 16, row.middle[1], 13.0, QUIET, room=108, anchor="right", layer=2)
        if len(games) > GAMES_SHOWN:
            more = f"and {len(games) - GAMES_SHOWN} more: ask for their short code"
            page.write(more, inner.x, y + 18 + 50 * GAMES_SHOWN + 14, 14.0, QUIET, room=inner.width)
        if not games:
            trouble = self._around.browser.trouble
            said = (
                f"No list: {trouble}" if trouble else "None yet. Who hosts a game nearby appears here by himself."
            )
            page.prose(said, Box(inner.x, y + 20, inner.width, 60), 15.0, AMBER if trouble else QUIET)
        if self._asks_file:
            field = Box(inner.x, inner.bottom - 44, inner.width - 120, 44)
            page.write("File of a replay", inner.x, field.y - 16, 15.0, QUIET, room=inner.width)
            page.field("replay file", field, self.fields["replay file"], "path, or drop the file here")
            page.button("open replay", Box(inner.right - 108, field.y, 108, 44), "Open")

    def _foot(self, page: Page, x: float, y: float) -> None:
        buttons = (
            ("replay", "Watch a replay"),
            ("settings", "Settings"),
            ("rules", "Rules and keys"),
            ("quit", "Quit"),
        )
        for number, (name, words) in enumerate(buttons):
            page.button(name, Box(x + 286 * number, y, 262, 46), words, size=16.0)

    # --- what is done ---

    def act(self, name: str) -> None:
        """A target was pressed."""
        self._keep_name()
        around = self._around
        match name.split(" "):
            case ["host"]:
                around.open_table()
                around.go(Opening(around))
            case ["solo"]:
                around.open_table(solo=True)
                around.go(Opening(around))
            case ["rejoin"]:
                around.open_table(folder=Path(self._games[0].folder), solo=self._games[0].solo)
                around.go(Opening(around))
            case ["join"]:
                self.enter("ticket")
            case ["game", number] if int(number) < len(self._listed):
                self._join_with(self._listed[int(number)].code)
            case ["bots" | "skill" | "map" as what, sign]:
                self._step_option(what, 1 if sign == "+" else -1)
            case ["replay"]:
                self._asks_file = not self._asks_file
                around.focus = "replay file" if self._asks_file else ""
            case ["open", "replay"]:
                self.enter("replay file")
            case ["settings"]:
                around.over(SettingsCard(around))
            case ["rules"]:
                around.over(Rules(around))
            case ["quit"]:
                around.end()

    def _step_option(self, what: str, by: int) -> None:
        least, count = {"bots": (1, 7), "skill": (1, 3), "map": (0, 2)}[what]
        value = getattr(self._around.saved.settings, what)
        self._around.saved.change(**{what: (value - least + by) % count + least})

    def _keep_name(self) -> None:
        name = self.fields["name"].text.strip()
        if name != self._around.saved.settings.name:
            self._around.saved.change(name=name)

    def enter(self, name: str) -> None:
        """Enter was pressed in a line."""
        self._keep_name()
        if name == "ticket" and self.fields["ticket"].text.strip():
            self._join_with(self.fields["ticket"].text)
        elif name == "replay file" and self.fields["replay file"].text.strip():
            self.open_replay(Path(self.fields["replay file"].text.strip()))
        else:
            self._around.focus = ""

    def _join_with(self, typed: str) -> None:
        self._around.open_table(ticket="".join(typed.split()))
        self._around.go(Opening(self._around))

    def open_replay(self, path: Path) -> None:
        """Show a replay."""
        from demo_game.replay import BadReplay, load_untrusted  # noqa: PLC0415
        from demo_game.window.playback import Playback  # noqa: PLC0415

        try:
            playback = Playback(self._around, load_untrusted(path))
        except (BadReplay, OSError) as error:
            self._around.toast(str(error))
        else:
            self._around.browser.stop()
            self._around.go(playback)

    def key(self, key: str) -> bool:
        """Take a key."""
        if key == "f1":
            self._around.over(Rules(self._around))
        elif key == "enter" and not self._around.focus:
            self.act("host")
        else:
            return False
        return True

    def step(self, now: float) -> bool:
        """Look at which games are open nearby."""
        del now
        self._around.browser.start()  # not before the first picture: it takes half a second of importing
        seen, self._seen = self._seen, (self._around.browser.games, self._around.browser.trouble)
        return seen != self._seen


class Opening(Scene):
    """Shown while a table is founded, joined or resumed."""

    name = "opening"

    def __init__(self, around: Around) -> None:
        super().__init__()
        self._around = around
        self._since = around.now()

    def page(self, look: Look) -> Page:
        """Return what is to be seen."""
        page = Page(look)
        page.again(0.25)
        box = Box((look.width - 520) / 2, (look.height - 240) / 2, 520, 240)
        page.card(box)
        link = self._around.link
        joins = link is not None and link.opening.ticket is not None
        words = "Looking for the table…" if joins else "Opening the table…"
        page.write(words, look.width / 2, box.y + 60, 22.0, room=480, bold=True, anchor="center")
        lit = int((look.now - self._since) * 4) % 8
        for colour, shade in enumerate(SEATS):
            alpha = 255 if colour == lit else 70
            page.draw(
                glyphs.glyph(colour, look.width / 2 - 126 + 36 * colour, box.y + 116, 20.0, ink(shade, alpha)), 2
            )
        page.button("cancel", Box(box.middle[0] - 90, box.bottom - 70, 180, 44), "Cancel", "")
        return page

    def act(self, name: str) -> None:
        """A target was pressed."""
        if name == "cancel":
            self._around.close_table(for_good=False)
            self._around.go(Menu(self._around))

    def key(self, key: str) -> bool:
        """Take a key."""
        if key == "escape":
            self.act("cancel")
            return True
        return False

    def step(self, now: float) -> bool:
        """Go on to the table once it is there."""
        from demo_game.window.lobby import scene_for  # noqa: PLC0415 - they show each other

        del now
        link = self._around.link
        if link is None:
            return False
        if link.error:
            error = link.error
            self._around.close_table(for_good=False)
            self._around.go(Menu(self._around, error))
            return True
        if link.is_open and link.is_known and (link.place >= 0 or link.spectates or link.table.seats):
            self._around.go(scene_for(self._around))
            return True
        return False
