"""Cards above a screen: rules and keys, settings, the network page, leaving, going on alone."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from demo_game.commands import Surrender
from demo_game.palette import AMBER, GREEN, QUIET, RED, ROW, TEXT
from demo_game.table import Phase
from demo_game.window import words
from demo_game.window.look import Look
from demo_game.window.page import Box, Page
from demo_game.window.saved import ANIMATIONS
from demo_game.window.scene import Around, Scene
from demo_game.window.shapes import ink, rounded

if TYPE_CHECKING:
    import failover

_RULES = (
    "Attack from a territory of yours with two dice or more into a neighbour that is not yours.",
    "Both sides roll all their dice. The greater sum wins; equal sums, and the defender holds.",
    "Who wins moves in with all dice but one. Who loses is left with one die.",
    "End your turn, and you get as many dice as your largest connected region has territories. "
    "They fall on your land at random, eight at most on one.",
    "The last one on the map wins; after the last round, who holds the most territories.",
    "Nobody picks the dice: they follow from numbers that all players commit to before the game. "
    "A new host rolls the same ones.",
)
_KEYS = (
    ("Arrows", "from territory to territory"),
    ("Tab", "next to attack from, or to attack"),
    ("Enter", "choose it, attack it"),
    ("Space", "end the turn"),
    ("Esc", "let go; leave"),
    ("T / N", "chat / who would host next"),
    ("M / A", "sounds / speed of animations"),
    ("F1 / F2", "this card / the network"),
    ("F11 / F12", "full screen / screenshot"),
)


class Card(Scene):
    """An overlay in the middle of the page that Esc closes."""

    is_overlay = True
    size = (760.0, 560.0)
    heading = ""

    def __init__(self, around: Around) -> None:
        super().__init__()
        self.around = around

    def page(self, look: Look) -> Page:
        """Return what is to be seen."""
        page = Page(look)
        page.dim()
        width, height = self.size
        box = Box((look.width - width) / 2, (look.height - height) / 2, width, height)
        page.card(box)
        page.write(self.heading, box.x + 34, box.y + 42, 26.0, room=width - 150, bold=True, layer=2)
        page.button("close", Box(box.right - 112, box.y + 22, 84, 38), "Esc", size=14.0)
        self.fill(page, Box(box.x + 34, box.y + 80, width - 68, height - 110))
        return page

    def fill(self, page: Page, box: Box) -> None:
        """Add what is on the card."""
        raise NotImplementedError

    def act(self, name: str) -> None:
        """A target was pressed."""
        if name == "close":
            self.around.back()


class Rules(Card):
    """Rules and keys."""

    name = "rules"
    heading = "Rules and keys"
    size = (980.0, 570.0)

    def fill(self, page: Page, box: Box) -> None:
        """Add what is on the card."""
        y = box.y
        for rule in _RULES:
            page.draw(rounded(box.x, y + 7, 6, 6, 3, ink(AMBER)), 2)
            y = page.prose(rule, Box(box.x + 20, y - 2, 460, 160), 16.0, layer=2) + 11
        x = box.x + 520
        for number, (key, meaning) in enumerate(_KEYS):
            middle = box.y + 14 + 42 * number
            page.panel(Box(x, middle - 16, 104, 32), ROW, radius=7.0)
            page.write(key, x + 52, middle, 15.0, room=96, bold=True, anchor="center", layer=3)
            page.write(meaning, x + 120, middle, 15.0, QUIET, room=box.right - x - 120, layer=2)

    def key(self, key: str) -> bool:
        """Take a key."""
        if key == "f1":
            self.around.back()
            return True
        return False


class SettingsCard(Card):
    """What a player may choose."""

    name = "settings"
    heading = "Settings"
    size = (640.0, 420.0)

    def fill(self, page: Page, box: Box) -> None:
        """Add what is on the card."""
        settings = self.around.saved.settings
        speeds = {"slow": "slow · 0.45 s", "fast": "fast · 0.18 s", "off": "off"}
        rows = (
            ("sound", "Sounds", "on" if settings.sound else "off"),
            ("animation", "Animations", speeds[settings.animation]),
            ("low_motion", "Low motion", "on" if settings.low_motion else "off"),
            ("fullscreen", "Full screen", "on" if settings.fullscreen else "off"),
        )
        for number, (name, label, value) in enumerate(rows):
            page.choice(name, Box(box.x, box.y + 8 + 54 * number, box.width, 40), label, value)
        hint = "Low motion: dice do not roll and nothing pulses. Colours are told apart by their signs, too."
        page.prose(hint, Box(box.x, box.y + 240, box.width, 60), 15.0, QUIET)

    def act(self, name: str) -> None:
        """A target was pressed."""
        saved, settings = self.around.saved, self.around.saved.settings
        what, _, sign = name.partition(" ")
        if what in ("sound", "low_motion", "fullscreen"):
            saved.change(**{what: not getattr(settings, what)})
        elif what == "animation":
            step = 1 if sign == "+" else -1
            saved.change(animation=ANIMATIONS[(ANIMATIONS.index(settings.animation) + step) % len(ANIMATIONS)])
        else:
            super().act(name)


class Pause(Card):
    """Leaving, and what else is rarely needed."""

    name = "pause"
    heading = "Hexhold"
    size = (460.0, 520.0)
    first_focus = "resume"

    def __init__(self, around: Around) -> None:
        super().__init__(around)
        self.first_focus = "resume"

    def fill(self, page: Page, box: Box) -> None:
        """Add what is on the card."""
        link = self.around.link
        plays = link is not None and link.table.phase is Phase.PLAY and link.place >= 0
        sits = link is not None and link.place >= 0
        after = "a bot takes the seat" if plays else "the seat is free then" if sits else ""
        rows = [
            ("resume", "Back to the table", "", "main"),
            ("settings", "Settings", "", "quiet"),
            ("rules", "Rules and keys", "", "quiet"),
            ("surrender", "Surrender", "a bot plays your seat to the end", "quiet"),
            ("later", "Leave, and come back later", "your seat is kept" if sits else "", "quiet"),
            ("leave", "Leave for good", after, "danger"),
        ]
        for number, (name, label, under, kind) in enumerate(rows):
            spot = Box(box.x, box.y + 4 + 70 * number, box.width, 58)
            page.button(name, spot, label, under, kind=kind, enabled=name != "surrender" or plays)

    def act(self, name: str) -> None:
        """A target was pressed."""
        from demo_game.window.menu import Menu  # noqa: PLC0415 - they show each other

        around = self.around
        match name:
            case "resume":
                around.back()
            case "settings":
                around.over(SettingsCard(around))
            case "rules":
                around.over(Rules(around))
            case "surrender":
                if around.link is not None:
                    around.link.ask(Surrender())
                around.back()
            case "later" | "leave":
                around.close_table(for_good=name == "leave")
                around.go(Menu(around))
            case _:
                super().act(name)


class Alone(Card):
    """Going on without the others, after saying what that gives up."""

    name = "alone"
    heading = "Continue alone?"
    size = (600.0, 350.0)

    def __init__(self, around: Around) -> None:
        super().__init__(around)
        self.first_focus = "keep waiting"
        self._loss: Future[failover.Loss] | None = around.link.loss() if around.link is not None else None

    def fill(self, page: Page, box: Box) -> None:
        """Add what is on the card."""
        y = page.prose(
            "You become the host, and the game goes on with what this machine holds. Who comes back takes his "
            "seat again; if he played on, too, there will be two games.",
            Box(box.x, box.y, box.width, 90),
        )
        page.prose(self._known(), Box(box.x, y + 12, box.width, 60), 16.0, AMBER)
        middle = box.bottom - 52
        page.button("keep waiting", Box(box.x, middle, 250, 54), "Keep waiting")
        page.button("go on", Box(box.right - 250, middle, 250, 54), "Continue alone", kind="main")

    def _known(self) -> str:
        if self._loss is None or not self._loss.done() or self._loss.exception() is not None:
            return "Looking at what is known…"
        entries = self._loss.result().entries
        if not entries:
            return "Nothing is known to be lost."
        return f"{entries} accepted moves are known that this machine does not have: they would be lost."

    def act(self, name: str) -> None:
        """A target was pressed."""
        link = self.around.link
        if name == "go on" and link is not None:
            link.continue_alone()
        if name == "keep waiting" and link is not None:
            link.story.wait()
        self.around.back()


class Network(Card):
    """The network, and the last changes of host."""

    name = "network"
    heading = "Network"
    size = (1100.0, 640.0)

    def fill(self, page: Page, box: Box) -> None:
        """Add what is on the card."""
        link = self.around.link
        status = link.status if link is not None else None
        if link is None or status is None:
            page.write("There is no table.", box.x, box.y + 20, 16.0, QUIET, room=box.width, layer=2)
            return
        self._members(page, Box(box.x, box.y, box.width, 250), status)
        y = box.y + 262
        facts = (
            f"term {status.term} · log {status.last_log_index} · applied {status.applied_index} · "
            f"on disk {status.durable_index}",
            f"state {link.agreement.words(page.look.now) or '…'} · dice sealed as {link.table.seal.hex() or '–'}",
        )
        for number, line in enumerate(facts):
            page.write(line, box.x, y + 22 * number, 15.0, QUIET, room=500, layer=2)
        following = words.next_host(status)
        says = f"Next host: {following[0]} ({following[1]})" if following else "Nobody else could host now."
        colour = GREEN if following else AMBER
        page.write(says, box.right, y, 15.0, colour, room=box.width - 520, anchor="right", layer=2)
        survives = status.failures_survived
        if survives is not None:
            many = f"{survives} crash{'' if survives == 1 else 'es'} at once" if survives > 0 else "no crash"
            page.write(f"Survives {many}.", box.right, y + 22, 15.0, QUIET, room=400, anchor="right", layer=2)
        self._moves(page, Box(box.x, y + 52, box.width, box.bottom - y - 52))

    def _members(self, page: Page, box: Box, status: failover.Status) -> None:
        columns = (0, 250, 330, 450, 560, 650, 740)
        heads = ("machine", "is", "fitness", "round trip", "loss", "way", "address")
        for x, head in zip(columns, heads, strict=True):
            page.write(head, box.x + x, box.y + 6, 14.0, QUIET, room=120, layer=2)
        for number, member in enumerate(status.members[:9]):
            y = box.y + 34 + 25 * number
            role = words.role_of(member)
            colour = {"host": AMBER, "gone": RED}.get(role, GREEN)
            link = member.link
            page.draw(rounded(box.x, y - 5, 10, 10, 5, ink(colour)), 2)
            mine = " (you)" if member.member == status.member else ""
            page.write(f"{member.name}{mine}", box.x + 18, y, 15.0, room=222, layer=2)
            page.write(role, box.x + columns[1], y, 15.0, colour, room=74, layer=2)
            fitness = f"{words.fitness_percent(member.hint)} %" if member.hint else "–"
            trip = f"{member.round_trip_ms:.1f} ms" if member.round_trip_ms is not None else "–"
            loss = f"{100 * link.loss:.0f} %" if link is not None and link.loss is not None else "–"
            cells = (fitness, trip, loss, link.path if link else "", link.address if link else "")
            for x, cell, room in zip(columns[2:], cells, (110, 100, 80, 84, box.width - 740), strict=True):
                page.write(cell, box.x + x, y, 15.0, TEXT, room=room, layer=2)

    def _moves(self, page: Page, box: Box) -> None:
        link = self.around.link
        assert link is not None
        columns = (0, 330, 450, 570, 690, 830)
        heads = ("the last moves of host", "silence", "election", "together", "first commit", "seal before, after")
        for x, head in zip(columns, heads, strict=True):
            page.write(head, box.x + x, box.y + 6, 14.0, QUIET, room=200, layer=2)
        moves = list(link.story.moves)[::-1]
        if not moves:
            words_ = "None since this window is at the table."
            page.write(words_, box.x, box.y + 34, 15.0, QUIET, room=600, layer=2)
        for number, move in enumerate(moves):
            y = box.y + 32 + 22 * number
            if y + 11 > box.bottom + 12:
                break
            page.write(f"{move.source} → {move.target} ({move.reason})", box.x, y, 15.0, room=322, layer=2)
            first = f"{move.first_commit_ms:.0f} ms" if move.first_commit_ms is not None else "…"
            seals = f"{move.seal_before.hex()} {move.seal_after.hex()}".strip() or "no game"
            ms = (f"{move.silence_ms:.0f} ms", f"{move.election_ms:.0f} ms", f"{move.gap_ms:.0f} ms", first)
            for x, cell in zip(columns[1:5], ms, strict=True):
                page.write(cell, box.x + x, y, 15.0, room=110, layer=2)
            colour = GREEN if move.same_dice else QUIET
            page.write(seals, box.x + columns[5], y, 15.0, colour, room=box.width - columns[5], layer=2)

    def key(self, key: str) -> bool:
        """Take a key."""
        if key == "f2":
            self.around.back()
            return True
        return False

    def step(self, now: float) -> bool:
        """It shows times, so it changes by itself."""
        del now
        return True
