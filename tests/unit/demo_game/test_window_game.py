"""What keys and presses mean, without a screen: the game behind the window, with a made-up table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo_game.commands import Attack, EndTurn
from demo_game.session import Opening
from demo_game.table import Phase
from demo_game.window.aim import attackers
from demo_game.window.board import Board
from demo_game.window.game import Game, Services
from demo_game.window.lobby import Lobby
from demo_game.window.look import Look
from demo_game.window.menu import Menu
from demo_game.window.over import PATIENCE_S, Over
from demo_game.window.playback import Playback
from demo_game.window.saved import Saved
from tests.ui.replays import short_game
from tests.ui.scenes import Played, played, table_of, with_turn_of


class Desk:
    """A game with a clock of its own, and what it asked for."""

    def __init__(self, folder: Path) -> None:
        self.now, self.sounds, self.clipboard, self.ended = 100.0, [], "", False
        services = Services(
            wake=lambda: None,
            sound=self.sounds.append,
            copy=lambda text: setattr(self, "clipboard", text),
            paste=lambda: self.clipboard,
            end=lambda: setattr(self, "ended", True),
            clock=lambda: self.now,
        )
        self.game = Game(Saved(folder), lambda *_: (Opening("Ada", folder), ()), services)
        self.game.browser.start = lambda: None  # type: ignore[method-assign]

    def page(self) -> Any:
        return self.game.page(Look(1280.0, 720.0, lambda text, size, bold: len(text) * size * 0.56))

    def keys(self, *names: str) -> None:
        for name in names:
            self.game.key(name)
            self.page()

    def press(self, name: str) -> None:
        box = self.page().box_of(name)
        assert box is not None, f"there is no {name}"
        self.game.press(*box.middle)
        self.page()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def at_the_board(desk: Desk) -> Played:
    link = played(with_turn_of(table_of(6, 61), 0))
    link.asked = []  # type: ignore[attr-defined]
    link.ask = lambda command, then=None, quiet=False: link.asked.append(command)  # type: ignore[attr-defined, method-assign]
    desk.game.link = link  # type: ignore[assignment]
    desk.game.go(Board(desk.game))
    desk.page()
    return link


def test_tab_goes_round_every_territory_that_can_attack_and_back(desk: Desk) -> None:
    link = at_the_board(desk)
    board = desk.game.scene
    assert isinstance(board, Board) and link.table.position is not None
    wanted = attackers(link.table.position)
    assert len(wanted) > 3
    round_ = []
    for _ in wanted:
        desk.keys("tab")
        round_.append(board.cursor)
    assert sorted(round_) == wanted
    desk.game.key("tab", shift=True)
    assert board.cursor == round_[-2]


def test_a_turn_by_keys_sends_what_is_meant(desk: Desk) -> None:
    link = at_the_board(desk)
    board = desk.game.scene
    assert isinstance(board, Board)
    desk.keys("tab", "enter")
    source = board.chosen
    desk.keys("tab", "enter", "space")
    attack, end = link.asked  # type: ignore[attr-defined]
    assert (isinstance(attack, Attack) and attack.source == source == board.chosen) or isinstance(attack, Attack)
    assert isinstance(end, EndTurn)


def test_letters_of_a_chat_are_no_commands_not_even_when_the_game_begins_meanwhile(desk: Desk) -> None:
    link = at_the_board(desk)
    lobby = Lobby(desk.game)
    desk.game.go(lobby)
    desk.keys("t")
    desk.game.type("t")  # the letter of the key that opened the line
    for letter in "are":
        desk.game.key(letter)
        desk.game.type(letter)
    desk.game.go(Board(desk.game))
    for letter in " am":
        desk.game.key("space" if letter == " " else letter)
        desk.game.type(letter)
    assert desk.game.scene.fields["chat"].text == "are am"
    assert not link.asked, "no turn was ended"  # type: ignore[attr-defined]
    desk.keys("enter")
    [chat] = link.asked  # type: ignore[attr-defined]
    assert chat.text == "are am"


def test_the_first_letter_of_a_line_is_kept_also_where_letters_come_before_their_keys(desk: Desk) -> None:
    at_the_board(desk)
    desk.game.type("t")
    desk.game.key("t")
    desk.game.released()
    for letter in "hi":  # as macOS has it
        desk.game.type(letter)
        desk.game.key(letter)
        desk.game.released()
    assert desk.game.scene.fields["chat"].text == "hi"


def test_what_was_meant_for_the_board_is_no_rematch(desk: Desk) -> None:
    link = at_the_board(desk)
    over = table_of(4, 2_000, seed=5)
    assert over.phase is Phase.OVER
    link.table = over
    desk.game.shows_focus = True
    desk.game.over(Over(desk.game))
    desk.keys("space", "enter")
    assert not link.asked  # type: ignore[attr-defined]
    desk.now += PATIENCE_S
    desk.keys("enter")
    assert [type(each).__name__ for each in link.asked] == ["Rematch"]  # type: ignore[attr-defined]


def test_esc_lets_go_then_asks_then_goes_back(desk: Desk) -> None:
    at_the_board(desk)
    board = desk.game.scene
    assert isinstance(board, Board)
    desk.keys("tab", "enter")
    assert board.chosen >= 0
    desk.keys("escape")
    assert board.chosen < 0 and not desk.game.overlays
    desk.keys("escape")
    assert [overlay.name for overlay in desk.game.overlays] == ["pause"]
    desk.keys("escape")
    assert not desk.game.overlays


def test_refusals_are_told(desk: Desk) -> None:
    link = at_the_board(desk)
    link.table = with_turn_of(link.table, 3)
    desk.keys("space")
    assert any("Dmitri's turn" in told for told, _ in desk.game._toasts)
    link.table = with_turn_of(link.table, 0)
    link.pending = EndTurn(0, 0)
    desk.keys("space")
    assert any("waits for its answer" in told for told, _ in desk.game._toasts)


def test_who_slept_takes_the_seat_back_by_any_press(desk: Desk) -> None:
    link = at_the_board(desk)
    seats = (replace(link.table.seats[0], missed=2), *link.table.seats[1:])
    link.table = with_turn_of(replace(link.table, seats=seats), 3)
    desk.page()
    board = desk.game.scene
    assert isinstance(board, Board) and board.chart is not None
    desk.game.press(*board.chart.label_at(0))
    assert [type(each).__name__ for each in link.asked] == ["Back"]  # type: ignore[attr-defined]


def test_the_bar_of_a_replay_goes_to_where_it_is_pressed(desk: Desk) -> None:
    playback = Playback(desk.game, short_game())
    desk.game.go(playback)
    bar = desk.page().box_of("bar")
    for part in (0.0, 0.5, 0.999):
        desk.game.press(bar.x + part * bar.width, bar.middle[1])
        assert playback._at == pytest.approx(part * (len(playback._tables) - 1), abs=1)


def test_everything_in_the_menu_is_reached_by_tab_alone(desk: Desk) -> None:
    desk.game.go(Menu(desk.game))
    names = [target.name for target in desk.page().targets]
    reached = []
    for _ in names:
        desk.keys("tab")
        reached.append(desk.game.focus)
    assert sorted(reached) == sorted(names)


def test_a_ticket_is_pasted_whole_and_a_long_line_keeps_its_end_in_sight(desk: Desk) -> None:
    desk.game.go(Menu(desk.game))
    desk.press("ticket")
    desk.clipboard = "failover1-" + "k7qf3mda" * 60
    desk.game.key("v", control=True)
    assert desk.game.scene.fields["ticket"].text == desk.clipboard
    texts = [item.words for item in desk.page().items if hasattr(item, "words")]
    assert any(words and desk.clipboard.endswith(words) and len(words) > 20 for words in texts)
