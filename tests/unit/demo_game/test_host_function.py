from __future__ import annotations

from typing import Any

from demo_game.bots import Skill
from demo_game.commands import AddBot, Attack, Away, Back, EndTurn, HostChanged, Start, Surrender, Tick, Timeout
from demo_game.host_function import Pace, Plan, plan, watch
from demo_game.table import Phase, Table

PACE = Pace(bot_delay_ms=700, tick_ms=5_000)


def test_there_is_nothing_to_do_in_the_lobby(room: Any) -> None:
    assert plan(Table(), 10**9, PACE) == Plan(None, None)
    room.gather(3)
    assert plan(room.table, 10**9, PACE) == Plan(None, None)


def test_nonces_are_waited_for_two_seconds(room: Any) -> None:
    room.gather(2)
    room.do(Start(), 0)
    assert plan(room.table, room.now_ms, PACE) == Plan(None, room.now_ms + 2_000)
    todo = plan(room.table, room.now_ms + 2_000, PACE)
    assert todo.command == Timeout(room.table.turn, 1)


def test_a_person_on_turn_gets_ticks_and_then_a_timeout(room: Any) -> None:
    room.deal(2, turn=12)
    proposed = []
    for _ in range(3):
        todo = plan(room.table, room.now_ms, PACE)
        assert todo.command is None and todo.due_ms is not None
        room.now_ms = todo.due_ms
        todo = plan(room.table, room.now_ms, PACE)
        assert todo.command is not None
        proposed.append(todo.command)
        room.do(todo.command)
    turn = proposed[0].turn
    assert proposed == [Tick(turn, 1, 5_000), Tick(turn, 1, 10_000), Timeout(turn, 1)]


def test_what_is_due_at_one_host_is_due_at_the_next(room: Any) -> None:
    room.deal(2, turn=12)
    room.now_ms += 5_000
    room.do(Tick(room.table.turn, 1, 5_000))
    room.do(HostChanged(room.members[1]))
    todo = plan(room.table, room.now_ms, PACE)
    assert todo == Plan(None, room.now_ms + 5_000)  # the next tick; 10 s are left, refunded
    assert plan(room.table, room.now_ms + 10_000, PACE).command == Tick(room.table.turn, 2, 12_000)


def test_a_bot_moves_at_its_pace_and_says_for_which_moment(room: Any) -> None:
    room.deal(2)
    room.do(Surrender(), room.on_turn())
    due = room.table.clock.moved_ms + 700
    assert plan(room.table, due - 1, PACE) == Plan(None, due)
    move = plan(room.table, due, PACE).command
    assert isinstance(move, Attack | EndTurn) and (move.turn, move.step) == (room.table.turn, room.table.step)
    room.now_ms = due
    room.do(move)
    assert "too late" in room.refused(move)


def test_bots_alone_play_a_game_to_its_end(room: Any) -> None:
    room.gather(1, map=0, turn=10)
    room.do(AddBot(Skill.HARD), 0)
    room.do(AddBot(Skill.EASY), 0)
    room.ready(0)
    room.begin(1)
    room.do(Surrender(), 0)
    commands = 0
    while room.table.phase is Phase.PLAY:
        todo = plan(room.table, room.now_ms, PACE)
        assert todo.due_ms is not None
        room.now_ms = max(room.now_ms, todo.due_ms)
        if todo.command is not None:
            room.do(todo.command)
            commands += 1
    assert commands > 20
    assert plan(room.table, room.now_ms + 10**6, PACE) == Plan(None, None)


def test_an_absent_player_is_replaced_after_thirty_seconds(room: Any) -> None:
    room.deal(2, turn=60)
    room.do(Away(room.members[room.on_turn()]))
    started = room.now_ms
    while not isinstance(command := plan(room.table, room.now_ms, PACE).command, Attack | EndTurn):
        if command is None:
            room.now_ms = plan(room.table, room.now_ms, PACE).due_ms
        else:
            room.do(command)
    assert room.now_ms == started + 30_000
    room.do(command)


def test_without_a_clock_there_are_no_ticks(room: Any) -> None:
    room.deal(2, turn=0)
    assert plan(room.table, 10**9, PACE) == Plan(None, None)


def test_the_watch_notes_each_change_once(room: Any) -> None:
    room.deal(3)
    everybody = frozenset(room.members)
    assert watch(room.table, everybody) is None
    fewer = everybody - {room.members[1]}
    assert watch(room.table, fewer) == Away(room.members[1])
    room.do(Away(room.members[1]))
    assert watch(room.table, fewer) is None
    assert watch(room.table, everybody) == Back(room.members[1])
    room.do(Back(room.members[1]))
    assert watch(room.table, everybody) is None
