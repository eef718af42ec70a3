from __future__ import annotations

from typing import Any

from demo_game import rules
from demo_game.bots import Skill
from demo_game.commands import Attack, Away, Back, Chat, EndTurn, HostChanged, Join, Surrender, Tick, Timeout
from demo_game.table import Phase, stand_in


def a_move(room: Any) -> Attack:
    """Return an attack that is allowed now."""
    attack = next(rules.attacks(room.table.position))
    return Attack(room.table.turn, room.table.step, attack.source, attack.target)


def end(room: Any) -> EndTurn:
    return EndTurn(room.table.turn, room.table.step)


def time_out(room: Any) -> Timeout:
    return Timeout(room.table.turn, room.table.clock.epoch)


def test_only_who_is_on_turn_moves(room: Any) -> None:
    room.deal(3)
    other = (room.on_turn() + 1) % 3
    assert "not your turn" in room.refused(a_move(room), other)
    assert "a person plays" in room.refused(a_move(room), None)
    assert room.do(a_move(room), room.on_turn()).battle == room.table.battle is not None


def test_a_move_sent_twice_happens_once(room: Any) -> None:
    room.deal(2)
    move = a_move(room)
    room.do(move, room.on_turn())
    assert "too late" in room.refused(move, room.on_turn())


def test_a_move_of_an_earlier_turn_or_game_does_nothing(room: Any) -> None:
    room.deal(2)
    old = end(room)
    who = room.on_turn()
    room.do(old, who)
    room.do(end(room), room.on_turn())
    assert room.on_turn() == who
    assert "too late" in room.refused(old, who)


def test_refused_commands_leave_the_dice_as_they_are(room: Any, new_room: Any) -> None:
    room.deal(2)
    other = new_room()
    other.deal(2)
    for _ in range(5):
        other.ask(Attack(other.table.turn, other.table.step, 0, 0), other.on_turn())
        other.do(Chat("noise"), 0)
    move = a_move(room)
    assert room.do(move, room.on_turn()) == other.do(move, other.on_turn())


def test_a_turn_times_out_when_its_time_is_over_and_not_before(room: Any) -> None:
    room.deal(2, turn=20)
    room.now_ms += 19_999
    assert "time left" in room.refused(time_out(room))
    room.now_ms += 1
    late = time_out(room)
    room.do(late)
    assert "another turn" in room.refused(late)


def test_without_a_clock_nothing_times_out(room: Any) -> None:
    room.deal(2, turn=0)
    room.now_ms += 10**9
    assert "another turn" in room.refused(time_out(room))
    room.do(a_move(room), room.on_turn())


def test_attacks_and_ticks_commit_the_time_used(room: Any) -> None:
    room.deal(2, turn=60)
    room.now_ms += 3_000
    room.do(a_move(room), room.on_turn())
    assert room.table.clock.used_ms == 3_000
    room.now_ms += 5_000
    room.do(Tick(room.table.turn, room.table.clock.epoch, 8_000))
    assert (room.table.clock.used_ms, room.table.clock.mark_ms) == (8_000, room.now_ms)
    room.do(Tick(room.table.turn, room.table.clock.epoch, 4_000_000_000))
    assert room.table.clock.used_ms == 8_000  # no more than has passed


def test_a_new_host_goes_on_from_the_committed_clock(room: Any) -> None:
    room.deal(2, turn=60)
    room.now_ms += 5_000
    room.do(Tick(room.table.turn, room.table.clock.epoch, 5_000))
    room.now_ms += 4_000  # never committed
    room.do(HostChanged(room.members[1]))
    assert room.table.clock.used_ms == 5_000 and room.table.clock.refunds == 0


def test_a_new_host_leaves_at_least_ten_seconds_three_times_a_turn(room: Any) -> None:
    room.deal(2, turn=20)
    for refunds in (1, 2, 3):
        room.now_ms += 15_000
        room.do(Tick(room.table.turn, room.table.clock.epoch, 20_000))
        room.do(HostChanged(room.members[refunds % 2]))
        assert (room.table.clock.used_ms, room.table.clock.refunds) == (10_000, refunds)
    room.now_ms += 9_000
    room.do(Tick(room.table.turn, room.table.clock.epoch, 20_000))
    room.do(HostChanged(room.members[0]))
    assert (room.table.clock.used_ms, room.table.clock.refunds) == (19_000, 3)
    room.now_ms += 1_000
    room.do(time_out(room))
    assert room.table.clock.refunds == 0  # a new turn


def test_a_host_of_any_length_is_none(room: Any) -> None:
    assert "no member" in room.refused(HostChanged(bytes(33)))


def test_a_timeout_of_the_old_host_does_nothing(room: Any) -> None:
    room.deal(2, turn=20)
    old = time_out(room)
    room.now_ms += 20_000
    room.do(HostChanged(room.members[1]))
    assert "another host's clock" in room.refused(old)
    assert "time left" not in room.refused(Tick(old.turn, old.epoch, 1))


def test_a_change_of_host_keeps_seal_and_dice(room: Any, new_room: Any) -> None:
    room.deal(3)
    other = new_room()
    other.deal(3)
    for step in range(40):
        if step % 5 == 0:
            seal = other.table.seal
            other.do(HostChanged(other.members[step % 3]))
            assert other.table.seal == seal
        for each in (room, other):
            each.play(1)
        assert room.table.battle == other.table.battle
    assert room.table.position == other.table.position
    assert any("Same dice." in line.text for line in other.table.lines)


def test_an_absent_player_on_turn_is_waited_for_thirty_seconds(room: Any) -> None:
    room.deal(2, turn=60)
    absent = room.on_turn()
    room.do(Away(room.members[absent]))
    room.now_ms += 29_999
    assert "a person plays" in room.refused(a_move(room))
    room.now_ms += 1
    room.do(a_move(room))
    assert room.table.on_turn.missed == 0
    room.do(a_move(room), absent)  # he is back, in the middle of it
    assert not room.table.on_turn.away_ms
    assert "a person plays" in room.refused(a_move(room))


def test_after_two_missed_turns_a_bot_plays_at_once_until_any_input(room: Any) -> None:
    room.deal(2, turn=10)
    idle = room.on_turn()
    for _ in range(2):
        room.now_ms += 10_000
        room.do(time_out(room))
        room.do(end(room), room.on_turn())
    assert room.on_turn() == idle and stand_in(room.table) == (Skill.MEDIUM, 0)
    room.do(a_move(room))
    room.do(Back(b""), idle)
    assert stand_in(room.table) is None
    assert "a person plays" in room.refused(a_move(room))


def test_a_turn_in_which_something_was_done_is_not_missed(room: Any) -> None:
    room.deal(2, turn=10)
    who = room.on_turn()
    room.do(a_move(room), who)
    room.now_ms += 10_000
    room.do(time_out(room))
    assert all(seat.missed == 0 for seat in room.table.seats)


def test_the_host_notes_who_is_away_and_who_is_back_once(room: Any) -> None:
    room.deal(2)
    room.do(Away(room.members[0]))
    assert "away already" in room.refused(Away(room.members[0]))
    room.do(Back(room.members[0]))
    assert "never was away" in room.refused(Back(room.members[0]))
    assert "nobody here" in room.refused(Away(b"stranger"))


def test_a_bot_plays_a_surrendered_seat_to_the_end(room: Any) -> None:
    room.deal(2)
    who = room.on_turn()
    room.do(Surrender(), who)
    assert stand_in(room.table) == (Skill.MEDIUM, 0)
    assert "a bot plays" in room.refused(a_move(room), who)
    assert "a bot plays" in room.refused(Surrender(), who)
    room.do(Join("again"), who)
    room.do(a_move(room))


def test_a_game_ends_with_a_winner_a_history_and_luck(room: Any) -> None:
    room.deal(3, map=0)
    room.play(100_000)
    table = room.table
    assert table.phase is Phase.OVER and table.position.outcome is not None
    assert "wins" in table.lines[-1].text
    assert len(table.history) == table.position.round + 1 and all(sum(row) == 24 for row in table.history)
    assert all(1.5 < seat.pips / seat.dice_thrown < 5.5 for seat in table.seats)
    assert "no game" in room.refused(EndTurn(table.turn, table.step), 0)
