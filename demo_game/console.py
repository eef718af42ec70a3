"""Hexhold for people in a terminal: the board as text, moves typed as lines.

ready, start, B3xC1 (or b3 c1), end, say TEXT, bot hard, map small, turn 60, rounds 20, players 4,
surrender, rematch, code (to be read aloud to who wants to join from this network), quit
"""

from __future__ import annotations

import secrets
import sys
from collections import deque
from collections.abc import Callable

import trio
from rich.console import Console

import failover
from demo_game import luck, rules
from demo_game.agreement import Agreement
from demo_game.bots import Skill
from demo_game.commands import (
    AddBot,
    Attack,
    Back,
    Chat,
    Command,
    EndTurn,
    Join,
    Option,
    Order,
    Ready,
    Refused,
    Rematch,
    Reveal,
    SetOption,
    Start,
    Surrender,
    decode_reply_untrusted,
    encode_order,
)
from demo_game.player import Player
from demo_game.session import INVITE_USES, Opening, at_table, table_of, until_told, wish
from demo_game.table import Phase, Table
from demo_game.terminal import Scene, picture

LINES_KEPT = 2
TICK_S = 0.1
"""How often the table is looked at."""

HELP = __doc__.split("\n\n", 1)[1]
_OPTIONS = {"players": Option.PLAYERS, "turn": Option.TURN, "rounds": Option.ROUNDS}
_PLAIN: dict[str, Callable[[], Command]] = {"start": Start, "surrender": Surrender, "rematch": Rematch}


def command_of(line: str, table: Table, player: Player) -> Command:
    """Read a line that a player typed; ValueError, with words for him, if it says nothing."""
    word, _, rest = line.strip().partition(" ")
    word = word.lower()
    if word == "say":
        return Chat(rest)
    if word == "ready":
        return Ready(luck.nonce_hash(player.nonce(table.game), player.member, player.number))
    if word in _PLAIN and not rest:
        return _PLAIN[word]()
    if word == "bot":
        return AddBot(
            Skill[rest.strip().upper() or "MEDIUM"] if rest.strip().upper() in _skills() else Skill.MEDIUM
        )
    if word == "map":
        return SetOption(Option.MAP, 0 if rest.strip() == "small" else 1)
    if word in _OPTIONS and rest.strip().isdecimal():
        return SetOption(_OPTIONS[word], min(0xFFFF, int(rest)))
    return _move_of(line, table)


def _skills() -> list[str]:
    return [skill.name for skill in Skill]


def _move_of(line: str, table: Table) -> Command:
    text = line.strip().lower()
    if text != "end":
        text = "x".join(text.replace("x", " ").upper().split())
    try:
        move = rules.move_of(text)
    except ValueError:
        raise ValueError(f"{line.strip()[:20]!r} says nothing to me; type help") from None
    if isinstance(move, rules.Attack):
        return Attack(table.turn, table.step, move.source, move.target)
    return EndTurn(table.turn, table.step)


async def play_in_terminal(opening: Opening, wishes: tuple[Command, ...], *, solo: bool) -> None:
    """Host or join, and play by typing, until `quit`, the end of the input, or a signal."""

    async def work() -> None:
        agreement = Agreement()
        async with at_table(opening, agreement) as member, trio.open_nursery() as nursery:
            await member.read_barrier()  # who comes back looks at the present table, not at an empty one
            seat = _Seat(member, Player(member.id, opening.name), Console(highlight=False), agreement)
            if opening.found and not solo:
                ticket = await member.invite(uses=INVITE_USES)
                seat.invitation = f"Your friends join with:  demo-game join {ticket}"
                seat.say(seat.invitation)
                await seat.give_code()
            if opening.found:
                nursery.start_soon(wish, member, wishes, opening.journal)
            nursery.start_soon(seat.attend, solo)
            nursery.start_soon(seat.hear)
            await seat.listen()
            nursery.cancel_scope.cancel()

    await until_told(work)


def _looks(table: Table) -> object:
    """Return what a new picture is worth drawing for; the clock alone is not."""
    return table.turn, table.step, table.seats, table.host, table.lines


class _Seat:
    """One person at a terminal."""

    def __init__(self, member: failover.Member, player: Player, console: Console, agreement: Agreement) -> None:
        self.member, self.player, self.console, self.agreement = member, player, console, agreement
        self.banner = ""
        self.invitation = ""
        """Shown under the lobby for as long as there is one."""
        self.code = ""
        """Open until the game begins: nobody on the network is answered for longer than people want to join."""
        self._said: deque[str] = deque(maxlen=LINES_KEPT)
        self._is_playing = False

    async def give_code(self) -> None:
        """Open a short code and show it; without a network for it, the ticket must do."""
        try:
            self.code = await self.member.short_code(uses=INVITE_USES)
        except (failover.OutcomeUnknown, failover.PortInUse, failover.Unreachable) as error:
            self.say(f"  No short code: {error}")
            return
        self.say(f"On this network they join with:  {self.code}")

    def say(self, text: str) -> None:
        """Show a line, and show it again under the next picture."""
        if text != self.invitation:
            self._said.append(text)
        self._print(text)

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    async def ask(self, command: Command) -> bool:
        """Send a command; a refusal is shown, never swallowed."""
        body = encode_order(Order(command, self.player.number, secrets.randbits(48)))
        try:
            reply = decode_reply_untrusted(await self.member.request(body))
        except (failover.OutcomeUnknown, failover.Refused, failover.NotHost) as error:
            self.say(f"  {error}")
            return False
        if isinstance(reply, Refused):
            self.say(f"  {reply.reason}")
        return not isinstance(reply, Refused)

    async def attend(self, solo: bool) -> None:
        """Do what needs no decision (take the seat, show the nonce), and show the board when it changed."""
        await self.ask(Join(self.player.name))
        shown: Table | None = None
        while True:
            table = table_of(self.member)
            if self.code and table.phase is Phase.PLAY and not self._is_playing:
                self.member.close_short_code()
                self.code = ""
            self._is_playing = table.phase is Phase.PLAY
            place = table.seat_of(self.member.id, self.player.number)
            nonce = self.player.nonce(table.game)
            if table.phase is Phase.REVEAL and place >= 0 and not table.seats[place].nonce:
                await self.ask(Reveal(nonce))
            elif solo and table.phase is Phase.LOBBY and len(table.seats) >= table.options.players:
                if not table.seats[place].nonce_hash:
                    await self.ask(command_of("ready", table, self.player))
                await self.ask(Start())
            elif shown is None or _looks(table) != _looks(shown) or self.banner:
                shown = table
                self.show(table)
            await trio.sleep(TICK_S)

    def show(self, table: Table) -> None:
        """Print the board in place of the last one, and under it what was said."""
        width, height = self.console.size
        below = [self.invitation] if self.invitation and table.phase is Phase.LOBBY else []
        below += self._said
        rows = sum(1 + len(line) // width for line in below) + 2
        if self.console.is_terminal:
            self.console.clear()
        digest = self.agreement.words(trio.current_time())
        scene = Scene(table, table.clock.mark_ms, self.member.id, digest=digest, banner=self.banner, names=True)
        self.banner = ""
        self.console.print(picture(scene, max(80, width), max(20, height - rows)))
        for line in below:
            self._print(line)

    async def hear(self) -> None:
        """Tell about changes of host."""
        async for event in self.member.events():
            if isinstance(event, failover.HostChanged):
                name = table_of(self.member).name_of(event.host)
                gap_ms = event.silence_ms + event.election_ms
                if event.reason != "founded":
                    self.banner = f"{name} hosts now: {gap_ms:.0f} ms. Same dice."
            elif isinstance(event, failover.QuorumLost):
                self.say(f"  {event.reachable} of {event.voters} reachable: waiting for the others.")

    async def listen(self) -> None:
        """Read lines until `quit` or the end of the input."""
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            if line.strip() == "quit":
                return
            if line.strip() in ("help", "?"):
                self.say(HELP)
            elif line.strip() == "code":
                await self.give_code()
            elif not line.strip():
                await self.ask(Back(b""))
                self.show(table_of(self.member))
            else:
                try:
                    await self.ask(command_of(line, table_of(self.member), self.player))
                except ValueError as error:
                    self.say(f"  {error}")
