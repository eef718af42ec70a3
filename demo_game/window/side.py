"""The panel beside the board: players, machines, what proves that all is well, the chat."""

from __future__ import annotations

import failover
from demo_game import rules
from demo_game.palette import AMBER, GREEN, QUIET, RAISED, RED, ROW, SEATS, TEXT
from demo_game.rules import Position
from demo_game.table import Phase, Seat, Table
from demo_game.window import glyphs, shapes, words
from demo_game.window.chat import ChatBox
from demo_game.window.fields import Field
from demo_game.window.link import Link
from demo_game.window.page import Box, Page
from demo_game.window.scene import Around
from demo_game.window.shapes import ink, mixed

WIDTH = 308.0
_MACHINE = 20.0
_PLUG = 30.0


class Side:
    """The panel."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._chat = ChatBox(around)
        self.shows_next = False
        """Whether it says who would host next."""

    def draw(self, page: Page, box: Box, position: Position, typed: Field) -> None:
        """Add the panel to a page."""
        link = self._around.link
        if link is None:
            return
        page.card(box)
        inner = box.inset(14)
        page.write("HEXHOLD", inner.x + 4, inner.y + 10, 19.0, room=150, bold=True)
        rounds = f"round {position.round} of {position.rounds}"
        page.write(rounds, inner.x + 4, inner.y + 30, 13.0, QUIET, room=150)
        page.button("pause", Box(inner.right - 68, inner.y + 2, 68, 32), "Menu", size=14.0)
        seats = link.table.seats
        step = 44.0 if len(seats) <= 6 else 40.0
        y = inner.y + 44
        now_ms = self._cluster_ms(link, page.look.now)
        for place, seat in enumerate(seats):
            self._player(
                page, Box(inner.x, y + step * place, inner.width, step - 5), link, position, place, seat, now_ms
            )
        y += step * len(seats) + 6
        y = self._network(page, Box(inner.x, y, inner.width, inner.bottom - y), link)
        chat = Box(inner.x, y, inner.width, inner.bottom - y)
        self._chat.draw(page, chat, typed, card=False)

    def act(self, name: str, typed: Field) -> None:
        """Take a press on something of the panel."""
        link = self._around.link
        if name == "who is next":
            self.shows_next = not self.shows_next
        elif name == "plug" and link is not None:
            link.pull_the_plug()
        else:
            self._chat.act(name, typed)

    def _cluster_ms(self, link: Link, now: float) -> int:
        """Return about what time it is for the table, which counts absences in it."""
        clock = link.table.clock
        return clock.mark_ms + link.used_ms(now) - clock.used_ms

    def _player(
        self, page: Page, row: Box, link: Link, position: Position, place: int, seat: Seat, now_ms: int
    ) -> None:
        table, y = link.table, row.middle[1]
        turn = table.on_turn is seat
        page.panel(row, mixed(ROW, SEATS[seat.colour], 26) if turn else ROW, radius=8.0)
        out = not position.owners.count(place)
        side = row.height - 10
        badge = mixed(SEATS[seat.colour], ROW, 60) if out else SEATS[seat.colour]
        page.badge(seat.colour, Box(row.x + 6, row.y + 5, side, side), badge)
        right = row.right - 10
        stock = position.stock[place]
        if not out:
            page.write(
                f"+{rules.income(position, place)}", right, y, 14.0, QUIET, room=38, anchor="right", layer=2
            )
            page.write(
                str(position.owners.count(place)), right - 38, y, 18.0, room=30, bold=True, anchor="right", layer=2
            )
            if stock:
                page.write(f"{stock} kept", right - 70, y, 12.5, AMBER, room=48, anchor="right", layer=2)
        else:
            page.write("out", right, y, 14.0, QUIET, room=50, anchor="right", layer=2)
        x = row.x + side + 16
        room = right - (118 if stock else 72) - x
        note = self._note(table, seat, now_ms, turn=turn, mine=seat.member == link.me and seat.is_person)
        if seat.is_person and seat.member == table.host:
            page.draw(glyphs.crown(x + 8, y - (8 if note else 1), 16.0, ink(AMBER)), 2)
            x, room = x + 22, room - 22
        colour = QUIET if out or seat.away_ms else TEXT
        page.write(seat.name, x, y - (8 if note else 0), 16.0, colour, room=room, bold=turn, layer=2)
        if note:
            x = row.x + side + 16
            page.write(
                note, x, y + 10, 12.5, AMBER if turn or seat.away_ms else QUIET, room=right - 72 - x, layer=2
            )

    def _note(self, table: Table, seat: Seat, now_ms: int, *, turn: bool, mine: bool) -> str:
        note = words.seat_note(table, seat, now_ms)
        if mine and not note:
            return "you, your turn" if turn else "you"
        return note

    def _network(self, page: Page, box: Box, link: Link) -> float:
        """Add the machines; return where the next thing goes."""
        status = link.status
        if status is None:
            return box.y
        page.write("NETWORK", box.x + 6, box.y + 10, 13.0, QUIET, room=90, bold=True)
        button = Box(box.x + 90, box.y - 2, 104, 24)
        kind = "on" if self.shows_next else "quiet"
        page.button("who is next", button, "Who is next?", kind=kind, size=13.0)
        page.write("F2", box.right - 6, box.y + 10, 13.0, QUIET, room=30, anchor="right")
        y = box.y + 28
        # Long tables leave less room: the network page (F2) shows all machines.
        beside = 208 + (_PLUG if self._around.dev else 0)
        fit = max(2, int((box.height - beside) // _MACHINE))
        members = sorted(status.members, key=lambda m: (not m.is_host, not m.is_connected))
        for member in members[:fit]:
            self._machine(page, box, y + _MACHINE / 2, link, member)
            y += _MACHINE
        if len(members) > fit:
            page.write(f"and {len(members) - fit} more: F2", box.x + 20, y + 9, 13.0, QUIET, room=200)
            y += _MACHINE
        if self._around.dev:
            row = Box(box.x, y + 3, box.width, 24)
            page.button("plug", row, "Pull the plug on the host", kind="danger", size=13.0)
            y += _PLUG
        y += 4
        if self.shows_next:
            said = words.next_host(status)
            told = f"Next host: {said[0]}, {said[1]}." if said else "Nobody else could host now."
            for line in page.wrapped(told, 13.0, box.width - 12)[:2]:
                page.write(line, box.x + 6, y + 9, 13.0, GREEN if said else AMBER, room=box.width - 10)
                y += 18
        proof = link.agreement.words(page.look.now)
        page.write(f"state {proof}" if proof else "state …", box.x + 6, y + 9, 13.0, QUIET, room=box.width - 10)
        y += 18
        if link.table.seal and link.table.phase is Phase.PLAY:
            sealed = f"next dice sealed as {link.table.seal.hex()}"
            page.write(sealed, box.x + 6, y + 9, 13.0, QUIET, room=box.width - 10)
            y += 18
        return y + 6

    def _machine(self, page: Page, box: Box, y: float, link: Link, member: failover.MemberStatus) -> None:
        role = words.role_of(member)
        colour = {"host": AMBER, "gone": RED}.get(role, GREEN)
        page.draw(shapes.disc(box.x + 11, y, 4.0, ink(colour)), 2)
        you = " (you)" if member.member == link.me else ""
        tail = page.look.measure(you, 14.0, False)
        name = page.fitted(member.name, 14.0, 112 - tail)
        page.write(name + you, box.x + 22, y, 14.0, room=114)
        page.write(role, box.x + 142, y, 14.0, colour, room=52)
        trip = f"{member.round_trip_ms:.0f} ms" if member.round_trip_ms is not None and role != "gone" else "–"
        page.write(trip, box.x + 236, y, 13.0, QUIET, room=44, anchor="right")
        page.draw(shapes.rounded(box.x + 242, y - 3.5, 34, 7, 3.5, ink(RAISED)), 2)
        if member.hint and role != "gone":
            wide = max(4.0, 34 * member.hint / words.FITTEST)
            page.draw(shapes.rounded(box.x + 242, y - 3.5, wide, 7, 3.5, ink(GREEN)), 3)
