"""How tickets reach a witness: as text, or as files that somebody drops into a folder while it runs.

No ticket, and no part of one, is ever printed. A file is taken once it has been left alone for a moment; when its
ticket has done its work it is deleted, and when it is of no use it is set aside, so that its name says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from failover.net.tickets import TEXT_SIZE_MAX

TICKETS_MAX = 64
"""At once: in one text, or in the folder."""
TEXT_MAX = TICKETS_MAX * 2 * TEXT_SIZE_MAX
"""Characters."""
FILE_SIZE_MAX = 4 * TEXT_SIZE_MAX
"""A ticket with all the line breaks that a mail program may have put into it."""
UNTOUCHED_S = 1.0
"""A file that was written to just now may not be whole yet; an empty one never is."""
SET_ASIDE = ".refused"


def tickets_in(text: str) -> list[str]:
    """The tickets of a text, one a line; what follows a `#` is for people."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line][:TICKETS_MAX]


class Letterbox:
    """A folder with a ticket in each file.

    Args:
        folder: is made if it is not there.
        deliver: called with each new ticket, and with what to call once it is known whether it was of use.
    """

    def __init__(self, folder: Path, deliver: Callable[[str, Callable[[bool], None]], None]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._deliver = deliver
        self._seen: dict[Path, int] = {}
        """Files that were delivered, and when they were written: once each."""

    def look(self) -> None:
        """Deliver what is new. A folder that cannot be read has nothing new."""
        with suppress(OSError):
            files = sorted(path for path in self._folder.iterdir() if _is_post(path))[:TICKETS_MAX]
            self._seen = {path: written for path, written in self._seen.items() if path in files}
            for path in files:
                self._take(path)

    def _take(self, path: Path) -> None:
        with suppress(OSError):
            status = path.stat()
            is_fresh = status.st_size == 0 or 0 <= time.time() - status.st_mtime < UNTOUCHED_S
            if is_fresh or self._seen.get(path) == status.st_mtime_ns:
                return
            self._seen[path] = status.st_mtime_ns
            with path.open("rb") as file:
                text = file.read(FILE_SIZE_MAX).decode("utf-8", "replace")
            self._deliver(text, lambda was_of_use: _put_away(path, was_of_use=was_of_use))


def _is_post(path: Path) -> bool:
    return not path.name.startswith(".") and not path.name.endswith((SET_ASIDE, ".tmp")) and path.is_file()


def _put_away(path: Path, *, was_of_use: bool) -> None:
    with suppress(OSError):
        if was_of_use:
            path.unlink()
        else:
            path.replace(path.with_name(path.name + SET_ASIDE))
