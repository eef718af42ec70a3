"""Every screen of the window, with made-up tables: for the gallery and for what is checked on all of them.

What is shown comes from tables that the rules made; only the member behind them is made up (`Played`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import failover
from demo_game import balance, rules
from demo_game.agreement import Agreement
from demo_game.bots import Skill, decide
from demo_game.commands import Attack
from demo_game.kept import Kept
from demo_game.land import SMALL, STANDARD
from demo_game.machine import Hexhold
from demo_game.session import Opening as TableOpening
from demo_game.table import Clock, Line, LineKind, Options, Phase, Seat, Standing, Table
from demo_game.window.board import Board
from demo_game.window.game import Game
from demo_game.window.lobby import Lobby
from demo_game.window.menu import Menu, Opening
from demo_game.window.over import Over
from demo_game.window.overlays import Alone, Network, Pause, Rules, SettingsCard
from demo_game.window.scene import Scene
from demo_game.window.story import Move, Story

TICKET = "failover1-" + "K7QF3MDA22XYQZ5A" * 16
LONG = "Wilhelmina Aurelia von Württemberg"[:32]
NAMES = ("Ada", "Björn", "Chloé", "Дмитрий", "Ελευθερία Παπαδοπούλου του Νίκου", LONG, "W" * 32, "שרה אברהם")
PLAIN = ("Ada", "Björn", "Chloé", "Dmitri", "Eve", "Farid", "Grace", "Hana")


def member_id(number: int) -> failover.MemberId:
    return failover.MemberId(bytes([number + 1]) * 32)


@dataclass
class Played:
    """Stands where the link to a member stands."""

    table: Table
    place: int = 0
    me: bytes = member_id(0)
    is_host: bool = True
    status: Any = None
    story: Story = field(default_factory=Story)
    agreement: Agreement = field(default_factory=Agreement)
    ticket: str = ""
    code: str = ""
    code_trouble: str = ""
    pending: Any = None
    pending_s: float = 1.0
    error: str = ""
    is_open: bool = True
    is_known: bool = True
    solo: bool = False
    spectates: bool = False
    toasts: list[str] = field(default_factory=list)
    opening: Any = None
    kept: Kept = field(default_factory=lambda: Kept(Hexhold()))
    used: int = 15_000

    def used_ms(self, now: float) -> int:
        return self.used

    def battles(self) -> list[Table]:
        return []

    def poll(self) -> bool:
        return False

    def loss(self) -> Future[failover.Loss]:
        future: Future[failover.Loss] = Future()
        future.set_result(failover.Loss(failover.LogIndex(90), failover.LogIndex(93), 0, (member_id(1),)))
        return future

    def close(self) -> None:
        pass

    def join(self, at_most_s: float = 0.0) -> None:
        pass

    def ask(self, *what: object, **how: object) -> None:
        pass

    def ready(self) -> None:
        pass


def table_of(
    players: int, moves: int, *, names: tuple[str, ...] = PLAIN, small: bool = False, seed: int = 3, bots: int = 0
) -> Table:
    """Return a table in the middle of a game, as bots would have played it."""
    position = rules.deal(balance.seed_number(seed), players, SMALL if small else STANDARD)
    history, battle = [bytes(position.owners.count(k) for k in range(players))], None
    thrown = [[0, 0] for _ in range(players)]
    for _ in range(moves):
        before = position
        position, fought = rules.play(position, decide(position, Skill.MEDIUM))
        battle = fought or battle
        if fought is not None:
            for seat, dice in ((fought.seat, fought.attack), (fought.foe, fought.defence)):
                thrown[seat][0] += len(dice)
                thrown[seat][1] += sum(dice)
        if position.round > before.round:
            history.append(bytes(position.owners.count(k) for k in range(players)))
        if position.outcome is not None:
            break
    seats = tuple(
        Seat(
            member_id(k) if k < players - bots else b"",
            0,
            names[k],
            k,
            skill=0 if k < players - bots else 3,
            dice_thrown=thrown[k][0],
            pips=thrown[k][1],
        )
        for k in range(players)
    )
    lines = (
        Line(1, LineKind.HOST, 255, "The table is open."),
        Line(2, LineKind.CHAT, 1, "my battery is dying, brb"),
        Line(3, LineKind.HOST, 255, f"{names[1]} left. {names[0]} hosts now. Same dice."),
        Line(4, LineKind.CHAT, 2 % players, "did not even notice"),
        Line(5, LineKind.STORY, 255, f"{names[2 % players]} is out, beaten by {names[0]}."),
        Line(
            6, LineKind.CHAT, 0, "a rather long line that has to be broken somewhere, I would say, or even twice"
        ),
    )
    return Table(
        phase=Phase.OVER if position.outcome else Phase.PLAY,
        game=1,
        options=Options(players=players, map=0 if small else 1),
        seats=seats,
        position=position,
        clock=Clock(1, 15_000, 100_000, 85_000, 99_000),
        battle=battle,
        history=tuple(history),
        lines=lines,
        host=member_id(0),
        hosts=2,
    )


def with_turn_of(table: Table, place: int) -> Table:
    """Return the table with another seat on turn."""
    assert table.position is not None
    return replace(table, position=replace(table.position, seat=place))


def status_of(table: Table, gone: tuple[int, ...] = ()) -> failover.Status:
    """Return what a member would say of itself at this table."""
    people = [seat for seat in table.seats if seat.is_person]
    members = tuple(
        failover.MemberStatus(
            member=failover.MemberId(seat.member),
            name=seat.name,
            kind="voter" if number < 5 else "learner",
            votes=number < 5,
            is_host=number == 0,
            is_connected=number not in gone,
            round_trip_ms=None if number == 0 else 3.7 * number,
            hint=250 - 20 * number,
            versions=None,  # type: ignore[arg-type]
            link=None
            if number == 0
            else failover.LinkStatus(
                f"192.168.178.{20 + number}:5012{number}", "lan", 60.0, 0, 3.7, 1.1, 0.4, 0.01, 9, 9, 9, 9, 1, 0, 0
            ),
        )
        for number, seat in enumerate(people)
    )
    return failover.Status(
        member=member_id(0),
        name=people[0].name,
        generation=failover.Generation(bytes(16)),
        role="leader",
        term=failover.Term(4),
        epoch=None,
        host=member_id(0),
        last_log_index=failover.LogIndex(1283),
        commit_index=failover.LogIndex(1283),
        applied_index=failover.LogIndex(1283),
        durable_index=failover.LogIndex(1281),
        snapshot_index=failover.LogIndex(0),
        digest=bytes(16),
        members=members,
        left_behind=(),
        failures_survived=1,
        next_hosts=tuple(each.member for each in members[1:]),
        promise_ms=75.0,
        timeline=(),
        dropped={},
        version=1,
        level=1,
        trouble="",
        slow_snapshot_ms=0.0,
    )


def played(table: Table, **what: Any) -> Played:
    """Return a link to a table at which all is well."""
    link = Played(table, status=status_of(table), opening=TableOpening("Ada", None), **what)  # type: ignore[arg-type]
    for index in (8, 16):
        link.agreement.note(index, bytes.fromhex("9c1e77a0") + bytes(12))
    return link


def moved(link: Played, now: float, count: int = 1) -> Played:
    """Let the host have moved, just now."""
    for number in range(count):
        seal, table = bytes([0x7F, 0x30, number, 0xC2]), link.table
        target, silence_ms = table.seats[0].name, 74.2 + number
        move = Move(now, "Björn", target, "silent", silence_ms, 9.6, 4.1, seal, seal, table.game)
        link.story.moves.append(move)
    link.story._shown_until = now + 6.0
    return link


Shot = tuple[str, Callable[[Game], None]]


def shots() -> Iterator[Shot]:
    """Yield the name of each screen, and what makes a game show it."""
    lobby_table = replace(
        table_of(8, 0, names=NAMES), phase=Phase.LOBBY, position=None, battle=None, history=(), game=0
    )

    def at(scene_of: Callable[[Game], Scene], link: Played | None, *overlays: Callable[[Game], Scene]) -> Any:
        def show(game: Game) -> None:
            game.link = link  # type: ignore[assignment]
            game.go(scene_of(game))
            for overlay in overlays:
                game.over(overlay(game))

        return show

    yield "menu", at(Menu, None)
    yield "menu-games", _with_games
    yield (
        "menu-error",
        at(
            lambda g: Menu(
                g,
                "There is no answer from 192.168.178.20:50121. Is the game still open, and on this network?",
            ),
            None,
        ),
    )
    yield "opening", at(Opening, played(table_of(4, 0)))
    few = replace(
        lobby_table,
        seats=tuple(
            replace(s, nonce_hash=b"x" * 32 if k == 0 else b"") for k, s in enumerate(table_of(3, 0, bots=1).seats)
        ),
        options=Options(players=6),
    )
    yield "lobby", at(Lobby, played(few, ticket=TICKET, code="K7QF-3MDA"))
    ready = replace(
        lobby_table,
        seats=tuple(
            replace(s, nonce_hash=b"x" * 32, away_ms=5 if k == 2 else 0) for k, s in enumerate(lobby_table.seats)
        ),
    )
    yield "lobby-full", at(Lobby, played(ready, ticket=TICKET, code="K7QF-3MDA"))
    yield "lobby-guest", at(Lobby, played(lobby_table, place=3, me=member_id(3), is_host=False))
    mine = with_turn_of(table_of(6, 61), 0)
    yield "board", at(Board, played(mine))
    yield "board-aim", _aiming(played(mine))
    yield "board-keys", _with_keys(played(mine))
    full = table_of(8, 70, names=NAMES)
    yield "board-eight", at(Board, _absent(played(full, place=2, me=member_id(2), is_host=False)))
    yield "board-eight-mine", at(Board, played(with_turn_of(full, 6), place=6, me=member_id(6)))
    yield "board-small", at(Board, played(with_turn_of(table_of(2, 30, small=True), 1), place=1, me=member_id(1)))
    yield "board-dev", _dev(at(Board, played(mine)))
    yield "board-eight-dev", _dev(at(Board, played(full)))
    yield "board-last-seconds", at(Board, played(mine, used=41_000))
    yield "board-watching", at(Board, played(table_of(4, 40), place=-1, me=b"?" * 32, is_host=False))
    yield "banner-moved", _then(at(Board, played(mine)), lambda g: moved(g.link, g.now()))  # type: ignore[arg-type]
    yield "banner-silent", _then(at(Board, played(mine)), lambda g: g.link.story.host_is(False, g.now() - 1.3))  # type: ignore[union-attr]
    two = played(table_of(2, 20))
    two.story.quorum = failover.QuorumLost(1, 2)
    yield "banner-alone", at(Board, two)
    yield "continue-alone", at(Board, two, Alone)
    eight = played(full)
    eight.story.quorum = failover.QuorumLost(2, 5)
    yield "banner-alone-eight", at(Board, eight)
    pending = played(mine)
    attack = next(rules.attacks(mine.position))  # type: ignore[arg-type]
    pending.pending = Attack(mine.turn, mine.step, attack.source, attack.target)
    yield "board-pending", at(Board, pending)
    over = table_of(4, 2_000, seed=5)
    assert over.phase is Phase.OVER
    yield "over", at(Board, moved(played(over), -100.0, 2), Over)
    over_eight = table_of(8, 3_000, seed=5, names=NAMES)
    yield "over-eight", at(Board, moved(played(over_eight), -100.0, 8), Over)
    yield "rules", at(Board, played(mine), Rules)
    yield "network", at(Board, moved(played(full), -100.0, 8), Network)
    yield "network-gone", at(Board, _gone(played(full)), Network)
    yield "settings", at(Menu, None, SettingsCard)
    yield "pause", at(Board, played(mine), Pause)
    yield "toasts", _then(at(Board, played(mine)), _toast)
    yield "replay", _replay


def _with_games(game: Game) -> None:
    game.link = None
    game.go(Menu(game))
    game.browser.stop()
    game.browser.games = tuple(
        failover.ListedGame(f"{name[:24]} · {k + 1} of 4 seats", "K7QF-3MDA", f"192.168.178.{k + 20}:5012{k}")
        for k, name in enumerate(NAMES)
    )
    scene = game.scene
    scene.fields["ticket"].put("K7QF-3MDA")
    scene._games = [type("Saved", (), {"folder": "x", "words": "round 7", "name": "Ada"})()]  # type: ignore[attr-defined]


def _aiming(link: Played) -> Callable[[Game], None]:
    def show(game: Game) -> None:
        game.link = link  # type: ignore[assignment]
        board = Board(game)
        game.go(board)
        assert link.table.position is not None
        attack = max(rules.attacks(link.table.position), key=lambda a: link.table.position.dice[a.source])  # type: ignore[union-attr]
        board._aim.chosen, board._aim.pointed = attack.source, attack.target

    return show


def _with_keys(link: Played) -> Callable[[Game], None]:
    def show(game: Game) -> None:
        _aiming(link)(game)
        board = game.scene
        assert isinstance(board, Board)
        board._aim.cursor, board._aim.pointed = board._aim.pointed, -1
        board._shows_cursor = game.shows_focus = True

    return show


def _absent(link: Played) -> Played:
    seats = list(link.table.seats)
    seats[1] = replace(seats[1], away_ms=88_000)
    seats[4] = replace(seats[4], standing=Standing.SURRENDERED)
    seats[5] = replace(seats[5], standing=Standing.LEFT)
    link.table = replace(link.table, seats=tuple(seats))
    return link


def _gone(link: Played) -> Played:
    link.status = status_of(link.table, gone=(1, 3, 5))
    return link


def _dev(show: Callable[[Game], None]) -> Callable[[Game], None]:
    def shown(game: Game) -> None:
        show(game)
        game.dev = True
        game.scene._side.shows_next = True  # type: ignore[attr-defined]

    return shown


def _then(show: Callable[[Game], None], then: Callable[[Game], object]) -> Callable[[Game], None]:
    def shown(game: Game) -> None:
        show(game)
        then(game)

    return shown


def _toast(game: Game) -> None:
    game.toast("An attack needs at least two dice.")
    game.toast("Nobody could say whether your last move happened: look at the map, and try again if it did not.")


def _replay(game: Game) -> None:
    from demo_game.window.playback import Playback
    from tests.ui.replays import short_game

    game.link = None
    playback = Playback(game, short_game())
    playback._go(len(playback._tables) // 2)
    playback._plays = False
    game.go(playback)
