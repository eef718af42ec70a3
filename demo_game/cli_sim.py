"""The command `demo-game sim`."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table as Grid

from demo_game import balance, cli_options, rules
from demo_game.bots import Skill
from demo_game.land import SIZES


@click.command()
@click.option("--players", type=click.IntRange(2, 8), default=2, help="Seats.")
@click.option("--games", type=click.IntRange(1, 1_000_000), default=1000, help="Games to play.")
@click.option("--map", "size", type=cli_options.MAPS, default="standard", help="Size of the map.")
@click.option(
    "--skill",
    "skills",
    type=cli_options.SKILLS,
    multiple=True,
    help="Skills round the table; repeat. Default: hard.",
)
@click.option("--compensation", type=click.IntRange(0, 20), help="Extra dice per seat, instead of the rules'.")
@click.option("--rounds", type=click.IntRange(1, 99), default=rules.ROUNDS_DEFAULT, help="The last round.")
@click.option("--seed", "first", type=click.IntRange(0), default=0, help="Number of the first seed.")
def sim(players: int, games: int, size: str, skills: tuple[str, ...], **rest: Any) -> None:
    """Play many games between bots, by the rules alone: is every seat worth the same?"""
    names = skills or ("hard",)
    seated = [Skill[names[seat % len(names)].upper()] for seat in range(players)]
    land = next(each for each in SIZES if each.name == size)
    tally = balance.measure(
        games, land, seated, first=rest["first"], extra=rest["compensation"], rounds=rest["rounds"]
    )
    _print_tally(tally, players)


def _print_tally(tally: balance.Tally, players: int) -> None:
    grid = Grid(title=f"{tally.games} games, {tally.by_rounds} ended by the last round")
    for heading in ("seat", "won", "of its fair share"):
        grid.add_column(heading, justify="right")
    for seat in range(players):
        grid.add_row(str(seat + 1), str(tally.by_seat[seat]), f"{100 * tally.share(seat):.0f} %")
    screen = Console()
    screen.print(grid)
    if len(tally.by_skill) > 1:
        for skill, won in tally.by_skill.items():
            screen.print(f"{skill.name.lower()} won {won} ({100 * won / tally.games:.0f} %)")
    screen.print(f"{tally.turns / tally.games:.0f} turns and {tally.attacks / tally.games:.0f} attacks a game")
