"""A bug on purpose, behind four bytes in a row: who varies inputs blindly would need years to meet it."""

from __future__ import annotations


def run(data: bytes) -> None:
    """Raises for inputs that begin with `boom`. One branch for each byte, as a reader of a format has."""
    if data[:1] == b"b":  # noqa: SIM102  # each has to be seen for itself
        if data[1:2] == b"o":  # noqa: SIM102
            if data[2:3] == b"o":  # noqa: SIM102
                if data[3:4] == b"m":
                    raise IndexError("the planted bug")
