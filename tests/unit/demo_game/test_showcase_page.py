"""The showcase in windows, as far as it needs no screen: places, the director's page, pictures as bytes."""

from __future__ import annotations

import zlib
from dataclasses import replace
from itertools import combinations

import pytest
from click.testing import CliRunner

from demo_game import cli_showcase
from demo_game.cli import main
from demo_game.commands import EndTurn, Rematch, Start
from demo_game.figures import Figures, Kill
from demo_game.player import Player
from demo_game.players import Spot
from demo_game.showcase import Show
from demo_game.window.look import Look
from demo_game.window.page import Page, Text
from demo_game.window.poster import Actor, Shown, poster
from demo_game.window.shots import png
from demo_game.window.staging import NoWindow
from demo_game.window.tiles import LEAST, TITLE, overlap, tiles

SCREENS = (Spot(0, 0, 2600, 1500), Spot(1920, 0, 3840, 2160), Spot(0, 0, 1920, 1080), Spot(0, 0, 1440, 900))


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("windows", [2, 4, 6, 9])
def test_windows_stay_on_the_screen_are_large_enough_and_none_hides_another(screen: Spot, windows: int) -> None:
    spots = tiles(screen, windows, below_title=True)
    assert len(spots) == windows
    for spot in spots:
        assert spot.width >= LEAST[0] and spot.height >= LEAST[1]
        assert spot.x >= screen.x and spot.x + spot.width <= screen.x + screen.width
        assert spot.y >= screen.y + TITLE and spot.y + spot.height <= screen.y + screen.height
    for one, other in combinations(spots, 2):
        assert (one.x, one.y) != (other.x, other.y)


def test_on_a_large_screen_they_are_side_by_side() -> None:
    spots = tiles(SCREENS[0], 4, below_title=True)
    assert not overlap(spots)
    assert {(spot.width, spot.height) for spot in spots} == {(1280, 720)}
    assert overlap(tiles(SCREENS[2], 4))
    assert {spot.width for spot in tiles(SCREENS[1], 2, width_max=1280)} == {1280}


def test_a_screen_that_is_too_small_gets_windows_all_the_same() -> None:
    assert [(s.x, s.y, s.width, s.height) for s in tiles(Spot(0, 0, 800, 480), 2)] == [(0, 0, *LEAST)] * 2


FULL = Shown(
    kills=tuple(Kill("Wilhelmina", "Chloé", 80.0 + 13 * k) for k in range(9)),
    kills_due=12,
    moves=12_345,
    lost=0,
    doubled=0,
    agreed=("9c1e77a0", 8, 8),
    actors=tuple(
        Actor(f"Player {k}", "host" if k == 2 else "gone" if k == 3 else "player", k < 3) for k in range(8)
    ),
    story=tuple((k * 1_000, f"Player {k} left. Player {k + 1} hosts now: 84 ms. Same dice.") for k in range(9)),
    banner="Player 1 left. Player 2 hosts now: 84 ms. Same dice.",
    now_ms=754_000,
    round=12,
)


def shown(facts: Shown, width: float = 1280.0, height: float = 720.0) -> Page:
    return poster(facts, Look(width, height, lambda words, size, bold: len(words) * size * 0.55))


def words(page: Page) -> list[str]:
    return [item.words for item in page.items if isinstance(item, Text)]


@pytest.mark.parametrize("size", [(1280.0, 720.0), (1280.0, 960.0), (1706.0, 720.0)])
@pytest.mark.parametrize("facts", [Shown(), FULL, replace(FULL, is_over=True, banner="")])
def test_everything_is_on_the_page(facts: Shown, size: tuple[float, float]) -> None:
    for item in shown(facts, *size).items:
        if isinstance(item, Text):
            left = {"left": 0.0, "center": item.room / 2, "right": item.room}[item.anchor]
            assert item.x - left >= 0 and item.x - left + item.room <= size[0] + 1, item
            assert item.size / 2 <= item.y <= size[1] - item.size / 2, item


def test_the_figures_are_to_be_seen() -> None:
    seen = words(shown(FULL))
    assert {"9", "12,345", "0", "8 of 8", "digest 9c1e77a0", "132 ms", "184 ms", "12:34"} <= set(seen)
    assert FULL.banner in seen


def test_what_is_not_known_yet_is_no_number() -> None:
    assert words(shown(Shown(kills_due=2))).count("–") == 5


def test_the_end_says_what_was_wrong_if_anything_was() -> None:
    assert any("nothing lost" in each for each in words(shown(replace(FULL, is_over=True))))
    bad = words(shown(replace(FULL, is_over=True, complaints=("2 accepted requests were lost",))))
    assert "2 accepted requests were lost" in bad and not any("nothing lost" in each for each in bad)


def test_without_a_window_it_is_shown_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    shows: list[Show] = []

    def refuse(show: Show) -> Figures:
        raise NoWindow("no such display")

    def run(show: Show) -> Figures:
        shows.append(show)
        return Figures()

    monkeypatch.setattr(cli_showcase.start, "there_is_a_display", lambda: True)
    monkeypatch.setattr(cli_showcase, "_direct", refuse)
    monkeypatch.setattr(cli_showcase, "run", run)
    result = CliRunner().invoke(main, ["showcase", "--players", "5"])
    assert result.exit_code == 0 and "no such display" in result.output
    assert [(show.players, show.windows) for show in shows] == [(5, 0)]
    for words in (["--headless"], ["--plain"]):
        refused = CliRunner().invoke(main, ["showcase", "--record", "pictures", *words])
        assert refused.exit_code == 2 and "--record needs windows" in refused.output


def test_a_picture_is_a_png_file_with_its_rows_from_the_top() -> None:
    lower, upper = bytes((1, 2, 3, 0)) * 2, bytes((4, 5, 6, 255)) * 2
    file = png(2, 2, lower + upper)
    assert file.startswith(b"\x89PNG\r\n\x1a\n") and file.endswith(b"IEND\xaeB`\x82")
    assert file[16:24] == bytes((0, 0, 0, 2, 0, 0, 0, 2))
    begin = file.index(b"IDAT") + 4
    size = int.from_bytes(file[begin - 8 : begin - 4], "big")
    assert zlib.decompress(file[begin : begin + size]) == bytes((0, 4, 5, 6, 4, 5, 6, 0, 1, 2, 3, 1, 2, 3))


def test_a_player_waits_for_people_before_a_game_and_after_it_and_never_in_it() -> None:
    player = Player(bytes(32), "Ada", pace_s=0.5, linger_s=2.0)
    assert [player.pause_s(each) for each in (Start(), Rematch(), EndTurn(1, 0))] == [2.0, 2.0, 0.5]
    assert Player(bytes(32), "Ada", pace_s=0.05).pause_s(Start()) == 0.05
