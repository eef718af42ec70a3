"""The chat: the table's last lines, with what this machine measured, and a line to type into."""

from __future__ import annotations

from demo_game.commands import Chat, Refused, Reply
from demo_game.palette import AMBER, QUIET, SEATS, TEXT, Colour
from demo_game.table import LineKind, Table
from demo_game.window.fields import Field
from demo_game.window.page import Box, Page
from demo_game.window.scene import Around
from demo_game.window.shapes import mixed

SIZE = 14.0
LINE = 19.0


class ChatBox:
    """Lines above, what is typed below."""

    def __init__(self, around: Around) -> None:
        self._around = around

    def draw(self, page: Page, box: Box, typed: Field, *, card: bool = True) -> None:
        """Add the chat to a page."""
        link = self._around.link
        if link is None:
            return
        if card:
            page.card(box)
            box = box.inset(20, 16)
            page.write("Chat", box.x, box.y + 18, 20.0, room=120, bold=True)
            box = Box(box.x, box.y + 40, box.width, box.height - 40)
        field = Box(box.x, box.bottom - 38, box.width, 38)
        placeholder = "T to chat" if link.place >= 0 else "take a seat to chat"
        page.field("chat", field, typed, placeholder, size=15.0)
        rows = int((field.y - 6 - box.y) // LINE)
        lines: list[tuple[str, Colour]] = []
        for line in link.table.lines[-rows:]:
            told = self._told(link.table, line.kind, line.colour, line.text) or (link.story.told(line), AMBER)
            lines += [(part, told[1]) for part in page.wrapped(told[0], SIZE, box.width)]
        y = field.y - 8 - LINE * min(rows, len(lines))
        for words, colour in lines[max(0, len(lines) - rows) :]:
            page.write(words, box.x, y + LINE / 2, SIZE, colour, room=box.width + 1)
            y += LINE

    def _told(self, table: Table, kind: LineKind, colour: int, text: str) -> tuple[str, Colour] | None:
        """Return a line's words and colour; None for a change of host, which is measured here."""
        if kind is LineKind.HOST:
            return None
        if kind is LineKind.STORY:
            return text, QUIET
        place = table.colour_place(colour)
        name = table.seats[place].name if place >= 0 else "somebody"
        return f"{name}: {text}", mixed(SEATS[colour], TEXT, 55)

    def act(self, name: str, typed: Field) -> None:
        """Send what was typed."""
        link = self._around.link
        if name == "send chat" and link is not None:
            text = typed.clear().strip()
            if text:
                link.ask(Chat(text), lambda reply: _put_back(reply, typed, text))
            self._around.focus = ""


def _put_back(reply: Reply, typed: Field, text: str) -> None:
    """Give a line back that was refused, unless the next one has been begun."""
    if isinstance(reply, Refused) and not typed.text:
        typed.put(text)
