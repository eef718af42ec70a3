"""`failover decode FILE`: what members said to each other, from a capture, and a key log if it is encrypted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO, TextIO

import click
from rich.console import Console
from rich.text import Text

from failover.cli.datagrams import Said, describe_untrusted
from failover.errors import MalformedBytes
from failover.net import pcap
from failover.net.keylog import LINE_SIZE_MAX, KeyRing

HEX_SHOWN_MAX = 64
"""Digits of a long value that are shown to people; --json has all."""


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--keys", type=click.File("r"), help="The key log that belongs to a capture of encrypted datagrams.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with all values whole.")
def decode(file: BinaryIO, keys: TextIO | None, as_json: bool) -> None:
    """Show every datagram of the capture FILE: when, from whom to whom, and what each frame and message says.

    FILE is what `settings.net.capture` wrote, or a capture of tcpdump; for the latter, give the key log, too.
    """
    ring, console, counts = KeyRing(), Console(soft_wrap=True, highlight=False), Counter[str]()
    if keys is not None:
        _read_keys(keys, ring)
    try:
        for datagram in pcap.read_untrusted(file):
            said = describe_untrusted(datagram.payload, ring, is_whole=datagram.is_whole)
            ends = {"time": datagram.time, "from": str(datagram.source), "to": str(datagram.target)}
            counts[said["type"]] += 1
            counts["sealed"] += said["type"] == "DATA" and said["frames"] is None
            if as_json:
                click.echo(json.dumps(ends | said))
            else:
                for line in _lines(ends, said):
                    console.print(line)
    except MalformedBytes as error:
        raise click.ClickException(f"{_name(file)}: {error}") from error
    except OSError as error:
        raise click.ClickException(f"{_name(file)}: {error.strerror}") from error
    if not as_json:
        console.print(_summary(counts))


def _read_keys(keys: TextIO, ring: KeyRing) -> None:
    try:
        ring.read_untrusted(iter(lambda: keys.readline(LINE_SIZE_MAX), ""))
    except (MalformedBytes, UnicodeDecodeError) as error:
        why = error if isinstance(error, MalformedBytes) else "no key log: it is not even text"
        raise click.ClickException(f"{_name(keys)}: {why}") from error


def _name(file: BinaryIO | TextIO) -> str:
    return str(getattr(file, "name", "the file"))


def _lines(ends: Said, said: Said) -> Iterator[Text]:
    """For people: one line for the datagram, one for each frame."""
    moment = datetime.fromtimestamp(ends["time"], UTC)
    line = Text.assemble(
        (f"{moment:%H:%M:%S.%f}", "dim"), f"  {ends['from']} > {ends['to']}  ", (said["type"], "bold")
    )
    named = ("channel", "counter", "sender_index", "receiver_index", "size")
    line.append("".join(f"  {name} {said[name]}" for name in named if name in said))
    if "why" in said:
        line.append(f"  ({said['why']})", "red")
    yield line
    for frame in said.get("frames") or ():
        yield from _frame_lines(frame, "    ")


def _frame_lines(frame: Said, indent: str) -> Iterator[Text]:
    line = Text.assemble(indent, (frame["frame"].upper(), "cyan"))
    message, inner = frame.get("message"), frame.get("datagram")
    line.append(
        _fields({name: value for name, value in frame.items() if name not in ("frame", "message", "datagram")})
    )
    if message is not None:
        line.append(f"  {message['kind']}", "bold")
        line.append(_fields(message.get("fields", {})))
        if "why" in message:
            line.append(f"  ({message['why']})", "red")
    yield line
    if inner is not None:
        named = ("type", "channel", "counter", "size", "why")
        yield Text(f"{indent}    " + "  ".join(f"{inner[name]}" for name in named if name in inner))
        for each in inner.get("frames") or ():
            yield from _frame_lines(each, f"{indent}        ")


def _fields(fields: Said) -> str:
    return "".join(f"  {name}={_shown(value)}" for name, value in fields.items())


def _shown(value: Any) -> str:
    """On one line, whatever a peer wrote: JSON escapes what could move the cursor."""
    text = value if isinstance(value, str) and value.isascii() and value.isalnum() else json.dumps(value)
    return text if len(text) <= HEX_SHOWN_MAX else f"{text[:HEX_SHOWN_MAX]}... ({len(text):,} characters)"


def _summary(counts: Counter[str]) -> str:
    sealed, foreign = counts["sealed"], counts["foreign"]
    total = sum(counts.values()) - sealed
    notes = [f"{sealed:,} not readable"] * bool(sealed) + [f"{foreign:,} not of this library"] * bool(foreign)
    return ", ".join([f"{total:,} datagrams", *notes])
