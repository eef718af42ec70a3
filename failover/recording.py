"""Writes the capture and the key log of one member, in a thread of its own: the loop only fills a queue.

Both show to whoever reads them what the encryption hides from everybody else. So they are off unless asked for,
only the user of this account may read the files, and the log says loudly that they are written.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from failover.errors import BadSettings
from failover.net import keylog, pcap
from failover.net.addresses import Address
from failover.net.keylog import KeyRing
from failover.net.tap import opened

log = logging.getLogger("failover")

WAITING_MAX = 8192
"""Datagrams that wait for the thread, 10 MB at most; what is more is not in the capture."""
CLOSE_S = 5.0
"""A disk that hangs for longer loses the end of the capture."""
NAMES_MAX = 1000
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_Item = tuple[float, bytes, Address, Address] | tuple[int, bytes] | None
"""A datagram with its time and its ends; a key with its index; the end."""


class Recorder:
    """See the module's docstring.

    Args:
        capture: the path of a new file; if it is taken, a number goes into its name. Empty = no capture.
        capture_size_max: bytes.
        key_log: the path of a file to which keys are added. Empty = no key log.
        unix_time: says what time it is.

    Raises:
        BadSettings: a file cannot be made.
    """

    def __init__(
        self, *, capture: str, capture_size_max: int, key_log: str, unix_time: Callable[[], float]
    ) -> None:
        self.counters: Counter[str] = Counter()
        """What is missing in the capture."""
        self._unix_time = unix_time
        self._keys = KeyRing()
        self._room = capture_size_max
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._key_log = _open_key_log(Path(key_log)) if key_log else -1
        self.captures = bool(capture)
        """Whether datagrams are wanted, or keys alone."""
        self._capture = _open_capture(Path(capture)) if capture else -1
        self._write(pcap.file_header())
        self._thread = Thread(target=self._run, name="failover capture", daemon=True)
        self._thread.start()

    # In the member's thread.

    def datagram(self, data: bytes, source: Address, target: Address) -> None:
        """One passed."""
        if self._queue.qsize() < WAITING_MAX:
            self._queue.put((self._unix_time(), data, source, target))
        else:
            self.counters["capture: written too slowly"] += 1

    def key(self, index: int, key: bytes) -> None:
        """Datagrams to the one who drew `index` are sealed with `key` from now on."""
        self._queue.put((index, key))

    def close(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        self._thread.join(CLOSE_S)

    # In the thread.

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if len(item) == 2:
                self._take_key(*item)
            elif self._capture >= 0:
                time, data, source, target = item
                with suppress(ValueError):  # an own transport may use addresses that are none
                    self._write(pcap.record(time, source, target, opened(data, self._keys)))
        for descriptor in (self._capture, self._key_log):
            if descriptor >= 0:
                os.close(descriptor)

    def _take_key(self, index: int, key: bytes) -> None:
        self._keys.add(index.to_bytes(4, "little"), key)
        if self._key_log >= 0:
            try:
                os.write(self._key_log, keylog.line(index, key).encode())
            except OSError as error:
                log.error("the key log ends here: %s", error.strerror)
                os.close(self._key_log)
                self._key_log = -1

    def _write(self, data: bytes) -> None:
        """One record: unbuffered, so that what is there stays if the game dies; here nobody waits for it."""
        if self._capture < 0:
            return
        why = ""
        if len(data) > self._room:
            why = "it is as long as it may be (capture_size_max)"
        else:
            try:
                if os.write(self._capture, data) < len(data):
                    why = "the disk is full"
                self._room -= len(data)
            except OSError as error:
                why = str(error.strerror)
        if why:
            log.warning("the capture ends here: %s", why)
            os.close(self._capture)
            self._capture = -1


def _open_key_log(path: Path) -> int:
    try:
        found = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINKS, 0o600)
        if hasattr(os, "fchmod"):  # it may have been there, readable for others
            os.fchmod(found, 0o600)
    except OSError as error:
        raise BadSettings(f"the key log {path} cannot be written: {error.strerror}") from None
    log.warning(
        "THE KEYS OF ALL CHANNELS ARE WRITTEN TO %s: whoever reads it can read everything that this member says "
        "and hears. Never leave this on in a game that people play.",
        path,
    )
    return found


def _open_capture(path: Path) -> int:
    for number in range(1, NAMES_MAX):
        name = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        try:
            found = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, 0o600)
        except FileExistsError:
            continue
        except OSError as error:
            raise BadSettings(f"the capture {name} cannot be written: {error.strerror}") from None
        log.warning("EVERYTHING THAT THIS MEMBER SAYS AND HEARS IS WRITTEN TO %s, decrypted.", name)
        return found
    raise BadSettings(f"there are too many captures named like {path}: delete some")
