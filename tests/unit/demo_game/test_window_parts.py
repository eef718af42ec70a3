"""What the window is made of, as far as it needs no screen: fields, pages, aim, fights, the story, files."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import failover
from demo_game import balance, rules
from demo_game.agreement import FRESH_S, Agreement
from demo_game.bots import Skill, decide
from demo_game.land import SEA, SMALL, STANDARD, adjacent
from demo_game.table import Line, LineKind, Phase, Table
from demo_game.window import glyphs, hexes, shapes, words
from demo_game.window.aim import Aim, attackers, odds, targets
from demo_game.window.asking import sentence
from demo_game.window.fields import Field
from demo_game.window.fights import WAITING_MAX, Fights
from demo_game.window.look import Look, page_size
from demo_game.window.page import Box, Page
from demo_game.window.saved import Saved, Settings
from demo_game.window.scripts import displayed
from demo_game.window.sounds_made import NAMES, RATE, wave
from demo_game.window.story import BANNER_S, Story
from tests.ui.scenes import member_id, status_of, table_of, with_turn_of


def measure(text: str, size: float, bold: bool) -> float:
    return len(text) * size * (0.62 if bold else 0.56)


LOOK = Look(1280.0, 720.0, measure)


# --- fields ---


def test_a_line_takes_letters_where_its_cursor_is_and_never_more_than_it_may() -> None:
    field = Field(length_max=6)
    for typed in ("ab", "é"):
        field.type(typed)
    field.move(-2)
    field.type("XYZQ")
    assert (field.text, field.cursor) == ("aXYZbé", 4), "what is too much is left out"
    field.backspace()
    field.delete()
    field.home()
    field.backspace()
    field.end()
    field.delete()
    assert (field.text, field.cursor) == ("aXYé", 4)
    assert field.clear() == "aXYé" and field.text == ""


def test_a_line_takes_no_control_characters_and_keeps_spaces_between_words() -> None:
    field = Field()
    for typed in ("well", " ", "met\x1b[2J\u202e", "\r", " you\nall\t"):
        field.type(typed)
    assert field.text == "well met[2J you all"


# --- pages ---


def test_whatever_is_written_fits_its_room() -> None:
    page = Page(LOOK)
    for room in (8.0, 40.0, 90.0, 300.0):
        page.write("Wilhelmina Aurelia von Württemberg", 0, 0, room=room, bold=True)
    texts = [item for item in page.items if hasattr(item, "words")]
    assert all(measure(t.words, t.size, t.bold) <= t.room for t in texts)
    assert len(texts) == 3 and texts[-1].words.startswith("Wilhelmina") and texts[0].words == "Wil…"


def test_a_text_is_broken_between_words_and_a_long_word_where_it_must_be() -> None:
    page = Page(LOOK)
    lines = page.wrapped("it ends with " + "W" * 40 + " and more", 16.0, 120.0)
    assert "".join(lines).replace(" ", "") == "itendswith" + "W" * 40 + "andmore"
    assert all(measure(line, 16.0, False) <= 120.0 for line in lines)


def test_prose_that_does_not_fit_says_so() -> None:
    page = Page(LOOK)
    page.prose("one two three four five six seven eight nine ten", Box(0, 0, 100, 48), 16.0)
    texts = [item.words for item in page.items if hasattr(item, "words")]
    assert len(texts) == 2 and texts[-1].endswith("…")


def test_the_uppermost_target_is_pressed() -> None:
    page = Page(LOOK)
    page.target("below", Box(0, 0, 100, 100))
    page.target("above", Box(50, 50, 100, 100))
    assert [page.press_at(*spot) for spot in ((10, 10), (60, 60), (500, 500))] == ["below", "above", ""]


def test_every_window_shows_at_least_the_smallest_page() -> None:
    for size in ((960, 540), (1280, 720), (1920, 1080), (1000, 1400), (3840, 1000), (1, 1)):
        width, height, scale = page_size(*size)
        assert width >= 1280 and height >= 720 and scale > 0
    assert page_size(960, 540)[:2] == page_size(1280, 720)[:2] == (1280, 720)


# --- shapes ---


def test_equal_shapes_are_one_object_so_that_a_page_is_compared_fast() -> None:
    shade = shapes.ink((1, 2, 3))
    assert shapes.rounded(1, 2, 30, 40, 5, shade) is shapes.rounded(1, 2, 30, 40, 5, shade)
    assert glyphs.die(0, 0, 30, 6) is glyphs.die(0, 0, 30, 6)


@pytest.mark.parametrize("colour", range(8))
def test_signs_stay_in_their_size_and_differ(colour: int) -> None:
    mesh = glyphs.glyph(colour, 50.0, 50.0, 20.0, shapes.ink((255, 255, 255)))
    assert len(mesh.points) % 6 == 0 and len(mesh.inks) == 2 * len(mesh.points)
    assert all(38.0 <= value <= 62.0 for value in mesh.points)
    others = [glyphs.glyph(k, 50.0, 50.0, 20.0, shapes.ink((255, 255, 255))) for k in range(8) if k != colour]
    assert all(other.points != mesh.points for other in others)


# --- the map ---


@pytest.mark.parametrize("size", [SMALL, STANDARD], ids=lambda size: size.name)
@pytest.mark.parametrize("seed", range(4))
def test_every_hex_is_found_at_its_middle_and_the_land_stays_in_its_box(seed: int, size: object) -> None:
    land = rules.deal(balance.seed_number(seed), 4, size).land  # type: ignore[arg-type]
    box = Box(20, 84, 916, 532)
    chart = hexes.chart(land, box)
    for cell, territory in enumerate(land.cells):
        x, y = chart.middle(cell)
        assert chart.territory_at(x, y) == territory
        if territory != SEA:
            assert box.x - 1 <= x - chart.step / 2 and x + chart.step / 2 <= box.right + 1
            assert box.y - 1 <= y - chart.radius and y + chart.radius <= box.bottom + 1
    assert chart.territory_at(-500.0, -500.0) == SEA


@pytest.mark.parametrize("seed", range(4))
def test_the_line_round_a_territory_has_every_side_to_others_once(seed: int) -> None:
    land = rules.deal(balance.seed_number(seed), 4, STANDARD).land
    chart = hexes.chart(land, Box(0, 0, 900, 500))
    for territory in range(STANDARD.territories):
        cells = [cell for cell, here in enumerate(land.cells) if here == territory]
        inner = sum(land.cells[near] == territory for cell in cells for near in adjacent(STANDARD, cell))
        assert sum(map(len, hexes.loops(chart, territory))) == 6 * len(cells) - inner


# --- aim ---


def position() -> rules.Position:
    at = table_of(4, 40).position
    assert at is not None
    return at


def test_a_press_chooses_attacks_or_says_why_not() -> None:
    here, aim = position(), Aim()
    source = attackers(here)[0]
    target = targets(here, source)[0]
    assert aim.press(here, target) == "Choose a territory of yours first."
    assert aim.press(here, source) == "" and aim.chosen == source
    assert aim.press(here, target) == rules.Attack(source, target)
    far = next(
        t for t, owner in enumerate(here.owners) if owner != here.seat and t not in here.land.neighbours[source]
    )
    assert "do not touch" in str(aim.press(here, far))
    assert aim.press(here, source) == "" and aim.chosen == SEA, "pressed again, it is let go"
    lonely = [t for t, owner in enumerate(here.owners) if owner == here.seat and here.dice[t] == 1]
    assert not lonely or "two dice" in str(aim.press(here, lonely[0]))


def test_what_can_attack_no_more_is_let_go() -> None:
    here, aim = position(), Aim()
    aim.chosen = attackers(here)[0]
    aim.tidy(here, mine=True)
    assert aim.chosen != SEA
    aim.tidy(here, mine=False)
    assert aim.chosen == SEA


def test_the_keyboard_reaches_every_territory_and_tab_those_that_matter() -> None:
    here = position()
    chart = hexes.chart(here.land, Box(0, 0, 900, 500))
    aim = Aim()
    aim.step(here, chart, "left")
    seen = {aim.cursor}
    frontier = [aim.cursor]
    while frontier:
        start = frontier.pop()
        for way in ("left", "right", "up", "down"):
            aim.cursor = start
            aim.step(here, chart, way)
            if aim.cursor not in seen:
                seen.add(aim.cursor)
                frontier.append(aim.cursor)
    assert len(seen) == 40
    aim = Aim()
    for _ in attackers(here):
        aim.tab(here, chart, 1)
        assert aim.cursor in attackers(here)
    aim.chosen = attackers(here)[0]
    aim.tab(here, chart, -1)
    assert aim.cursor in targets(here, aim.chosen)


def test_odds_are_those_of_the_dice() -> None:
    here = position()
    attack = next(rules.attacks(here))
    assert 0 <= odds(here, attack.source, attack.target) <= 100


# --- fights ---


def fought(count: int) -> list[Table]:
    """Return tables right after so many attacks, one after the other."""
    table = table_of(4, 0)
    found: list[Table] = []
    assert table.position is not None
    at = table.position
    while len(found) < count:
        at, battle = rules.play(at, decide(at, Skill.HARD))
        if battle is not None:
            found.append(type(table)(phase=Phase.PLAY, game=1, seats=table.seats, position=at, battle=battle))
    return found


def test_attacks_are_shown_one_after_the_other_and_the_map_waits_for_them() -> None:
    fights, tables = Fights(), fought(2)
    start = table_of(4, 0)
    first = fights.shown(start, 0.0, 0.45)
    assert first is not None and not first.running
    fights.add(tables)
    rolling = fights.shown(tables[-1], 1.0, 0.45)
    assert rolling is not None and rolling.running and rolling.rolling
    assert rolling.position is start.position and rolling.battle is tables[0].battle
    settled = fights.shown(tables[-1], 1.4, 0.45)
    assert settled is not None and settled.running and not settled.rolling
    second = fights.shown(tables[-1], 1.5, 0.45)
    assert second is not None and second.battle is tables[1].battle and second.position is tables[0].position
    over = fights.shown(tables[-1], 2.1, 0.45)
    assert over is not None and not over.running and over.position is tables[1].position


@pytest.mark.parametrize("each_s", [0.45, 0.0])
def test_a_picture_that_lags_gives_up_following(each_s: float) -> None:
    fights, tables = Fights(), fought(WAITING_MAX + 1)
    fights.add(tables)
    shown = fights.shown(tables[-1], 5.0, each_s)
    assert shown is not None and not shown.running and shown.position is tables[-1].position


# --- the story ---


def host_changed(gap_ms: float = 84.0, reason: str = "silent") -> failover.HostChanged:
    epoch = failover.Epoch(failover.Generation(bytes(16)), failover.Term(3))
    return failover.HostChanged(member_id(0), epoch, gap_ms - 10, 10.0, reason)


def before_and_after() -> tuple[Table, Table]:
    after = with_turn_of(table_of(3, 12), 0)
    before = type(after)(
        **{**{f: getattr(after, f) for f in after.__slots__}, "host": member_id(1), "hosts": 1, "lines": ()}
    )
    text = "Björn left. Ada hosts now. Same dice."
    lines = (Line(99, LineKind.HOST, 255, text),)
    return before, type(after)(**{**{f: getattr(after, f) for f in after.__slots__}, "lines": lines})


def test_the_banner_says_who_left_who_hosts_the_milliseconds_and_that_the_dice_are_the_same() -> None:
    story, (before, after) = Story(), before_and_after()
    story.seen(before, 9.0)
    story.heard(host_changed(), before, 10.0)
    first = story.banner(10.0, before)
    assert first is not None and first.words == "Björn left. Ada hosts now: 84 ms.", "the dice are not known yet"
    story.seen(after, 10.01)
    shown = story.banner(10.02, after)
    assert shown is not None and (shown.tone, shown.words) == (
        "moved",
        "Björn left. Ada hosts now: 84 ms. Same dice.",
    )
    assert story.told(after.lines[-1]) == "Björn left. Ada hosts now. Same dice. 84 ms"
    assert story.banner(10.0 + BANNER_S, after) is None
    [move] = story.moves
    assert move.game == before.game
    assert move.first_commit_ms == pytest.approx(10.0) and move.seal_before == move.seal_after == before.seal


def test_an_attack_that_was_on_its_way_does_not_hide_that_the_dice_are_the_same() -> None:
    story, (before, after) = Story(), before_and_after()
    assert after.position is not None
    moved, _ = rules.play(after.position, next(rules.attacks(after.position)))
    story.seen(before, 9.0)
    story.heard(host_changed(), before, 10.0)
    story.seen(replace(after, position=moved), 10.1)
    assert story.moves[-1].same_dice and moved.seal != before.seal


def test_other_dice_are_not_called_the_same() -> None:
    story, (before, after) = Story(), before_and_after()
    assert after.position is not None
    forged = rules.position_of(rules.position_text(after.position).replace(after.position.seed.hex(), "ab" * 32))
    story.seen(before, 9.0)
    story.heard(host_changed(), before, 10.0)
    story.seen(replace(after, position=forged), 10.1)
    shown = story.banner(10.2, after)
    assert shown is not None and not shown.words.endswith("Same dice.")


def test_two_changes_in_a_row_each_name_their_own_host() -> None:
    story, (before, _) = Story(), before_and_after()
    story.seen(before, 9.0)
    story.heard(host_changed(), before, 10.0)
    story.heard(replace(host_changed(50.0), host=member_id(2)), before, 10.1)
    assert [(move.source, move.target) for move in story.moves] == [("Björn", "Ada"), ("Ada", "Chloé")]


def test_a_silent_host_is_amber_only_once_it_is_felt_and_no_quorum_is_red() -> None:
    story, table = Story(), table_of(2, 3)
    story.host_is(False, 10.0)
    assert story.banner(10.1, table) is None
    silent = story.banner(10.3, table)
    assert silent is not None and (silent.tone, silent.words) == ("silent", "Host silent for 0.3 s, clock paused")
    story.heard(failover.QuorumLost(1, 2), table, 10.5)
    red = story.banner(10.6, table)
    assert red is not None and red.tone == "alone" and red.words == "1 of 2 reachable: play waits."
    assert [name for name, _ in red.actions] == ["wait", "alone"]
    story.wait()
    waiting = story.banner(10.7, table)
    assert waiting is not None and [name for name, _ in waiting.actions] == ["alone"]
    story.heard(failover.QuorumRegained(), table, 11.0)
    story.host_is(True, 11.0)
    assert story.banner(11.1, table) is None


def test_who_only_watches_has_a_name_too() -> None:
    story, table = Story(), table_of(2, 3)
    watcher = member_id(7)
    assert story.name_of(watcher, table) == watcher.hex()[:8]
    story.know({watcher: "Grace"})
    assert story.name_of(watcher, table) == "Grace" and story.name_of(member_id(0), table) == "Ada"
    line = Line(1, LineKind.HOST, 255, f"{watcher.hex()[:8]} left. Ada hosts now.")
    assert story.told(line) == "Grace left. Ada hosts now."


# --- words, agreement, what is saved, sounds ---


def test_who_would_host_next_and_why() -> None:
    table = table_of(4, 3)
    assert words.next_host(status_of(table)) == ("Björn", "up to date, fittest (90 %), 4 ms away")
    assert words.next_host(status_of(table, gone=(1,))) == ("Chloé", "up to date, fittest (82 %), 7 ms away")
    assert words.next_host(status_of(table, gone=(1, 2, 3))) is None


def test_members_agree_on_the_newest_digest_that_can_be_compared() -> None:
    one, other, behind = Agreement(), Agreement(), Agreement()
    assert one.telling() is None and one.shown(0.0) == ("", 0, 0)
    for index in (8, 16):
        for each in (one, other):
            each.note(index, bytes([index]) * 16)
    behind.note(8, b"x" * 16)
    told, stale = other.telling(), behind.telling()
    assert told is not None and stale is not None
    one.heard_untrusted(b"o", told, 1.0)
    assert one.shown(1.0) == ("10101010", 2, 2) and one.words(1.0) == "10101010 on 2 of 2"
    one.heard_untrusted(b"b", stale, 1.0)
    assert one.shown(1.0) == ("10101010", 2, 3), "another digest of the same entry is not agreement"
    assert one.shown(1.1 + FRESH_S) == ("10101010", 1, 1)
    for body in (b"", b"d", b"p" * 25, told[:-1], told + b"x"):
        one.heard_untrusted(b"z", body, 1.0)
    assert one.shown(1.0)[2] == 3


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"name": 7, "animation": "wild", "bots": 99, "unknown": 1}',
        '{"bots": true, "skill": 0}',
        '[7, {"folder": "\\u0000", "name": "", "words": "", "at": 0}, {"folder": "x"}]',
        "\x00",
    ],
)
def test_whatever_is_in_the_settings_the_game_starts(content: str, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(content, encoding="utf-8")
    (tmp_path / "games.json").write_text(content, encoding="utf-8")
    saved = Saved(tmp_path)
    assert saved.settings == Settings() and saved.games() == []
    saved.change(name="Ada", animation="off")
    assert Saved(tmp_path).settings == Settings(name="Ada", animation="off")


def test_games_to_return_to_are_those_whose_storage_is_there_the_newest_first(tmp_path: Path) -> None:
    saved = Saved(tmp_path)
    for name in ("one", "two", "gone"):
        (tmp_path / name).mkdir()
        if name != "gone":
            (tmp_path / name / "game.db").touch()
        saved.remember(tmp_path / name, "Ada", "lobby")
    saved.remember(tmp_path / "one", "Ada", "round 7", solo=True)
    assert [game.solo for game in saved.games()] == [True, False]
    assert [(Path(game.folder).name, game.words) for game in saved.games()] == [
        ("one", "round 7"),
        ("two", "lobby"),
    ]
    saved.forget(tmp_path / "one")
    assert [Path(game.folder).name for game in saved.games()] == ["two"]
    assert json.loads((tmp_path / "games.json").read_text(encoding="utf-8"))


def test_a_folder_that_cannot_be_written_costs_the_memory_and_not_the_game(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    saved = Saved(tmp_path / "file" / "below")
    saved.change(name="Ada")
    saved.remember(tmp_path, "Ada", "lobby")
    assert saved.settings.name == "Ada" and saved.games() == []


@pytest.mark.parametrize("name", NAMES)
def test_sounds_are_short_not_loud_and_the_same_every_time(name: str) -> None:
    samples = wave(name)
    assert samples == wave(name) and 0.02 < len(samples) / (2 * RATE) < 1.0
    values = memoryview(samples).cast("h")
    assert 500 < max(map(abs, values)) <= 32_767 * 0.25


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there the system does it")
def test_names_of_other_scripts_are_drawn_in_their_own_order() -> None:
    assert displayed("Ada Björn Дмитрий 名前") == "Ada Björn Дмитрий 名前"
    assert displayed("שרה") == "הרש"
    assert displayed("Ada: שרה אברהם") == "Ada: םהרבא הרש"
    joined = displayed("محمد")
    assert len(joined) == 4 and all(0xFE70 <= ord(sign) <= 0xFEFF for sign in joined), "joined letters"


def test_words_for_people_are_sentences() -> None:
    assert sentence("it is not your turn") == "It is not your turn."
    assert sentence("Really?") == "Really?" and sentence("") == "."


def test_the_menu_is_there_before_the_library_is_imported() -> None:
    code = (
        "import sys, demo_game.cli, demo_game.cli_menu\n"
        "from demo_game.window import browser, game, menu, overlays, page, probe, saved, start\n"
        "sys.exit(' '.join({'failover', 'trio', 'pyglet', 'rich', 'segno'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
