"""The member behind the window, over `failover.start_member`: it never blocks the window's thread.

Opening, leaving and closing take up to seconds, so they run in threads of their own; what they come to is looked
at by `poll`, like the answers to requests, the member's events, and what the other windows say.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import failover
from demo_game.agreement import Agreement
from demo_game.commands import Accepted, Chat, Command, Join, Reply
from demo_game.following import Followed
from demo_game.host_function import server
from demo_game.kept import Kept
from demo_game.machine import Hexhold
from demo_game.player import Player
from demo_game.records import Recorded
from demo_game.session import Opening, members_in_reach
from demo_game.table import Phase, Table
from demo_game.window.asking import Asking, one_line, owed, ready
from demo_game.window.auto import play_seat
from demo_game.window.inviting import Inviting
from demo_game.window.plug import PLUG, pull_own_plug
from demo_game.window.standing import Standing
from demo_game.window.story import Story

T = TypeVar("T")

DUTY_S = 1.0
"""Between two tries at the same thing that needs no decision, such as taking the seat."""


class Link:
    """One member, from opening to closing.

    Args:
        opening: how it comes to its table.
        wake: called from any thread when there is something to look at.
        wishes: what the founder asks of the lobby.
        solo: whether it plays alone against bots: it begins by itself, and invites nobody.
        dev: whether it pulls its own plug when asked to.
        after: links that are being closed: the same storage or port may be theirs for a moment yet.
        clock: seconds, for everything that is timed here.
    """

    def __init__(
        self,
        opening: Opening,
        wake: Callable[[], None],
        *,
        wishes: tuple[Command, ...] = (),
        solo: bool = False,
        dev: bool = False,
        after: tuple[Link, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.opening = opening
        self.error = ""
        """Why it could not be opened, or ended by itself; one line."""
        self.is_closed = False
        self.story = Story()
        self._standing = Standing()
        self.toasts: list[str] = []
        """Words for the player, to be taken out."""
        self.spectates = False
        """Whether there was no seat for this player; it watches."""
        self.kept = Kept(Hexhold())
        self.solo, self._after = solo, after
        self._wake, self._dev, self._clock = wake, dev, clock
        self._wishes = wishes
        self._member: failover.MemberThread | None = None
        self._opening_member: failover.MemberThread | None = None
        self._inner: list[failover.Member] = []
        self._player: Player | None = None
        self._secret = secrets.token_bytes(32)
        self._asking = Asking(opening.journal, wake)
        self._inviting = Inviting(opening.name, opening.journal, self._woken)
        self._duty_at, self._saved_game = -1e9, 0
        self._duty_last: Command | None = None
        self._mark: tuple[int, int, int, float] = (0, 0, 0, 0.0)
        self._last = Table()
        self._sat = False
        self._machine = self._new_machine()
        self._threads: list[threading.Thread] = []
        self._in_thread(self._open)

    # --- opening and closing ---

    def _new_machine(self) -> Followed:
        self.kept = Kept(Hexhold())
        inner = Recorded(self.kept, self.opening.journal) if self.opening.record else self.kept
        return Followed(inner, self.agreement, self._wake)

    def _in_thread(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="hexhold link", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _open(self) -> None:
        opening, inner = self.opening, self._inner
        inner.clear()

        def present() -> frozenset[bytes] | None:
            return members_in_reach(inner[0]) if inner else None

        async def note(member: failover.Member) -> None:
            inner.append(member)

        for link in self._after:
            link.join(5.0)
        self._after = ()
        # What a machine is called has at most 64 bytes; the seat keeps the whole name.
        called = opening.name.encode()[:64].decode("utf-8", "ignore") or "player"
        options = {
            "storage": opening.data / "game.db",
            "ticket": opening.ticket,
            "found": opening.found,
            "serve": server(opening.pace, present),
            "name": called,
            "port": opening.port,
            "bind": opening.bind,
            "addresses": opening.addresses,
            "wake": self._wake,
        }
        try:
            opening.data.mkdir(parents=True, exist_ok=True)
            member = self._opening_member = failover.MemberThread(self._machine, options)
            if self.is_closed:
                self._in_thread(member.close)
            member.start()
        except Exception as error:  # whatever it is, a player is told, and can go back to the menu
            self.error = one_line(error)
        else:
            member.run(note)
            self._player = Player(member.id, opening.name, secret=self._secret)
            opening.journal.write("player", member=member.id.hex(), name=opening.name)
            self._member = member
            if opening.plays is not None:
                seat = replace(opening.plays(member.id), name=opening.name, secret=self._secret)
                self._noting(member.run(lambda inner: play_seat(inner, seat, opening.journal)))
        self._wake()

    @property
    def is_open(self) -> bool:
        """Whether there is a table to look at."""
        return self._member is not None and not self.is_closed

    def close(self) -> None:
        """Hand over, keep the seat, and go; returns at once, `join` waits for the end."""
        if not self.is_closed:
            self.is_closed = True
            if self.opening.save_replay is not None and self.table.phase is Phase.PLAY:
                self._save(self.opening.save_replay)
            # Also one that is still looking for its table: that may take long, and nobody wants it any more.
            member = self._member or self._opening_member
            if member is not None:
                self._in_thread(member.close)

    def leave(self) -> None:
        """End the membership for good; returns at once."""
        member = self._member
        if member is None or self.is_closed:
            self.close()
            return
        self.is_closed = True

        def work() -> None:
            with suppress(failover.FailoverError, TimeoutError):  # the only one, or nobody to say it to: it goes
                member.leave().result(timeout=8.0)
            member.close()

        self._in_thread(work)

    def join(self, at_most_s: float = 10.0) -> None:
        """Wait until all is closed; blocks."""
        deadline = time.monotonic() + at_most_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # --- looking ---

    @property
    def status(self) -> failover.Status | None:
        """How the member stands; None before that is known."""
        return self._standing.status

    @property
    def agreement(self) -> Agreement:
        """Who has the same table."""
        return self._standing.agreement

    @property
    def table(self) -> Table:
        """The newest table; while it is opened again the last one, and before there was any an empty one."""
        if self._member is not None and isinstance(state := self._member.state, Table):
            self._last = state
        return self._last

    @property
    def is_known(self) -> bool:
        """Whether a table was seen at all, and not only an empty one."""
        return self.table.hosts > 0

    @property
    def me(self) -> bytes:
        """This member; empty while there is none."""
        return self._member.id if self._member is not None else b""

    @property
    def place(self) -> int:
        """This player's place at the table; -1 for a spectator."""
        return self.table.seat_of(self.me, 0) if self._member is not None else -1

    @property
    def is_host(self) -> bool:
        """Whether this very machine hosts."""
        return self._member is not None and self._member.is_host

    @property
    def pending(self) -> Command | None:
        """The oldest request that waits for its answer, if it was asked for by the player."""
        return self._asking.pending

    @property
    def pending_s(self) -> float:
        """For how long it has been waiting."""
        return self._asking.pending_s

    def used_ms(self, now: float) -> int:
        """Return how much of the turn is used, for the clock bar: what was committed and what went by since.

        Cluster time stands still while there is no host, so this does, too.
        """
        clock = self.table.clock
        key = (clock.epoch, clock.used_ms, clock.mark_ms)
        if key != self._mark[:3]:
            self._mark = (*key, now)
        runs = self.story.quorum is None and (self.status is None or self.status.host is not None)
        if not runs:
            self._mark = (*self._mark[:3], now)
        return clock.used_ms + int((now - self._mark[3]) * 1_000)

    def battles(self) -> list[Table]:
        """Take out the tables right after attacks since the last call."""
        taken = []
        while self._machine.battles:
            taken.append(self._machine.battles.popleft())
        return taken

    # --- asking ---

    def ask(self, command: Command, then: Callable[[Reply], None] | None = None, *, quiet: bool = False) -> None:
        """Ask for something. A refusal becomes a toast, unless `quiet`; `then` gets every answer."""
        if self._member is None or self.is_closed:
            self.toasts.append("You are not at a table.")
            return
        self._asking.ask(self._member, command, then, quiet=quiet)

    def ready(self) -> Command:
        """Return the command that gets this player ready, with its nonce."""
        assert self._player is not None
        return ready(self._player, self.table)

    def sit_down(self) -> None:
        """Take a seat after all."""
        self.spectates = False
        self._duty_at = -1e9

    def say(self, text: str) -> None:
        """Say something in the chat."""
        self.ask(Chat(text))

    @property
    def ticket(self) -> str:
        """This machine's ticket; empty until it has one."""
        return self._inviting.ticket

    @property
    def code(self) -> str:
        """The short code that this machine has open; empty without one."""
        return self._inviting.code

    @property
    def code_trouble(self) -> str:
        """Why there is no short code; one line."""
        return self._inviting.trouble

    def invite(self) -> None:
        """Get a ticket and a short code of this machine's own."""
        if self._member is not None and not self.is_closed:
            self._inviting.is_wanted = True
            self._inviting.ask(self._member, self.table)

    def loss(self) -> Future[failover.Loss] | None:
        """Ask what going on alone would give up."""
        return self._woken(self._member.loss()) if self._member is not None and not self.is_closed else None

    def continue_alone(self) -> None:
        """Go on alone, whatever is lost: the player has been told."""
        if self._member is not None and not self.is_closed:
            self._noting(self._member.continue_alone(accept_loss=True))

    def hand_over(self) -> None:
        """Let another member host."""
        if self._member is not None and not self.is_closed:
            self._noting(self._member.hand_over())

    def pull_the_plug(self) -> None:
        """Kill the host's process, whichever it is, if it was started with `--dev`."""
        if self._member is not None and not self.is_closed:
            if self.is_host:
                pull_own_plug()
            self._member.send_unreliable(PLUG, failover.MemberId(self.table.host))
            self.toasts.append("Asked the host to pull its plug; it obeys if it runs with --dev.")

    def _woken(self, future: Future[T]) -> Future[T]:
        future.add_done_callback(lambda _: self._wake())
        return future

    def _noting(self, future: Future[Any]) -> None:
        def done(done: Future[Any]) -> None:
            error = done.exception() if not done.cancelled() else None
            if error is not None:
                self.toasts.append(one_line(error))
            self._wake()

        future.add_done_callback(done)

    # --- what happened meanwhile ---

    def poll(self) -> bool:
        """Take in everything that happened since the last call; return whether anything did."""
        now = self._clock()
        if self._member is None or self.is_closed:
            return bool(self.error)
        changed = False
        # The table first: whatever has changed it by now, its event is among those that are read after.
        table = self.table
        for event in self._member.poll():
            self._heard(event, now)
            changed = True
        if self._member is None:
            return True  # it is being opened again
        self.story.seen(table, now)
        words = self._asking.answers()
        self.toasts += words or []
        changed |= words is not None
        changed |= self._standing.poll(self._member, self.story, now, self._woken)
        self._inviting.attend(self._member, self.table, hosts=self.is_host, solo=self.solo)
        self._lane(self._member, now)
        self._keep_replay(table)
        self._duty(now)
        return changed

    def _heard(self, event: failover.Event, now: float) -> None:
        self.story.heard(event, self.table, now)
        match event:
            case failover.Stopped(error=failover.Superseded()):
                self.toasts.append("The others went on without you. Taking your seat there.")
                self._reopen()
            case failover.Stopped(error=error):
                self.error = one_line(error) if error is not None else "This machine is at the table no more."
            case failover.Rejoined(kept_entries=count, kept_in=file) if count:
                self.toasts.append(f"{count} moves of yours are not in this game; they are kept in {file}")
            case failover.GenerationMet(has_host=True) if self.is_host:
                name = self.story.name_of(event.member, self.table)
                self.story.note = f"{name} is back, and played on alone, too: there are two games now."
            case failover.MemberJoined(name=name, is_witness=True):
                self.toasts.append(f"{name} is a witness now: two players survive a crash.")
            case _:
                pass

    def _reopen(self) -> None:
        """Open the storage again: it joins the game that the others went on with."""
        member, self._member = self._member, None
        self.opening = replace(self.opening, found=False, ticket=None)
        self.story, self._asking = Story(), Asking(self.opening.journal, self._wake)
        self._machine = self._new_machine()
        self._standing.forget()
        self._inviting, self._sat = Inviting(self.opening.name, self.opening.journal, self._woken), False

        def work() -> None:
            if member is not None:
                member.close()
            self._open()

        self._in_thread(work)

    def _lane(self, member: failover.MemberThread, now: float) -> None:
        """Hear which digests the others have; and whether the plug is to be pulled."""
        for said in member.poll_unreliable():
            if said.body == PLUG and self._dev and self.is_host:
                pull_own_plug()
            self.agreement.heard_untrusted(said.sender, said.body, now)

    def _keep_replay(self, table: Table) -> None:
        """Save the game where the command line said, once it is over."""
        path = self.opening.save_replay
        if path is None or table.phase is not Phase.OVER or table.game == self._saved_game:
            return
        self._saved_game = table.game
        self._in_thread(lambda: self._save(path))

    def _save(self, path: Path) -> None:
        replay = self.kept.replay()
        try:
            if replay is not None:
                replay.save(path)
        except OSError as error:
            self.toasts.append(f"The replay was not saved: {one_line(error)}")

    def _duty(self, now: float) -> None:
        """Do what needs no decision of the player's."""
        table = self.table
        if self._wishes and self.place >= 0:
            wishes, self._wishes = self._wishes, ()
            for wish in wishes if table.hosts == 1 else ():  # an old table has been set as people wanted it
                self.ask(wish, quiet=True)
        command = None
        if self._player is not None and table.host and self.opening.plays is None:
            command = owed(self._player, table, wants_seat=not self.spectates, solo=self.solo)
        if self._sat and self.place < 0 and table.phase is Phase.LOBBY:
            # Only the player at the hosting machine can have done that: nobody sits down again by himself then.
            self.spectates, command = True, None
            self.toasts.append("You were asked to leave your seat. You are watching.")
        self._sat = self.place >= 0
        self.spectates &= not self._sat
        if command is not None and (command != self._duty_last or now - self._duty_at >= DUTY_S):
            self._duty_at, self._duty_last = now, command
            self.ask(command, self._seated if isinstance(command, Join) else None, quiet=True)

    def _seated(self, reply: Reply) -> None:
        if not isinstance(reply, Accepted):
            self.spectates = True
            self.toasts.append(f"You are watching: {reply.reason}.")
