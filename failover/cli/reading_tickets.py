"""`failover ticket`: what is in a ticket, without its secrets."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TextIO

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from failover.errors import BadTicket
from failover.ids import short
from failover.net.tickets import TEXT_SIZE_MAX, Ticket


@click.command()
@click.argument("file", type=click.File("r"), required=False)
def ticket(file: TextIO | None) -> None:
    """Show what is in a ticket: from FILE, from a pipe, or asked for without showing it.

    The ticket itself is never an argument: arguments are seen by everybody on the machine.
    """
    try:
        shown = Ticket.parse(_read(file))
    except BadTicket as error:
        raise click.ClickException(str(error)) from error
    except UnicodeDecodeError as error:
        raise click.ClickException("this is no ticket: it is not even text") from error
    table = Table(title="Ticket", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("invite", shown.fingerprint())
    table.add_row("cluster", shown.cluster.hex())
    table.add_row("expires", _when(shown.expires_at))
    for contact in shown.contacts:
        where = ", ".join(str(address) for address in (*contact.names, *contact.addresses))
        table.add_row("contact", Text(f"{short(contact.member)} at {where}"))
    Console().print(table)


def _read(file: TextIO | None) -> str:
    if file is None and sys.stdin.isatty():
        return str(click.prompt("Ticket", hide_input=True))
    # A little more than the longest ticket, with its line breaks: enough to see that it is too long.
    return (file or sys.stdin).read(4 * TEXT_SIZE_MAX)


def _when(expires_at: int) -> str:
    if expires_at == 0:
        return "never"
    try:
        moment = datetime.fromtimestamp(expires_at, UTC)
    except (OverflowError, ValueError, OSError):  # a year that no calendar here has
        return "in the far future"
    over = " (expired)" if moment < datetime.now(UTC) else ""
    return f"{moment:%Y-%m-%d %H:%M} UTC{over}"
