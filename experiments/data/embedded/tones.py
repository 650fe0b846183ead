"""Keywords: short melodies of gliding tones with overtones, under noise, at any pitch, speed and time."""

from __future__ import annotations

import numpy as np

from experiments.data.dataset import Array, Dataset, InMemory

RATE = 8000
#: Each word is the pitches, in semitones above its first, that the voice glides through.
WORDS: dict[str, tuple[int, ...]] = {
    "rise": (0, 12),
    "fall": (0, -12),
    "hill": (0, 12, 0),
    "dale": (0, -12, 0),
    "flat": (0, 0),
    "steps": (0, 0, 7, 7),
    "stairs": (0, 0, -7, -7),
    "wave": (0, 7, 0, 7, 0),
}
_SEMITONE = 2 ** (1 / 12)
_OVERTONES = (1.0, 0.5, 0.3, 0.15)


def load(train: int = 960, test: int = 240) -> Dataset:
    """Return waves of one second, ``(N, 8000)`` float32; drawn from fixed seeds."""
    splits = [_split(count, seed) for count, seed in ((train, 1), (test, 2))]
    return Dataset("tones", "audio", "accuracy", tuple(WORDS), splits[0], splits[1], rate=RATE)


def _split(count: int, seed: int) -> InMemory:
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(WORDS), size=count)
    melodies = list(WORDS.values())
    return InMemory(np.stack([_spoken(melodies[label], rng) for label in labels]), labels.astype(np.int64))


def _spoken(melody: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return a wave ``(RATE,)``: phase is the integral of the gliding pitch."""
    length = int(RATE * rng.uniform(0.5, 0.9))
    start = int(rng.integers(0, RATE - length))
    semitones = np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(melody)), melody)
    pitch = rng.uniform(350, 600) * _SEMITONE**semitones
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(loudness * np.sin(number * phase) for number, loudness in enumerate(_OVERTONES, 1))
    wave = rng.normal(scale=rng.uniform(0.02, 0.1), size=RATE)
    wave[start : start + length] += 0.4 * voice * np.hanning(length)
    return np.clip(wave, -1, 1).astype(np.float32)
