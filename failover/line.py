"""The line between a member's net and its transport: as a rule nothing, on demand faults, a capture, a key log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from failover.net.endpoint import Transport
from failover.net.faulty import FaultyTransport
from failover.net.settings import Faults, FaultSettings, NetSettings
from failover.net.tap import TappedTransport
from failover.recording import Recorder
from failover.surroundings import Surroundings

log = logging.getLogger("failover")

KEY_LOG_VARIABLE = "FAILOVER_KEY_LOG"
CAPTURE_VARIABLE = "FAILOVER_CAPTURE"


@dataclass(frozen=True, slots=True)
class Line:
    """What a member talks through."""

    transport: Transport
    """In place of the one that was given: sends and receives, with all that was asked for."""
    real: Transport
    """The one that was given."""
    recorder: Recorder | None

    @property
    def note_key(self) -> Callable[[int, bytes], None] | None:
        """Told the keys of all channels, where somebody wants them."""
        return self.recorder.key if self.recorder else None

    def dropped(self) -> dict[str, int]:
        """What is missing in the capture."""
        return dict(self.recorder.counters) if self.recorder else {}


@contextmanager
def held_line(transport: Transport, settings: NetSettings, surroundings: Surroundings) -> Iterator[Line]:
    """Put between what the settings, or the environment, ask for; at the end close it all, the transport too.

    Raises BadSettings if a file cannot be made.
    """
    try:
        line = _open_line(transport, settings, surroundings)
    except BaseException:
        transport.close()
        raise
    try:
        yield line
    finally:
        line.transport.close()
        if line.recorder is not None:
            line.recorder.close()


def _open_line(transport: Transport, settings: NetSettings, surroundings: Surroundings) -> Line:
    line = transport
    if settings.faults.is_on:
        _say_faults(settings.faults)
        line = FaultyTransport(line, settings.faults, surroundings.clock)
    key_log = settings.key_log or surroundings.environ.get(KEY_LOG_VARIABLE, "")
    capture = settings.capture or surroundings.environ.get(CAPTURE_VARIABLE, "")
    if not key_log and not capture:
        return Line(line, transport, None)
    recorder = Recorder(
        capture=capture,
        capture_size_max=settings.capture_size_max,
        key_log=key_log,
        unix_time=surroundings.unix_time,
    )
    return Line(TappedTransport(line, recorder.datagram) if recorder.captures else line, transport, recorder)


def _say_faults(faults: FaultSettings) -> None:
    log.warning(
        "THIS MEMBER'S NETWORK IS MADE WORSE ON DEMAND (settings.net.faults): sent: %s; received: %s; seed %d",
        _words(faults.sent),
        _words(faults.received),
        faults.seed,
    )


def _words(faults: Faults) -> str:
    said = [
        (faults.loss, f"{faults.loss:.1%} lost"),
        (faults.duplication, f"{faults.duplication:.1%} doubled"),
        (faults.reordering, f"{faults.reordering:.1%} held back {faults.reordering_s * 1000:g} ms"),
        (faults.delay_s, f"{faults.delay_s * 1000:g} ms later"),
        (faults.jitter_s, f"up to {faults.jitter_s * 1000:g} ms of jitter"),
        (faults.rate_bytes_per_s, f"at most {faults.rate_bytes_per_s:,.0f} bytes/s"),
    ]
    return ", ".join(words for value, words in said if value) or "nothing"
