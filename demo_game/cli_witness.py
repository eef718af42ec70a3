"""The command `demo-game witness`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import trio

from demo_game import cli_options, session, witnessing
from demo_game.witnessing import Post


@click.command()
@click.argument("ticket", required=False)
@click.option("--name", default="witness", help="How the players see it.")
@cli_options.where
def witness(ticket: str | None, name: str, data: Path | None, log_file: Path | None, **rest: Any) -> None:
    """Be a witness with TICKET: a third vote for two players, so that play goes on when one of them crashes.

    It has no board and no copy of the game. With an old --data folder it needs no ticket. Ctrl+C ends it.
    """
    cli_options.log_to(log_file)
    post = Post(data or session.new_data_folder(), name, **rest)
    if ticket or not post.storage.exists():
        post = replace(post, ticket=cli_options.ticket_of(ticket))
    trio.run(witnessing.witness, post, click.echo)
