from __future__ import annotations

from typing import Any

import pytest

from demo_game import luck
from demo_game.bots import Skill
from demo_game.commands import (
    AddBot,
    Away,
    Back,
    Chat,
    HostChanged,
    Join,
    Kick,
    Leave,
    Option,
    Ready,
    Rematch,
    RemoveBot,
    Reveal,
    SetOption,
    Start,
    Surrender,
    Timeout,
)
from demo_game.host_function import bot_move
from demo_game.table import LineKind, Phase, Standing, clean


def test_people_and_bots_take_seats_up_to_the_number_agreed(room: Any) -> None:
    room.gather(2, players=3)
    room.do(AddBot(Skill.HARD), 1)
    assert [seat.name for seat in room.table.seats] == ["Player 0", "Player 1", "bot Charlie"]
    assert "taken" in room.refused(AddBot(Skill.EASY), 0)
    assert "taken" in room.refused(Join("Late"), 2)
    room.do(RemoveBot(2), 0)
    assert "no bot" in room.refused(RemoveBot(0), 0)
    room.do(Join("Late"), 2)
    assert room.table.seats[2].colour == 2


def test_one_member_may_have_several_seats(room: Any) -> None:
    room.do(Join("Ada"), 0, number=0)
    room.do(Join("Ada"), 0, number=1)
    assert [(seat.number, seat.name) for seat in room.table.seats] == [(0, "Ada"), (1, "Ada 2")]
    room.do(Leave(), 0, number=0)
    assert [seat.number for seat in room.table.seats] == [1]


def test_joining_again_takes_no_second_seat(room: Any) -> None:
    room.do(Join("Ada"), 0)
    room.do(Join("Somebody else"), 0)
    assert [seat.name for seat in room.table.seats] == ["Ada"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Zoë", "Zoë"),
        ("  two   words ", "two words"),
        ("a\x1b[31mred\n\r\t", "a[31mred"),
        ("\u202eevil\u2066", "evil"),
        ("x" * 100, "x" * 32),
        ("日本語", "日本語"),
        ("\0\x7f\x9f", ""),
    ],
)
def test_names_are_cleaned(raw: str, shown: str) -> None:
    assert clean(raw, 32) == shown


def test_a_name_of_nothing_gets_a_number(room: Any) -> None:
    room.do(Join("\n\n"), 0)
    assert room.table.seats[0].name == "Player 1"


def test_options_have_ranges_and_ask_everybody_again(room: Any) -> None:
    room.gather(3)
    for option, value in ((Option.PLAYERS, 2), (Option.PLAYERS, 9), (Option.MAP, 2), (Option.TURN, 9)):
        assert "out of range" in room.refused(SetOption(option, value), 0)
    assert all(seat.nonce_hash for seat in room.table.seats)
    room.do(SetOption(Option.ROUNDS, 12), 1)
    assert room.table.options.rounds == 12
    assert not any(seat.nonce_hash for seat in room.table.seats)


def test_only_who_has_a_seat_may_ask_for_anything(room: Any) -> None:
    room.gather(2)
    for command in (Start(), Chat("hello"), AddBot(Skill.EASY), SetOption(Option.MAP, 0), Back(b"")):
        assert "seat" in room.refused(command, 5)


def test_only_the_hosting_player_kicks(room: Any) -> None:
    room.gather(3)
    assert "hosting" in room.refused(Kick(2), 1)
    room.do(Kick(2), 0)
    assert len(room.table.seats) == 2
    room.do(HostChanged(room.members[1]))
    assert "hosting" in room.refused(Kick(1), 0)


def test_only_the_host_itself_speaks_for_the_host(room: Any) -> None:
    room.gather(2)
    for command in (HostChanged(room.members[1]), Timeout(0, 1), Away(room.members[0])):
        assert "only the host" in room.refused(command, 1)
    assert "only a player" in room.refused(Join("Host"), None)


def test_a_start_waits_for_everybody_present(room: Any) -> None:
    room.gather(3)
    room.do(Ready(b""), 2)
    assert "Player 2" in room.refused(Start(), 0)
    room.do(Away(room.members[2]))
    room.do(Start(), 0)
    assert room.table.phase is Phase.REVEAL


def test_one_seat_is_no_game(room: Any) -> None:
    room.gather(1)
    assert "two seats" in room.refused(Start(), 0)


def test_the_seed_comes_from_all_nonces(room: Any, new_room: Any) -> None:
    room.deal(3)
    assert room.table.phase is Phase.PLAY and room.table.game == 1
    other = new_room()
    other.gather(3)
    other.do(Ready(luck.nonce_hash(b"another".ljust(16), other.members[2], 0)), 2)
    other.do(Start(), 0)
    for who, nonce in enumerate((bytes(16), b"\1" * 16, b"another".ljust(16))):
        other.do(Reveal(nonce), who)
    assert room.table.position.seed != other.table.position.seed


def test_a_nonce_has_to_be_the_one_committed_to(room: Any) -> None:
    room.gather(2)
    room.do(Start(), 0)
    for nonce in (b"", b"x" * 16, b"\1" * 16, bytes(17)):
        assert "committed" in room.refused(Reveal(nonce), 0)
    room.do(Reveal(bytes(16)), 0)
    assert "has shown" in room.refused(Reveal(bytes(16)), 0)


def test_who_shows_no_nonce_in_two_seconds_is_left_out_of_the_seed_and_named(room: Any) -> None:
    room.gather(3)
    room.do(Start(), 0)
    room.do(Reveal(bytes(16)), 0)
    room.now_ms += 1_999
    assert "time left" in room.refused(Timeout(room.table.turn, 1))
    room.now_ms += 1
    room.do(Timeout(room.table.turn, 1))
    assert room.table.phase is Phase.PLAY and len(room.table.seats) == 3
    assert any("without Player 1, Player 2" in line.text for line in room.table.lines)


def test_without_any_nonce_no_game_begins(room: Any) -> None:
    room.gather(2)
    room.do(Start(), 0)
    room.now_ms += 2_000
    room.do(Timeout(room.table.turn, 1))
    assert room.table.phase is Phase.LOBBY and not any(seat.nonce_hash for seat in room.table.seats)


def test_a_change_of_host_gives_two_new_seconds_for_the_nonces(room: Any) -> None:
    room.gather(2)
    room.do(Start(), 0)
    room.now_ms += 1_900
    room.do(HostChanged(room.members[1]))
    room.now_ms += 1_900
    assert "time left" in room.refused(Timeout(room.table.turn, 2))


def test_who_leaves_while_nonces_are_shown_is_not_waited_for(room: Any) -> None:
    room.gather(3)
    room.do(Start(), 0)
    room.do(Reveal(bytes(16)), 0)
    room.do(Reveal(b"\1" * 16), 1)
    room.do(Leave(), 2)
    assert room.table.phase is Phase.PLAY


def test_chat_is_cleaned_bounded_and_rate_limited(room: Any) -> None:
    room.gather(2)
    room.do(Chat("hi\x1b[2J" + "y" * 500), 0)
    line = room.table.lines[-1]
    assert line.kind is LineKind.CHAT and line.text.startswith("hi[2J") and len(line.text) == 200
    for _ in range(4):
        room.do(Chat("again"), 0)
    assert "not so fast" in room.refused(Chat("again"), 0)
    room.do(Chat("I may"), 1)
    room.now_ms += 2_000
    room.do(Chat("now"), 0)
    assert "nothing to say" in room.refused(Chat("\n"), 1)


def test_fifty_lines_are_kept(room: Any) -> None:
    room.gather(2)
    for number in range(80):
        room.now_ms += 2_000
        room.do(Chat(f"line {number}"), 0)
    assert len(room.table.lines) == 50 and room.table.lines[-1].text == "line 79"


def test_who_leaves_a_game_can_come_back_and_who_surrenders_cannot(room: Any) -> None:
    room.deal(3)
    room.do(Leave(), 1)
    room.do(Surrender(), 2)
    place = {seat.member: number for number, seat in enumerate(room.table.seats)}
    assert room.table.seats[place[room.members[1]]].standing is Standing.LEFT
    room.do(Join("Back"), 1)
    room.do(Join("Back"), 2)
    assert room.table.seats[place[room.members[1]]].standing is Standing.PLAYING
    assert room.table.seats[place[room.members[2]]].standing is Standing.SURRENDERED
    assert "watch" in room.refused(Join("New"), 5)


def test_a_rematch_is_a_lobby_with_the_same_people(room: Any) -> None:
    room.deal(3, map=0, rounds=1)
    assert "not over" in room.refused(Rematch(), 0)
    room.do(Leave(), 2)
    while room.table.phase is Phase.PLAY:
        room.now_ms += 1_000
        room.do(bot_move(room.table, Skill.EASY), None if room.on_turn() == 2 else room.on_turn())
    room.do(Rematch(), 1)
    assert room.table.phase is Phase.LOBBY and len(room.table.seats) == 2
    room.ready(0)
    room.ready(1)
    room.begin(2)
    assert room.table.game == 2 and room.table.turn == 2 << 16
