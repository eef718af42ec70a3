"""`failover witness`: a third vote for games of two players, from a machine that is always on."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

import click
import platformdirs
import trio

from failover.cli.charge import Options
from failover.cli.handing_in import TEXT_MAX, tickets_in
from failover.cli.keeping import TICKETS, Keeper
from failover.errors import BadSettings
from failover.settings import Settings

VARIABLE = "FAILOVER_TICKETS"
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]


def _ports(context: click.Context, option: click.Parameter, given: str | None) -> Sequence[int]:
    """A port, or a range of them, as the operator wrote it: 47800 or 47800-47819."""
    if given is None:
        return ()
    found = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", given)
    ports = range(int(found[1]), int(found[2] or found[1]) + 1) if found else range(0)
    if not (ports and ports[0] >= 1 and ports[-1] <= 65_535):
        raise click.BadParameter(f"{given!r} is no port from 1 to 65535, and no range of them like 47800-47819")
    return ports


@click.command()
@click.argument("tickets", metavar="[TICKET]...", nargs=-1)
@click.option("--tickets-from", type=click.File("r"), help="A file with tickets, one a line; - is a pipe.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="FAILOVER_FOLDER",
    help="Where the storages are, one file for each game.  [default: where this system keeps a program's data]",
)
@click.option("--name", default="witness", show_default=True, help="How players see it.")
@click.option("--bind", default="::", show_default=True, help="The address to listen on; :: is all.")
@click.option(
    "--ports", callback=_ports, metavar="FIRST-LAST", help="UDP ports to use, one a game: 47800-47819. Else any."
)
@click.option(
    "--address",
    "addresses",
    multiple=True,
    help="An address or name of this machine by which players reach it from outside; needs --ports.",
)
@click.option("--settings", "settings_file", type=click.File("r"), help="Settings of the games, as TOML.")
def witness(
    tickets: tuple[str, ...],
    tickets_from: TextIO | None,
    folder: Path | None,
    name: str,
    bind: str,
    ports: Sequence[int],
    addresses: tuple[str, ...],
    settings_file: TextIO | None,
) -> None:
    """Be the witness of games: two players and a witness go on when one of the players crashes.

    It needs no copy of any game, and serves as many as you like. Give it a TICKET of each, once: as an argument
    (which everybody on this machine can see), with --tickets-from, in the variable FAILOVER_TICKETS, or as a file
    that you put into the folder "tickets" of its folder, at any time. Started again, it goes on with all games
    that it had.

    Ctrl+C ends it. It stays a member, and goes on when it is started again; for good it goes when a player
    removes it from the game.
    """
    if addresses and not ports:
        raise click.UsageError("--address needs --ports: players must know at which port they reach this machine")
    options = Options(
        name=name,
        bind=bind,
        ports=ports,
        addresses=addresses,
        settings=_settings(settings_file),
    )
    folder = folder or platformdirs.user_data_path("failover") / "witness"
    given = [*tickets, *os.environ.get(VARIABLE, "").split(), *_read(tickets_from)]
    try:
        keeper = Keeper(folder, options, _say)
    except OSError as error:
        raise click.ClickException(f"{folder}: {error.strerror or error}") from error
    if not given and keeper.is_empty and sys.stdin.isatty():
        given = [str(click.prompt("Ticket", hide_input=True))]
    with _plain_output():
        _say("", f"in {folder}; tickets of more games go into {folder / TICKETS}")
        was_told_to_end = trio.run(_keep, keeper, given)
    if not was_told_to_end:
        raise click.ClickException("nothing to witness: no ticket was of use, and the folder holds no game")


@contextmanager
def _plain_output() -> Iterator[None]:
    """What the library logs stands among the lines; and no name of a player is one that cannot be written."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    library, handler = logging.getLogger("failover"), _Lines(logging.INFO)
    level = library.level
    library.addHandler(handler)
    library.setLevel(logging.INFO)
    try:
        yield
    finally:
        library.removeHandler(handler)
        library.setLevel(level)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _say("", self.format(record))


def _read(file: TextIO | None) -> list[str]:
    try:
        return tickets_in(file.read(TEXT_MAX)) if file is not None else []
    except UnicodeDecodeError as error:
        raise click.ClickException("these are no tickets: it is not even text") from error


def _settings(file: TextIO | None) -> Settings:
    try:
        return Settings.from_toml(file.read()) if file is not None else Settings()
    except (BadSettings, UnicodeDecodeError) as error:
        raise click.ClickException(str(error)) from error


async def _keep(keeper: Keeper, tickets: Sequence[str]) -> bool:
    """Until somebody wants it to end; False if there was nothing to do."""
    was_told_to_end = False

    async def obey() -> None:
        nonlocal was_told_to_end
        with trio.open_signal_receiver(*_SIGNALS) as signals:
            async for _ in signals:
                was_told_to_end = True
                _say("", "ending; it stays a member, and goes on when it is started again")
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(obey)
        await keeper.run(tickets)
        nursery.cancel_scope.cancel()
    return was_told_to_end


def _say(cluster: str, line: str) -> None:
    click.echo(f"{datetime.now().astimezone():%H:%M:%S}  {cluster or 'witness':8}  {line}")
