"""Plays sounds. Without a sound device there are none, and no error."""

from __future__ import annotations

import logging

import pyglet

from demo_game.window.sounds_made import RATE, wave

log = logging.getLogger("demo_game")


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
