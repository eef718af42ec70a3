"""The LAN's notice board, by zeroconf (multicast DNS): the one file that knows that library.

zeroconf has threads and an event loop of its own. Here it gets a thread that begins and ends it and does what is
waiting in a queue; what is heard lands in a bounded deque, from which the member's loop takes it when it likes.
So nothing here ever blocks that loop, and no callback runs in it.

Instances have random names, hosts none, and no address records are given: what a note is meant to say is in its
TXT record, under a key of one letter.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import trio

if TYPE_CHECKING:
    import zeroconf

log = logging.getLogger("failover")

SERVICE = "_failover._udp.local."
HEARD_MAX = 64
"""Notes that wait to be taken; more push the oldest out."""
VALUE_SIZE_MAX = 200
"""Of one key of a note. A TXT record takes 255 bytes for key and value."""
KEYS_MAX = 8
CLOSE_S = 3.0
"""Goodbyes take a quarter of a second; who waits longer than this for them waits in vain."""
LOOK_UP_MS = 300
"""A note that came without its text is asked for this long."""

Note = Mapping[str, bytes]
"""What one instance says, key by key."""


class Board(Protocol):
    """Where members of one LAN leave notes."""

    def post(self, note: Note) -> None:
        """Put up this note in place of the last one; an empty one takes it down."""

    @property
    def counters(self) -> Counter[str]:
        """What was not taken, by reason."""

    def take(self) -> list[Note]:
        """What was put up since the last call, by whomever, this member included. Never blocks."""

    async def aclose(self) -> None:
        """Take the note down and leave."""


class ZeroconfBoard:
    """Needs no entropy of its own but for names.

    Args:
        bind: the one of this machine's IPv4 addresses to use; "0.0.0.0" = all.
        entropy: draws random bytes.
    """

    def __init__(self, bind: str, entropy: Callable[[int], bytes]) -> None:
        self.counters: Counter[str] = Counter()
        self._bind = bind
        self._entropy = entropy
        self._heard: deque[Note] = deque(maxlen=HEARD_MAX)
        self._orders: queue.SimpleQueue[Note | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="failover LAN", daemon=True)
        self._thread.start()

    # --- from the member's loop ---

    def post(self, note: Note) -> None:
        """See `Board.post`."""
        assert len(note) <= KEYS_MAX and all(len(value) <= VALUE_SIZE_MAX for value in note.values())
        self._orders.put(dict(note))

    def take(self) -> list[Note]:
        """See `Board.take`."""
        taken: list[Note] = []
        while self._heard:
            taken.append(self._heard.popleft())
        return taken

    async def aclose(self) -> None:
        """See `Board.aclose`."""
        self._orders.put(None)
        with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_S):
            await trio.to_thread.run_sync(self._thread.join, abandon_on_cancel=True)

    # --- in the thread ---

    def _run(self) -> None:
        try:
            # Takes 0.1 s, and 100,000 lines of which most members never need one: not at the front door.
            import zeroconf  # noqa: PLC0415
        except ImportError as error:
            log.warning("no LAN discovery: zeroconf is not installed (%s)", error)
            return
        try:
            choice = zeroconf.InterfaceChoice.All if self._bind == "0.0.0.0" else [self._bind]  # noqa: S104
            engine = zeroconf.Zeroconf(interfaces=choice, ip_version=zeroconf.IPVersion.V4Only)
        except OSError as error:
            log.warning("no LAN discovery: %s", error)
            return
        try:
            browser = zeroconf.ServiceBrowser(engine, SERVICE, handlers=[self._changed])
            self._obey(engine, zeroconf.ServiceInfo)
            browser.cancel()
        except Exception as error:  # whatever that library meets, the game goes on without it
            log.warning("LAN discovery ended: %r", error)
        finally:
            with suppress(Exception):
                engine.close()

    def _obey(self, engine: zeroconf.Zeroconf, info_of: Callable[..., zeroconf.ServiceInfo]) -> None:
        posted: zeroconf.ServiceInfo | None = None
        while (note := self._orders.get()) is not None:
            if posted is not None:
                engine.unregister_service(posted)
                posted = None
            if note:
                name = self._entropy(8).hex()
                posted = info_of(
                    SERVICE, f"{name}.{SERVICE}", port=9, server=f"{name}.local.", properties=dict(note)
                )
                # The name is random: to ask first whether somebody else has it would take a second.
                engine.register_service(posted, cooperating_responders=True)
        if posted is not None:
            engine.unregister_service(posted)

    def _changed(self, zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        """Runs in a thread of zeroconf's."""
        if state_change.name == "Removed":
            return
        try:
            note = read_untrusted(self._looked_up(zeroconf, service_type, name).properties)
        except Exception:  # hostile records must not end the browser
            note = None
        if note is None:
            self.counters["announcement: not readable"] += 1
        else:
            self._heard.append(note)

    @staticmethod
    def _looked_up(engine: Any, service_type: str, name: str) -> Any:
        import zeroconf  # noqa: PLC0415

        info = zeroconf.ServiceInfo(service_type, name)
        info.load_from_cache(engine)  # it says whether all is there; there are no addresses
        if not info.text:
            info.request(engine, LOOK_UP_MS)
        return info


def read_untrusted(properties: Mapping[bytes, bytes | None]) -> Note | None:
    """A note out of what a TXT record holds; None if it is too large or not of this form."""
    if not 0 < len(properties) <= KEYS_MAX:
        return None
    note: dict[str, bytes] = {}
    for key, value in properties.items():
        if len(key) != 1 or not key.isalpha() or value is None or len(value) > VALUE_SIZE_MAX:
            return None
        note[key.decode("ascii", "replace")] = value
    return note
