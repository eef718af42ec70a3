from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import demo_game.kept
from demo_game import luck
from demo_game.bots import Skill
from demo_game.coding import encode
from demo_game.commands import (
    Accepted,
    AddBot,
    Chat,
    Command,
    HostChanged,
    Join,
    Option,
    Order,
    Ready,
    Refused,
    Rematch,
    Reveal,
    SetOption,
    Start,
    decode_reply_untrusted,
    encode_order,
)
from demo_game.host_function import bot_move
from demo_game.kept import Kept
from demo_game.machine import Hexhold, digest_of
from demo_game.records import Journal, Recorded
from demo_game.replay import (
    BadReplay,
    Claim,
    Entry,
    Replay,
    decode_replay_untrusted,
    first_of_chain,
    is_due,
    load_untrusted,
    next_of_chain,
    sealed,
    tables,
)
from demo_game.scrutiny import objection
from demo_game.table import Phase, Table
from demo_game.verify import compare, verify

MEMBERS = tuple(bytes([number]) * 32 for number in range(1, 4))


@dataclass(frozen=True)
class Epoch:
    term: int = 1


@dataclass(frozen=True)
class Context:
    """A stand-in for `failover.Context`."""

    index: int
    sender: bytes | None
    time: float
    epoch: Epoch = Epoch()


class Log:
    """Orders for several machines, as a cluster gives them: each index once, the same to everybody."""

    def __init__(self, *machines: Any) -> None:
        self.machines = list(machines)
        self.index, self.time = 10, 1.0

    def do(self, command: Command, who: int | None = None) -> Accepted | Refused:
        self.index += 1 + (self.index % 5 == 0)  # the library's own entries leave gaps
        self.time += 0.05
        sender = None if who is None else MEMBERS[who]
        body = encode_order(Order(command, 0, self.index))
        context = Context(self.index, sender, self.time)
        replies = [machine.apply(body, context) for machine in self.machines]
        assert len(set(replies)) == 1
        return decode_reply_untrusted(replies[0])

    @property
    def table(self) -> Table:
        return self.machines[0].view()

    def gather(self) -> None:
        self.do(HostChanged(MEMBERS[0]))
        for who in (0, 1):
            self.do(Join(f"Player {who}"), who)
        for option, value in ((Option.MAP, 0), (Option.ROUNDS, 3), (Option.PLAYERS, 3)):
            self.do(SetOption(option, value), 0)
        self.do(AddBot(Skill.EASY), 0)

    def begin(self) -> None:
        for who in (0, 1):
            self.do(Ready(luck.nonce_hash(bytes([who]) * 16, MEMBERS[who], 0)), who)
        self.do(Start(), 0)
        for who in (0, 1):
            self.do(Reveal(bytes([who]) * 16), who)
        assert self.table.phase is Phase.PLAY

    def play(self, moves: int = 10_000) -> None:
        """Play on, at most to the end; the hosts change once on the way, and some say what is refused."""
        for number in range(moves):
            seat = self.table.on_turn
            if seat is None:
                return
            if number == 12:
                self.do(HostChanged(MEMBERS[1]))
                continue
            if number % 7 == 3:
                assert isinstance(self.do(Start(), 0), Refused)
            if number % 11 == 5:
                self.do(Chat("well played"), 1)
            if not seat.is_person:
                self.time += 1.0
            self.do(bot_move(self.table, Skill.EASY), MEMBERS.index(seat.member) if seat.is_person else None)


def played(moves: int = 10_000) -> Kept:
    kept = Kept(Hexhold())
    log = Log(kept)
    log.gather()
    log.begin()
    log.play(moves)
    return kept


def replay_of(kept: Kept) -> Replay:
    replay = kept.replay()
    assert replay is not None
    return replay


def forged(start: Table, entries: tuple[Entry, ...]) -> Replay:
    """What somebody writes who changes a game and computes all claims anew."""
    chain, table = first_of_chain(start), start
    claims = [Claim(chain[:8], digest_of(start))]
    made = sealed(start, entries, claims, chain, start, is_cut=False)
    for entry, after, _ in tables(made):
        digest = digest_of(after) if is_due(entry, table, after) else b""
        chain, table = next_of_chain(chain, entry, digest), after
        claims.append(Claim(chain[:8], digest))
    return sealed(start, entries, claims, chain, table, is_cut=False)


@pytest.fixture(scope="module")
def game() -> Replay:
    return replay_of(played())


def test_a_game_is_kept_from_its_start_to_its_end(game: Replay) -> None:
    assert game.start.phase is Phase.LOBBY
    *_, (entry, last, reply) = tables(game)
    assert last.phase is Phase.OVER and isinstance(reply, Accepted) and entry is game.entries[-1]
    assert game.names == tuple(seat.name for seat in last.seats) and len(game.names) == 3
    finding = verify(game)
    assert finding.is_right and finding.is_over and finding.rounds == 3 and finding.host_changes == 1
    assert finding.entries == len(game.entries) > 40 and finding.digest == digest_of(last)


def test_what_was_refused_is_played_again_too(game: Replay) -> None:
    replies = [reply for _, _, reply in tables(game)]
    assert any(isinstance(reply, Refused) for reply in replies)


def test_a_file_gives_back_what_was_saved_and_is_there_whole_or_not_at_all(game: Replay, tmp_path: Path) -> None:
    path = tmp_path / "game.hexhold"
    path.write_text("an older one")
    game.save(path)
    assert load_untrusted(path) == game
    assert [each.name for each in tmp_path.iterdir()] == ["game.hexhold"]
    with pytest.raises(OSError, match="No such file"):
        game.save(tmp_path / "no such folder" / "game.hexhold")


def test_it_can_be_saved_at_any_time_in_the_game() -> None:
    kept = Kept(Hexhold())
    log = Log(kept)
    assert kept.replay() is None
    log.gather()
    assert kept.replay() is None, "a lobby is no game"
    log.begin()
    lengths = []
    for _ in range(20):
        finding = verify(replay_of(kept))
        assert finding.is_right, finding.problem
        lengths.append(finding.entries)
        log.play(1)
    assert lengths == sorted(set(lengths)) and lengths[0] == 3


def test_the_game_before_can_be_had_until_the_next_one_starts() -> None:
    kept = played()
    log = Log(kept)
    log.index, log.time = 10_000, 10_000.0
    log.do(Rematch(), 0)
    log.do(Chat("again!"), 0)
    before = replay_of(kept)
    assert before.start.game == 0 and verify(before).is_right
    assert before.entries[-1].order == encode_order(Order(Rematch(), 0, 10_000 + 2))
    log.begin()
    after = replay_of(kept)
    assert after.start.game == 1 and len(after.entries) == 3 and verify(after).is_right


def test_who_comes_in_later_has_the_game_from_there_and_it_is_the_same() -> None:
    kept, late = Kept(Hexhold()), Kept(Hexhold())
    log = Log(kept)
    log.gather()
    log.begin()
    log.play(20)
    late.restore(kept.snapshot())
    assert late.replay() is None
    log.machines.append(late)
    log.play()
    one, other = replay_of(kept), replay_of(late)
    assert verify(one).is_right and verify(other).is_right and other.start.phase is Phase.PLAY
    comparison = compare(one, other)
    assert not comparison.problem and comparison.common == len(other.entries) < len(one.entries)
    assert verify(one).digest == verify(other).digest


def test_it_works_inside_a_journal() -> None:
    kept = Kept(Hexhold())
    log = Log(Recorded(kept, Journal()))
    log.gather()
    log.begin()
    log.play(5)
    assert verify(replay_of(kept)).is_right


def test_another_thread_may_ask_while_it_is_played() -> None:
    kept, stop, wrong = Kept(Hexhold()), threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            replay = kept.replay()
            if replay is not None and not verify(replay).is_right:
                wrong.append(replay)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        log = Log(kept)
        log.gather()
        log.begin()
        log.play()
    finally:
        stop.set()
        thread.join()
    assert not wrong


def test_no_more_is_kept_than_fits_and_the_file_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_game.kept, "ENTRIES_MAX", 15)
    replay = replay_of(played())
    assert replay.is_cut and len(replay.entries) == 15 and verify(replay).is_right
    assert not verify(replace(replay, is_cut=False)).is_right


@pytest.mark.parametrize("size", [65_535, 65_536])
def test_an_order_of_any_length_that_the_library_lets_pass_is_survived(size: int) -> None:
    kept = Kept(Hexhold())
    log = Log(kept)
    log.gather()
    log.begin()
    kept.apply(b"x" * size, Context(500, MEMBERS[2], 500.0))  # type: ignore[arg-type]
    replay = replay_of(kept)
    assert replay.is_cut is (size > 65_535) and verify(replay).is_right


def test_orders_cannot_fill_the_memory() -> None:
    kept = Kept(Hexhold())
    log = Log(kept)
    log.gather()
    log.begin()
    for number in range(200):
        kept.apply(bytes(60_000), Context(500 + number, MEMBERS[2], 500.0))  # type: ignore[arg-type]
    replay = replay_of(kept)
    assert replay.is_cut and len(replay.entries) < 145
    assert decode_replay_untrusted(b"Hexhold replay\n" + encode(replay)) == replay


def test_a_change_of_any_byte_is_found() -> None:
    replay = replay_of(played(6))
    data = b"Hexhold replay\n" + encode(replay)
    assert verify(decode_replay_untrusted(data)).is_right
    dice = random.Random(1)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= dice.randrange(1, 256)
        try:
            found = decode_replay_untrusted(bytes(changed))
        except BadReplay as error:
            assert "\n" not in str(error)
            continue
        assert not verify(found).is_right, f"byte {place}"


def test_the_first_entry_that_differs_is_named(game: Replay) -> None:
    for number in (0, 7, len(game.entries) - 1):
        entry = game.entries[number]
        for other in (
            replace(entry, order=entry.order[:9] + bytes([entry.order[9] ^ 1]) + entry.order[10:]),
            replace(entry, time_ms=entry.time_ms + 1),
            replace(entry, term=2),
        ):
            changed = replace(game, entries=(*game.entries[:number], other, *game.entries[number + 1 :]))
            finding = verify(changed)
            assert finding.index == entry.index and f"entry {entry.index}: " in finding.problem
            assert finding.entries == number
    assert verify(replace(game, start=replace(game.start, hosts=7))).problem.startswith("the start: ")
    assert verify(replace(game, names=("Eve", *game.names[1:]))).problem.startswith("the end: ")


def test_entries_left_out_doubled_or_swapped_are_found(game: Replay) -> None:
    entries, claims = game.entries, game.claims
    shorter = replace(game, entries=entries[:-1], claims=claims[:-1])
    longer = replace(game, entries=(*entries, entries[-1]), claims=(*claims, claims[-1]))
    swapped = replace(game, entries=(entries[1], entries[0], *entries[2:]))
    assert not any(verify(each).is_right for each in (shorter, longer, swapped))


def test_a_forgery_is_in_order_by_itself_and_another_players_file_shows_it(game: Replay) -> None:
    """What `verify` does not prove, as the docs say."""
    assert forged(game.start, game.entries) == game
    entries = game.entries[:20] + game.entries[21:]
    forgery = forged(game.start, entries)
    assert verify(forgery).is_right
    assert compare(game, game) == compare(game, forged(game.start, game.entries))
    comparison = compare(game, forgery)
    assert comparison.problem == f"they differ at entry {game.entries[20].index}" and comparison.common == 20


def test_two_games_have_nothing_in_common(game: Replay) -> None:
    later = tuple(replace(entry, index=entry.index + 10_000) for entry in game.entries)
    assert compare(game, forged(game.start, later)).problem == "they have no entry in common"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no replay of Hexhold"),
        (b"This is something else", "no replay of Hexhold"),
        (b"Hexhold replay\n", "version 0"),
        (b"Hexhold replay\n\x00\x02", "version 2"),
        (b"Hexhold replay\n\x00\x01", "damaged: cut off"),
        (bytes(17 * 2**20), "larger than 16 MiB"),
    ],
)
def test_what_is_no_replay_is_named_in_one_line(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(BadReplay, match=words) as caught:
        load_untrusted(tmp_path / "file")
    assert "\n" not in str(caught.value) and str(caught.value).startswith("file: ")


def test_a_file_that_is_not_there_or_a_folder_is_bad_too(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(BadReplay):
            load_untrusted(path)


def test_cut_off_files_and_files_with_more_are_bad(game: Replay) -> None:
    data = b"Hexhold replay\n" + encode(game)
    for size in range(0, len(data), 61):
        with pytest.raises(BadReplay):
            decode_replay_untrusted(data[:size])
    with pytest.raises(BadReplay, match="too long"):
        decode_replay_untrusted(data + b"\x00")


def made_up_tables(table: Table) -> list[Table]:
    """Tables that no game leads to, each of which would harm somebody."""
    position, seat = table.position, table.seats[0]
    assert position is not None
    seats = table.seats[1:]
    return [
        replace(table, position=None),
        replace(table, seats=seats),
        replace(table, seats=(replace(seat, name="\x1b[2J"), *seats)),
        replace(table, seats=(replace(seat, skill=9), *seats)),
        replace(table, seats=(replace(seat, colour=8), *seats)),
        replace(table, position=replace(position, size=replace(position.size, width=255, height=255))),
        replace(table, position=replace(position, owners=bytes([200]) * len(position.owners))),
        replace(table, position=replace(position, seed=b"")),
        replace(table, position=replace(position, stock=b"")),
        replace(table, lines=(replace(table.lines[0], text="\x1b]0;x\x07"),)),
        replace(table, history=(b"",)),
        replace(table, options=replace(table.options, map=9)),
        replace(table, phase=Phase.OVER),
    ]


def test_a_made_up_start_is_refused_before_it_is_played() -> None:
    kept = played(6)
    entry, table = replay_of(kept).entries[-1], kept.view()
    assert objection(table) is None
    for each in made_up_tables(table):
        claim = Claim(bytes(8), bytes(16))
        made = sealed(each, (entry,), (claim, claim), bytes(32), each, is_cut=False)
        with pytest.raises(BadReplay, match="damaged"):
            decode_replay_untrusted(b"Hexhold replay\n" + encode(made))


def test_a_forged_start_never_breaks_anything_worse_than_the_replay() -> None:
    """A forger computes all claims anew, so that the start is really played from."""
    kept = Kept(Hexhold())
    log = Log(kept)
    log.gather()
    log.begin()
    log.play(6)
    late = Kept(Hexhold())
    late.restore(kept.snapshot())
    log.machines.append(late)
    log.play(20)
    replay = replay_of(late)
    data, start = encode(replay), encode(replay.start)
    place = data.index(start)
    dice, played_on = random.Random(2), 0
    for _ in range(2_000):
        changed = bytearray(data)
        for _ in range(dice.randrange(1, 3)):
            changed[place + dice.randrange(len(start))] = dice.choice([0, 1, 255, dice.randrange(256)])
        try:
            found = decode_replay_untrusted(b"Hexhold replay\n" + bytes(changed))
            played_on += len(list(tables(found))) > 0
        except BadReplay as error:
            assert "\n" not in str(error)
    assert played_on > 200


def test_every_table_of_a_game_passes_the_scrutiny(game: Replay) -> None:
    for _, table, _ in tables(game):
        assert objection(table) is None


def test_tables_of_random_orders_pass_the_scrutiny_and_are_kept() -> None:
    kept = played(3)
    dice = random.Random(3)
    commands: list[Callable[[], Command]] = [
        lambda: Chat("x" * dice.randrange(300)),
        lambda: HostChanged(dice.choice(MEMBERS)),
        lambda: Join("\x1b" + "Ж" * 40),
        lambda: bot_move(kept.view(), Skill.HARD) if kept.view().phase is Phase.PLAY else Rematch(),
        Rematch,
        Start,
    ]
    log = Log(kept)
    log.index, log.time = 1_000, 1_000.0
    for _ in range(400):
        log.time += dice.choice([0.0, 3.0])
        log.do(dice.choice(commands)(), dice.choice([None, 0, 1, 2]))
        assert objection(kept.view()) is None
    assert verify(replay_of(kept)).is_right
