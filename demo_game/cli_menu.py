"""The command `demo-game menu`. What a table needs is imported when it goes to one: the window comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from demo_game import cli_options
from demo_game.window import start

if TYPE_CHECKING:
    from demo_game.commands import Command
    from demo_game.session import Opening


@click.command()
@cli_options.who
@cli_options.looks
def menu(**options: Any) -> None:
    """Open the window with its menu. The word may be left out, also before options."""
    if not start.there_is_a_display():
        raise click.UsageError("there is no display to open a window on: name a command, such as host or join")
    if options["headless"] or options["terminal"] or options["data"] is not None:
        from demo_game import cli_table  # noqa: PLC0415 - see above

        cli_table.at_table(options)
        return
    cli_options.log_to(options["log_file"])
    start.show(cli_options.looks_of(options), start.First(), lambda: _table(options), cli_options.given_name())


def _table(options: dict[str, Any]) -> tuple[Opening, tuple[Command, ...]]:
    """Return how to come to a table, in a folder of its own."""
    from demo_game import cli_table  # noqa: PLC0415 - see above

    return cli_table.opening_of(options, cli_table.journal_of(options["report"])), ()
