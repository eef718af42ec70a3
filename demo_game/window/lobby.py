"""The lobby: who sits where, how one gets in, what will be played. It is replicated, and survives its host."""

from __future__ import annotations

from functools import lru_cache

import segno

from demo_game.bots import Skill
from demo_game.commands import AddBot, Kick, Option, Ready, RemoveBot, SetOption, Start
from demo_game.palette import AMBER, CARD, GREEN, LEAF, QUIET, ROW, SEATS
from demo_game.rules import PLAYERS_MAX
from demo_game.table import Phase, Seat
from demo_game.window import glyphs, shapes
from demo_game.window.chat import ChatBox
from demo_game.window.fields import Field
from demo_game.window.look import Look
from demo_game.window.menu import title
from demo_game.window.overlays import Alone, Network, Pause, Rules
from demo_game.window.page import Box, Page
from demo_game.window.scene import Around, Scene
from demo_game.window.shapes import Mesh, ink
from demo_game.window.strip import banner

TURNS_S = (0, 15, 30, 45, 60, 90, 120, 300, 600)
ROUNDS = (5, 10, 15, 20, 30, 40, 60, 99)


def scene_for(around: Around) -> Scene:
    """Return the screen that belongs to the table's phase."""
    from demo_game.window.board import Board  # noqa: PLC0415 - they show each other

    link = around.link
    in_game = link is not None and link.table.phase in (Phase.PLAY, Phase.OVER)
    return Board(around) if in_game else Lobby(around)


class Lobby(Scene):
    """The lobby, and the two seconds in which the nonces are shown."""

    name = "lobby"

    def __init__(self, around: Around) -> None:
        super().__init__()
        self._around = around
        self._skill = Skill.MEDIUM
        self._shows_ticket = False
        self._chat = ChatBox(around)
        self.fields = {"chat": Field(length_max=200)}

    def page(self, look: Look) -> Page:
        """Return what is to be seen."""
        page = Page(look)
        link = self._around.link
        if link is None:
            return page
        left, top = (look.width - 1200) / 2, (look.height - 720) / 2
        title(page, left, top + 62)
        self._seats(page, Box(left, top + 138, 560, 484))
        self._way_in(page, Box(left + 584, top + 82, 616, 224))
        self._options(page, Box(left + 584, top + 322, 300, 300))
        self._chat.draw(page, Box(left + 900, top + 322, 300, 300), self.fields["chat"])
        self._foot(page, Box(left, top + 638, 1200, 58))
        banner(page, self._around, Box(left + 584, top + 18, 616, 50))
        return page

    # --- seats ---

    def _seats(self, page: Page, box: Box) -> None:
        link = self._around.link
        assert link is not None
        table = link.table
        page.card(box)
        page.write("Lobby", box.x + 26, box.y + 34, 24.0, room=160, bold=True)
        sitting = f"{len(table.seats)} of {table.options.players} seats taken"
        page.write(sitting, box.right - 26, box.y + 34, 15.0, QUIET, room=240, anchor="right")
        for number in range(table.options.players):
            row = Box(box.x + 20, box.y + 60 + 52 * number, box.width - 40, 46)
            if number < len(table.seats):
                self._seat(page, row, table.seats[number])
            else:
                self._open_seat(page, row, number)

    def _seat(self, page: Page, row: Box, seat: Seat) -> None:
        link = self._around.link
        assert link is not None
        page.panel(row, ROW, radius=8.0)
        page.badge(seat.colour, Box(row.x + 9, row.y + 9, 28, 28), SEATS[seat.colour])
        right = row.right - 14
        if not seat.is_person:
            button = Box(row.right - 46, row.y + 6, 38, 34)
            page.button(f"unbot {seat.colour}", button, "×", size=20.0)
            right = button.x - 10
        elif link.is_host and seat.member != link.me:
            button = Box(row.right - 46, row.y + 6, 38, 34)
            page.button(f"kick {seat.colour}", button, "×", size=20.0)
            right = button.x - 10
        state, colour = self._state(seat)
        width = page.write(state, right, row.middle[1], 15.0, colour, room=190, anchor="right", layer=2)
        name_x = row.x + 50
        if seat.is_person and seat.member == link.table.host:
            page.draw(glyphs.crown(name_x + 9, row.middle[1] - 1, 19.0, ink(AMBER)), 2)
            name_x += 28
        you = " (you)" if seat.member == link.me and seat.is_person else ""
        room = right - min(width, 190) - 12 - name_x
        tail = page.look.measure(you, 17.0, False)
        name = page.fitted(seat.name, 17.0, room - tail)
        page.write(name + you, name_x, row.middle[1], 17.0, room=room, layer=2)

    def _state(self, seat: Seat) -> tuple[str, tuple[int, int, int]]:
        link = self._around.link
        assert link is not None
        if seat.skill:
            return f"{Skill(seat.skill).name.lower()} bot", QUIET
        if seat.away_ms:
            return "away", AMBER
        hosts = "host · " if seat.member == link.table.host else ""
        return (f"{hosts}ready", GREEN) if seat.nonce_hash else (f"{hosts}not ready", QUIET)

    def _open_seat(self, page: Page, row: Box, number: int) -> None:
        page.panel(row, shapes.mixed(CARD, ROW, 45), radius=8.0)
        page.write("open seat", row.x + 50, row.middle[1], 16.0, QUIET, room=200, layer=2)
        link = self._around.link
        if link is not None and link.place >= 0 and number == len(link.table.seats):
            page.button("skill", Box(row.right - 252, row.y + 6, 112, 34), self._skill.name.lower(), size=15.0)
            page.button("bot", Box(row.right - 130, row.y + 6, 120, 34), "+ add bot", size=15.0)

    # --- how others get in ---

    def _way_in(self, page: Page, box: Box) -> None:
        link = self._around.link
        assert link is not None
        page.card(box)
        inner = box.inset(26, 20)
        room = inner.width - 204
        page.write("Let others in", inner.x, inner.y + 10, 20.0, room=room, bold=True)
        if not link.ticket:
            words = link.code_trouble or "Whoever hosts shows a short code. You can show one of your own, too."
            page.prose(words, Box(inner.x, inner.y + 40, room, 70), 15.0, QUIET)
            page.button("invite", Box(inner.x, inner.bottom - 50, 260, 50), "Show a code and a ticket")
            return
        if link.code:
            chip = Box(inner.x, inner.y + 34, 236, 54)
            page.panel(chip, LEAF)
            page.write(link.code, *chip.middle, 29.0, room=chip.width - 16, bold=True, anchor="center", layer=2)
            hint = "on this network: typed, or in the list"
            page.prose(hint, Box(chip.right + 12, chip.y - 4, room - chip.width - 12, 66), 13.5, QUIET)
        else:
            page.prose(f"No short code. {link.code_trouble}", Box(inner.x, inner.y + 34, room, 60), 15.0, AMBER)
        page.write(
            "From elsewhere: the ticket (Ctrl+C copies it)",
            inner.x,
            inner.y + 112,
            14.0,
            QUIET,
            room=room,
        )
        chip = Box(inner.x, inner.y + 130, room - 96, 44)
        page.panel(chip, ROW, radius=8.0)
        page.write(link.ticket, chip.x + 12, chip.middle[1], 14.0, QUIET, room=chip.width - 24, layer=2)
        page.button("copy", Box(chip.right + 10, chip.y, 86, 44), "Copy", size=15.0)
        square = Box(inner.right - 184, inner.y, 184, 184)
        page.panel(square, (255, 255, 255), radius=6.0)
        page.draw(qr(link.ticket, square.x + 5, square.y + 5, square.width - 10), 2)

    # --- what is played ---

    def _options(self, page: Page, box: Box) -> None:
        link = self._around.link
        assert link is not None
        page.card(box)
        inner = box.inset(24, 20)
        options, mine = link.table.options, link.place >= 0
        page.write("Game", inner.x, inner.y + 10, 20.0, room=120, bold=True)
        clock = f"{options.turn_s} s" if options.turn_s else "no clock"
        rows = (
            ("players", "Seats", str(options.players)),
            ("map", "Map", options.size.name),
            ("turn", "Turn", clock),
            ("rounds", "Rounds", str(options.rounds)),
        )
        for number, (name, label, value) in enumerate(rows):
            page.choice(
                name, Box(inner.x, inner.y + 36 + 44 * number, inner.width, 36), label, value, enabled=mine
            )
        said = "The dice are fixed: no new host can reroll."
        page.prose(said, Box(inner.x, inner.y + 218, inner.width, 42), 14.0, QUIET)

    def _foot(self, page: Page, box: Box) -> None:
        link = self._around.link
        assert link is not None
        page.button("pause", Box(box.x, box.y, 130, box.height), "Menu", "Esc")
        page.button("rules", Box(box.x + 142, box.y, 130, box.height), "Rules", "F1")
        page.button("network", Box(box.x + 284, box.y, 130, box.height), "Network", "F2")
        if link.place < 0:
            full = len(link.table.seats) >= link.table.options.players
            words = "You are watching: every seat is taken." if full else "You are watching."
            button = Box(box.right - 238, box.y, 238, box.height)
            page.write(words, button.x - 24, box.middle[1], 17.0, AMBER, room=340, anchor="right")
            page.button("sit", button, "Take a seat", kind="main", enabled=not full)
            return
        if link.table.phase is Phase.REVEAL:
            said = "Drawing the dice of all players…"
            page.write(said, box.right, box.middle[1], 18.0, AMBER, room=500, anchor="right")
            return
        ready = bool(link.table.seats[link.place].nonce_hash)
        start = Box(box.x + 834, box.y, 366, box.height)
        waits = self._waits_for()
        page.button(
            "ready",
            Box(box.x + 584, box.y, 238, box.height),
            "Ready" if not ready else "Not ready",
            "R",
            kind="quiet" if ready else "main",
        )
        page.button(
            "start",
            start,
            "Start the game",
            waits or "Enter",
            kind="main" if ready else "quiet",
            enabled=not waits,
        )

    def _waits_for(self) -> str:
        """Return why the game cannot start yet; empty if it can."""
        link = self._around.link
        assert link is not None
        seats = link.table.seats
        if len(seats) < 2:
            return "two seats must be taken"
        late = [s.name for s in seats if s.is_person and not s.nonce_hash and not s.away_ms]
        if late:
            return f"waiting for {late[0]}" + (f" and {len(late) - 1} more" if len(late) > 1 else "")
        return ""

    # --- what is done ---

    def act(self, name: str) -> None:
        """A target was pressed."""
        link = self._around.link
        if link is None:
            return
        match name.split(" "):
            case ["bot"]:
                link.ask(AddBot(self._skill))
            case ["skill"]:
                self._skill = Skill(self._skill % len(Skill) + 1)
            case ["unbot", colour]:
                link.ask(RemoveBot(int(colour)))
            case ["kick", colour]:
                link.ask(Kick(int(colour)))
            case ["ready"]:
                seat = link.table.seats[link.place]
                link.ask(Ready(b"") if seat.nonce_hash else link.ready())
            case ["start"]:
                link.ask(Start())
            case ["invite"]:
                link.invite()
            case ["sit"]:
                link.sit_down()
            case ["copy"]:
                self.key("copy")
            case ["players" | "map" | "turn" | "rounds" as what, sign]:
                link.ask(self._stepped(what, 1 if sign == "+" else -1))
            case _:
                self._act_around(name)

    def _act_around(self, name: str) -> None:
        """Take a press on what is not about the table itself."""
        around, link = self._around, self._around.link
        match name:
            case "pause":
                around.over(Pause(around))
            case "rules":
                around.over(Rules(around))
            case "network":
                around.over(Network(around))
            case "wait" if link is not None:
                link.story.wait()
            case "alone":
                around.over(Alone(around))
            case _:
                self._chat.act(name, self.fields["chat"])

    def _stepped(self, what: str, by: int) -> SetOption:
        link = self._around.link
        assert link is not None
        options = link.table.options
        match what:
            case "players":
                least = max(2, len(link.table.seats))
                return SetOption(
                    Option.PLAYERS, (options.players - least + by) % (PLAYERS_MAX + 1 - least) + least
                )
            case "map":
                return SetOption(Option.MAP, 1 - options.map)
            case "turn":
                return SetOption(Option.TURN, _next(TURNS_S, options.turn_s, by))
            case _:
                return SetOption(Option.ROUNDS, _next(ROUNDS, options.rounds, by))

    def enter(self, name: str) -> None:
        """Enter was pressed in a line."""
        self._chat.act(f"send {name}", self.fields["chat"])

    def key(self, key: str) -> bool:
        """Take a key."""
        link = self._around.link
        if link is None:
            return False
        match key:
            case "r" if link.place >= 0:
                self.act("ready")
            case "enter" if not self._around.focus:
                if waits := self._waits_for():
                    self._around.toast(f"Not yet: {waits}.")
                else:
                    self.act("start")
            case "t":
                self._around.focus = "chat"
            case "f1":
                self.act("rules")
            case "f2":
                self.act("network")
            case "escape":
                self.act("pause")
            case "copy" if link.ticket and not self.fields["chat"].text:
                self._around.copy(link.ticket)
                self._around.toast("The ticket is in the clipboard.")
            case _:
                return False
        return True

    def step(self, now: float) -> bool:
        """Go on to the board once the game is dealt."""
        del now
        link = self._around.link
        if link is None:
            return False
        if link.error:
            leave_broken(self._around)
            return True
        if link.table.phase in (Phase.PLAY, Phase.OVER):
            self._around.sound("start")
            self._around.go(scene_for(self._around))
            return True
        return False


def leave_broken(around: Around) -> None:
    """Show the menu, and why the table is no more."""
    from demo_game.window.menu import Menu  # noqa: PLC0415 - they show each other

    error = around.link.error if around.link is not None else ""
    around.close_table(for_good=False)
    around.go(Menu(around, error))


def _next(values: tuple[int, ...], value: int, by: int) -> int:
    """Return the value of a row that comes after this one, round and round."""
    here = min(range(len(values)), key=lambda k: abs(values[k] - value))
    return values[(here + by) % len(values)]


@lru_cache(maxsize=4)
def qr(text: str, x: float, y: float, width: float) -> Mesh:
    """Return a text as a QR code, dark on whatever is below; a phone's camera reads it."""
    rows = list(segno.make_qr(text, error="l", boost_error=False).matrix_iter(border=2))
    side = width / len(rows)
    dark = ink((12, 16, 24))
    squares = [
        # Grown by a hair, so that no line shows between two.
        shapes.rectangle(x + side * column, y + side * row, side + 0.05, side + 0.05, dark)
        for row, line in enumerate(rows)
        for column, bit in enumerate(line)
        if bit
    ]
    return shapes.together(*squares)
