"""What the game sounds like: waves made of sines and a little noise. Pure."""

from __future__ import annotations

import array
import math
import random
from functools import lru_cache

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
