"""The commands of `failover`. Each error is one line that says what to do; exit status 1, 2 for a wrong call."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import click

from failover.cli.decoding import decode
from failover.cli.inspecting import inspect
from failover.cli.reading_tickets import ticket
from failover.cli.witnessing import witness


def _version() -> str:
    try:
        return version("failover")
    except PackageNotFoundError:  # run from a checkout that nobody installed
        return "(not installed)"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), message="failover %(version)s")
def main() -> None:
    """Be a witness of games that use failover; look at what they store, hand out, and say over the network."""


main.add_command(decode)
main.add_command(inspect)
main.add_command(ticket)
main.add_command(witness)
