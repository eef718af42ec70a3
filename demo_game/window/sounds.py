"""Sounds, made of sine waves when they are first heard. Without a sound device there are none, and no error."""

from __future__ import annotations

import array
import logging
import math
import random
from functools import lru_cache

import pyglet

log = logging.getLogger("demo_game")

RATE = 22_050
LOUDNESS = 0.22

# Notes: (frequency in Hz, start in s, length in s). 0 Hz = noise.
_NOTES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "press": ((880.0, 0.0, 0.03),),
    "choose": ((587.0, 0.0, 0.06),),
    "refused": ((196.0, 0.0, 0.10), (174.6, 0.07, 0.12)),
    "won": ((0.0, 0.0, 0.08), (523.3, 0.04, 0.10), (784.0, 0.11, 0.16)),
    "lost": ((0.0, 0.0, 0.08), (329.6, 0.04, 0.12), (261.6, 0.13, 0.18)),
    "turn": ((659.3, 0.0, 0.10), (880.0, 0.09, 0.18)),
    "chat": ((1046.5, 0.0, 0.05),),
    "moved": ((440.0, 0.0, 0.10), (554.4, 0.09, 0.10), (659.3, 0.18, 0.22)),
    "start": ((392.0, 0.0, 0.10), (523.3, 0.09, 0.10), (659.3, 0.18, 0.10), (784.0, 0.27, 0.25)),
    "over": ((523.3, 0.0, 0.15), (659.3, 0.12, 0.15), (784.0, 0.24, 0.15), (1046.5, 0.36, 0.45)),
}
NAMES = tuple(_NOTES)


@lru_cache(maxsize=len(_NOTES))
def wave(name: str) -> bytes:
    """Return a sound as 16-bit samples, one channel, 22,050 a second; the same bytes every time."""
    notes = _NOTES[name]
    samples = [0.0] * int(RATE * max(start + length for _, start, length in notes))
    hiss = random.Random(7)
    for frequency, start, length in notes:
        count = int(RATE * length)
        for k in range(count):
            fade = (1 - k / count) ** 2 * min(1.0, k / 60)
            tone = math.sin(math.tau * frequency * k / RATE) if frequency else hiss.uniform(-1, 1) * 0.5
            samples[int(RATE * start) + k - 1] += tone * fade
    loudest = max(1.0, *map(abs, samples))
    return array.array("h", (int(32_767 * LOUDNESS * s / loudest) for s in samples)).tobytes()


class Sounds:
    """Plays them, as long as that works."""

    def __init__(self, *, on: bool = True) -> None:
        self._on = on
        self._sources: dict[str, pyglet.media.StaticSource] = {}

    def play(self, name: str) -> None:
        """Play a sound; returns at once."""
        if not self._on:
            return
        try:
            if name not in self._sources:
                self._sources[name] = _source(wave(name))
            self._sources[name].play()
        except Exception as error:  # drivers raise what they like, and a game without sound is a game
            log.info("no sound: %s", error)
            self._on = False


def _source(samples: bytes) -> pyglet.media.StaticSource:
    from pyglet.media.codecs.base import AudioData, AudioFormat, Source, StaticSource  # noqa: PLC0415

    class _Samples(Source):
        """Hands the samples out once."""

        def __init__(self) -> None:
            self.audio_format = AudioFormat(1, 16, RATE)  # type: ignore[assignment]
            self._duration = len(samples) / (2 * RATE)  # type: ignore[assignment]
            self._left = samples

        def get_audio_data(self, num_bytes: int, compensation_time: float = 0.0) -> AudioData | None:
            del compensation_time
            part, self._left = self._left[:num_bytes], self._left[num_bytes:]
            return AudioData(part, len(part), 0.0, len(part) / (2 * RATE), []) if part else None

    return StaticSource(_Samples())
