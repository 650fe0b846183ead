"""Speech Commands (Warden, arXiv 1804.03209): ten keywords, other words, and silence; and spoken digits likewise."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from experiments.data.dataset import Dataset, Decoded
from experiments.data.folder import Folder
from experiments.data.reading.wave_files import fitted, read_wave, waves

ADVICE = (
    "speech_commands_v0.02.tar.gz from http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz and unpack it"
    " there"
)
KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE = "unknown", "silence"
_RATE, _SECONDS = 16_000, 1.0
_NOISE = "_background_noise_"
#: Unknown words and silence are each this share of the keywords' number, as in the paper's own split.
_SHARE = 0.1
_TEST_INDICES = 5
_DIGITS = tuple(str(digit) for digit in range(10))


def load(path: Path) -> Dataset:
    """Read the twelve-class task: keywords, unknown, silence; recordings are read when they are asked for.

    Raises
    ------
    UserError
        If a list or a keyword's folder is missing.
    """
    folder = Folder("speech-commands", path, ADVICE)
    folder.require(["testing_list.txt", "validation_list.txt", _NOISE, *KEYWORDS])
    classes = (*KEYWORDS, UNKNOWN, SILENCE)
    listed = {
        name: set((path / f"{name}_list.txt").read_text(encoding="utf-8").split()) for name in ("testing", "validation")
    }
    every = sorted(
        f"{word.name}/{file.name}"
        for word in path.iterdir()
        if word.is_dir() and word.name != _NOISE
        for file in word.glob("*.wav")
    )
    training = [name for name in every if name not in listed["testing"] | listed["validation"]]
    testing = [name for name in every if name in listed["testing"]]
    train, test = (_split(path, names, classes) for names in (training, testing))
    return Dataset("speech-commands", "audio", "accuracy", classes, train, test, rate=_RATE)


def _split(path: Path, names: list[str], classes: tuple[str, ...]) -> Decoded:
    """Return keywords, and as many other words and pieces of noise as the share says, always the same ones."""
    keywords = [name for name in names if name.split("/")[0] in KEYWORDS]
    others = sorted((name for name in names if name not in set(keywords)), key=lambda name: zlib.crc32(name.encode()))
    count = round(_SHARE * len(keywords))
    noises = sorted((path / _NOISE).glob("*.wav"))
    chosen: list[tuple[Path, int]] = [(path / name, -1) for name in keywords + others[:count]]
    labels = [classes.index(name.split("/")[0]) for name in keywords] + [classes.index(UNKNOWN)] * len(others[:count])
    if noises:
        chosen += [(noises[number % len(noises)], number) for number in range(count)]
        labels += [classes.index(SILENCE)] * count
    return Decoded(chosen, _read, np.array(labels, np.int64))


def _read(item: tuple[Path, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return a recording, or the piece of a longer noise that a number stands for."""
    path, piece = item
    if piece < 0:
        return waves(_SECONDS, _RATE)(path)
    noise, _ = read_wave(path)
    length = round(_SECONDS * _RATE)
    start = int(np.random.default_rng(piece).integers(0, max(1, len(noise) - length)))
    return fitted(noise[start:], length)


def load_digits(path: Path) -> Dataset:
    """Read the Free Spoken Digit Dataset, ``recordings/{digit}_{speaker}_{index}.wav``; indices 0 to 4 are the test.

    Raises
    ------
    UserError
        If there are no recordings.
    """
    folder = Folder("spoken-digits", path, "https://github.com/Jakobovski/free-spoken-digit-dataset")
    (recordings,) = folder.require(["recordings"])
    files = sorted(recordings.glob("*_*_*.wav"))
    if not files:
        raise folder.refuse("'recordings' holds no {digit}_{speaker}_{index}.wav")
    rate = read_wave(files[0])[1]

    def split(test: bool) -> Decoded:
        chosen = [file for file in files if (int(file.stem.split("_")[2]) < _TEST_INDICES) == test]
        labels = np.array([int(file.stem.split("_")[0]) for file in chosen], np.int64)
        return Decoded(chosen, waves(_SECONDS, rate), labels)

    return Dataset("spoken-digits", "audio", "accuracy", _DIGITS, split(False), split(True), rate=rate)
